//! ssh in this process (`transport: russh`): who is let in, which hosts are trusted, what is
//! refused. The other tests of sessions run with it too: `OPSBOOK_TEST_SSH=russh`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::session::{Cause, OpenError, OpenOptions, Session, Ssh, Target};

use super::{bounded, out, sh, until};
use crate::sshd::{self, Special, Sshd, options, or_skip};

/// A server, and its destination for opsbook's own ssh.
fn server(config: &str) -> Option<(Sshd, Ssh)> {
    let special = Special {
        config: config.to_owned(),
        ..Special::default()
    };
    let server = or_skip("own ssh", Sshd::special(&special))?;
    let ssh = Ssh {
        in_process: true,
        ..server.ssh()
    };
    Some((server, ssh))
}

async fn opened(ssh: &Ssh, options: &OpenOptions) -> Result<Session, OpenError> {
    bounded(Session::open(&Target::Ssh(ssh.clone()), options)).await
}

async fn works(ssh: &Ssh) {
    let session = opened(ssh, &options()).await;
    let session = session.unwrap_or_else(|error| panic!("{error}: {}", error.said.block()));
    assert_eq!(out(&sh(&session, "echo over ssh").await), "over ssh\n");
    bounded(session.close()).await;
    assert!(!Path::new(&session.hello().dir).exists());
}

async fn refused(ssh: &Ssh) -> OpenError {
    let options = OpenOptions {
        timeout: Duration::from_secs(3),
        ..options()
    };
    opened(ssh, &options).await.unwrap_err()
}

fn keygen(folder: &Path, args: &[&str]) {
    let mut keygen = Command::new("ssh-keygen");
    let made = keygen.arg("-q").args(args).current_dir(folder).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn hashed_and_several_known_hosts_are_read() {
    let Some((server, mut ssh)) = server("") else {
        return;
    };
    let known = server.dir.path().join("known_hosts");
    keygen(server.dir.path(), &["-H", "-f", "known_hosts"]);
    assert!(text(&known).starts_with("|1|"));
    works(&ssh).await;
    // The first file does not know it, the second one does; an alias has no port.
    let key = text(&sshd::keys().join("host.pub"));
    fs::write(&known, format!("the-alias {key}")).unwrap();
    ssh.options[0] = format!("UserKnownHostsFile=/no/such/file {}", known.display());
    assert!(matches!(
        refused(&ssh).await.cause,
        Cause::HostKeyUnknown { .. }
    ));
    ssh.options.push("HostKeyAlias=the-alias".to_owned());
    works(&ssh).await;
}

/// A host with several keys is asked for the one on record.
#[tokio::test]
async fn the_key_on_record_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    keygen(folder.path(), &["-t", "ecdsa", "-N", "", "-f", "second"]);
    keygen(folder.path(), &["-t", "rsa", "-N", "", "-f", "third"]);
    let keys = folder.path().display();
    let Some((server, ssh)) = server(&format!("HostKey {keys}/second\nHostKey {keys}/third"))
    else {
        return;
    };
    let known = server.dir.path().join("known_hosts");
    let host = format!("[{}]:{}", server.address, server.port);
    let second = text(&folder.path().join("second.pub"));
    fs::write(&known, format!("{host} {second}")).unwrap();
    works(&ssh).await;
    // Signatures of RSA are not verified here: this is said, and nothing else is accepted.
    let third = text(&folder.path().join("third.pub"));
    fs::write(&known, format!("{host} {third}")).unwrap();
    let error = refused(&ssh).await;
    assert_eq!(error.cause, Cause::Algorithms);
    let said = error.said.block().to_string();
    assert!(
        said.contains("(ssh-rsa)") && said.contains("`transport: ssh`"),
        "{said}"
    );
}

/// Makes a certificate of `public` by the authority `ca`, which is made in `folder`.
fn certified(folder: &Path, public: &Path, args: &[&str]) -> PathBuf {
    if !folder.join("ca").exists() {
        keygen(folder, &["-t", "ed25519", "-N", "", "-f", "ca"]);
    }
    fs::copy(public, folder.join("key.pub")).unwrap();
    keygen(
        folder,
        &[&["-s", "ca", "-I", "id"], args, &["key.pub"]].concat(),
    );
    folder.join("key-cert.pub")
}

