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
    /// Logins with an ssh key; disabled if absent.
    pub ssh: Option<SshKeys>,
    /// Logins at an identity provider; disabled if absent.
    pub oidc: Option<OidcLogin>,
    /// Logins of CI programs with a token of their provider.
    pub ci: BTreeMap<String, CiLogin>,
}

/// `[login.oidc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcLogin {
    /// The provider's address, exactly as in its tokens.
    pub issuer: String,
    /// The gateway's client id there.
    pub client: String,
    /// The gateway's client secret, if the provider requires one.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The claim with the person's name.
    #[serde(default = "sub")]
    pub person: String,
    /// The claim with their groups; `None` ignores groups.
    #[serde(default)]
    pub groups: Option<String>,
    /// The scopes to request.
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
    /// The issuer's address, exactly as in its tokens.
    pub issuer: String,
    /// The audience of its tokens.
    pub audience: String,
    /// Which of its tokens may log in, and as whom.
    pub map: OneOrMore<CiMap>,
}

/// `map = {sub = "repo:ops/shop:*", as = "ci-shop"}`
#[derive(Clone, Debug, Deserialize)]
pub struct CiMap {
    /// The name of the program here.
    pub r#as: String,
    /// Required values of claims; `*` and `?` are wildcards.
    #[serde(flatten)]
    pub claims: BTreeMap<String, String>,
}

/// One value or a list.
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
    /// A file for `ssh-keygen -Y verify`: people and their keys.
    pub allowed_signers: PathBuf,
}

/// `[approval]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// A file for `ssh-keygen -Y verify`: people and the keys with which they approve; default: the
    /// one of `[login.ssh]`.
    pub allowed_signers: Option<PathBuf>,
    /// How many approvals every run needs, regardless of the manual.
    pub always: u32,
}

impl Login {
    /// Refuses rules that everybody would satisfy.
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
            return Err("`login.oidc`: add `openid` to `scopes`".to_owned());
        }
        for (name, ci) in &self.ci {
            for map in ci.map.all() {
                if !limit::is_name(&map.r#as) {
                    return Err(format!("`login.ci.{name}`: `as` is not a valid name"));
                }
                let any = |pattern: &String| pattern.chars().all(|letter| "*?".contains(letter));
                if map.claims.values().all(any) {
                    let why = "`map` names no claim, so everybody whom this issuer knows could \
                        log in";
                    return Err(format!("`login.ci.{name}`: {why}"));
                }
            }
        }
        Ok(())
    }
}
