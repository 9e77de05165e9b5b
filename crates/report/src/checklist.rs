//! A plan on paper, for work by hand: each step with its values, a box, and room for the time and a
//! signature. HTML for printing from a browser; secrets appear only by name.

use crate::dry_run;
use crate::plan::{Part, Plan};
use crate::source::visible;

const STYLE: &str = "body { font: 10pt/1.4 sans-serif; color: #000; background: #fff; max-width: 60em; margin: 2em auto; padding: 0 1em; } \
h1 { font-size: 16pt; margin: 0; } pre { font: 9pt/1.35 monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.4em 0; } \
pre > span { display: block; padding-inline-start: 6ch; text-indent: -6ch; } .note { font-family: sans-serif; color: #333; } .check { margin-block-start: 0.5em; } \
section { break-inside: avoid-page; border: 1px solid #555; border-radius: 4px; padding: 0.5em 0.8em; margin: 0.8em 0; } \
h2 { font-size: 11pt; margin: 0; white-space: pre-wrap; } .box { font-size: 15pt; line-height: 1; } \
.sign { display: flex; gap: 1.5em; margin: 0.8em 0 0.2em; } .sign span { flex: 1; border-bottom: 1px solid #000; padding-bottom: 0.1em; } \
@page { margin: 16mm 14mm 18mm; @bottom-left { content: \"FOOT\"; font: 8pt sans-serif; } \
@bottom-right { content: counter(page) \" / \" counter(pages); font: 8pt sans-serif; } }";

const BOX: &str = "<span class=\"box\">☐</span>";

/// The whole sheet; `foot` names its revision.
#[must_use]
pub fn html(plan: &Plan, part: Part, foot: &str) -> String {
    let pieces = dry_run::pieces(plan, part);
    let (head, steps) = match pieces.split_first() {
        Some((head, steps)) => (head.as_str(), steps),
        None => ("", &[][..]),
    };
    // The first line is the title.
    let facts = head.split_once('\n').map_or("", |(_, facts)| facts);
    let facts: String = facts.trim().lines().map(fact).collect();
    let words = format!("{}, {foot}", plan.procedure);
    let plain = |c: &char| c.is_ascii_alphanumeric() || " .,:_/+-".contains(*c);
    let words: String = words.chars().filter(plain).collect();
    let steps: String = steps.iter().map(|step| section(step)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{id}</title>\n<style>{}</style>\n</head>\n<body>\n\
         <h1>{id}: {}</h1>\n<pre>{}</pre>\n<p class=\"sign\"><span>Begun:</span><span>By:</span></p>\n\
         {steps}<p class=\"sign\"><span>Ended:</span><span>Signature:</span></p>\n</body>\n</html>\n",
        STYLE.replace("FOOT", &words),
        text(&plan.title),
        facts,
        id = text(&plan.procedure),
    )
}

/// A step, or a separate check. Its first lines say what it is and where it runs.
fn section(piece: &str) -> String {
    let piece = piece.trim_matches('\n');
    // Marks the beginning and the end of a section's turns.
    if let Some(words) = piece.strip_prefix("== ") {
        return format!("<h2>{}</h2>\n", text(words));
    }
    // A table of values that differ between nodes may precede it.
    let (before, rest) = match piece.find("# ") {
        Some(0) | None => ("", piece),
        Some(_) => match piece.find("\n# ") {
            Some(at) => piece.split_at(at + 1),
            None => ("", piece),
        },
    };
    let (title, body) = rest.split_once('\n').unwrap_or((rest, ""));
    let title = title.trim_start_matches("# ");
    let captured = body.lines().next().and_then(captured);
    let captured = captured.map(|name| format!("<span>{}:</span>", text(name)));
    let body: String = before.lines().chain(body.lines()).map(line).collect();
    format!(
        "<section>\n<h2>{BOX} {}</h2>\n<pre>{body}</pre>\n\
         <p class=\"sign\"><span>Time:</span><span>Signature:</span>{}<span>Note:</span></p>\n</section>\n",
        text(title),
        captured.unwrap_or_default(),
    )
}

/// The value that a step captures: whoever does it by hand writes it down.
fn captured(note: &str) -> Option<&str> {
    let mut words = note.split(", ");
    let name = words.find_map(|word| word.strip_prefix("captures "))?;
    name.split(' ').next()
}

/// A line above the steps. Required checks have their own box.
fn fact(line: &str) -> String {
    let line = line.trim().trim_start_matches("== ");
    if line.starts_with("needs ") {
        return format!("<span>{BOX} {}</span>", text(line));
    }
    format!("<span>{}</span>", text(line))
}

/// A line of a step. A check has its own box.
fn line(line: &str) -> String {
    match line.strip_prefix("# ") {
        Some(check) if check.starts_with("then check ") || check.starts_with("first check ") => {
            format!("<span class=\"note check\">{BOX} {}</span>", text(check))
        }
        // In an expected line, each space counts.
        Some(note) if !note.starts_with("expect") => {
            format!("<span class=\"note\"># {}</span>", text(note))
        }
        // An empty line has a height.
        _ => format!("<span>{}\n</span>", text(line)),
    }
}

fn text(words: &str) -> String {
    let lines: Vec<String> = words.split('\n').map(visible).collect();
    let words = lines.join("\n");
    let escaped = words.replace('&', "&amp;");
    escaped.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_and_each_check_has_a_box_and_nothing_is_markup() {
        let html = section(
            "\n# 1 stop: Stop <it>\n# on db1, at most 2m\nstop '&'\n# then check p/down\ntrue\n",
        );
        assert_eq!(html.matches('☐').count(), 2, "{html}");
        assert!(html.contains("1 stop: Stop &lt;it&gt;</h2>"), "{html}");
        assert!(html.contains("stop '&amp;'"), "{html}");
        let html = section("\nnode  value\nweb1  a\n# 2 start: Start\nstart\n");
        assert!(html.contains("</span> 2 start: Start</h2>"), "{html}");
        assert!(
            html.contains(
                "<pre><span>node  value\n</span><span>web1  a\n</span><span>start\n</span></pre>"
            ),
            "{html}"
        );
    }

    #[test]
    fn a_captured_value_has_room() {
        let html = section("\n# 1 count: Count\n# on db1, captures orders  a.md:3\ncount\n");
        assert!(html.contains("<span>orders:</span>"), "{html}");
        assert_eq!(
            captured("# on db1, at most 2m, captures lsn, asks first"),
            Some("lsn")
        );
        assert_eq!(captured("# on db1"), None);
    }
}
