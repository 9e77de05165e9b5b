//! The `OpenAPI` document: the types of `wire`, and one row for each request.

use utoipa::OpenApi;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{ContentBuilder, PathItem, Ref, Required};
use wire::endpoint::{self as at};

use crate::wire;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "opsbook gateway",
        description = "Start runs, watch, answer, stop and resume them; the interface of runners. \
            Every request that changes something has the header `opsbook-api: 1`. Errors are RFC \
            9457 problems.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(
        wire::About,
        wire::application::ApplicationHost,
        wire::application::ApplicationView,
        wire::record::Approved,
        wire::record::Checkpoint,
        wire::record::Head,
        wire::record::Log,
        wire::record::Record,
        wire::record::Thread,
        wire::check::CheckView,
        wire::check::Checked,
        wire::check::CheckedNode,
        wire::check::NotHeld,
        wire::check::Outcome,
        wire::check::Round,
        wire::check::ScheduleView,
        wire::check::Taken,
        wire::check::Traces,
        wire::sealed::Layer,
        wire::sealed::Sealed,
        wire::sync::FindingView,
        wire::sync::How,
        wire::sync::Sync,
        wire::sync::Synced,
        wire::sync::Trace,
        wire::ApprovalView,
        wire::Approve,
        wire::Consent,
        wire::approve::ApprovalOut,
        wire::approve::ApprovedPart,
        wire::approve::Document,
        wire::approve::Need,
        wire::LoggedIn,
        wire::login::Nonce,
        wire::login::SshLogin,
        wire::login::DeviceLogin,
        wire::login::DevicePoll,
        wire::login::DevicePolled,
        wire::login::CiLogin,
        wire::Me,
        wire::Linked,
        wire::HostView,
        wire::ProcedureView,
        wire::Parameter,
        wire::StepView,
        wire::Ask,
        wire::Confirm,
        wire::Asked,
        wire::AskedPart,
        wire::ask::Approvals,
        wire::ask::PlanView,
        wire::ask::Explained,
        wire::ask::Rule,
        wire::RunsPage,
        wire::RunSummary,
        wire::RunView,
        wire::PartView,
        wire::QuestionView,
        wire::AnswerIn,
        wire::Answered,
        wire::Stop,
        wire::Resume,
        wire::HandOver,
        wire::Release,
        wire::Enroll,
        wire::Enrolled,
        wire::runner::Renew,
        wire::CertificateIn,
        wire::CertificateOut,
        wire::Held,
        wire::NodeLogin,
        wire::Hello,
        wire::PartEnd,
        wire::EndState,
        wire::News,
        wire::Work,
        wire::Mode,
        wire::Source,
        wire::WantOut,
        wire::AnswerOut,
        wire::PartKey,
        wire::Lines,
        wire::LinesOfPart,
        wire::Acked,
        wire::Problem,
        wire::Kind,
        wire::LoginWay,
        wire::RunState,
        wire::PartState,
        wire::Ended,
        wire::Want,
        wire::Manner,
        wire::Origin,
        wire::Verb,
    ))
)]
struct Schemas;

/// Path, method, request type, response type, and description.
type Row = (
    &'static str,
    HttpMethod,
    &'static str,
    &'static str,
    &'static str,
);

