use std::fmt::Write as _;

use super::*;

/// Each context with its text.
fn contexts(text: &str) -> String {
    let scan = scan(text);
    let mut shown = String::new();
    let mut last = None;
    for (at, c) in text.char_indices() {
        let context = scan.context(at);
        if last != Some(context) {
            write!(shown, "<{context:?}>").unwrap();
            last = Some(context);
        }
        shown.push(c);
    }
    shown
}

#[test]
fn every_byte_has_its_context() {
    for (text, shown) in [
        ("a 'b' c", "<Plain>a <Single>'b'<Plain> c"),
        (
            "a \"b $(c \"d\") e\" f",
            "<Plain>a <Double>\"b <Plain>$(c <Double>\"d\"<Plain>)<Double> e\"<Plain> f",
        ),
        ("a # b\nc", "<Plain>a <Comment># b<Plain>\nc"),
        ("$((a<b)) c", "<Arithmetic>$((a<b))<Plain> c"),
        (
            "a <<E b\nc $d\nE\nf",
            "<Plain>a <<E b\n<HereDoc>c $d\n<Plain>E\nf",
        ),
        (
            "a <<'E'\nc\nE\nf",
            "<Plain>a <<'E'\n<HereDocQuoted>c\nE\n<Plain>f",
        ),
        (
            "${a:-'b'} \"${a:-'b'}\"",
            "<Plain>${a:-<Single>'b'<Plain>} <Double>\"${a:-'b'}\"",
        ),
        ("a$'b\\'c' d", "<Plain>a<AnsiC>$'b\\'c'<Plain> d"),
    ] {
        assert_eq!(contexts(text), shown);
    }
}

#[test]
fn a_backquote_is_closed_before_the_end_of_its_here_document() {
    for (text, unclosed) in [
        ("cat <<E\na ` b\nE\necho `date`\n", &[10][..]),
        ("cat <<E\n`date` \\` `\nE\n", &[18]),
        ("cat <<E\n`a \\` b\nE\n", &[8]),
        ("cat <<E\n`date` \\`a\\` $(echo `date`)\nE\n", &[]),
        ("cat <<'E'\na ` b\nE\n", &[]),
        ("echo ` \ncat <<E\nE\n`", &[]),
    ] {
        assert_eq!(scan(text).unclosed, unclosed, "{text}");
    }
}

#[test]
fn nothing_is_too_deep_or_too_broken_to_be_read() {
    let deep = "$(\"".repeat(100_000);
    assert_eq!(scan(&deep).depth, 200_000);
    for text in [
        "<<", "<<-", "<<''", "${", "$((", "$", "\\", "`", "'", "\"\\", "((", "a <<E", "a <<E\n",
        "<<E\n$(",
    ] {
        let _ = scan(text);
    }
}
