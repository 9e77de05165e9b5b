//! What went wrong with a request: RFC 9457, `application/problem+json`.

use serde::{Deserialize, Serialize};

/// A stable word for what went wrong: the `type` of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: nobody is logged in.
    NotLoggedIn,
    /// 403: no rule grants it.
    NotAllowed,
    /// 403: the request may come from another site's page.
    CrossSite,
    /// 404: there is no such thing, or none that this person may see.
    NotFound,
    /// 405: the path is there, the method is not.
    Method,
    /// 409: what was shown is not what would run.
    Changed,
    /// 409: somebody else has answered.
    AlreadyAnswered,
    /// 409: the state of the run does not allow it.
    State,
    /// 413: the body is larger than its bound.
    TooLarge,
    /// 422: the request can be read, and the manual, the nodes or the arguments are wrong.
    Wrong,
    /// 426: the program is too old.
    TooOld,
    /// 429: too much at once; `Retry-After` says when.
    TooMuch,
    /// 500: a fault of the gateway's own.
    Internal,
    /// 503: the store cannot be written, or something else that the gateway needs is away.
    Unavailable,
    /// A word of a newer gateway.
    #[serde(other)]
    Other,
}

impl Kind {
    /// The HTTP status that goes with it.
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

    /// The same in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Kind::Malformed => "the request cannot be read",
            Kind::NotLoggedIn => "nobody is logged in",
            Kind::NotAllowed => "not allowed",
            Kind::CrossSite => "refused: the request may come from another site",
            Kind::NotFound => "not found",
            Kind::Method => "this method is not served here",
            Kind::Changed => "what was shown is not what would run",
            Kind::AlreadyAnswered => "already answered",
            Kind::State => "the state of the run does not allow it",
            Kind::TooLarge => "too large",
            Kind::Wrong => "wrong manual, nodes or arguments",
            Kind::TooOld => "this program is too old",
            Kind::TooMuch => "too much at once",
            Kind::Internal | Kind::Other => "a fault of the gateway",
            Kind::Unavailable => "something that the gateway needs is away",
        }
    }
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The stable word.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The same in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in sentences for a person.
    pub detail: String,
    /// Of `already-answered`: the answer that won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Of `already-answered`: who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of `too-old`: the version that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<String>,
    /// Of `too-old`: the oldest version that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    /// Of `too-old`: the version that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<String>,
    /// Of `too-old`: the command that brings it.
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
            r#"{"type":"changed","title":"what was shown is not what would run","status":409,"detail":"`web.md` has changed"}"#
        );
        let newer = r#"{"type":"moon","title":"t","status":418,"detail":"d","more":1}"#;
        let read: Problem = serde_json::from_str(newer).unwrap();
        assert_eq!((read.kind, read.status), (Kind::Other, 418));
    }
}
