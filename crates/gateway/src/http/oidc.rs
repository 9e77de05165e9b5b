//! Logins at an identity provider: a browser by code and PKCE, a command-line program by the device
//! flow, a CI program by a token that its provider has signed.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::guard::cookie;
use super::login::{SESSION, entered};
use super::refusal::{Answer, Json, Refusal};
use crate::config::OidcLogin;
use crate::gateway::Gateway;
use crate::oidc::{Attempt, NoLogin, Polled, Provider, Somebody, TOKEN};
use crate::outside;
use crate::store::written;
use crate::token::new_token;
use crate::wire::login::{CiLogin, DeviceLogin, DevicePoll, DevicePolled};
use crate::wire::{Kind, LoggedIn, LoginWay, limit};

/// How long a person may take at the provider, in seconds.
const ATTEMPT: i64 = 600;
/// How long a CI program stays logged in, in seconds.
const CI: i64 = 3600;

impl From<NoLogin> for Refusal {
    fn from(why: NoLogin) -> Refusal {
        match why {
            NoLogin::Refused(why) => Refusal::new(Kind::NotLoggedIn, why),
            NoLogin::Unknown(why) => {
                let detail = format!("cannot reach the identity provider: {why}");
                Refusal::new(Kind::Unavailable, detail)
            }
            NoLogin::TooMuch => {
                let detail = "too many are logging in at once; try again in some seconds";
                Refusal::new(Kind::TooMuch, detail)
            }
        }
    }
}

fn people(gateway: &Gateway) -> Answer<&(OidcLogin, Provider)> {
    let none = || Refusal::new(Kind::NotFound, "this gateway has no identity provider");
    gateway.providers.people.as_ref().ok_or_else(none)
}

/// This cookie accompanies the code: whoever brings the code back must have begun the login.
fn attempt_cookie(gateway: &Gateway) -> &'static str {
    if gateway.is_secure() {
        "__Host-opsbook-oidc"
    } else {
        "opsbook-oidc"
    }
}

/// Returning from the provider's page is a navigation from another site, so it cannot be `Strict`.
fn set_attempt(gateway: &Gateway, value: &str, seconds: i64) -> Answer<HeaderValue> {
    let secure = if gateway.is_secure() { "; Secure" } else { "" };
    let name = attempt_cookie(gateway);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|_| Refusal::new(Kind::Internal, "no cookie"))
}

fn redirect(gateway: &Gateway) -> String {
    let path = crate::wire::endpoint::LOGIN_OIDC_BACK;
    format!("{}{path}", gateway.local.url)
}

pub(super) async fn begin(State(gateway): State<Arc<Gateway>>) -> Answer<Response> {
    let (login, provider) = people(&gateway)?;
    let attempt = Attempt {
        state: new_token(),
        nonce: new_token(),
        verifier: new_token(),
    };
    let place = login.place(provider, &attempt, &redirect(&gateway)).await?;
    let value = format!("{}.{}.{}", attempt.state, attempt.nonce, attempt.verifier);
    let place = HeaderValue::from_str(&place)
        .map_err(|_| Refusal::new(Kind::Internal, "the provider's address cannot be sent"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, place);
    headers.insert(header::SET_COOKIE, set_attempt(&gateway, &value, ATTEMPT)?);
    Ok(response)
}

#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

pub(super) async fn back(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Answer<Response> {
    let (login, provider) = people(&gateway)?;
    let attempt = cookie(&headers, attempt_cookie(&gateway)).and_then(attempt);
    let Some(attempt) = attempt.filter(|attempt| attempt.state == back.state) else {
        let detail = "this login was not started in this browser, or too long ago: start again at \
            /login/oidc";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    };
    if let Some(error) = &back.error {
        let detail = format!("the identity provider answers `{}`", outside::line(error));
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    }
    // A code of another provider is invalid here.
    if back.iss.as_ref().is_some_and(|iss| *iss != login.issuer) || back.code.len() > TOKEN {
        let detail = "the answer is not from this gateway's identity provider";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    }
    let redirect = redirect(&gateway);
    let came = (back.code.as_str(), &attempt, redirect.as_str());
    let who = login.by_code(provider, came).await?;
    let (token, _) = logged_in(&gateway, &who, LoginWay::Oidc, SESSION).await?;
    let mut response = entered(&gateway, &token)?;
    let over = set_attempt(&gateway, "", 0)?;
    response.headers_mut().append(header::SET_COOKIE, over);
    Ok(response)
}

fn attempt(value: &str) -> Option<Attempt> {
    let mut parts = value.split('.').map(str::to_owned);
    let attempt = Attempt {
        state: parts.next()?,
        nonce: parts.next()?,
        verifier: parts.next()?,
    };
    // Only values that we generated: nobody else can choose one that is easy to guess.
    let ours = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let all = [&attempt.state, &attempt.nonce, &attempt.verifier];
    (parts.next().is_none() && all.into_iter().all(ours)).then_some(attempt)
}

async fn logged_in(
    gateway: &Gateway,
    who: &Somebody,
    way: LoginWay,
    seconds: i64,
) -> Answer<(String, i64)> {
    let store = &gateway.store;
    let login = (who.person.as_str(), way.word());
    Ok(store.new_login_in(login, &who.groups, seconds).await?)
}

pub(super) async fn device(State(gateway): State<Arc<Gateway>>) -> Answer<axum::Json<DeviceLogin>> {
    let (login, provider) = people(&gateway)?;
    let device = login.device(provider).await?;
    Ok(axum::Json(DeviceLogin {
        device_code: device.device_code,
        user_code: device.user_code,
        address: device.verification_uri,
        whole_address: device.verification_uri_complete,
        seconds: device.expires_in,
        interval: device.interval.unwrap_or(5),
    }))
}

pub(super) async fn poll(
    State(gateway): State<Arc<Gateway>>,
    Json(poll): Json<DevicePoll>,
) -> Answer<axum::Json<DevicePolled>> {
    let (login, provider) = people(&gateway)?;
    if poll.device_code.len() > limit::TEXT {
        return Err(Refusal::new(Kind::Malformed, "`device_code` is too long"));
    }
    let who = match login.poll(provider, &poll.device_code).await? {
        Polled::Pending(wait) => {
            return Ok(axum::Json(DevicePolled {
                wait: Some(wait),
                login: None,
            }));
        }
        Polled::Somebody(who) => who,
    };
    let (token, until) = logged_in(&gateway, &who, LoginWay::Oidc, SESSION).await?;
    Ok(axum::Json(DevicePolled {
        wait: None,
        login: Some(LoggedIn {
            person: who.person,
            token,
            until: written(until),
        }),
    }))
}

pub(super) async fn program(
    State(gateway): State<Arc<Gateway>>,
    Json(login): Json<CiLogin>,
) -> Answer<axum::Json<LoggedIn>> {
    if gateway.providers.ci.is_empty() {
        return Err(Refusal::new(
            Kind::NotFound,
            "this gateway accepts no CI logins",
        ));
    }
    let who = gateway.providers.program(&login.token).await?;
    let (token, until) = logged_in(&gateway, &who, LoginWay::Ci, CI).await?;
    Ok(axum::Json(LoggedIn {
        person: who.person,
        token,
        until: written(until),
    }))
}
