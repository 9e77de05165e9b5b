//! The controlling terminal: a line read from it, also one that is not shown.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Read as _, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::outside::Net;

pub(crate) type Line = Zeroizing<Vec<u8>>;

/// A terminal that shows nothing of what is typed. A signal would end this process with the
/// terminal left so: Ctrl-C ends the line instead.
pub(crate) struct Hidden {
    terminal: File,
    before: Termios,
}

pub(crate) const CTRL_C: u8 = 3;

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

/// Where one question is put: the controlling terminal, or, where there is none, standard
/// input, so that answers can be piped in.
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

    /// Without its end; nothing at the end of the input.
    pub fn read(mut self) -> Option<Line> {
        let mut line = Line::default();
        let read = match &mut self {
            Tty::Terminal(file) => read_line(file, &mut line).ok()?,
            Tty::Input => {
                let read = std::io::stdin().lock().read_until(b'\n', &mut line).ok()?;
                self.write("\n")?;
                read
            }
        };
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        (read > 0).then_some(line)
    }
}

/// What a terminal gives at once is a line, or a part of a very long one.
fn read_line(terminal: &mut File, line: &mut Line) -> std::io::Result<usize> {
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        let read = terminal.read(&mut *piece)?;
        line.extend_from_slice(&piece[..read]);
        if read == 0 || matches!(line.last(), Some(&(b'\n' | CTRL_C))) {
            return Ok(line.len());
        }
    }
}

pub(crate) fn show(text: &str) {
    // Whoever reads the terminal is gone if this fails; the next prompt finds out.
    let _ = Tty::open().write(text);
}

/// Questions show titles, folders and output: text from outside.
fn through_net(to: &mut dyn std::io::Write, text: &str) -> Option<()> {
    let mut net = Net::new(to);
    net.write_all(text.as_bytes())
        .and_then(|()| net.flush())
        .ok()
}
