//! The settings of one destination, as the installed `ssh` resolves them: `ssh -G`. A setting that
//! this connector cannot follow is refused, never ignored in silence.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, kex, mac};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::Failed;
use crate::error::Cause;
use crate::outside::Outside;
use crate::{fair, shared, ssh};

/// For `ssh -G`, which may run the commands of `Match exec` lines and look up names.
const ANSWER: Duration = Duration::from_secs(20);
/// The most that is read of its answer. A usual one has 6 KB.
const MOST: u64 = 256 << 10;

/// Settings that must have one of these values, because this connector does not know the others.
const MUST_BE: [(&str, &[&str]); 17] = [
    ("proxycommand", &["none"]),
    ("knownhostscommand", &["none"]),
    ("revokedhostkeys", &["none"]),
    ("pkcs11provider", &["none"]),
    ("bindaddress", &[]),
    ("bindinterface", &[]),
    ("hostbasedauthentication", &["no"]),
    ("compression", &["no"]),
    ("verifyhostkeydns", &["no", "false", "ask"]),
    ("checkhostip", &["no"]),
    ("nohostauthenticationforlocalhost", &["no"]),
    ("stricthostkeychecking", &["true", "yes", "ask"]),
    (
        "pubkeyauthentication",
        &["true", "yes", "unbound", "host-bound"],
    ),
    ("sessiontype", &["default"]),
    ("tunnel", &["false", "no"]),
    ("rekeylimit", &["0 0"]),
    ("channeltimeout", &["none"]),
];

/// How one host is reached. Names and paths are complete: nothing in them is replaced any more.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The name in files of known hosts, if it is not the host's.
    pub(super) alias: Option<String>,
    /// Files of known hosts.
    pub(super) known: Vec<PathBuf>,
    /// Files of private keys.
    pub(super) identities: Vec<PathBuf>,
    /// Files of certificates of those keys.
    pub(super) certificates: Vec<PathBuf>,
    /// Whether the agent's other keys are not used.
    pub(super) identities_only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
    /// Hosts to go through, each `[user@]host[:port]`, the first one first.
    pub(super) jumps: Vec<String>,
    pub(super) family: Family,
    /// How often a silent server is asked whether it is alive, and how often in vain.
    pub(super) alive: Option<(Duration, usize)>,
    pub(super) preferred: Preferred,
    /// Names of algorithms that certificates of hosts may be signed with.
    pub(super) authorities: Vec<String>,
    /// Names of algorithms that keys of the user may have.
    pub(super) accepted: Vec<String>,
    /// Variables for the node's shell.
    pub(super) env: Vec<(String, String)>,
    /// Whether `ssh` would also try a ticket of Kerberos.
    pub(super) tickets: bool,
}

/// Which addresses of a host are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

/// Asks `ssh` for the settings of the destination that `arguments` name.
pub(super) async fn ask(arguments: &[std::ffi::OsString]) -> Result<Settings, Failed> {
    let mut command = Command::new("ssh");
    ssh::quiet_locale(&mut command);
    // An older `-T` in `arguments` would be too late for the note about a terminal.
    command.args(["-G", "-T"]).args(arguments);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| {
        let program = "ssh".to_owned();
        Failed::new(Cause::Program { program }, error.to_string())
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let mut texts = (Vec::new(), Vec::new());
        if let (Some(out), Some(err)) = (out, err) {
            let (mut out, mut err) = (out.take(MOST), err.take(4096));
            let read = tokio::join!(out.read_to_end(&mut texts.0), err.read_to_end(&mut texts.1));
            read.0.and(read.1)?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, texts))
    };
    let cannot = |said: String| Failed::new(Cause::Config, said);
    let answered = fair::within(ANSWER, answer).await;
    let answered = answered.ok_or_else(|| cannot("`ssh -G` did not answer in 20 s".to_owned()))?;
    let (status, (out, err)) = answered.map_err(|error| cannot(error.to_string()))?;
    if !status.success() {
        return Err(cannot(String::from_utf8_lossy(&err).trim().to_owned()));
    }
    let text = String::from_utf8(out).map_err(|_| cannot("`ssh -G`: not UTF-8".to_owned()))?;
    parse(&text, shared::home().as_deref()).map_err(cannot)
}

