//! Counts Ctrl-C and TERM for everything that waits. After the first, the operator is asked about
//! running steps; the second stops them; the third ends this process at once, and the steps on
//! nodes continue.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::error::exit;
use crate::cli::screen::Screen;
use crate::cli::tty::show;
use crate::event::Status;

/// Counts signals; other code may count as well.
pub(crate) fn count_interrupts(
    run: String,
    screen: Screen,
) -> (watch::Sender<u32>, watch::Receiver<u32>) {
    let (sender, receiver) = watch::channel(0);
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return (sender, receiver);
    };
    let also = sender.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                Some(()) = terminate.recv() => {}
                else => return,
            }
            sender.send_modify(|count| *count += 1);
            match *sender.borrow() {
                1 => {}
                2 => screen.above(|| show(STOPPING)),
                _ => {
                    screen.above(|| show(&left(&run)));
                    std::process::exit(i32::from(exit(Status::Stopped)));
                }
            }
        }
    });
    (also, receiver)
}

const STOPPING: &str = "\nstopping the running steps: TERM now, KILL in ten seconds; Ctrl-C again \
    leaves them running\n";

fn left(run: &str) -> String {
    if run.is_empty() {
        return String::new();
    }
    format!(
        "\nleft: a running step continues on its node until it ends; its bundle is kept\n\n\
         hint: `opsbook resume {run}` reads its result and continues; `opsbook handoff {run}` \
         lists what is left\n"
    )
}
