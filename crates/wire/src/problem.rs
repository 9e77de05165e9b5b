//! Errors of requests: RFC 9457, `application/problem+json`.

use serde::{Deserialize, Serialize};

/// A stable error code: the `type` of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    /// 400: the request cannot be parsed.
    Malformed,
    /// 401: no valid login.
    NotLoggedIn,
    /// 403: no rule grants it.
    NotAllowed,
    /// 403: the request may come from another site's page.
    CrossSite,
    /// 404: it does not exist, or this person may not see it.
    NotFound,
    /// 405: the path exists, but not the method.
    Method,
    /// 409: the page has changed since it was shown.
    Changed,
    /// 409: somebody else has answered first.
    AlreadyAnswered,
    /// 409: the state of the run does not allow it.
    State,
    /// 413: the body is too large.
    TooLarge,
    /// 422: the manual, the nodes or the arguments are wrong.
    Wrong,
    /// 426: the program is too old.
    TooOld,
    /// 429: too many requests; `Retry-After` says when to try again.
    TooMuch,
    /// 500: an internal error.
    Internal,
    /// 503: the store cannot be written, or another service is unavailable.
    Unavailable,
    /// A code of a newer gateway.
    #[serde(other)]
    Other,
}

impl Kind {
    /// Its HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Kind::Malformed => 400,
            Kind::NotLoggedIn => 401,
            Kind::NotAllowed | Kind::CrossSite => 403,
            Kind::NotFound => 404,
            Kind::Method => 405,
            Kind::Changed | Kind::AlreadyAnswered | Kind::State => 409,
            Kind::TooLarge => 413,
            Kind::Wrong => 422,
            Kind::TooOld => 426,
            Kind::TooMuch => 429,
            Kind::Internal | Kind::Other => 500,
            Kind::Unavailable => 503,
        }
    }

    /// A short description.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Kind::Malformed => "the request cannot be read",
            Kind::NotLoggedIn => "nobody is logged in",
            Kind::NotAllowed => "not allowed",
            Kind::CrossSite => "refused: the request may come from another site",
            Kind::NotFound => "not found",
            Kind::Method => "this method is not served here",
            Kind::Changed => "the page has changed since it was shown",
            Kind::AlreadyAnswered => "already answered",
            Kind::State => "the state of the run does not allow it",
            Kind::TooLarge => "too large",
            Kind::Wrong => "wrong manual, nodes or arguments",
            Kind::TooOld => "this program is too old",
            Kind::TooMuch => "too much at once",
            Kind::Internal | Kind::Other => "an internal error of the gateway",
            Kind::Unavailable => "something that the gateway needs is unavailable",
        }
    }
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The stable error code.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// A short description.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in sentences for a person.
    pub detail: String,
    /// For `already-answered`: the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// For `already-answered`: the person who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// For `too-old`: the version of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<String>,
    /// For `too-old`: the oldest version that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    /// For `too-old`: the wanted version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<String>,
    /// For `too-old`: the command that installs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            answer: None,
            by: None,
            have: None,
            oldest: None,
            wants: None,
            upgrade: None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_what_rfc_9457_says() {
        let problem = Problem::new(Kind::Changed, "`web.md` has changed");
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"type":"changed","title":"the page has changed since it was shown","status":409,"detail":"`web.md` has changed"}"#
        );
        let newer = r#"{"type":"moon","title":"t","status":418,"detail":"d","more":1}"#;
        let read: Problem = serde_json::from_str(newer).unwrap();
        assert_eq!((read.kind, read.status), (Kind::Other, 418));
    }
}