/// Reads the answer of `ssh -G`. The error is a sentence for the user.
fn parse(text: &str, home: Option<&Path>) -> Result<Settings, String> {
    let answer = Answer::of(text);
    answer.refuse_what_is_unknown()?;
    let host = answer.needed("hostname")?.to_owned();
    let port = answer.needed("port")?;
    let port = port.parse().map_err(|_| format!("`ssh -G`: port {port}"))?;
    let user = answer.needed("user")?.to_owned();
    let names = Names {
        home,
        host: &host,
        original: answer.one("host").unwrap_or(&host),
        port,
        user: &user,
    };
    let known = ["userknownhostsfile", "globalknownhostsfile"];
    let known = known.iter().filter_map(|key| answer.one(key));
    let known = known.flat_map(str::split_whitespace);
    let agent = match answer.one("identityagent") {
        None | Some("SSH_AUTH_SOCK") => std::env::var("SSH_AUTH_SOCK").ok(),
        Some(other) => Some(other.to_owned()),
    };
    let agent = agent.filter(|path| !path.is_empty());
    let jumps = answer.one("proxyjump").unwrap_or("none");
    Ok(Settings {
        alias: answer.one("hostkeyalias").map(str::to_owned),
        known: names.paths(known)?,
        identities: names.paths(answer.all("identityfile"))?,
        certificates: names.paths(answer.all("certificatefile"))?,
        identities_only: answer.one("identitiesonly") == Some("yes"),
        agent: names.paths(agent.as_deref().into_iter())?.pop(),
        jumps: jumps
            .split(',')
            .filter(|jump| !jump.is_empty() && *jump != "none")
            .map(str::to_owned)
            .collect(),
        family: match answer.one("addressfamily") {
            Some("inet") => Family::V4,
            Some("inet6") => Family::V6,
            _ => Family::Any,
        },
        alive: answer.alive(),
        preferred: answer.preferred()?,
        authorities: answer.list("casignaturealgorithms"),
        accepted: answer.list("pubkeyacceptedalgorithms"),
        env: answer.env(),
        tickets: answer.one("gssapiauthentication") == Some("yes"),
        host,
        port,
        user,
    })
}

/// The lines of the answer: a keyword in lower case, and its value.
struct Answer<'a>(Vec<(String, &'a str)>);

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Self(
            lines
                .map(|(key, value)| (key.to_ascii_lowercase(), value.trim()))
                .collect(),
        )
    }

    fn all<'b>(&'b self, wanted: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let found = self.0.iter().filter(move |(key, _)| key == wanted);
        found.map(|(_, value)| *value)
    }

    fn one(&self, wanted: &str) -> Option<&'a str> {
        self.all(wanted).next()
    }

    fn needed(&self, wanted: &str) -> Result<&'a str, String> {
        self.one(wanted)
            .ok_or_else(|| format!("`ssh -G` names no {wanted}"))
    }

    fn list(&self, wanted: &str) -> Vec<String> {
        let names = self.one(wanted).unwrap_or_default().split(',');
        names.map(str::to_owned).collect()
    }

    fn refuse_what_is_unknown(&self) -> Result<(), String> {
        for (key, known) in MUST_BE {
            if let Some(value) = self.all(key).find(|value| !known.contains(value)) {
                return Err(cannot(&format!("`{key} {}`", Outside::from(value).line())));
            }
        }
        let methods = self.one("preferredauthentications").unwrap_or("publickey");
        if !methods.split(',').any(|method| method == "publickey") {
            return Err(cannot("`preferredauthentications` without `publickey`"));
        }
        Ok(())
    }

    fn alive(&self) -> Option<(Duration, usize)> {
        let seconds: u64 = self.one("serveraliveinterval")?.parse().ok()?;
        let times = self.one("serveralivecountmax")?.parse().ok()?;
        (seconds > 0).then(|| (Duration::from_secs(seconds), times))
    }

    /// The algorithms that both the user allows and this connector knows, in the user's order.
    fn preferred(&self) -> Result<Preferred, String> {
        let none = |kind| cannot(&format!("none of the user's `{kind}`"));
        let mut kex: Vec<kex::Name> = self.known("kexalgorithms");
        if kex.is_empty() {
            return Err(none("kexalgorithms"));
        }
        kex.push(kex::EXTENSION_SUPPORT_AS_CLIENT);
        kex.push(kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT);
        let cipher: Vec<cipher::Name> = self.known("ciphers");
        let mac: Vec<mac::Name> = self.known("macs");
        if cipher.is_empty() || mac.is_empty() {
            return Err(none("ciphers` or `macs"));
        }
        let names = self.list("hostkeyalgorithms");
        let of = |read: fn(&str) -> Option<Algorithm>| -> Vec<Algorithm> {
            names.iter().filter_map(|name| read(name)).collect()
        };
        let key = of(|name| Algorithm::new(name).ok().filter(is_verified));
        if key.is_empty() {
            return Err(none("hostkeyalgorithms"));
        }
        Ok(Preferred {
            kex: kex.into(),
            key: key.into(),
            host_key_certificates: of(|name| {
                Algorithm::new_certificate(name).ok().filter(is_verified)
            })
            .into(),
            cipher: cipher.into(),
            mac: mac.into(),
            compression: vec![russh::compression::NONE].into(),
        })
    }

    fn known<T: for<'n> TryFrom<&'n str>>(&self, key: &str) -> Vec<T> {
        let names = self.one(key).unwrap_or_default().split(',');
        names
            .filter(|name| *name != "none")
            .filter_map(|name| T::try_from(name).ok())
            .collect()
    }

    /// What `SendEnv` and `SetEnv` ask for.
    fn env(&self) -> Vec<(String, String)> {
        let patterns: Vec<_> = self.all("sendenv").collect();
        let fits = |name: &str| {
            let fits =
                |pattern: &&str| opsbook_text::wildcard::fits(pattern.as_bytes(), name.as_bytes());
            patterns.iter().any(fits)
        };
        let set = self.all("setenv").filter_map(|text| text.split_once('='));
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ssh::quiet_environment()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| fits(name))
            .chain(set)
            .collect()
    }
}

