//! Identity providers, where people and CI programs are known. A provider's description is fetched
//! when needed and cached for a while.

mod verify;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Outbound, Reply, Url, outbound};
use crate::config::{CiLogin, OidcLogin};
use crate::outside;
use crate::wildcard;
use crate::wire::limit;
use verify::{Untrue, claims};

pub(crate) use verify::LONGEST as TOKEN;

/// How long a provider's description is cached.
const BELIEVED: Duration = Duration::from_mins(15);
/// The least time between two fetches of keys because of a token with an unknown key.
const KEYS_ANEW: Duration = Duration::from_secs(10);
/// The most parallel requests to providers: anybody may begin a login.
const AT_ONCE: usize = 16;
/// The most groups of a person.
const GROUPS: usize = 500;

/// Why a login failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoLogin {
    /// The provider refuses, or its token is invalid.
    Refused(String),
    /// The provider cannot be reached, or its answer is invalid.
    Unknown(String),
    /// Too many logins at the moment.
    TooMuch,
}

/// A person or program that a provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Somebody {
    pub(crate) person: String,
    pub(crate) groups: Vec<String>,
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    known: RwLock<Option<Arc<Known>>>,
    room: tokio::sync::Semaphore,
}

/// A provider's description.
#[derive(Debug)]
struct Known {
    about: About,
    keys: JwkSet,
    since: Instant,
}

#[derive(Clone, Debug, Deserialize)]
struct About {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint: Option<String>,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
}

/// The identity providers for logins.
#[derive(Debug, Default)]
pub struct Providers {
    /// For people.
    pub(crate) people: Option<(OidcLogin, Provider)>,
    /// For programs, by their names in the configuration.
    pub(crate) ci: Vec<(String, CiLogin, Provider)>,
}

impl Providers {
    /// From the configuration.
    #[must_use]
    pub fn of(login: &crate::config::Login) -> Providers {
        let people = login.oidc.clone();
        let ci = login.ci.iter();
        Providers {
            people: people.map(|oidc| {
                let provider = Provider::new(&oidc.issuer);
                (oidc, provider)
            }),
            ci: ci
                .map(|(name, ci)| (name.clone(), ci.clone(), Provider::new(&ci.issuer)))
                .collect(),
        }
    }

    /// The program that a CI token belongs to.
    pub(crate) async fn program(&self, token: &str) -> Result<Somebody, NoLogin> {
        // The token's issuer is not trusted yet: it only selects the keys for verification.
        let issuer = issuer_of(token).ok_or_else(|| refused("the token cannot be read"))?;
        let mut said = refused("the issuer of the token is unknown to this gateway");
        for (name, ci, provider) in &self.ci {
            if ci.issuer != issuer {
                continue;
            }
            let claims = match provider.claims(token, &ci.audience).await {
                Ok(claims) => claims,
                Err(why) => {
                    said = why;
                    continue;
                }
            };
            if let Some(map) = ci.map.all().iter().find(|map| map.fits(&claims)) {
                return Ok(Somebody {
                    person: map.r#as.clone(),
                    groups: Vec::new(),
                });
            }
            let why = format!("no line of `map` of `login.ci.{name}` matches this token");
            said = refused(why);
        }
        Err(said)
    }
}

impl crate::config::CiMap {
    /// Whether each named claim exists with its value.
    fn fits(&self, claims: &Value) -> bool {
        self.claims.iter().all(|(name, pattern)| {
            let said = match &claims[name] {
                Value::String(text) => text.clone(),
                Value::Bool(is) => is.to_string(),
                Value::Number(number) => number.to_string(),
                _ => return false,
            };
            wildcard::fits(pattern.as_bytes(), said.as_bytes())
        })
    }
}

fn refused(why: impl Into<String>) -> NoLogin {
    NoLogin::Refused(why.into())
}

fn unknown(why: impl Into<String>) -> NoLogin {
    NoLogin::Unknown(why.into())
}

fn issuer_of(token: &str) -> Option<String> {
    if token.len() > TOKEN {
        return None;
    }
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    Some(claims["iss"].as_str()?.to_owned())
}

impl Provider {
    fn new(issuer: &str) -> Provider {
        Provider {
            issuer: issuer.to_owned(),
            known: RwLock::default(),
            room: tokio::sync::Semaphore::new(AT_ONCE),
        }
    }

