//! Offsets in characters, in which the parser counts, to offsets in bytes; constant time
//! for each, after one look through the text.

pub(super) enum Offsets {
    Ascii,
    /// The byte offset of every [`STRIDE`]th character.
    Samples(Vec<u32>),
}

const STRIDE: usize = 64;

impl Offsets {
    pub fn of(text: &str) -> Offsets {
        if text.is_ascii() {
            return Offsets::Ascii;
        }
        Offsets::Samples(
            text.char_indices()
                .step_by(STRIDE)
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect(),
        )
    }

    pub fn byte(&self, index: usize, text: &str) -> usize {
        match self {
            Offsets::Ascii => index.min(text.len()),
            Offsets::Samples(samples) => {
                let Some(&sample) = samples.get(index / STRIDE) else {
                    return text.len();
                };
                let rest = &text[sample as usize..];
                rest.char_indices()
                    .nth(index % STRIDE)
                    .map_or(text.len(), |(at, _)| sample as usize + at)
            }
        }
    }
}
