//! One call of a function of `bundle.sh`.

use super::answer::Answer;
use super::{BundleError, FUNCTIONS};
use crate::outside::Outside;
use crate::session::{Limits, Session, quote};

pub(super) fn code(function: &str, arguments: &[&str]) -> Vec<u8> {
    let mut code = function.as_bytes().to_vec();
    for argument in arguments {
        code.push(b' ');
        quote(argument.as_bytes(), &mut code);
    }
    code
}

pub(super) async fn call(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let code = code(function, arguments);
    let done = session.call(&code, Limits::seconds(60)).await?;
    Ok(Answer::new(session, done))
}

pub(super) async fn exclusive(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let done = session.exclusive(&code(function, arguments)).await?;
    Ok(Answer::new(session, done))
}

/// The functions and the first call of one, in one message.
pub(super) async fn first(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let mut text = FUNCTIONS.as_bytes().to_vec();
    text.extend(code(function, arguments));
    let done = session.exclusive(&text).await?;
    if done.ok() {
        return Ok(Answer::new(session, done));
    }
    let said = Outside::of_bytes(&done.err).trimmed();
    Err(BundleError::Failed(said))
}
