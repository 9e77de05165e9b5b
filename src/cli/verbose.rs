//! Messages about the program's work: what a person must do at once and, with `-v`, how each node
//! is reached. Events of `tracing`, on standard error.

use std::io::Write as _;

use clap::Args;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::cli::progress;
use crate::outside::Net;
use crate::session::TOLD;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Verbose {
    /// Show how each node is reached: the command of each connection, and its time; twice, also
    /// what `ssh` reports about its own work
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Verbose {
    /// Enables the messages.
    pub fn begin(self) {
        let most = match self.verbose {
            0 => Level::WARN,
            1 => Level::DEBUG,
            _ => Level::TRACE,
        };
        let told = tracing_subscriber::registry().with(Teller { most });
        // If a subscriber is already set, keep that one.
        let _ = tracing::subscriber::set_global_default(told);
    }
}

struct Teller {
    most: Level,
}

impl<S: Subscriber> Layer<S> for Teller {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TOLD && *metadata.level() <= self.most
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        progress::above_all(|| {
            let mut out = Net::new(anstream::stderr());
            // The work continues if nobody reads.
            let _ = match line.node.as_str() {
                "" => writeln!(out, "{}", line.text),
                node => writeln!(out, "{node}: {}", line.text),
            };
        });
    }
}

#[derive(Default)]
struct Line {
    node: String,
    text: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "node" {
            value.clone_into(&mut self.node);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}
