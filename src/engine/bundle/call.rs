//! One call of a function of `bundle.sh`.

use super::answer::Answer;
use super::{BundleError, FUNCTIONS};
use crate::outside::Outside;
use crate::session::{Call, Limits, Session};

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

/// The functions and the first call of one, in one message.
pub(super) async fn first(
    session: &Session,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let call = Call::new(FUNCTIONS).code(function).words(arguments);
    let done = session.exclusive(&call).await?;
    if done.ok() {
        return Ok(Answer::new(session, done));
    }
    let said = Outside::of_bytes(&done.err).trimmed();
    Err(BundleError::Failed(said))
}
