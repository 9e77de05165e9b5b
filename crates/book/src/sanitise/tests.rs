use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;

fn read(text: &str) -> (String, Vec<Removed>) {
    sanitised(text.to_owned(), &MarkdownOptions::default())
}

#[test]
fn what_is_taken_out_leaves_the_rest_where_it_was() {
    for (text, expected) in [
        ("plain\n", "plain\n"),
        ("a <script>x\n", "a <span></span>x\n"),
        ("<script>\n\nx\n</script>\ny\n", "<!-- -->\ny\n"),
        (
            "<div onclick=x>\n<b>a\n| b</b>\n</div>\n\ny\n",
            "<!-- --><div>&#10;<b>a&#10;&#124; b</b>&#10;</div>\n\ny\n",
        ),
        ("[a *b*](javascript:x \"t\") c\n", "[a *b*](#) c\n"),
        (
            "[a][r]\n\n[r]: javascript:x\n",
            "[a](#)\n\n[r]: javascript:x\n",
        ),
        ("# T {#i onclick=x .c}\n", "# T {#i .c}\n"),
        ("```html\n<script>\n```\n", "```html\n<script>\n```\n"),
    ] {
        assert_eq!(read(text).0, expected, "{text}");
    }
}

#[test]
fn a_picture_in_svg_is_shapes_only() {
    for (svg, acts) in [
        (
            "<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>",
            false,
        ),
        (
            "<svg><style>p{}</style><a href='https://a.example'><text>x</text></a></svg>",
            false,
        ),
        ("<svg><image href='data:image/png;base64,AA'/></svg>", false),
        ("<svg onload='x()'></svg>", true),
        ("<svg><script>x()</script></svg>", true),
        (
            "<x:svg xmlns:x='http://www.w3.org/2000/svg'><x:script>x()</x:script></x:svg>",
            true,
        ),
        (
            "<svg><a xlink:href='javascript:x()'><text>x</text></a></svg>",
            true,
        ),
        (
            "<svg><a><animate attributeName='href' values='javascript:x()'/></a></svg>",
            true,
        ),
        ("<svg><foreignObject><p>x</p></foreignObject></svg>", true),
        (
            "<!DOCTYPE svg [<!ENTITY a '<script>x()</script>'>]><svg>&a;</svg>",
            true,
        ),
        ("<?xml-stylesheet href='x.xsl'?><svg/>", true),
    ] {
        assert_eq!(tokens::svg_acts(svg), acts, "{svg}");
    }
}

#[test]
fn what_is_left_is_clean() {
    for text in ["<scr<script>ipt>", "x <a<b onclick=1><c onclick=2>>"] {
        let (clean, removed) = read(text);
        assert!(!removed.is_empty());
        assert_eq!(read(&clean), (clean.clone(), Vec::new()), "{text}");
    }
}

#[test]
fn long_pages_take_time_in_proportion() {
    let mut hostile = String::new();
    for n in 0..20_000 {
        let _ = writeln!(hostile, "a <b onclick={n}> [x](javascript:{n}) <div <b\n");
    }
    let started = Instant::now();
    let (_, removed) = read(&hostile);
    assert!(removed.len() >= 40_000);
    assert!(started.elapsed() < Duration::from_mins(1));
}
