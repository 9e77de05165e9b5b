//! What may be configured, and what holds where nothing is. `gateway.toml` in the state folder,
//! or the file that `--config` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::client::{Address, Url};
use crate::secret::Secret;
use crate::wire::limit;
use crate::wire::version::{Rule, Upgrade};

/// How long a runner's certificate is good, where nobody says it.
const LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

/// The segment of the gateway's own machine.
pub const HERE: &str = "here";

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name of the gateway; the machine's where it is absent.
    pub name: Option<String>,
    /// Where it listens beside the socket.
    pub listen: Listen,
    /// Where it keeps what was ordered.
    pub store: StoreAt,
    /// Where it keeps output.
    pub blobs: BlobsAt,
    /// Which clients it serves.
    pub version: Versions,
    /// What runners of other machines get.
    pub runners: Runners,
    /// How people log in, beside the ways that need no configuration.
    pub login: Login,
    /// Whose approvals count.
    pub approval: Approval,
    /// The log of all that has ended.
    pub record: Recorded,
    /// What is done again and again, by its name.
    pub schedules: BTreeMap<String, Schedule>,
    /// Who is told what fails, again and again while it fails.
    pub alerts: BTreeMap<String, Alerts>,
    /// Who is told what happens, once.
    pub hooks: BTreeMap<String, Hook>,
}

/// `[listen]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// An address of this machine.
    pub address: std::net::SocketAddr,
    /// Where people and runners find it, `https://NAME` or `https://NAME:PORT`; the name and the
    /// port of the gateway where it is absent.
    pub url: Option<String>,
    /// TLS: always where other machines reach the address, and where this table is.
    pub tls: Option<Tls>,
}

/// `[listen.tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A file with the certificate and those behind it, PEM. The gateway's own authority vouches
    /// for it where none is named.
    pub certificate: Option<PathBuf>,
    /// The file with its key.
    pub key: Option<PathBuf>,
    /// More names and addresses for a certificate of the own authority.
    pub names: Vec<String>,
}

impl Tls {
    /// The certificate and the key, where somebody else gives them.
    #[must_use]
    pub fn files(&self) -> Option<(PathBuf, PathBuf)> {
        Some((self.certificate.clone()?, self.key.clone()?))
    }
}

/// `[runners]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runners {
    /// The folder of the authority that vouches for them; `tls` in the state folder where it is
    /// absent. Gateways on one store share it.
    pub authority: Option<PathBuf>,
    /// How long a certificate is good, `7d`. A runner gets another one long before.
    pub certificate: Option<String>,
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 7373)),
            url: None,
            tls: None,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreAt {
    /// `sqlite:///path` or `postgres://…`; `gateway.db` in the state folder where it is absent.
    pub url: Option<String>,
}

/// `[blobs]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsAt {
    /// A folder; `blobs` in the state folder where it is absent. Gateways on one store share it.
    pub folder: Option<PathBuf>,
}

/// `[login]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// By a signature with an ssh key; nobody where it is absent.
    pub ssh: Option<SshKeys>,
    /// By an identity provider; nobody where it is absent.
    pub oidc: Option<OidcLogin>,
    /// Programs of a CI, by a token of theirs.
    pub ci: BTreeMap<String, CiLogin>,
}

/// `[login.oidc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcLogin {
    /// The address of the provider, as its tokens write it.
    pub issuer: String,
    /// The gateway's name there.
    pub client: String,
    /// What the gateway proves itself with there, where the provider asks for it.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The claim that names the person.
    #[serde(default = "sub")]
    pub person: String,
    /// The claim that lists their groups; none where it is absent.
    #[serde(default)]
    pub groups: Option<String>,
    /// What is asked for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
}

fn sub() -> String {
    "sub".to_owned()
}

fn scopes() -> Vec<String> {
    vec!["openid".to_owned(), "profile".to_owned()]
}

