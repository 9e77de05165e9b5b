//! Shows a step's output while it runs, by offset, so that a cut connection loses or repeats
//! nothing. Memory use is constant.

use crate::bundle::{Bundle, BundleError, StepDone};
use crate::event::Stream;
use crate::output::Lines;
use crate::secrets::Secrets;

/// Bytes fetched at once from each stream.
const PIECE: u64 = 256 * 1024;
/// Bytes of each stream that are shown and journalled; the bundle keeps more.
const SHOWN: u64 = 1 << 20;

pub struct Follower {
    label: String,
    streams: [Followed; 2],
}

struct Followed {
    stream: Stream,
    name: &'static str,
    offset: u64,
    lines: Lines,
    cut: bool,
}

/// Texts to show, in order.
pub type Pieces = Vec<(Stream, String)>;

impl Follower {
    pub fn new(label: &str, secrets: &Secrets) -> Follower {
        let followed = |stream, name| Followed {
            stream,
            name,
            offset: 0,
            lines: Lines::new(secrets.redactor()),
            cut: false,
        };
        Follower {
            label: label.to_owned(),
            streams: [followed(Stream::Out, "out"), followed(Stream::Err, "err")],
        }
    }

    /// The output since the last call.
    pub async fn poll(&mut self, bundle: &Bundle) -> Result<Pieces, BundleError> {
        let mut pieces = Vec::new();
        for followed in self.streams.iter_mut().filter(|followed| !followed.cut) {
            let new = bundle
                .tail(&self.label, followed.name, followed.offset, PIECE)
                .await?;
            followed.take(&new, &mut pieces);
        }
        Ok(pieces)
    }

    /// The rest, after the step has ended.
    pub async fn finish(
        &mut self,
        bundle: &Bundle,
        done: &StepDone,
    ) -> Result<Pieces, BundleError> {
        let mut pieces = Vec::new();
        if let Some((out, err)) = &done.output {
            for (followed, all) in self.streams.iter_mut().zip([out, err]) {
                let from = usize::try_from(followed.offset)
                    .unwrap_or(usize::MAX)
                    .min(all.len());
                followed.take(&all[from..], &mut pieces);
            }
        } else {
            for (followed, size) in self.streams.iter_mut().zip([done.sizes.0, done.sizes.1]) {
                while !followed.cut && followed.offset < size {
                    let new = bundle
                        .tail(&self.label, followed.name, followed.offset, PIECE)
                        .await?;
                    if new.is_empty() {
                        break;
                    }
                    followed.take(&new, &mut pieces);
                }
            }
        }
        for followed in &mut self.streams {
            let rest = followed.lines.finish();
            if !followed.cut && !rest.is_empty() {
                pieces.push((followed.stream, rest));
            }
        }
        Ok(pieces)
    }
}

impl Followed {
    fn take(&mut self, new: &[u8], pieces: &mut Pieces) {
        if new.is_empty() || self.cut {
            return;
        }
        self.offset += new.len() as u64;
        let text = self.lines.push(new);
        if !text.is_empty() {
            pieces.push((self.stream, text));
        }
        if self.offset >= SHOWN {
            self.cut = true;
            pieces.push((
                self.stream,
                "[more than 1 MiB: the rest is in the bundle]\n".to_owned(),
            ));
        }
    }
}
