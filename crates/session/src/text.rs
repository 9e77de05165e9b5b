//! Texts of our own for a node's shell, without what only their reader needs: each byte is sent
//! to every node and read there.

/// The text without comments, indentation and empty lines. Lines keep their order, and words
/// their places in a line. Its strings of several lines must have no line that looks like a
/// comment, is empty or is indented on purpose; there are no here-documents in it.
#[must_use]
pub fn compact(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_start) {
        if line.is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        short.push_str(line);
        short.push('\n');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stays_and_what_is_for_its_reader_goes() {
        let text = "# what\n#\nf() {\n  # why\n  echo '#no' # said\n\n  set -- ${1#x}\n}\n";
        assert_eq!(
            compact(text),
            "f() {\necho '#no' # said\nset -- ${1#x}\n}\n"
        );
    }
}