    /// The claims of a token that it has signed for this audience.
    async fn claims(&self, token: &str, audience: &str) -> Result<Value, NoLogin> {
        let known = self.known(BELIEVED).await?;
        let who = (self.issuer.as_str(), audience);
        let read = match claims(token, &known.keys, who) {
            Err(Untrue::Key) => {
                // It may have changed its keys.
                let known = self.known(KEYS_ANEW).await?;
                claims(token, &known.keys, who)
            }
            read => read,
        };
        read.map_err(|why| match why {
            Untrue::Key => {
                refused("the token: it is signed with a key that its issuer does not publish")
            }
            Untrue::Token(why) => refused(format!("the token: {why}")),
        })
    }

    /// Its description, at most this old.
    async fn known(&self, oldest: Duration) -> Result<Arc<Known>, NoLogin> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known
                .as_ref()
                .filter(|known| known.since.elapsed() < oldest)
            {
                return Ok(Arc::clone(known));
            }
        }
        let place = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        );
        let about: About = self.get(&place).await?;
        // Tokens are compared with its own name: a provider cannot answer for another.
        if about.issuer != self.issuer {
            let said = outside::line(&about.issuer);
            return Err(unknown(format!(
                "the provider at `{}` calls itself `{said}`",
                self.issuer
            )));
        }
        let keys: JwkSet = self.get(&about.jwks_uri).await?;
        let known = Arc::new(Known {
            about,
            keys,
            since: Instant::now(),
        });
        let mut kept = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, NoLogin> {
        let reply = self.ask(place, Outbound::default()).await?;
        if !reply.is_success() {
            return Err(unknown(format!("`{place}`: status {}", reply.status)));
        }
        let read = serde_json::from_slice(&reply.body);
        read.map_err(|_| unknown(format!("`{place}`: this is not the answer of a provider")))
    }

    async fn ask(&self, place: &str, ask: Outbound<'_>) -> Result<Reply, NoLogin> {
        let _room = self.room.try_acquire().map_err(|_| NoLogin::TooMuch)?;
        let url: Url = place.parse().map_err(|error| unknown(format!("{error}")))?;
        outbound(&url, ask).await.map_err(unknown)
    }
}

/// Data that a browser brings back in addition to the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

/// The answer of the device endpoint.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Device {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    #[serde(default)]
    pub(crate) verification_uri_complete: Option<String>,
    pub(crate) expires_in: u64,
    #[serde(default)]
    pub(crate) interval: Option<u64>,
}

/// The state of a device's login.
pub(crate) enum Polled {
    /// Nobody has confirmed yet; the required seconds between two questions.
    Pending(u64),
    Somebody(Somebody),
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    id_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: String,
}

impl OidcLogin {
    /// The address to send a browser to.
    pub(crate) async fn place(
        &self,
        provider: &Provider,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<String, NoLogin> {
        let known = provider.known(BELIEVED).await?;
        let place = { known.about.authorization_endpoint.clone() }
            .ok_or_else(|| unknown("the provider does not support logins by browser"))?;
        // A browser may only be sent to a web address.
        let _: Url = place.parse().map_err(|error| unknown(format!("{error}")))?;
        let challenge = base64url(ring::digest::digest(
            &ring::digest::SHA256,
            attempt.verifier.as_bytes(),
        ));
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client),
            ("redirect_uri", redirect),
            ("scope", &self.scopes.join(" ")),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if place.contains('?') { '&' } else { '?' };
        Ok(format!("{place}{joint}{query}"))
    }