/// Every request. `[X]` is an array of X; words that are not type names are content types.
const ROWS: &[Row] = &[
    (
        at::ABOUT,
        HttpMethod::Get,
        "",
        "About",
        "what everybody may know about the gateway",
    ),
    (
        at::OPENAPI,
        HttpMethod::Get,
        "",
        "application/json",
        "this document",
    ),
    (
        at::HEALTHZ,
        HttpMethod::Get,
        "",
        "text/plain",
        "the process is up",
    ),
    (
        at::READYZ,
        HttpMethod::Get,
        "",
        "text/plain",
        "a write was committed within five seconds",
    ),
    (
        at::METRICS,
        HttpMethod::Get,
        "",
        "text/plain",
        "for Prometheus",
    ),
    (at::ME, HttpMethod::Get, "", "Me", "who is logged in"),
    (
        at::LOGIN,
        HttpMethod::Get,
        "",
        "text/html",
        "logs a browser in, once, with `key`",
    ),
    (
        at::LOGIN_LINK,
        HttpMethod::Post,
        "",
        "Linked",
        "returns an address that logs a browser in",
    ),
    (at::LOGOUT, HttpMethod::Post, "", "", "ends the login"),
    (
        at::HOSTS,
        HttpMethod::Get,
        "",
        "[HostView]",
        "the nodes; `select` takes a selector",
    ),
    (
        at::PROCEDURES,
        HttpMethod::Get,
        "",
        "[ProcedureView]",
        "the procedures",
    ),
    (
        at::PROCEDURE,
        HttpMethod::Get,
        "",
        "ProcedureView",
        "a procedure",
    ),
    (
        at::ASKS,
        HttpMethod::Post,
        "Ask",
        "Asked",
        "requests a run; `idempotency-key` makes one run of several attempts; `opsbook-run` is \
         its name from before the gateway lost it",
    ),
    (
        at::RUNS,
        HttpMethod::Get,
        "",
        "RunsPage",
        "runs, the newest first; `node`, `procedure`, `state`, `by`, `after`",
    ),
    (at::RUN, HttpMethod::Get, "", "RunView", "a run"),
    (
        at::PLAN,
        HttpMethod::Get,
        "",
        "PlanView",
        "exactly what it runs; `node`",
    ),
    (
        at::EVENTS,
        HttpMethod::Get,
        "",
        "text/event-stream",
        "its events, from `after` or `last-event-id` on; lines with `accept: application/x-ndjson`",
    ),
    (
        at::OUTPUT,
        HttpMethod::Get,
        "",
        "text/plain",
        "the output of a step; `node`, `step`, `stream`, `from`, `to`",
    ),
    (
        at::ANSWERS,
        HttpMethod::Post,
        "AnswerIn",
        "Answered",
        "answers a question; 409 has the answer that won",
    ),
    (
        at::APPROVALS,
        HttpMethod::Post,
        "Approve",
        "RunView",
        "approves parts by a signature over their plan",
    ),
    (
        at::CHECKS,
        HttpMethod::Get,
        "",
        "[CheckView]",
        "results of scheduled checks, and since when; `node`, `check`, `outcome`, `history`",
    ),
    (
        at::SCHEDULES,
        HttpMethod::Get,
        "",
        "[ScheduleView]",
        "the schedules",
    ),
    (
        at::SYNC,
        HttpMethod::Post,
        "Sync",
        "Synced",
        "reports lines of the journal of a run that bypassed the gateway",
    ),
    (
        at::FINDINGS,
        HttpMethod::Get,
        "",
        "[FindingView]",
        "runs on nodes that the gateway does not know; `manual`, `node`",
    ),
    (
        at::SEALED,
        HttpMethod::Get,
        "",
        "[Sealed]",
        "the sealed certificates that the caller can help to open",
    ),
    (
        at::APPLICATIONS,
        HttpMethod::Get,
        "",
        "[ApplicationView]",
        "what runs where, in which version; `manual`",
    ),
    (
        at::APPLICATION,
        HttpMethod::Get,
        "",
        "ApplicationView",
        "the same of one application; `manual`",
    ),
    (
        at::RUNNER_CHECKS,
        HttpMethod::Post,
        "Checked",
        "Taken",
        "reports results of a round of checks",
    ),
    (
        at::RECORD,
        HttpMethod::Get,
        "",
        "Record",
        "everything needed to verify a run elsewhere",
    ),
    (
        at::LOG,
        HttpMethod::Get,
        "",
        "Log",
        "the newest checkpoint of the log, and proof that it continues the one of size `from`",
    ),
    (at::STOP, HttpMethod::Post, "Stop", "RunView", "stops parts"),
    (
        at::RESUME,
        HttpMethod::Post,
        "Resume",
        "RunView",
        "resumes halted parts",
    ),
    (
        at::HAND_OVER,
        HttpMethod::Post,
        "HandOver",
        "RunView",
        "gives the run to another owner",
    ),
    (
        at::RELEASE,
        HttpMethod::Post,
        "Release",
        "RunView",
        "releases halted parts",
    ),
    (
        at::RUNNER_ENROLL,
        HttpMethod::Post,
        "Enroll",
        "Enrolled",
        "enrolls a runner by its token",
    ),
    (
        at::RUNNER_RENEW,
        HttpMethod::Post,
        "Renew",
        "Enrolled",
        "renews the certificate of a runner",
    ),
    (
        at::RUNNER_WORK,
        HttpMethod::Post,
        "Hello",
        "News",
        "a runner asks for work; `wait` seconds",
    ),
    (
        at::RUNNER_BEAT,
        HttpMethod::Post,
        "Hello",
        "News",
        "a runner renews its leases",
    ),
    (
        at::RUNNER_EVENTS,
        HttpMethod::Post,
        "Lines",
        "Acked",
        "lines of journals",
    ),
    (
        at::RUNNER_CERTIFICATE,
        HttpMethod::Post,
        "CertificateIn",
        "CertificateOut",
        "a certificate for a runner's logins on the nodes of its parts",
    ),
    (
        at::RUNNER_MANUAL,
        HttpMethod::Get,
        "",
        "application/x-tar",
        "the archive of a manual",
    ),
    (
        at::EXPLAIN,
        HttpMethod::Get,
        "",
        "Explained",
        "whether a person may do something, and why; `person`, `verb`, `procedure`, `node`, \
         `manual`",
    ),
    (
        at::LOGIN_SSH_NONCE,
        HttpMethod::Get,
        "",
        "Nonce",
        "a nonce to sign with an ssh key",
    ),
    (
        at::LOGIN_SSH,
        HttpMethod::Post,
        "SshLogin",
        "LoggedIn",
        "logs in by a signature over a nonce",
    ),
    (
        at::LOGIN_OIDC,
        HttpMethod::Get,
        "",
        "",
        "redirects a browser to the identity provider",
    ),
    (
        at::LOGIN_OIDC_BACK,
        HttpMethod::Get,
        "",
        "text/html",
        "where the provider redirects it back; `code`, `state`",
    ),
    (
        at::LOGIN_DEVICE,
        HttpMethod::Post,
        "",
        "DeviceLogin",
        "begins a login that a person confirms in any browser",
    ),
    (
        at::LOGIN_DEVICE_POLL,
        HttpMethod::Post,
        "DevicePoll",
        "DevicePolled",
        "whether the person has confirmed it",
    ),
    (
        at::LOGIN_CI,
        HttpMethod::Post,
        "CiLogin",
        "LoggedIn",
        "logs a CI program in with a token that its provider signed",
    ),
];

