//! opsbook's own shell code for a session: text that is compiled in, and quoted words. Nothing from
//! outside can become code here.

use zeroize::Zeroizing;

use super::values::quote;

/// Code for a session's main shell. It may contain secrets, and is overwritten when dropped.
#[derive(Clone, Debug)]
pub struct Call(Zeroizing<Vec<u8>>);

impl Call {
    /// A call that begins with code, such as the name of a function.
    #[must_use]
    pub fn new(code: &'static str) -> Self {
        Self(Zeroizing::new(code.as_bytes().to_vec()))
    }

    /// Appends code.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.extend_from_slice(code.as_bytes());
        self
    }

    /// Appends a space and one quoted word of any content.
    #[must_use]
    pub fn word(mut self, word: impl AsRef<[u8]>) -> Self {
        self.0.push(b' ');
        quote(word.as_ref(), &mut self.0);
        self
    }

    /// Appends several words.
    #[must_use]
    pub fn words<W: AsRef<[u8]>>(self, words: impl IntoIterator<Item = W>) -> Self {
        words.into_iter().fold(self, Self::word)
    }

    /// Appends another call.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_cannot_become_code() {
        let call = Call::new("cd").word("a'; id; '").code(" || exit\n");
        let call = call.then(&Call::new("f").words(["$(id)", ""]));
        let text = String::from_utf8_lossy(call.bytes()).into_owned();
        assert_eq!(
            text,
            r"cd 'a'\''; id; '\''' || exit
f '$(id)' ''"
        );
    }
}
