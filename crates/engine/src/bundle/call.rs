//! One call of a function of `bundle.sh`.

use super::answer::Answer;
use super::{BundleError, FUNCTIONS, PRELUDE};
use crate::outside::Outside;
use crate::session::{Call, Limits, Lost, Session};

pub(super) async fn call(
    session: &Session,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let call = Call::new(function).words(arguments);
    let done = session.call(&call, Limits::seconds(60)).await?;
    Ok(Answer::new(session, done))
}

pub(super) async fn exclusive(
    session: &Session,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let call = Call::new(function).words(arguments);
    let done = session.exclusive(&call).await?;
    Ok(Answer::new(session, done))
}

/// The functions, where the session does not know them.
pub(super) async fn load(session: &Session) -> Result<(), Lost> {
    if session.knows(&PRELUDE) {
        return Ok(());
    }
    session.load(&FUNCTIONS).await
}

/// The functions, where the session does not know them, and the first call of one, in one message.
pub(super) async fn first(
    session: &Session,
    functions: &'static str,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let call = if session.knows(&PRELUDE) {
        Call::new(function)
    } else {
        Call::new(functions).code(function)
    };
    let call = call.words(arguments);
    let done = session.exclusive(&call).await?;
    if done.ok() {
        return Ok(Answer::new(session, done));
    }
    let said = Outside::of_bytes(&done.err).trimmed();
    Err(BundleError::Failed(said))
}