/// `[login.ci.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CiLogin {
    /// The address of the issuer, as its tokens write it.
    pub issuer: String,
    /// For whom its tokens are made.
    pub audience: String,
    /// Which of its tokens let in, and as whom.
    pub map: OneOrMore<CiMap>,
}

/// `map = {sub = "repo:ops/shop:*", as = "ci-shop"}`
#[derive(Clone, Debug, Deserialize)]
pub struct CiMap {
    /// Who they are here.
    pub r#as: String,
    /// Each of these claims has this value; `*` and `?` stand for other letters.
    #[serde(flatten)]
    pub claims: BTreeMap<String, String>,
}

/// One, or a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    /// One.
    One(T),
    /// A list.
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// All of them.
    pub fn all(&self) -> &[T] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

/// `[login.ssh]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshKeys {
    /// A file as `ssh-keygen -Y verify` reads it: people and their keys.
    pub allowed_signers: PathBuf,
}

/// `[approval]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// A file as `ssh-keygen -Y verify` reads it: people and the keys with which they approve;
    /// those of `[login.ssh]` where it is absent.
    pub allowed_signers: Option<PathBuf>,
    /// How many approvals every run needs, whatever the manual says.
    pub always: u32,
}

/// `[record]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorded {
    /// The ssh key that signs checkpoints, which `ssh-keygen` takes without a passphrase;
    /// `record_key` in the state folder where it is absent, made once.
    pub key: Option<PathBuf>,
}

/// `[schedules.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenSchedule")]
pub struct Schedule {
    /// What is done.
    pub task: Task,
    /// On which nodes.
    pub nodes: String,
    /// Between two ticks; they are counted from midnight of 1970, UTC.
    pub every: Duration,
    /// So much later than that.
    pub offset: Duration,
}

/// What a schedule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Asks checks.
    Checks {
        /// `GROUP::CHECK` with `*` and `?`.
        checks: Vec<String>,
    },
    /// Runs a procedure.
    Procedure {
        /// Its id.
        procedure: String,
        /// Its arguments.
        arguments: BTreeMap<String, String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSchedule {
    checks: Option<Texts>,
    procedure: Option<String>,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    nodes: String,
    every: String,
    offset: Option<String>,
}

/// One text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<WrittenSchedule> for Schedule {
    type Error = String;

    fn try_from(written: WrittenSchedule) -> Result<Schedule, String> {
        let task = match (written.checks, written.procedure) {
            (Some(_), None) if !written.arguments.is_empty() => {
                return Err("`arguments` are those of a procedure".to_owned());
            }
            (Some(Texts::One(check)), None) => Task::Checks {
                checks: vec![check],
            },
            (Some(Texts::Several(checks)), None) if !checks.is_empty() => Task::Checks { checks },
            (None, Some(procedure)) => Task::Procedure {
                procedure,
                arguments: written.arguments,
            },
            _ => return Err("a schedule has either `checks` or a `procedure`".to_owned()),
        };
        let duration = |name: &str, text: &str| {
            crate::manual::duration(text).map_err(|why| format!("`{name}`: {why}"))
        };
        let every = duration("every", &written.every)?;
        if every < Duration::from_secs(1) || every > Duration::from_hours(24 * 400) {
            return Err("`every` is from 1s to 400d".to_owned());
        }
        let offset = written
            .offset
            .as_deref()
            .map(|text| duration("offset", text));
        let offset = offset.transpose()?.unwrap_or_default();
        if offset >= every {
            return Err("`offset` is less than `every`".to_owned());
        }
        Ok(Schedule {
            task,
            nodes: written.nodes,
            every,
            offset,
        })
    }
}

impl Schedule {
    /// `every`, as the store counts.
    #[must_use]
    pub fn every_milliseconds(&self) -> i64 {
        i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX)
    }

    /// The last tick that is due at this time, in milliseconds.
    #[must_use]
    pub fn due(&self, now: i64) -> i64 {
        let every = self.every_milliseconds();
        let offset = i64::try_from(self.offset.as_millis()).unwrap_or(i64::MAX);
        (now - offset).div_euclid(every) * every + offset
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Task::Checks { checks } => write!(f, "checks {}", checks.join(", ")),
            Task::Procedure { procedure, .. } => write!(f, "procedure {procedure}"),
        }
    }
}