#[tokio::test]
async fn a_host_is_known_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let public = sshd::keys().join("host.pub");
    let at = folder.path().join("host-cert.pub");
    // sshd reads it at its start: another server for each certificate.
    for (names, is_good) in [("*", true), ("other.net", false)] {
        let made = certified(folder.path(), &public, &["-h", "-n", names]);
        fs::rename(made, &at).unwrap();
        let Some((server, ssh)) = server(&format!("HostCertificate {}", at.display())) else {
            return;
        };
        let known = server.dir.path().join("known_hosts");
        let authority = text(&folder.path().join("ca.pub"));
        let host = format!("[{}]:{}", server.address, server.port);
        let on_record = format!("@cert-authority {host} {authority}");
        fs::write(&known, &on_record).unwrap();
        if is_good {
            works(&ssh).await;
            fs::write(&known, format!("{on_record}@revoked * {authority}")).unwrap();
            let host = host.as_str().into();
            assert_eq!(refused(&ssh).await.cause, Cause::HostKeyRevoked { host });
        } else {
            let said = refused(&ssh).await.said.block().to_string();
            assert!(said.contains("it does not name this host"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_user_is_known_by_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::copy(sshd::keys().join("stranger"), &key).unwrap();
    let public = sshd::keys().join("stranger.pub");
    let made = certified(folder.path(), &public, &["-n", &sshd::user()]);
    let authority = folder.path().join("ca.pub");
    let config = format!("TrustedUserCAKeys {}", authority.display());
    let Some((server, mut ssh)) = server(&config) else {
        return;
    };
    fs::write(server.dir.path().join("authorized"), "").unwrap();
    // By its name beside the key, and by the setting.
    ssh.identity = Some(key.clone());
    works(&ssh).await;
    fs::rename(&made, folder.path().join("elsewhere")).unwrap();
    assert_eq!(refused(&ssh).await.cause, Cause::Auth);
    let elsewhere = folder.path().join("elsewhere");
    ssh.options
        .push(format!("CertificateFile={}", elsewhere.display()));
    works(&ssh).await;
    // The agent signs for a certificate that is in a file.
    let agent = Agent::start(folder.path());
    agent.add(&key);
    fs::remove_file(&key).unwrap();
    ssh.options
        .push(format!("IdentityAgent={}", agent.socket.display()));
    works(&ssh).await;
}

/// An agent of these tests.
struct Agent {
    socket: PathBuf,
    program: Child,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut program = Command::new("ssh-agent");
        let program = program
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let program = program.unwrap();
        let begin = Instant::now();
        while !socket.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "no agent");
            std::thread::yield_now();
        }
        Self { socket, program }
    }

    fn add(&self, key: &Path) {
        let mut add = Command::new("ssh-add");
        let add = add
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .output();
        let add = add.unwrap();
        assert!(add.status.success(), "{add:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[tokio::test]
async fn a_key_with_a_passphrase_is_used_through_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, mut ssh)) = server("") else {
        return;
    };
    for kind in ["ed25519", "rsa"] {
        let key = folder.path().join(kind);
        keygen(folder.path(), &["-t", kind, "-N", "", "-f", kind]);
        let public = text(&folder.path().join(format!("{kind}.pub")));
        fs::write(server.dir.path().join("authorized"), public).unwrap();
        let agent = Agent::start(folder.path());
        agent.add(&key);
        keygen(
            folder.path(),
            &["-p", "-P", "", "-N", "a passphrase", "-f", kind],
        );
        ssh.identity = Some(key.clone());
        ssh.options.truncate(4);
        ssh.options.push("IdentityAgent=none".to_owned());
        let error = refused(&ssh).await;
        assert_eq!(error.cause, Cause::Auth);
        let said = error.said.block().to_string();
        let hint = format!("`ssh-add {}", key.display());
        assert!(said.contains("Permission denied (publickey)."), "{said}");
        assert!(said.contains(&hint), "{said}");
        ssh.options[4] = format!("IdentityAgent={}", agent.socket.display());
        works(&ssh).await;
        drop(agent);
        fs::remove_file(folder.path().join("agent")).unwrap_or_default();
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, mut ssh)) = server("") else {
        return;
    };
    let key = folder.path().join("login");
    fs::copy(sshd::keys().join("login"), &key).unwrap();
    ssh.identity = Some(key.clone());
    works(&ssh).await;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&ssh).await;
    assert_eq!(error.cause, Cause::Auth);
    let said = error.said.block().to_string();
    assert!(said.contains("can be read by others (mode 0644)"), "{said}");
}

#[tokio::test]
async fn each_host_on_the_way_is_checked() {
    let (Some((first, _)), Some((last, mut ssh))) = (server(""), server("")) else {
        return;
    };
    let known = first.dir.path().join("known_hosts");
    let config = first.dir.path().join("config");
    let key = sshd::keys().join("login");
    let of = |known: &Path| {
        format!(
            "Host hop\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            first.address,
            first.port,
            sshd::user(),
            key.display(),
            known.display()
        )
    };
    fs::write(&config, of(&known)).unwrap();
    ssh.jump = Some("hop".to_owned());
    let options = OpenOptions {
        ssh_config: Some(config.clone()),
        timeout: Duration::from_secs(5),
        ..options()
    };
    let session = opened(&ssh, &options).await;
    let session = session.unwrap_or_else(|error| panic!("{error}: {}", error.said.block()));
    assert_eq!(session.hello().home, last.home().to_str().unwrap());
    bounded(session.close()).await;
    // The hop's key is not on record.
    fs::write(&config, of(Path::new("/no/such/file"))).unwrap();
    let error = opened(&ssh, &options).await.unwrap_err();
    let Cause::Jump(inner) = error.cause else {
        panic!("{error}");
    };
    assert!(matches!(*inner, Cause::HostKeyUnknown { .. }), "{inner}");
    // The host behind it is not the one on record.
    fs::write(&config, of(&known)).unwrap();
    let other = text(&sshd::keys().join("stranger.pub"));
    let host = format!("[{}]:{}", last.address, last.port);
    fs::write(
        last.dir.path().join("known_hosts"),
        format!("{host} {other}"),
    )
    .unwrap();
    let error = opened(&ssh, &options).await.unwrap_err();
    let Cause::Jump(inner) = error.cause else {
        panic!("{error}");
    };
    assert!(matches!(*inner, Cause::HostKeyChanged { .. }), "{inner}");
    // A circle ends.
    fs::write(
        &config,
        format!("{}  ProxyJump hop\nHost *\n  ProxyJump hop\n", of(&known)),
    )
    .unwrap();
    let error = opened(&ssh, &options).await.unwrap_err();
    assert!(error.said.block().to_string().contains("circle"), "{error}");
}

