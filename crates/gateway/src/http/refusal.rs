//! Refused requests as RFC 9457 problems, and the headers of every answer.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::order::OrderError;
use crate::store::StoreError;
use crate::turns::Busy;
use crate::wire::{Kind, Problem, header::PROBLEM_JSON};

/// A problem as an answer.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Box<Problem>);

/// The result type of handlers.
pub(super) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Refusal {
        Refusal::from(Problem::new(kind, detail))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(Box::new(problem))
    }
}

impl From<Box<Problem>> for Refusal {
    fn from(problem: Box<Problem>) -> Refusal {
        Refusal(problem)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::Database(_) | StoreError::Io(_) => {
                Refusal::new(Kind::Unavailable, error.to_string())
            }
            StoreError::Unreadable(_) => Refusal::new(Kind::Internal, error.to_string()),
        }
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Refusal {
        match error {
            OrderError::Problem(problem) => Refusal(problem),
            OrderError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Refusal {
        let detail = match busy {
            Busy::Line => "too many runners ask at once: ask again later",
            Busy::Runner => "this runner has too many open requests: ask again later",
        };
        Refusal::new(Kind::TooMuch, detail)
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(_: tokio::task::JoinError) -> Refusal {
        Refusal::new(Kind::Internal, "internal error of the gateway; see its log")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if matches!(self.0.kind, Kind::TooMuch | Kind::Unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// The time for a body, once its head has arrived: whoever sends one byte now and then must not
/// keep a connection from others.
const BODY: Duration = Duration::from_mins(1);

/// A JSON body of this type, limited in size and in time.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Refusal> {
        let bytes = body(request, state, BODY).await?;
        let read = serde_json::from_slice(&bytes);
        read.map(Json).map_err(|error| {
            let why = crate::outside::line(&error.to_string()).to_string();
            Refusal::new(Kind::Malformed, format!("the body: {why}"))
        })
    }
}

/// The whole body, if it arrives within this time.
async fn body<S: Send + Sync>(request: Request, state: &S, time: Duration) -> Answer<Bytes> {
    let arrived = tokio::time::timeout(time, Bytes::from_request(request, state)).await;
    match arrived {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "the body is too large for this request";
            Err(Refusal::new(Kind::TooLarge, detail))
        }
        Ok(Err(_)) => {
            let detail = "the body did not arrive whole";
            Err(Refusal::new(Kind::Malformed, detail))
        }
        Err(_) => {
            let detail = "the body did not arrive in time";
            Err(Refusal::new(Kind::Malformed, detail))
        }
    }
}

pub(super) async fn method() -> Refusal {
    Refusal::new(Kind::Method, "this path does not accept this method")
}

/// Headers of every answer, whichever code made it.
pub(super) async fn headers(request: Request<Body>, next: Next) -> Response {
    let api = request.uri().path().starts_with("/v1");
    let mut response = next.run(request).await;
    // axum's own errors about paths and queries are plain text.
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if api && plain && response.status() == StatusCode::BAD_REQUEST {
        response =
            Refusal::new(Kind::Malformed, "the path or the query cannot be read").into_response();
    }
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let none = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, none);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_trickles_in_is_given_up() {
        let drops = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        });
        let request = Request::new(Body::from_stream(drops));
        let refusal = body(request, &(), Duration::from_millis(50)).await;
        let detail = &refusal.unwrap_err().0.detail;
        assert_eq!(detail, "the body did not arrive in time");
    }

    #[test]
    fn whoever_may_come_later_is_told_when() {
        for (refusal, status, later) in [
            (Refusal::from(Busy::Line), 429, true),
            (Refusal::from(Busy::Runner), 429, true),
            (Refusal::new(Kind::Unavailable, "away"), 503, true),
            (Refusal::new(Kind::State, "ended"), 409, false),
        ] {
            let response = refusal.into_response();
            assert_eq!(response.status().as_u16(), status);
            let told = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(told, later, "{status}");
        }
    }
}