/// `[alerts.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Who listens there.
    pub kind: AlertsKind,
    /// Where: `https://HOST/api/v2/alerts`.
    pub url: String,
}

/// Who is told what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertsKind {
    /// Alertmanager, or what speaks its interface (version 2).
    Alertmanager,
}

/// `[hooks.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Who listens there.
    pub kind: HookKind,
    /// Where.
    pub url: String,
    /// What is told.
    pub on: Vec<Event>,
}

/// How a notice is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    /// A POST with a JSON object.
    Webhook,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A run waits for a person.
    RunHalted,
    /// A run waits for an approval.
    ApprovalWanted,
    /// A check has begun to fail, or does so no more.
    Drift,
}

impl Event {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Event::RunHalted => "run-halted",
            Event::ApprovalWanted => "approval-wanted",
            Event::Drift => "drift",
        }
    }
}

/// `[version]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// The oldest version that is served; `0.0.0` where it is absent.
    pub oldest: Option<String>,
    /// The version that clients should have; the gateway's own where it is absent.
    pub wants: Option<String>,
    /// The commands that bring it.
    pub upgrade: Upgrade,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}`: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It says something that nobody understands.
    #[error("`{}`: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What and where.
        why: String,
    },
}

impl Config {
    /// Reads a file; where it was not named and is not there, nothing is configured. What stands in
    /// the `*.toml` of the folder beside it (`gateway.d`) is added, in the order of their names: a
    /// value takes the place of an earlier one, a table is added to it.
    ///
    /// # Errors
    /// Where it cannot be read or says something unknown.
    pub fn read(path: &Path, named: bool) -> Result<Config, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(ConfigError::Unreadable { path, why }),
        };
        let more = beside(&path)?;
        let config = if more.is_empty() {
            toml::from_str(&text).map_err(|error| error.to_string())
        } else {
            merged(&path, &text, &more)?
        };
        let config: Config = match config {
            Ok(config) => config,
            Err(why) => return Err(ConfigError::Wrong { path, why }),
        };
        if let Err(why) = config.rule() {
            let why = format!("`version`: `{why}` is no version");
            return Err(ConfigError::Wrong { path, why });
        }
        if let Err(why) = config.targets() {
            return Err(ConfigError::Wrong { path, why });
        }
        if config.approval.always > 0 && config.approvers().is_none() {
            let why = "`approval.always`: `allowed_signers` names those who approve".to_owned();
            return Err(ConfigError::Wrong { path, why });
        }
        if let Err(why) = config.checked() {
            return Err(ConfigError::Wrong { path, why });
        }
        Ok(config)
    }

    /// Whether what it says goes together.
    ///
    /// # Errors
    /// What does not.
    pub fn checked(&self) -> Result<(), String> {
        self.login.checked()?;
        let tls = self.listen.tls.clone().unwrap_or_default();
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("`listen.tls`: `certificate` and `key` go together".to_owned());
        }
        let Some(url) = &self.listen.url else {
            return self.life().map(|_| ());
        };
        let address: Result<Address, _> = url.parse();
        match address.map_err(|error| format!("`listen.url`: {error}"))? {
            Address::Https { .. } => {}
            // A web server with TLS is meant; without one, this machine alone.
            address if address.is_local() => {}
            _ => {
                let why = format!(
                    "`listen.url`: what is said to `{url}` can be read on its way: it is `https://…`"
                );
                return Err(why);
            }
        }
        self.life().map(|_| ())
    }

    /// Whether the address speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.listen.tls.is_some() || !self.listen.address.ip().is_loopback()
    }

    /// How long a runner's certificate is good.
    ///
    /// # Errors
    /// Where it is no time, or an odd one.
    pub fn life(&self) -> Result<Duration, String> {
        let Some(text) = &self.runners.certificate else {
            return Ok(LIFE);
        };
        let life = crate::manual::duration(text);
        let life = life.map_err(|why| format!("`runners.certificate`: {why}"))?;
        if life < Duration::from_secs(1) || life > LONGEST_LIFE {
            let why = "`runners.certificate`: it is between a second and a year".to_owned();
            return Err(why);
        }
        Ok(life)
    }

    /// Whether names and addresses can be used.
    fn targets(&self) -> Result<(), String> {
        let names = [
            ("schedules", self.schedules.keys().collect::<Vec<_>>()),
            ("alerts", self.alerts.keys().collect()),
            ("hooks", self.hooks.keys().collect()),
        ];
        for (section, names) in names {
            let short = |name: &&&String| !(limit::is_name(name) && name.len() <= 64);
            if let Some(name) = names.iter().find(short) {
                return Err(format!("`[{section}.{name}]` has no name that can be used"));
            }
        }
        let alerts = self
            .alerts
            .iter()
            .map(|(name, to)| ("alerts", name, &to.url));
        let hooks = self.hooks.iter().map(|(name, to)| ("hooks", name, &to.url));
        for (section, name, url) in alerts.chain(hooks) {
            split(url).map_err(|why| format!("`[{section}.{name}] url`: {why}"))?;
        }
        Ok(())
    }

    /// The keys with which people approve.
    #[must_use]
    pub fn approvers(&self) -> Option<PathBuf> {
        let login = self.login.ssh.as_ref();
        let of_login = login.map(|ssh| ssh.allowed_signers.clone());
        self.approval.allowed_signers.clone().or(of_login)
    }

    /// Which versions are served.
    ///
    /// # Errors
    /// The text that is no version.
    pub fn rule(&self) -> Result<Rule, String> {
        let oldest = self.version.oldest.as_deref().unwrap_or("0.0.0");
        let mut rule = Rule::new(
            oldest,
            env!("CARGO_PKG_VERSION"),
            self.version.upgrade.clone(),
        )?;
        rule.wants = match &self.version.wants {
            Some(wants) => Rule::new(wants, wants, Upgrade::default())?.wants,
            None => rule.wants.max(rule.oldest.clone()),
        };
        Ok(rule)
    }
}