/// What the program `ssh` would do and this connector cannot is refused by its name.
#[tokio::test]
async fn a_setting_that_is_not_followed_is_refused() {
    let Some((_server, ssh)) = server("") else {
        return;
    };
    for option in [
        "ProxyCommand=nc %h %p",
        "PKCS11Provider=/lib/p.so",
        "StrictHostKeyChecking=accept-new",
    ] {
        let mut ssh = ssh.clone();
        ssh.options.insert(0, option.to_owned());
        let error = refused(&ssh).await;
        assert_eq!(error.cause, Cause::Config, "{option}");
        let said = error.said.block().to_string().to_lowercase();
        let (name, _) = option.split_once('=').unwrap();
        assert!(
            said.contains(&name.to_lowercase()) && said.contains("`transport: ssh`"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_server_with_too_many_logins_is_asked_again() {
    let Some((server, ssh)) = server("MaxStartups 1") else {
        return;
    };
    let first = std::net::TcpStream::connect((server.address.as_str(), server.port)).unwrap();
    let opening = tokio::spawn(async move { opened(&ssh, &options()).await });
    let log = server.dir.path().join("log");
    until("one is dropped", || text(&log).contains("MaxStartups")).await;
    drop(first);
    let session = bounded(opening).await.unwrap().unwrap();
    bounded(session.close()).await;
}

/// What a server sends that is none.
#[derive(Clone, Copy)]
enum Rubbish {
    Lines,
    OneLine,
    Packets,
    HugePacket,
    Nothing,
    Ends,
}

fn rubbish(kind: Rubbish) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let hello = b"SSH-2.0-rubbish\r\n";
                let (first, again): (&[u8], &[u8]) = match kind {
                    Rubbish::Lines => (b"", b"\x1b[2J Welcome!\r\n"),
                    Rubbish::OneLine => (b"", &[b'x'; 4096]),
                    Rubbish::Packets => (hello, &[0xff; 4096]),
                    Rubbish::HugePacket => {
                        (b"SSH-2.0-rubbish\r\n\x7f\xff\xff\xf0\x04", &[0; 65536])
                    }
                    Rubbish::Nothing => (b"", b""),
                    Rubbish::Ends => return,
                };
                let _ = stream.write_all(first);
                while !again.is_empty() && stream.write_all(again).is_ok() {}
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

#[tokio::test]
async fn a_hostile_server_is_left_in_time() {
    for kind in [
        Rubbish::Lines,
        Rubbish::OneLine,
        Rubbish::Packets,
        Rubbish::HugePacket,
        Rubbish::Nothing,
        Rubbish::Ends,
    ] {
        let ssh = Ssh {
            host: "127.0.0.1".to_owned(),
            port: Some(rubbish(kind)),
            in_process: true,
            ..Ssh::default()
        };
        let begin = Instant::now();
        let error = refused(&ssh).await;
        assert!(begin.elapsed() < Duration::from_secs(60), "{error}");
        let said = error.said.block().to_string();
        assert!(!said.contains('\x1b') && said.len() < 4096, "{said:?}");
        match kind {
            Rubbish::Nothing => assert_eq!(error.cause, Cause::TimedOut, "{said}"),
            Rubbish::Ends => assert_eq!(error.cause, Cause::Dropped, "{said}"),
            _ => {}
        }
    }
}

/// Variables of the locale arrive as they do with the program `ssh`.
#[tokio::test]
async fn the_environment_is_the_one_that_ssh_sends() {
    let Some((_server, mut ssh)) = server("AcceptEnv LC_* OB_*") else {
        return;
    };
    ssh.options.push("SendEnv=LC_*".to_owned());
    ssh.options.push("SetEnv=OB_SET=of-the-user".to_owned());
    let mut said = Vec::new();
    for in_process in [false, true] {
        ssh.in_process = in_process;
        let session = opened(&ssh, &options()).await.unwrap();
        let asked = "echo \"$OB_SET ${LC_MESSAGES-none} ${LC_ALL-none}\"";
        said.push(out(&sh(&session, asked).await).to_owned());
        bounded(session.close()).await;
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].starts_with("of-the-user C "), "{said:?}");
}
