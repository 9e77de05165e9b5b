//! Calls the functions of `bundle.sh`.

use super::answer::Answer;
use super::{BundleError, FUNCTIONS, PRELUDE};
use crate::outside::Outside;
use crate::session::{Done, Limits, Lost};
use crate::shell::{Shell, Way};

pub(super) async fn call(
    shell: &Shell,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let done = call_within(shell, function, arguments, Limits::seconds(60)).await?;
    Ok(Answer::new(shell, done))
}

/// The same with other limits; does not parse the answer.
pub(super) async fn call_within(
    shell: &Shell,
    function: &'static str,
    arguments: &[&str],
    limits: Limits,
) -> Result<Done, Lost> {
    let words: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
    shell
        .function(Way::Beside, "", function, &words, limits)
        .await
}

pub(super) async fn exclusive(
    shell: &Shell,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let done = exclusive_after(shell, "", function, arguments).await?;
    Ok(Answer::new(shell, done))
}

/// Loads the functions if the session does not have them.
pub(super) async fn load(shell: &Shell) -> Result<(), Lost> {
    if shell.knows(&PRELUDE) {
        return Ok(());
    }
    shell.load(&FUNCTIONS).await
}

/// Loads the functions if needed and calls the first one, in one message.
pub(super) async fn first(
    shell: &Shell,
    functions: &'static str,
    function: &'static str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let before = if shell.knows(&PRELUDE) { "" } else { functions };
    let done = exclusive_after(shell, before, function, arguments).await?;
    if done.ok() {
        return Ok(Answer::new(shell, done));
    }
    let said = Outside::of_bytes(&done.err).trimmed();
    Err(BundleError::Failed(said))
}

async fn exclusive_after(
    shell: &Shell,
    before: &'static str,
    function: &'static str,
    arguments: &[&str],
) -> Result<Done, Lost> {
    let words: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
    let limits = Limits::default();
    shell
        .function(Way::Exclusive, before, function, &words, limits)
        .await
}
