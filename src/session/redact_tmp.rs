//! Placeholder until the redactor is merged.
use super::Secret;
pub struct Redactor;
impl Redactor {
    #[must_use]
    pub fn new<'a>(_: impl IntoIterator<Item = &'a Secret>) -> Redactor {
        Redactor
    }
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
    pub fn finish(&mut self) -> Vec<u8> {
        Vec::new()
    }
}