    /// The person who has come back with this code.
    pub(crate) async fn by_code(
        &self,
        provider: &Provider,
        (code, attempt, redirect): (&str, &Attempt, &str),
    ) -> Result<Somebody, NoLogin> {
        let sent = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", &attempt.verifier),
        ];
        let token = match self.token(provider, &sent).await? {
            Ok(token) => token,
            Err(error) => return Err(refused(format!("the provider answers `{error}`"))),
        };
        let claims = provider.claims(&token, &self.client).await?;
        if claims["nonce"] != attempt.nonce.as_str() {
            return Err(refused("the token: it was made for another login"));
        }
        self.somebody(&claims)
    }

    /// Begins a login in a program without a browser; a person confirms it in any browser.
    pub(crate) async fn device(&self, provider: &Provider) -> Result<Device, NoLogin> {
        let known = provider.known(BELIEVED).await?;
        let place = { known.about.device_authorization_endpoint.clone() }
            .ok_or_else(|| unknown("the provider does not support logins without a browser"))?;
        let sent = [("scope", &*self.scopes.join(" "))];
        let reply = self.post(provider, &place, &sent).await?;
        if !reply.is_success() {
            return Err(refused(format!(
                "the provider answers `{}`",
                failed(&reply)
            )));
        }
        let read = serde_json::from_slice(&reply.body);
        let device: Device = read.map_err(|_| unknown("the provider started no login"))?;
        // A person is sent there.
        let whole = device.verification_uri_complete.as_ref();
        for place in std::iter::once(&device.verification_uri).chain(whole) {
            let _: Url = place.parse().map_err(|error| unknown(format!("{error}")))?;
        }
        Ok(device)
    }

    /// Whether the person has confirmed.
    pub(crate) async fn poll(
        &self,
        provider: &Provider,
        device_code: &str,
    ) -> Result<Polled, NoLogin> {
        let sent = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code),
        ];
        match self.token(provider, &sent).await? {
            Ok(token) => {
                let claims = provider.claims(&token, &self.client).await?;
                Ok(Polled::Somebody(self.somebody(&claims)?))
            }
            Err(error) if error == "authorization_pending" => Ok(Polled::Pending(0)),
            Err(error) if error == "slow_down" => Ok(Polled::Pending(5)),
            Err(error) => Err(refused(format!("the provider answers `{error}`"))),
        }
    }

    /// The provider's token, or its error code.
    async fn token(
        &self,
        provider: &Provider,
        sent: &[(&str, &str)],
    ) -> Result<Result<String, String>, NoLogin> {
        let known = provider.known(BELIEVED).await?;
        let place = { known.about.token_endpoint.clone() }
            .ok_or_else(|| unknown("the provider returned no tokens"))?;
        let reply = self.post(provider, &place, sent).await?;
        if !reply.is_success() {
            return Ok(Err(failed(&reply)));
        }
        let read: Result<Tokens, _> = serde_json::from_slice(&reply.body);
        let token = read.ok().and_then(|tokens| tokens.id_token);
        token
            .map(Ok)
            .ok_or_else(|| unknown("the provider returned no `id_token`: add `openid` to `scopes`"))
    }

    async fn post(
        &self,
        provider: &Provider,
        place: &str,
        sent: &[(&str, &str)],
    ) -> Result<Reply, NoLogin> {
        let mut all = vec![("client_id", self.client.as_str())];
        all.extend_from_slice(sent);
        let mut headers = vec![
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("accept", "application/json".to_owned()),
        ];
        if let Some(secret) = &self.secret {
            let secret = secret.look_up().await.map_err(unknown)?;
            let both = format!("{}:{}", quoted(&self.client), quoted(&secret));
            headers.push((
                "authorization",
                format!("Basic {}", base64(both.as_bytes())),
            ));
        }
        let ask = Outbound {
            method: "POST",
            headers,
            body: form(&all).into_bytes(),
            ..Outbound::default()
        };
        provider.ask(place, ask).await
    }

    /// The person in the claims.
    fn somebody(&self, claims: &Value) -> Result<Somebody, NoLogin> {
        let claim = self.person.as_str();
        let person = claims[claim].as_str().unwrap_or_default();
        if !limit::is_name(person) {
            return Err(refused(format!(
                "the token: its `{claim}` is not a valid name"
            )));
        }
        // The rules use such names for schedules.
        if person.starts_with("schedule.") {
            return Err(refused(format!(
                "the token: its `{claim}` is the name of a schedule"
            )));
        }
        // Somebody who can enter any address into their account need not own it.
        if claim == "email" && claims["email_verified"] != true {
            return Err(refused("the token: nobody has verified its `email`"));
        }
        let groups = self.groups.as_deref().map(|claim| &claims[claim]);
        let groups = groups.and_then(Value::as_array).into_iter().flatten();
        let groups = groups
            .filter_map(Value::as_str)
            .filter(|name| limit::is_name(name));
        Ok(Somebody {
            person: person.to_owned(),
            groups: groups.take(GROUPS).map(str::to_owned).collect(),
        })
    }
}

fn failed(reply: &Reply) -> String {
    let read: Failed = serde_json::from_slice(&reply.body).unwrap_or_default();
    if read.error.is_empty() {
        return format!("status {}", reply.status);
    }
    outside::line(&read.error).to_string()
}

/// `application/x-www-form-urlencoded`
fn form(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
