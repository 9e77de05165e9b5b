//! Text that a person can paste into a shell's terminal: a here-document whose lines no terminal
//! truncates, and which contains no key codes of a line editor. `by_hand.sh` decodes it.

use std::io::{self, Write};

use crate::outside::{commands, is_hidden};

/// The most bytes of a line. Busybox accepts about 1000, a terminal without an editor 4095.
const LONGEST: usize = 900;

/// Writes a command with its here-document.
///
/// # Errors
/// If the output is closed.
pub(super) fn document(
    command: &str,
    end: &str,
    text: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (signs, lines) = lines(text);
    if !signs.is_empty() {
        writeln!(out, "ob_signs='{}'", signs.join(" "))?;
    }
    let mut end = end.to_owned();
    while lines.contains(&end) {
        end.push('.');
    }
    writeln!(out, "{command} <<'{end}'")?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{end}")
}

/// Lines that a shell ignores.
///
/// # Errors
/// If the output is closed.
pub(super) fn note(text: &str, out: &mut dyn Write) -> io::Result<()> {
    for line in text.split('\n') {
        let line: String = line
            .chars()
            .map(|c| if is_hidden(c) { ' ' } else { c })
            .collect();
        let mut rest = line.trim_end();
        if rest.is_empty() {
            writeln!(out)?;
        }
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(boundary(rest));
            writeln!(out, "# {piece}")?;
            rest = after;
        }
    }
    Ok(())
}

/// The text's lines, and the marks in them: the first mark means that a line continues in the next;
/// each other mark represents the bytes after its `=`.
fn lines(text: &str) -> (Vec<String>, Vec<String>) {
    let mut more = "MORE".to_owned();
    while text.contains(&format!("{{{more}}}")) {
        more.push('_');
    }
    let mut signs = vec![format!("{{{more}}}")];
    let mut all = Vec::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let line = with_signs(line, text, &mut signs);
        let mut rest = line.as_str();
        while rest.len() > LONGEST {
            let (piece, after) = rest.split_at(boundary(rest));
            all.push(format!("{piece}{}", signs[0]));
            rest = after;
        }
        all.push(rest.to_owned());
    }
    if signs.len() == 1 && !all.iter().any(|line| line.ends_with(&signs[0])) {
        signs.clear();
    }
    (signs, all)
}

/// A line that contains only characters that can be typed, and that no CI system executes.
fn with_signs(line: &str, text: &str, signs: &mut Vec<String>) -> String {
    let mut written = String::with_capacity(line.len());
    let obeyed = commands(line);
    for (at, c) in line.char_indices() {
        // Ssh interprets `~.` at the beginning of a line, and a line may be cut anywhere.
        let cut = line.len() > LONGEST;
        let begins = c == '~' && (at == 0 || cut) || cut && line[at..].starts_with("::");
        let escape = begins || obeyed.contains(&at);
        if !escape && !is_hidden(c) {
            written.push(c);
            continue;
        }
        let sign = sign(c, text);
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).bytes();
        let octal: String = bytes.map(|byte| format!("\\{byte:03o}")).collect();
        let meaning = format!("{sign}={octal}");
        if !signs[1..].contains(&meaning) {
            signs.push(meaning);
        }
        written.push_str(&sign);
    }
    written
}

fn sign(c: char, text: &str) -> String {
    let mut name = match c {
        '\t' => "TAB".to_owned(),
        '~' => "TILDE".to_owned(),
        ':' => "COLON".to_owned(),
        '#' => "HASH".to_owned(),
        c => format!("u{:X}", u32::from(c)),
    };
    while text.contains(&format!("{{{name}}}")) {
        name.push('_');
    }
    format!("{{{name}}}")
}

/// Where to cut a line: never within a character.
fn boundary(line: &str) -> usize {
    line.floor_char_boundary(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_anything_odd_stands_as_it_is() {
        let (signs, all) = lines("a 'b' \"c\" !d é\n\n  e ~f\n");
        assert_eq!(signs, Vec::<String>::new());
        assert_eq!(all, ["a 'b' \"c\" !d é", "", "  e ~f"]);
    }

    #[test]
    fn every_line_is_short_and_can_be_typed() {
        let text = format!(
            "{}\n\ta{{TAB}}\u{1b}\u{202e}\u{7f}\n~.\n{}{{MORE}}",
            "ü".repeat(3000),
            "x ~ ".repeat(600)
        );
        let (signs, all) = lines(&text);
        assert!(all.iter().all(|line| line.len() < 1000));
        assert!(!all.iter().any(|line| line.starts_with('~')));
        assert!(!all.iter().any(|line| line.chars().any(is_hidden)));
        assert_eq!(
            signs,
            [
                "{MORE_}",
                "{TAB_}=\\011",
                "{u1B}=\\033",
                "{u202E}=\\342\\200\\256",
                "{u7F}=\\177",
                "{TILDE}=\\176"
            ]
        );
    }

    #[test]
    fn no_line_is_a_command_of_a_ci_system() {
        let long = format!("{}::error::x", "a".repeat(LONGEST));
        let text = format!("a\n  ::error::x\nb ##[add-mask]y ####[group]\n::1\n{long}");
        let (signs, all) = lines(&text);
        assert!(all.iter().all(|line| commands(line).is_empty()), "{all:?}");
        assert_eq!(signs, ["{MORE}", "{COLON}=\\072", "{HASH}=\\043"]);
        assert_eq!(all[1], "  {COLON}:error::x");
        assert_eq!(all[3], "::1", "what is no command stays as it is");
    }

    #[test]
    fn a_note_is_nothing_but_comments() {
        let mut out = Vec::new();
        let text = format!("a\r!\u{1b}b\n\n{}", "é".repeat(1000));
        note(&text, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.lines()
                .all(|line| line.is_empty() || line.starts_with("# "))
        );
        assert!(out.lines().all(|line| line.len() < 1000));
        assert!(out.starts_with("# a ! b\n\n# é"));
    }
}
