//! The output of a command. Text for people reaches standard output only through a net that lets
//! text and our own colours pass; data for programs is written unchanged.

use std::io::{self, IsTerminal as _, Write};

use crate::outside::Net;

/// An output stream.
type Stream = Box<dyn Write + Send>;

/// The streams of a command: results, and `talk` for remarks. Removes colours if nobody would see
/// them.
pub(crate) struct Streams {
    out: Stream,
    pub talk: Stream,
    /// Use colours in text for people.
    pub paint: bool,
}

impl Streams {
    pub(super) fn new() -> Streams {
        let choice = anstream::AutoStream::choice(&io::stdout());
        let always = anstream::ColorChoice::global() == anstream::ColorChoice::Always;
        let paint = choice != anstream::ColorChoice::Never;
        Streams {
            out: Box::new(Unheard {
                stream: anstream::AutoStream::auto(io::stdout()),
                forgiven: |error| error.kind() == io::ErrorKind::BrokenPipe,
            }),
            talk: Box::new(Net::new(Unheard {
                stream: anstream::AutoStream::auto(io::stderr()),
                forgiven: |error| error.kind() != io::ErrorKind::Interrupted,
            })),
            paint: paint && (always || io::stdout().is_terminal()),
        }
    }

    /// Results for people. A line is written once it ends, or once this is dropped.
    pub fn people(&mut self) -> Net<&mut Stream> {
        Net::new(&mut self.out)
    }

    /// Results for programs, unchanged: JSON, patches, completions, commands for a CI system.
    pub fn data(&mut self) -> &mut Stream {
        &mut self.out
    }

    /// Both streams, for results for people.
    pub fn people_and_talk(&mut self) -> (Net<&mut Stream>, &mut Stream) {
        (Net::new(&mut self.out), &mut self.talk)
    }

    /// Both streams, for results for programs.
    pub fn data_and_talk(&mut self) -> (&mut Stream, &mut Stream) {
        (&mut self.out, &mut self.talk)
    }

    /// Takes the stream of results, unchanged: the caller must use the net.
    pub fn take(&mut self) -> Stream {
        std::mem::replace(&mut self.out, Box::new(io::sink()))
    }

    /// Suppresses everything except results and errors. Errors are printed elsewhere.
    pub(super) fn hush(&mut self) {
        self.talk = Box::new(io::sink());
    }
}

/// A stream whose reader may be gone: the command's work and exit status do not depend on it
/// (`opsbook run … | head`).
struct Unheard<S> {
    stream: S,
    forgiven: fn(&io::Error) -> bool,
}

impl<S: Write> Write for Unheard<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if (self.forgiven)(&error) => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.stream.flush() {
            Err(error) if (self.forgiven)(&error) => Ok(()),
            other => other,
        }
    }
}
