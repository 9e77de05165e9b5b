//! Where a command writes. Standard output is reached in two ways only: what is for people goes
//! through a net that lets nothing but text and our own colours pass, what is for programs goes
//! as it is.

use std::io::{self, IsTerminal as _, Write};

use crate::outside::Net;

/// Where one goes.
type Stream = Box<dyn Write + Send>;

/// Where a command writes: results, and to `talk` what is said beside them. Colours are taken
/// off where nobody would see them.
pub(crate) struct Streams {
    out: Stream,
    pub talk: Stream,
    /// Colours in what is for people.
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

    /// Results for programs, as they are: JSON, patches, completions, commands of a CI system.
    pub fn data(&mut self) -> &mut Stream {
        &mut self.out
    }

    /// Both, for what is for people.
    pub fn people_and_talk(&mut self) -> (Net<&mut Stream>, &mut Stream) {
        (Net::new(&mut self.out), &mut self.talk)
    }

    /// Both, for what is for programs.
    pub fn data_and_talk(&mut self) -> (&mut Stream, &mut Stream) {
        (&mut self.out, &mut self.talk)
    }

    /// Gives the stream of results away, as it is: whoever has it lays the net.
    pub fn take(&mut self) -> Stream {
        std::mem::replace(&mut self.out, Box::new(io::sink()))
    }

    /// What is no result and no error goes unsaid from now on. An error is told elsewhere.
    pub(super) fn hush(&mut self) {
        self.talk = Box::new(io::sink());
    }
}

/// A stream that may go unheard: what a command does, and its exit status, are the same
/// whether or not somebody reads (`opsbook run … | head`).
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
