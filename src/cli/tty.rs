//! The controlling terminal, for questions and answers. Only input after a question can answer it:
//! earlier input is discarded at each question.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::cli::supervised::Supervisor;
use crate::outside::Net;

pub(crate) type Line = Zeroizing<Vec<u8>>;

/// A terminal without echo. A signal would end this process and leave the terminal that way, so
/// Ctrl-C ends the line instead.
pub(crate) struct Hidden {
    terminal: File,
    before: Termios,
}

pub(crate) const CTRL_C: u8 = 3;

/// How often to check whether an answer is still needed.
const LOOK_UP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

impl Hidden {
    pub fn begin() -> Option<Hidden> {
        let Tty::Terminal(terminal) = Tty::open() else {
            return None;
        };
        let before = tcgetattr(&terminal).ok()?;
        let mut hidden = before.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(&terminal, OptionalActions::Flush, &hidden).ok()?;
        Some(Hidden { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Where questions are displayed: the controlling terminal, or without one, standard error, so that
/// answers can be piped in.
pub(crate) enum Tty {
    Terminal(File),
    Input,
}

impl Tty {
    pub fn open() -> Tty {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.map_or(Tty::Input, Tty::Terminal)
    }

    pub fn write(&mut self, text: &str) -> Option<()> {
        match self {
            Tty::Terminal(file) => through_net(file, text),
            Tty::Input => through_net(&mut std::io::stderr(), text),
        }
    }
}

/// The source of answers.
#[derive(Debug)]
pub(crate) enum Answers {
    Typed(Typed),
    Said(Supervisor),
}

impl Answers {
    pub fn typed() -> Answers {
        Answers::Typed(Typed::default())
    }

    /// Displays a question and returns the answer line without its end, and a supervisor's note;
    /// `None` at the end of the input. Cancel safe. `asked` is the journal's number of the
    /// question: a supervisor answers only that one.
    pub async fn ask(
        &mut self,
        question: &str,
        asked: Option<u64>,
    ) -> Option<(Line, Option<String>)> {
        match self {
            Answers::Typed(typed) => Some((typed.ask(question).await?, None)),
            Answers::Said(supervisor) => supervisor.answer(asked?).await,
        }
    }
}

/// Answers of a person, or piped answers.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// The pending read of a cancelled question: the next question gets its line.
    piped: Option<JoinHandle<Option<Line>>>,
}

impl Typed {
    async fn ask(&mut self, question: &str) -> Option<Line> {
        let mut line = match Tty::open() {
            Tty::Terminal(terminal) => typed(terminal, question).await?,
            mut input @ Tty::Input => {
                input.write(question)?;
                let line = self.piped().await;
                input.write("\n")?;
                line?
            }
        };
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        Some(line)
    }

    /// The next line of standard input: each question reads one.
    async fn piped(&mut self) -> Option<Line> {
        let reading = self.piped.get_or_insert_with(|| {
            tokio::task::spawn_blocking(|| {
                let mut line = Line::default();
                let read = std::io::stdin().lock().read_until(b'\n', &mut line).ok()?;
                (read > 0).then_some(line)
            })
        });
        let line = reading.await.ok().flatten();
        self.piped = None;
        line
    }
}

/// The input from now on, up to the end of a line.
async fn typed(mut terminal: File, question: &str) -> Option<Line> {
    // Discard earlier input before the question is displayed.
    tcflush(&terminal, QueueSelector::IFlush).ok()?;
    through_net(&mut terminal, question)?;
    let given_up = GivenUp::default();
    let flag = Arc::clone(&given_up.0);
    let reading = tokio::task::spawn_blocking(move || read_line(&mut terminal, &flag));
    reading.await.ok().flatten()
}

/// Sets the flag when dropped: nobody waits for the line any more, and the next question must not
/// lose its input.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One read from a terminal returns a line, or a part of a very long one.
fn read_line(terminal: &mut File, given_up: &AtomicBool) -> Option<Line> {
    let mut line = Line::default();
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        let ready = has_input(&*terminal, LOOK_UP);
        if given_up.load(Ordering::Relaxed) {
            return None;
        }
        if !ready? {
            continue;
        }
        let read = match terminal.read(&mut *piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.ok()?,
        };
        line.extend_from_slice(&piece[..read]);
        if read == 0 || matches!(line.last(), Some(&(b'\n' | CTRL_C))) {
            return (!line.is_empty()).then_some(line);
        }
    }
}

/// Whether input, or its end, is available within this time; `None` if unknown.
fn has_input(from: impl AsFd, within: Timespec) -> Option<bool> {
    let mut poll = [PollFd::new(&from, PollFlags::IN)];
    match rustix::event::poll(&mut poll, Some(&within)) {
        Ok(ready) => Some(ready > 0),
        Err(rustix::io::Errno::INTR) => Some(false),
        Err(_) => None,
    }
}

pub(crate) fn show(text: &str) {
    // If this fails, the terminal is gone; the next question will notice.
    let _ = Tty::open().write(text);
}

/// Questions contain titles, folders and output: text from outside.
fn through_net(to: &mut dyn std::io::Write, text: &str) -> Option<()> {
    let mut net = Net::new(to);
    net.write_all(text.as_bytes())
        .and_then(|()| net.flush())
        .ok()
}

/// Whether questions can be answered: on a terminal, or through a pipe.
pub(crate) fn is_anybody_there() -> bool {
    if let Tty::Terminal(_) = Tty::open() {
        return true;
    }
    let stdin = std::io::stdin();
    let null = rustix::fs::stat("/dev/null");
    let is_null = rustix::fs::fstat(&stdin).is_ok_and(|of_stdin| {
        of_stdin.st_rdev != 0 && null.is_ok_and(|null| null.st_rdev == of_stdin.st_rdev)
    });
    // A pipe without a writer, and `/dev/null`, contain no answer.
    let mut poll = [PollFd::new(&stdin, PollFlags::IN)];
    let polled = rustix::event::poll(&mut poll, Some(&Timespec::default()));
    let open = polled.is_ok_and(|ready| ready == 0 || poll[0].revents().contains(PollFlags::IN));
    !is_null && open
}
