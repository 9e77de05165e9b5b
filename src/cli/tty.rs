//! The controlling terminal: where questions are put and answers are typed. An answer is what
//! was typed after its question: whatever was typed before is thrown away here, for every
//! question there is.

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

/// A terminal that shows nothing of what is typed. A signal would end this process with the
/// terminal left so: Ctrl-C ends the line instead.
pub(crate) struct Hidden {
    terminal: File,
    before: Termios,
}

pub(crate) const CTRL_C: u8 = 3;

/// How often it is looked whether an answer is still waited for.
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

/// Where a question is put: the controlling terminal, or, where there is none, standard error,
/// so that answers can be piped in.
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

/// Where answers come from.
#[derive(Debug)]
pub(crate) enum Answers {
    Typed(Typed),
    Said(Supervisor),
}

impl Answers {
    pub fn typed() -> Answers {
        Answers::Typed(Typed::default())
    }

    /// Puts a question and gives the line that answers it, without its end, and what a supervisor
    /// notes beside it; nothing at the end of the input. It may be given up at any time. `asked`
    /// is the journal's number of the question: a supervisor answers no other.
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

/// Answers of a person, or of what is piped in in their place.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// Of a question that was given up before a line was piped in: the next one gets it.
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

/// What is typed from now on, up to the end of a line.
async fn typed(mut terminal: File, question: &str) -> Option<Line> {
    // Before the question is shown: what comes after it answers it.
    tcflush(&terminal, QueueSelector::IFlush).ok()?;
    through_net(&mut terminal, question)?;
    let given_up = GivenUp::default();
    let flag = Arc::clone(&given_up.0);
    let reading = tokio::task::spawn_blocking(move || read_line(&mut terminal, &flag));
    reading.await.ok().flatten()
}

/// Says so when it goes: nobody waits for the line any more, and none may be lost for the
/// next question.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a terminal gives at once is a line, or a part of a very long one.
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

/// Whether something can be read within this time, be it the end; nothing where that cannot be
/// known.
fn has_input(from: impl AsFd, within: Timespec) -> Option<bool> {
    let mut poll = [PollFd::new(&from, PollFlags::IN)];
    match rustix::event::poll(&mut poll, Some(&within)) {
        Ok(ready) => Some(ready > 0),
        Err(rustix::io::Errno::INTR) => Some(false),
        Err(_) => None,
    }
}

pub(crate) fn show(text: &str) {
    // Whoever reads the terminal is gone if this fails; the next question finds out.
    let _ = Tty::open().write(text);
}

/// Questions show titles, folders and output: text from outside.
fn through_net(to: &mut dyn std::io::Write, text: &str) -> Option<()> {
    let mut net = Net::new(to);
    net.write_all(text.as_bytes())
        .and_then(|()| net.flush())
        .ok()
}

/// Whether a question can be answered at all: on a terminal, or by something piped in.
pub(crate) fn is_anybody_there() -> bool {
    if let Tty::Terminal(_) = Tty::open() {
        return true;
    }
    let stdin = std::io::stdin();
    let null = rustix::fs::stat("/dev/null");
    let is_null = rustix::fs::fstat(&stdin).is_ok_and(|of_stdin| {
        of_stdin.st_rdev != 0 && null.is_ok_and(|null| null.st_rdev == of_stdin.st_rdev)
    });
    // A pipe whose other end is closed, and `/dev/null`, have no answer.
    let mut poll = [PollFd::new(&stdin, PollFlags::IN)];
    let polled = rustix::event::poll(&mut poll, Some(&Timespec::default()));
    let open = polled.is_ok_and(|ready| ready == 0 || poll[0].revents().contains(PollFlags::IN));
    !is_null && open
}
