//! Removes from opsbook's shell texts what only readers need: each byte is sent to every node and
//! read there.

/// The text without comments, indentation and empty lines. The order of lines and the words in a
/// line stay the same. A multi-line string in it must have no line that looks like a comment, is
/// empty or is indented on purpose. Here-documents are not supported.
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