/// Whether signatures of such a key can be verified. RSA would need a library whose signatures
/// reveal the key by the time that they take (RUSTSEC-2023-0071).
fn is_verified(key: &Algorithm) -> bool {
    matches!(key, Algorithm::Ed25519 | Algorithm::Ecdsa { .. })
}

/// The sentence about something that only the `ssh` program can do.
pub(super) fn cannot(what: &str) -> String {
    format!("`transport: russh` cannot follow {what}: change it, or use `transport: ssh`")
}

/// What stands for `%h` and the like.
struct Names<'a> {
    home: Option<&'a Path>,
    host: &'a str,
    original: &'a str,
    port: u16,
    user: &'a str,
}

impl Names<'_> {
    fn paths<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Result<Vec<PathBuf>, String> {
        let texts = texts.filter(|text| *text != "none");
        texts.map(|text| self.path(text)).collect()
    }

    /// The path with `~`, `%` and `${}` replaced.
    fn path(&self, text: &str) -> Result<PathBuf, String> {
        let home = || {
            let home = self.home.and_then(Path::to_str);
            home.ok_or_else(|| cannot(&format!("`{text}` without a home directory")))
        };
        let text = match text.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", home()?),
            None if text.starts_with('~') => return Err(cannot(&format!("`{text}`"))),
            None => text.to_owned(),
        };
        let (mut path, mut rest) = (String::new(), text.as_str());
        while let Some(at) = rest.find(['%', '$']) {
            path += &rest[..at];
            rest = &rest[at..];
            let end = match rest.as_bytes() {
                [b'%', ..] => rest
                    .char_indices()
                    .nth(2)
                    .map_or(rest.len(), |(end, _)| end),
                [b'$', b'{', ..] => rest.find('}').map_or(rest.len(), |end| end + 1),
                _ => 1,
            };
            let (token, after) = rest.split_at(end);
            rest = after;
            path += &match token {
                "%%" => "%".to_owned(),
                "$" => "$".to_owned(),
                "%d" => home()?.to_owned(),
                "%h" => self.host.to_owned(),
                "%n" => self.original.to_owned(),
                "%p" => self.port.to_string(),
                "%r" => self.user.to_owned(),
                "%i" => rustix::process::getuid().as_raw().to_string(),
                _ => {
                    let name = token
                        .strip_prefix("${")
                        .and_then(|name| name.strip_suffix('}'));
                    let value = name.and_then(|name| std::env::var(name).ok());
                    value.ok_or_else(|| cannot(&format!("`{token}` in `{text}`")))?
                }
            };
        }
        // A variable of the environment, as in `IdentityAgent $SOCKET`.
        path += rest;
        if let Some(name) = path.strip_prefix('$') {
            let value = std::env::var(name).map_err(|_| cannot(&format!("`{path}`")))?;
            return Ok(value.into());
        }
        Ok(path.into())
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
