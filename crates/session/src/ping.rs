//! Asks a node who answers, for `opsbook ping`. Prints nothing.

use std::time::{Duration, Instant};

use super::done::{Done, Limits};
use super::error::{Cause, OpenError};
use super::hello::Hello;
use super::sudo::FEW;
use super::{Call, OpenOptions, Session, Target};
use crate::hello::Utility;
use crate::outside::Outside;

/// A node's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// User, shell and kernel; `hello.connect` is the time to connect.
    pub hello: Hello,
    /// The time of one call and its answer on the open session.
    pub round_trip: Duration,
    /// How the login user can become root with `sudo`.
    pub sudo: SudoWay,
}

/// What `sudo` would do for the login user. No person was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SudoWay {
    /// The login user is root.
    Root,
    /// The node has no `sudo`.
    Missing,
    /// It needs no password.
    Free,
    /// It asks for a password before it says whether it allows anything.
    Asks,
    /// It refuses, in its own words.
    Refuses(Outside),
}

/// Opens a session, asks, and closes it.
pub async fn ping(target: &Target, options: &OpenOptions) -> Result<Pong, OpenError> {
    let session = Session::open(target, options).await?;
    let pong = ask(&session).await;
    session.close().await;
    pong
}

async fn ask(session: &Session) -> Result<Pong, OpenError> {
    let hello = session.hello().clone();
    let begin = Instant::now();
    call(session, &Call::new(":")).await?;
    let round_trip = begin.elapsed();
    let sudo = match (hello.uid, hello.has(Utility::Sudo)) {
        (0, _) => SudoWay::Root,
        (_, false) => SudoWay::Missing,
        (_, true) => sudo_way(&call(session, &sudo()).await?),
    };
    Ok(Pong {
        hello,
        round_trip,
        sudo,
    })
}

/// Asks for a shell, as steps do; first asks whether a password would help.
fn sudo() -> Call {
    Call::new("(export LC_ALL=C; s=$(sudo -n -l sh 2>&1) || [ $? != 1 ] || [ -n \"$s\" ] || { echo")
        .word(FEW)
        .code(" >&2; exit 1; }; sudo -n sh -c :)")
}

async fn call(session: &Session, code: &Call) -> Result<Done, OpenError> {
    let done = session.call(code, Limits::seconds(20)).await;
    done.map_err(|lost| OpenError::new(Cause::Other, lost.to_string()))
}

fn sudo_way(done: &Done) -> SudoWay {
    let said = String::from_utf8_lossy(&done.err);
    if done.ok() {
        SudoWay::Free
    } else if said.contains("password is required") || said.contains("authentication is required") {
        SudoWay::Asks
    } else {
        SudoWay::Refuses(said.trim().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_is_judged_by_what_it_does() {
        let done = |status, err: &str| Done {
            status,
            err: err.into(),
            ..Done::default()
        };
        for (done, way) in [
            (done(0, ""), SudoWay::Free),
            (done(1, "sudo: a password is required\n"), SudoWay::Asks),
            (
                done(1, "sudo: interactive authentication is required"),
                SudoWay::Asks,
            ),
            (
                done(1, "x is not in the sudoers file.\n"),
                SudoWay::Refuses("x is not in the sudoers file.".into()),
            ),
        ] {
            assert_eq!(sudo_way(&done), way);
        }
    }
}
