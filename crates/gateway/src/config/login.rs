//! How people and programs log in, and whose approvals count.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::client::Url;
use crate::secret::Secret;
use crate::wire::limit;

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

impl Login {
    /// Nobody gets in by what everybody has.
    pub(super) fn checked(&self) -> Result<(), String> {
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
