//! The paths of the interface, in axum's notation: `{name}` is one segment.

/// `GET`: [`crate::About`]; without a login.
pub const ABOUT: &str = "/v1";
/// `GET`: the `OpenAPI` document.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET`: [`crate::Me`]
pub const ME: &str = "/v1/me";
/// `POST`: [`crate::Linked`]; with the token or on the socket.
pub const LOGIN_LINK: &str = "/v1/login/link";
/// `GET ?key=`: sets a browser's cookie, once.
pub const LOGIN: &str = "/login";
/// `GET`: [`crate::login::Nonce`]; without a login.
pub const LOGIN_SSH_NONCE: &str = "/v1/login/ssh/nonce";
/// `POST` [`crate::login::SshLogin`]: [`crate::LoggedIn`]; without a login.
pub const LOGIN_SSH: &str = "/v1/login/ssh";
/// `GET`: redirects a browser to the identity provider.
pub const LOGIN_OIDC: &str = "/login/oidc";
/// `GET ?code=&state=`: where the provider redirects it back.
pub const LOGIN_OIDC_BACK: &str = "/login/oidc/callback";
/// `POST`: [`crate::login::DeviceLogin`]; without a login.
pub const LOGIN_DEVICE: &str = "/v1/login/device";
/// `POST` [`crate::login::DevicePoll`]: [`crate::login::DevicePolled`]; without a login.
pub const LOGIN_DEVICE_POLL: &str = "/v1/login/device/poll";
/// `POST` [`crate::login::CiLogin`]: [`crate::LoggedIn`]; without a login.
pub const LOGIN_CI: &str = "/v1/login/ci";
/// `POST`: ends the login of this request.
pub const LOGOUT: &str = "/v1/logout";
/// `GET ?select=`: an array of [`crate::HostView`]
pub const HOSTS: &str = "/v1/hosts";
/// `GET`: an array of [`crate::ProcedureView`]
pub const PROCEDURES: &str = "/v1/procedures";
/// `GET`: [`crate::ProcedureView`]
pub const PROCEDURE: &str = "/v1/procedures/{id}";
/// `GET ?person=&verb=&procedure=&node=`: [`crate::ask::Explained`]
pub const EXPLAIN: &str = "/v1/explain";
/// `POST` [`crate::Ask`]: 201 [`crate::Asked`], or 200 if the key was known.
pub const ASKS: &str = "/v1/asks";
/// `GET ?node=&procedure=&state=&by=&after=`: [`crate::RunsPage`]
pub const RUNS: &str = "/v1/runs";
/// `GET`: [`crate::RunView`]
pub const RUN: &str = "/v1/runs/{run}";
/// `GET ?node=`: [`crate::ask::PlanView`]
pub const PLAN: &str = "/v1/runs/{run}/plan";
/// `GET ?after=&node=`: `text/event-stream`; with `Accept: application/x-ndjson`, the lines in the
/// store.
pub const EVENTS: &str = "/v1/runs/{run}/events";
/// `GET ?node=&step=&stream=&from=&to=`: a step's output, as text.
pub const OUTPUT: &str = "/v1/runs/{run}/output";
/// `POST` [`crate::AnswerIn`]: [`crate::Answered`], or 409 with the first answer.
pub const ANSWERS: &str = "/v1/runs/{run}/answers";
/// `GET`: [`crate::record::Record`]
pub const RECORD: &str = "/v1/runs/{run}/record";
/// `GET ?from=SIZE`: [`crate::record::Log`]
pub const LOG: &str = "/v1/record";
/// `GET`: an array of [`crate::sealed::Sealed`], those that the caller can help to open.
pub const SEALED: &str = "/v1/sealed";
/// `POST` [`crate::Approve`]: [`crate::RunView`]
pub const APPROVALS: &str = "/v1/runs/{run}/approvals";
/// `POST` [`crate::Stop`]: [`crate::RunView`]
pub const STOP: &str = "/v1/runs/{run}/stop";
/// `POST` [`crate::Resume`]: [`crate::RunView`]
pub const RESUME: &str = "/v1/runs/{run}/resume";
/// `POST` [`crate::HandOver`]: [`crate::RunView`]
pub const HAND_OVER: &str = "/v1/runs/{run}/hand-over";
/// `POST` [`crate::Release`]: [`crate::RunView`]
pub const RELEASE: &str = "/v1/runs/{run}/release";
/// `GET ?node=&check=&outcome=&history=`: an array of [`crate::check::CheckView`]
pub const CHECKS: &str = "/v1/checks";
/// `GET`: an array of [`crate::check::ScheduleView`]
pub const SCHEDULES: &str = "/v1/schedules";
/// `POST` [`crate::sync::Sync`]: [`crate::sync::Synced`]
pub const SYNC: &str = "/v1/sync";
/// `GET ?manual=&node=`: an array of [`crate::sync::FindingView`]
pub const FINDINGS: &str = "/v1/findings";
/// `GET ?manual=`: an array of [`crate::application::ApplicationView`]
pub const APPLICATIONS: &str = "/v1/applications";
/// `GET ?manual=`: [`crate::application::ApplicationView`]
pub const APPLICATION: &str = "/v1/applications/{id}";
/// `GET`: the process is running; without a login.
pub const HEALTHZ: &str = "/healthz";
/// `GET`: a write was committed within five seconds; without a login.
pub const READYZ: &str = "/readyz";
/// `GET`: for Prometheus.
pub const METRICS: &str = "/metrics";
/// `POST` [`crate::Enroll`]: [`crate::Enrolled`]; with a token.
pub const RUNNER_ENROLL: &str = "/v1/runner/enroll";
/// `POST` [`crate::runner::Renew`]: [`crate::Enrolled`]; with the current certificate.
pub const RUNNER_RENEW: &str = "/v1/runner/renew";
/// `POST ?wait=N` [`crate::Hello`]: [`crate::News`]
pub const RUNNER_WORK: &str = "/v1/runner/work";
/// `POST` [`crate::Hello`] (its `room` is ignored): [`crate::News`]
pub const RUNNER_BEAT: &str = "/v1/runner/beat";
/// `POST` [`crate::Lines`]: [`crate::Acked`]
pub const RUNNER_EVENTS: &str = "/v1/runner/events";
/// `POST` [`crate::check::Checked`]: [`crate::check::Taken`]
pub const RUNNER_CHECKS: &str = "/v1/runner/checks";
/// `POST` [`crate::CertificateIn`]: [`crate::CertificateOut`]
pub const RUNNER_CERTIFICATE: &str = "/v1/runner/certificate";
/// `GET`: the archive of a manual, `application/x-tar`.
pub const RUNNER_MANUAL: &str = "/v1/runner/manual/{manual}/{archive}";

/// A path with its placeholders filled in.
///
/// ```
/// use opsbook_wire::endpoint;
///
/// let path = endpoint::of(endpoint::STOP, &["20261121-091403-3f9a"]);
/// assert_eq!(path, "/v1/runs/20261121-091403-3f9a/stop");
/// ```
#[must_use]
pub fn of(path: &str, places: &[&str]) -> String {
    let mut places = places.iter();
    let segments = path.split('/').map(|segment| {
        let place = segment.starts_with('{').then(|| places.next()).flatten();
        place.copied().unwrap_or(segment)
    });
    segments.collect::<Vec<_>>().join("/")
}
