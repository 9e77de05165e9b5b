use russh::keys::PrivateKey;

use super::*;

/// Keys of ssh-keygen, made for these tests; nobody uses them.
const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINUc7akDoPXTIY0ecX/E0BRP7pDG7n9Fb0cE6VcQZHZj";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICMN6wplgfq9QnfzUh8or6D0O3LYQhGk5rk8HRNHuino";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFij1loHwKQS8hEqyAJldJhaago+SfHSw/yOwgZhuW5JFfU8YP64pFaXYSmuH90mLTDKhOWFsByAhkIA6jebi88=";

fn known(text: &str, host: &str, port: u16) -> Known {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let mut known = Known::read(
        &[file.path().to_owned(), "/no/such/file".into()],
        host,
        port,
        false,
    );
    let lines = known.exact.iter_mut().chain(&mut known.without_port);
    for line in lines {
        line.place = line.place.rsplit_once(':').unwrap().1.to_owned();
    }
    known
}

fn judged(text: &str, host: &str, port: u16) -> Verdict {
    known(text, host, port).judge(&PublicKey::from_openssh(ONE).unwrap())
}

#[test]
fn a_key_is_judged_as_openssh_does() {
    let changed = |line: &str| Verdict::Changed {
        record: line.to_owned(),
    };
    for (text, host, port, verdict) in [
        ("", "a", 22, Verdict::Unknown),
        ("a ONE", "a", 22, Verdict::Known),
        ("A ONE", "a", 22, Verdict::Known),
        ("a ONE", "A", 22, Verdict::Known),
        ("a ONE comment of words", "a", 22, Verdict::Known),
        ("b ONE", "a", 22, Verdict::Unknown),
        ("b,a ONE", "a", 22, Verdict::Known),
        ("*.net ONE", "a.net", 22, Verdict::Known),
        ("*.net,!a.net ONE", "a.net", 22, Verdict::Unknown),
        ("!a.net,*.net ONE", "b.net", 22, Verdict::Known),
        ("# x\n\na OTHER", "a", 22, changed("3")),
        ("a OTHER\na ONE", "a", 22, Verdict::Known),
        // Another kind of key says nothing about this one.
        ("a ECDSA", "a", 22, Verdict::Unknown),
        ("a ONE", "a", 2222, Verdict::Known),
        ("a OTHER", "a", 2222, Verdict::Unknown),
        ("[a]:2222 ONE", "a", 2222, Verdict::Known),
        ("[a]:2222 ONE", "a", 22, Verdict::Unknown),
        ("[a]:2222 OTHER\na ONE", "a", 2222, changed("1")),
        ("a ONE\n@revoked a ONE", "a", 22, Verdict::Revoked),
        ("a ONE\n@revoked * ONE", "a", 22, Verdict::Revoked),
        ("[a]:2222 ONE\n@revoked * ONE", "a", 2222, Verdict::Revoked),
        ("a ONE\n@revoked b ONE", "a", 22, Verdict::Known),
        ("a ONE\n@revoked a OTHER", "a", 22, Verdict::Known),
        // An authority's own key is no host key.
        ("@cert-authority a ONE", "a", 22, Verdict::Unknown),
        ("@something a ONE", "a", 22, Verdict::Unknown),
        ("a ssh-ed25519 not-base64", "a", 22, Verdict::Unknown),
        ("a", "a", 22, Verdict::Unknown),
        ("|1| ONE", "a", 22, Verdict::Unknown),
        ("|1|x|y ONE", "a", 22, Verdict::Unknown),
    ] {
        let text = text
            .replace("ONE", ONE)
            .replace("OTHER", OTHER)
            .replace("ECDSA", ECDSA);
        assert_eq!(judged(&text, host, port), verdict, "{text}");
    }
}

#[test]
fn a_hashed_name_is_found() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let line = format!("[a.net]:2222 {ONE}\nb.net {ONE}\n");
    std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
    let hashed = std::process::Command::new("ssh-keygen")
        .args(["-H", "-f"])
        .arg(file.path())
        .output();
    assert!(hashed.unwrap().status.success());
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.starts_with("|1|") && !text.contains("net"), "{text}");
    assert_eq!(judged(&text, "a.net", 2222), Verdict::Known);
    assert_eq!(judged(&text, "b.net", 22), Verdict::Known);
    assert_eq!(judged(&text, "c.net", 22), Verdict::Unknown);
}

#[test]
fn a_certificate_is_judged_with_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let keygen = |args: &[&str]| {
        let mut keygen = std::process::Command::new("ssh-keygen");
        let made = keygen
            .arg("-q")
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    };
    for name in ["ca", "other", "host"] {
        keygen(&["-t", "ed25519", "-N", "", "-f", name]);
    }
    let public = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let signed = |args: &[&str]| {
        keygen(&[&["-s", "ca", "-I", "id"], args, &["host.pub"]].concat());
        Certificate::from_openssh(public("host-cert.pub").trim()).unwrap()
    };
    let allowed = ["ssh-ed25519".to_owned()];
    let (ca, other, host) = (public("ca.pub"), public("other.pub"), public("host.pub"));
    let good = signed(&["-h", "-n", "a.net,*.org"]);
    let judged = |certificate: &Certificate, text: &str, host: &str, allowed: &[String]| {
        known(text, host, 22).judge_certificate(certificate, host, allowed)
    };
    let on_record = format!("@cert-authority *.net,*.org {ca}");
    assert_eq!(judged(&good, &on_record, "a.net", &allowed), Verdict::Known);
    assert_eq!(judged(&good, &on_record, "b.org", &allowed), Verdict::Known);
    let bad = |why| Verdict::Bad { why };
    let not_named = bad("it does not name this host");
    assert_eq!(judged(&good, &on_record, "b.net", &allowed), not_named);
    let weak = bad("its signature has an algorithm that `CASignatureAlgorithms` does not allow");
    assert_eq!(judged(&good, &on_record, "a.net", &[]), weak);
    // Without its authority, a certificate is its key.
    let of_other = format!("@cert-authority * {other}");
    assert_eq!(
        judged(&good, &of_other, "a.net", &allowed),
        Verdict::Unknown
    );
    let key = format!("{of_other}a.net {host}");
    assert_eq!(judged(&good, &key, "a.net", &allowed), Verdict::Known);
    for revoked in [&ca, &host] {
        let text = format!("{on_record}@revoked * {revoked}");
        assert_eq!(judged(&good, &text, "a.net", &allowed), Verdict::Revoked);
    }
    let late = signed(&["-h", "-n", "a.net", "-V", "20200101:20200102"]);
    let ended = bad("it is not valid yet, or not any more");
    assert_eq!(judged(&late, &on_record, "a.net", &allowed), ended);
    let user = signed(&["-n", "a.net"]);
    assert_eq!(
        judged(&user, &on_record, "a.net", &allowed),
        bad("it is not a host's")
    );
    let nobody = signed(&["-h"]);
    assert_eq!(judged(&nobody, &on_record, "a.net", &allowed), not_named);
    // A certificate that somebody changed.
    let private = PrivateKey::read_openssh_file(folder.path().join("other")).unwrap();
    let mut bytes = good.to_bytes().unwrap();
    let own = good.public_key().ed25519().unwrap().0;
    let at = bytes.windows(32).position(|part| part == own).unwrap();
    bytes[at..at + 32].copy_from_slice(&private.public_key().key_data().ed25519().unwrap().0);
    let forged = Certificate::from_bytes(&bytes);
    let forged = forged.map(|forged| judged(&forged, &on_record, "a.net", &allowed));
    assert_ne!(forged.ok(), Some(Verdict::Known));
}