/// The address and the path of a URL.
///
/// # Errors
/// Where it is none.
pub fn split(url: &str) -> Result<(Address, String), String> {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| at + after);
    let (address, path) = url.split_at(end);
    let address: Result<Address, _> = address.parse();
    let address = address.map_err(|_| "it is no `http://` or `https://` address".to_owned())?;
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '#';
    if matches!(address, Address::Unix(_)) || path.contains(odd) || !path.is_ascii() {
        return Err("it is no `http://` or `https://` address".to_owned());
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((address, path.to_owned()))
}

impl Login {
    /// Nobody gets in by what everybody has.
    fn checked(&self) -> Result<(), String> {
        let issuers = self
            .oidc
            .iter()
            .map(|oidc| ("login.oidc".to_owned(), &oidc.issuer));
        let ci = self.ci.iter();
        let ci = ci.map(|(name, ci)| (format!("login.ci.{name}"), &ci.issuer));
        for (place, issuer) in issuers.chain(ci) {
            let url: Result<Url, _> = issuer.parse();
            url.map_err(|error| format!("`{place}`: `issuer`: {error}"))?;
        }
        if let Some(oidc) = &self.oidc
            && !oidc.scopes.iter().any(|scope| scope == "openid")
        {
            return Err("`login.oidc`: `openid` belongs in `scopes`".to_owned());
        }
        for (name, ci) in &self.ci {
            for map in ci.map.all() {
                if !limit::is_name(&map.r#as) {
                    return Err(format!("`login.ci.{name}`: `as` is no name"));
                }
                let any = |pattern: &String| pattern.chars().all(|letter| "*?".contains(letter));
                if map.claims.values().all(any) {
                    let why = "everybody whom this issuer knows would get in: `map` names no claim";
                    return Err(format!("`login.ci.{name}`: {why}"));
                }
            }
        }
        Ok(())
    }
}