/// The document as JSON.
///
/// # Panics
/// Never: the document can always be serialised.
#[must_use]
pub fn document() -> String {
    let mut document = Schemas::openapi();
    for (path, method, sent, back, summary) in ROWS {
        let mut operation = OperationBuilder::new().summary(Some(*summary));
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let parameter = ParameterBuilder::new()
                .name(name.trim_end_matches('}'))
                .parameter_in(ParameterIn::Path)
                .required(Required::True);
            operation = operation.parameter(parameter);
        }
        if !sent.is_empty() {
            let body = RequestBodyBuilder::new().content("application/json", content(sent));
            operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
        }
        let done = ResponseBuilder::new().description(*summary);
        let done = match *back {
            "" => done,
            kind if kind.contains('/') => done.content(kind, ContentBuilder::new().build()),
            name => done.content("application/json", content(name)),
        };
        let refused = ResponseBuilder::new().description("a problem");
        let refused = refused.content(wire::header::PROBLEM_JSON, content("Problem"));
        operation = operation.response("2XX", done.build());
        operation = operation.response("default", refused.build());
        let item = PathItem::new(method.clone(), operation.build());
        document
            .paths
            .add_path_operation(*path, vec![method.clone()], {
                let mut item = item;
                let operations = [&mut item.get, &mut item.post];
                operations
                    .into_iter()
                    .find_map(Option::take)
                    .unwrap_or_default()
            });
    }
    document.to_pretty_json().unwrap_or_default()
}

fn content(name: &str) -> utoipa::openapi::Content {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match inner {
        None => ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(name)))
            .build(),
        Some(name) => {
            let array =
                utoipa::openapi::schema::ArrayBuilder::new().items(Ref::from_schema_name(name));
            ContentBuilder::new().schema(Some(array)).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `opsbook schema gateway` prints it; the file shows every change.
    #[test]
    fn the_document_of_the_client_is_this_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../src/cli/schema/gateway.json"
        );
        let made = document() + "\n";
        if std::env::var_os("OPSBOOK_BLESS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let known = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            known == made,
            "src/cli/schema/gateway.json is another: OPSBOOK_BLESS=1 cargo test -p opsbook-gateway --lib openapi"
        );
    }

    #[test]
    fn every_request_and_every_type_that_it_names_is_described() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let text = include_str!("../../../wire/src/endpoint.rs");
        let paths = text
            .lines()
            .filter_map(|line| line.strip_prefix("pub const "));
        let paths = paths.filter_map(|line| line.split('"').nth(1));
        let mut count = 0;
        for path in paths {
            count += 1;
            assert!(
                document["paths"][path].is_object(),
                "{path} is not described"
            );
        }
        assert_eq!(count, ROWS.len());
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(
                schemas.contains_key(name),
                "{name} is named and not described"
            );
        }
    }
}
