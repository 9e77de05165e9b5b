//! Logging in and out.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::guard::{Caller, cookie_of};
use super::refusal::{Answer, Refusal};
use crate::gateway::Gateway;
use crate::store::written;
use crate::wire::{Kind, Linked, LoginWay, Me};

/// How long a browser stays logged in, in seconds.
pub(super) const SESSION: i64 = 12 * 3600;

pub(super) async fn me(Extension(caller): Extension<Caller>) -> axum::Json<Me> {
    axum::Json(Me {
        person: caller.person,
        groups: caller.groups,
        way: caller.way,
    })
}

/// A login link for a browser; a cookie alone is not enough to get one.
pub(super) async fn link(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Answer<axum::Json<Linked>> {
    if caller.token.is_some() {
        let detail = "a login in a browser cannot create another one: ask on the machine of the \
            gateway";
        return Err(Refusal::new(Kind::NotAllowed, detail));
    }
    Ok(axum::Json(gateway.link(&caller.person).await?))
}

/// A page of this site that leads to the book.
const ENTERED: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta http-equiv=\"refresh\" content=\"0; url=/\"><title>Logged in</title></head>\
    <body><p>You are logged in: <a href=\"/\">to the book</a></p></body></html>";

#[derive(Deserialize)]
pub(super) struct Key {
    #[serde(default)]
    key: String,
}

pub(super) async fn by_link(
    State(gateway): State<Arc<Gateway>>,
    Query(Key { key }): Query<Key>,
) -> Answer<Response> {
    let Some(person) = gateway.store.take_ticket("link", &key).await? else {
        let detail =
            "this address was used, or is too old: `opsbook-gateway link` prints a new one";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    };
    let (token, _) = gateway.store.new_login(&person, "token", SESSION).await?;
    entered(&gateway, &token)
}

/// Logs a browser in.
pub(super) fn entered(gateway: &Gateway, token: &str) -> Answer<Response> {
    let cookie = cookie_of(gateway, token, SESSION);
    // No redirect: a browser that came from another site's link would follow it without the cookie.
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    let mut response = (html, ENTERED).into_response();
    let cookie = HeaderValue::from_str(&cookie)
        .map_err(|_| Refusal::new(Kind::Internal, "the cookie cannot be written"))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn logout(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Answer<Response> {
    let Some(token) = caller.token else {
        let detail = match caller.way {
            LoginWay::Token => "the login of this machine's user cannot end",
            _ => "there is no login to end: the socket identifies the user",
        };
        return Err(Refusal::new(Kind::State, detail));
    };
    gateway.store.log_out(&token).await?;
    let cookie = cookie_of(&gateway, "", 0);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

impl Gateway {
    /// A link that logs a browser in once.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn link(&self, person: &str) -> Result<Linked, crate::store::StoreError> {
        let (key, until) = self.store.new_ticket("link", person, 15 * 60).await?;
        Ok(Linked {
            url: format!("{}/login?key={key}", self.local.url),
            until: written(until),
        })
    }
}