/// The files of the folder beside it.
fn beside(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = path.with_extension("d");
    let unreadable = |why| ConfigError::Unreadable {
        path: folder.clone(),
        why,
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(unreadable(why)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // An editor's copy of a file is none of ours.
        if name.ends_with(".toml") && !name.starts_with('.') {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// All of them as one.
fn merged(
    path: &Path,
    text: &str,
    more: &[PathBuf],
) -> Result<Result<Config, String>, ConfigError> {
    let table = |path: &Path, text: &str| {
        let read: Result<toml::Table, _> = toml::from_str(text);
        read.map_err(|error| ConfigError::Wrong {
            path: path.to_owned(),
            why: error.to_string(),
        })
    };
    let mut all = table(path, text)?;
    for file in more {
        let text = std::fs::read_to_string(file).map_err(|why| ConfigError::Unreadable {
            path: file.clone(),
            why,
        })?;
        add(&mut all, table(file, &text)?);
    }
    let config: Result<Config, _> = all.try_into();
    let names: Vec<String> = { more.iter() }
        .map(|file| file.display().to_string())
        .collect();
    Ok(config.map_err(|error| format!("together with `{}`: {error}", names.join("`, `"))))
}

fn add(to: &mut toml::Table, more: toml::Table) {
    for (name, value) in more {
        match (to.get_mut(&name), value) {
            (Some(toml::Value::Table(have)), toml::Value::Table(more)) => add(have, more),
            (_, value) => {
                to.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.checked().map(|()| config)
    }

    #[test]
    fn what_other_machines_reach_speaks_tls() {
        for (text, tls) in [
            ("", false),
            ("[listen]\naddress = \"127.0.0.1:1\"", false),
            ("[listen]\naddress = \"[::1]:1\"", false),
            ("[listen]\naddress = \"127.0.0.1:1\"\n[listen.tls]", true),
            ("[listen]\naddress = \"0.0.0.0:1\"", true),
            ("[listen]\naddress = \"192.0.2.1:1\"", true),
        ] {
            assert_eq!(read(text).unwrap().speaks_tls(), tls, "{text}");
        }
        for (text, why) in [
            (
                "[listen]\nurl = \"http://ops.example\"",
                "can be read on its way",
            ),
            ("[listen]\nurl = \"ops.example\"", "is no address"),
            ("[listen.tls]\nkey = \"k\"", "go together"),
            ("[listen]\ntls = false", "expected"),
            (
                "[login.oidc]\nissuer = \"http://id.example\"\nclient = \"o\"",
                "can be read on its way",
            ),
            (
                "[login.oidc]\nissuer = \"https://id.example\"\nclient = \"o\"\nscopes = []",
                "`openid` belongs",
            ),
            (
                "[login.ci.g]\nissuer = \"https://i.example\"\naudience = \"o\"\nmap = {as = \"ci\"}",
                "names no claim",
            ),
            (
                "[login.ci.g]\nissuer = \"https://i.example\"\naudience = \"o\"\nmap = [{as = \"ci\", sub = \"*\"}]",
                "names no claim",
            ),
            (
                "[runners]\ncertificate = \"0s\"",
                "between a second and a year",
            ),
            ("[runners]\ncertificate = \"soon\"", "runners.certificate"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let (address, path) = split("http://127.0.0.1:9093/api/v2/alerts?x=1").unwrap();
        assert_eq!(address.to_string(), "http://127.0.0.1:9093");
        assert_eq!(path, "/api/v2/alerts?x=1");
        assert_eq!(split("https://chat.example").unwrap().1, "/");
        for wrong in [
            "",
            "chat",
            "ftp://a/b",
            "unix:/x",
            "http://a/b c",
            "http://a/é",
            "http:///x",
        ] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_schedule_is_one_thing_that_is_done() {
        let read = |text: &str| toml::from_str::<Config>(&format!("[schedules.s]\n{text}"));
        let good =
            read("checks = \"a::*\"\nnodes = \"*\"\nevery = \"5m\"\noffset = \"1m\"").unwrap();
        let schedule = &good.schedules["s"];
        assert_eq!(schedule.due(59_999), -240_000);
        assert_eq!(schedule.due(60_000), 60_000);
        assert_eq!(schedule.due(400_000), 360_000);
        for (wrong, said) in [
            (
                "nodes = \"*\"\nevery = \"5m\"",
                "either `checks` or a `procedure`",
            ),
            ("checks = []\nnodes = \"*\"\nevery = \"5m\"", "either"),
            (
                "checks = \"a\"\nprocedure = \"p\"\nnodes = \"*\"\nevery = \"5m\"",
                "either",
            ),
            (
                "checks = \"a\"\narguments = {a = \"b\"}\nnodes = \"*\"\nevery = \"5m\"",
                "of a procedure",
            ),
            ("checks = \"a\"\nnodes = \"*\"\nevery = \"5\"", "no unit"),
            (
                "checks = \"a\"\nnodes = \"*\"\nevery = \"100ms\"",
                "from 1s",
            ),
            (
                "checks = \"a\"\nnodes = \"*\"\nevery = \"1m\"\noffset = \"1m\"",
                "less than",
            ),
            ("checks = \"a\"\nnodes = \"*\"\nevery = \"1m\"\nx = 1", "x"),
        ] {
            let why = read(wrong).unwrap_err().to_string();
            assert!(why.contains(said), "{wrong}: {why}");
        }
    }

    #[test]
    fn files_of_the_folder_beside_it_are_added_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        std::fs::create_dir(folder.path().join("gateway.d")).unwrap();
        let basic = "name = \"ops\"\n[listen]\naddress = \"127.0.0.1:1\"\nurl = \"https://ops.example\"\n\
                     [login.oidc]\nissuer = \"https://id.example\"\nclient = \"ops\"\n";
        write("gateway.toml", basic);
        write(
            "gateway.d/20-b.toml",
            "[listen]\naddress = \"127.0.0.1:3\"\n",
        );
        write(
            "gateway.d/10-a.toml",
            "[listen]\naddress = \"127.0.0.1:2\"\n[login.oidc]\nscopes = [\"openid\"]\n",
        );
        // These are none.
        write("gateway.d/.30-c.toml", "nothing");
        write("gateway.d/30-c.toml~", "nothing");
        let config = Config::read(&path, true).unwrap();
        assert_eq!(config.listen.address.port(), 3);
        assert_eq!(config.listen.url.as_deref(), Some("https://ops.example"));
        let oidc = config.login.oidc.unwrap();
        assert_eq!((oidc.client.as_str(), oidc.scopes.len()), ("ops", 1));
        // What is wrong is told with the file, also where only all of them show it.
        write("gateway.d/40-d.toml", "[listen\n");
        let said = Config::read(&path, true).unwrap_err().to_string();
        assert!(said.contains("40-d.toml"), "{said}");
        write("gateway.d/40-d.toml", "[listen]\nadress = 1\n");
        let said = Config::read(&path, true).unwrap_err().to_string();
        assert!(
            said.contains("40-d.toml") && said.contains("adress"),
            "{said}"
        );
        // Without the file itself, the folder holds all.
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(folder.path().join("gateway.d/40-d.toml")).unwrap();
        std::fs::remove_file(folder.path().join("gateway.d/10-a.toml")).unwrap();
        assert_eq!(Config::read(&path, false).unwrap().listen.address.port(), 3);
    }
}
