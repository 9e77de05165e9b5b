use super::*;

const USUAL: &str = "host web\nuser ops\nhostname web.example.net\nport 2222\n\
    kexalgorithms sntrup761x25519-sha512,curve25519-sha256,none\n\
    ciphers chacha20-poly1305@openssh.com,aes256-ctr\nmacs umac-64@openssh.com,hmac-sha2-256\n\
    hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512,ecdsa-sha2-nistp256,ssh-ed25519\n\
    stricthostkeychecking ask\nserveraliveinterval 5\nserveralivecountmax 3\n\
    userknownhostsfile ~/.ssh/known_hosts /a%%b/%h\nglobalknownhostsfile /etc/k\n";

fn parsed(more: &str) -> Result<Settings, String> {
    parse(&format!("{USUAL}{more}"), Some(Path::new("/home/ops")))
}

#[test]
fn the_answer_of_ssh_is_read() {
    let more = "identityfile ~/.ssh/id_%r\nidentityfile keys/%p-%n\nproxyjump a@b:1,c\n\
                identityagent /run/agent\nidentitiesonly yes\nhostkeyalias w\n";
    let settings = parsed(more).unwrap();
    let paths = |paths: &[PathBuf]| {
        let paths = paths.iter().map(|path| path.display().to_string());
        paths.collect::<Vec<_>>().join(" ")
    };
    let Settings {
        host, port, user, ..
    } = &settings;
    assert_eq!(
        (host.as_str(), *port, user.as_str()),
        ("web.example.net", 2222, "ops")
    );
    assert_eq!(
        paths(&settings.known),
        "/home/ops/.ssh/known_hosts /a%b/web.example.net /etc/k"
    );
    assert_eq!(
        paths(&settings.identities),
        "/home/ops/.ssh/id_ops keys/2222-web"
    );
    assert_eq!(settings.agent, Some("/run/agent".into()));
    assert_eq!(settings.jumps, ["a@b:1", "c"]);
    assert_eq!(settings.alias.as_deref(), Some("w"));
    assert!(settings.identities_only);
    assert_eq!(settings.alive, Some((Duration::from_secs(5), 3)));
    let names = |names: &[Algorithm]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    // What is not known here is left out, and never `none`.
    assert_eq!(
        names(&settings.preferred.key),
        ["ecdsa-sha2-nistp256", "ssh-ed25519"]
    );
    assert_eq!(
        names(&settings.preferred.host_key_certificates),
        ["ssh-ed25519"]
    );
    let kex: Vec<_> = settings.preferred.kex.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        kex,
        [
            "curve25519-sha256",
            "ext-info-c",
            "kex-strict-c-v00@openssh.com"
        ]
    );
    let macs: Vec<_> = settings.preferred.mac.iter().map(AsRef::as_ref).collect();
    assert_eq!(macs, ["hmac-sha2-256"]);
}

#[test]
fn a_setting_that_is_not_followed_is_refused_by_name() {
    for (more, named) in [
        ("proxycommand nc %h %p", "`proxycommand nc %h %p`"),
        ("pkcs11provider /lib/p.so", "`pkcs11provider /lib/p.so`"),
        ("knownhostscommand /bin/k", "`knownhostscommand /bin/k`"),
        ("revokedhostkeys /etc/r", "`revokedhostkeys /etc/r`"),
        ("bindaddress 10.0.0.1", "`bindaddress 10.0.0.1`"),
        (
            "hostbasedauthentication yes",
            "`hostbasedauthentication yes`",
        ),
        ("compression yes", "`compression yes`"),
        ("verifyhostkeydns true", "`verifyhostkeydns true`"),
        (
            "stricthostkeychecking accept-new",
            "`stricthostkeychecking accept-new`",
        ),
        (
            "stricthostkeychecking false",
            "`stricthostkeychecking false`",
        ),
        (
            "preferredauthentications password",
            "`preferredauthentications`",
        ),
        ("rekeylimit 1000 0", "`rekeylimit 1000 0`"),
        ("identityfile ~other/key", "`~other/key`"),
        ("certificatefile /keys/%C", "`%C` in `/keys/%C`"),
        (
            "identityfile /keys/${NO_SUCH_VARIABLE}",
            "`${NO_SUCH_VARIABLE}`",
        ),
    ] {
        // As with `ssh`, several lines of a keyword may follow each other.
        let said = parsed(&format!("{more}\n")).unwrap_err();
        assert!(
            said.contains(named) && said.contains("`transport: ssh`"),
            "{more}: {said}"
        );
    }
    for unset in ["kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"] {
        let text = USUAL.replace(unset, "unknown");
        let said = parse(&text, None).unwrap_err();
        assert!(
            said.contains(unset) || said.contains('~'),
            "{unset}: {said}"
        );
    }
}

#[test]
fn rubbish_is_no_settings() {
    for text in [
        "",
        "\n\n",
        "hostname\n",
        "port 70000\nhostname a\nuser b\n",
        "\u{1b}[2J",
    ] {
        assert!(parse(text, None).is_err(), "{text:?}");
    }
}
