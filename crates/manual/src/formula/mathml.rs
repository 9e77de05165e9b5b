//! Turns formulas into MathML. The result is checked against a list of elements and attributes: it
//! goes into the book after everything else was sanitised.

use std::fmt::Write as _;
use std::thread;

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};

use super::Shape;
use super::find::{Found, LONGEST};

/// The most bytes of all formulas of a page: each byte may become a hundred.
const MOST: usize = 100_000;
/// The deepest nesting of braces, and of elements.
const DEEPEST: usize = 50;
/// The converter calls itself for each level. A formula of [`LONGEST`] bytes needs at most half of
/// this, measured with each command in a row of its own.
const STACK: usize = 64 * 1024 * 1024;

const ELEMENTS: [&str; 32] = [
    "annotation",
    "b",
    "code",
    "em",
    "i",
    "math",
    "menclose",
    "mfrac",
    "mi",
    "mmultiscripts",
    "mn",
    "mo",
    "mover",
    "mpadded",
    "mphantom",
    "mprescripts",
    "mroot",
    "mrow",
    "mspace",
    "msqrt",
    "mstyle",
    "msub",
    "msubsup",
    "msup",
    "mtable",
    "mtd",
    "mtext",
    "mtr",
    "munder",
    "munderover",
    "semantics",
    "span",
];
const ATTRIBUTES: [&str; 24] = [
    "accent",
    "accentunder",
    "class",
    "depth",
    "display",
    "displaystyle",
    "encoding",
    "form",
    "height",
    "largeop",
    "linethickness",
    "lspace",
    "mathvariant",
    "maxsize",
    "minsize",
    "movablelimits",
    "notation",
    "rspace",
    "scriptlevel",
    "stretchy",
    "style",
    "symmetric",
    "voffset",
    "width",
];

/// Each formula as MathML, or why it cannot be read.
pub(super) fn all(found: &[Found]) -> Vec<Result<String, String>> {
    if found.is_empty() {
        return Vec::new();
    }
    let work = || {
        let config = MathCoreConfig {
            annotation: true,
            ..MathCoreConfig::default()
        };
        let converter = LatexToMathML::new(config).unwrap_or_default();
        let mut room = MOST;
        let each = found.iter().map(|found| one(&converter, found, &mut room));
        each.collect()
    };
    let done = thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK);
        worker.spawn_scoped(scope, work).ok()?.join().ok()
    });
    let failed = || Err("the converter failed".to_owned());
    done.unwrap_or_else(|| found.iter().map(|_| failed()).collect())
}

fn one(converter: &LatexToMathML, found: &Found, room: &mut usize) -> Result<String, String> {
    let tex = found.tex.trim();
    if tex.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let left = room.checked_sub(tex.len());
    *room = left.ok_or_else(|| format!("the page has more than {MOST} bytes of formulas"))?;
    if braces(tex) > DEEPEST {
        return Err(too_deep());
    }
    let display = match found.shape {
        Shape::Inline => MathDisplay::Inline,
        Shape::Display | Shape::Fence => MathDisplay::Block,
    };
    let made = converter.convert_with_local_state(tex, display);
    let made = made.map_err(|error| reason(&error.to_string()))?;
    on_one_line(&made.mathml)
}

fn too_deep() -> String {
    format!("it is nested more than {DEEPEST} levels deep")
}

/// The deepest nesting of braces.
fn braces(tex: &str) -> usize {
    let mut depth = 0_usize;
    let depths = tex.bytes().map(|b| {
        match b {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    });
    depths.max().unwrap_or_default()
}

/// The converter's message as the end of a sentence of ours.
fn reason(said: &str) -> String {
    let said = said.trim_end_matches('.').replace('"', "`");
    let mut chars = said.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// The element in one line, with entities for everything that Markdown could read as its own.
fn on_one_line(mathml: &str) -> Result<String, String> {
    let unexpected = |what: &str| {
        let what: String = what.chars().take(40).collect();
        Err(format!("the book would not show `{what}`"))
    };
    let mut out = String::with_capacity(mathml.len() * 2);
    let mut depth = 0_usize;
    for part in mathml.split('<').skip(1) {
        let Some((tag, words)) = part.split_once('>') else {
            return unexpected(part);
        };
        let alone = tag.strip_suffix('/');
        let tag = alone.unwrap_or(tag);
        let (name, attributes) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
        let closes = name.strip_prefix('/');
        let name = closes.unwrap_or(name);
        if !ELEMENTS.contains(&name) {
            return unexpected(tag);
        }
        if closes.is_none() {
            let Some(attributes) = allowed(attributes) else {
                return unexpected(tag);
            };
            // Writing into a string cannot fail.
            let _ = write!(out, "<{name}{attributes}>");
            depth += 1;
        }
        if closes.is_some() || alone.is_some() {
            let _ = write!(out, "</{name}>");
            depth = depth.saturating_sub(1);
        }
        if depth > DEEPEST {
            return Err(too_deep());
        }
        words.chars().for_each(|c| push_literal(&mut out, c));
    }
    Ok(out)
}

/// Attributes with harmless values. An anchor for `\label` is left out.
fn allowed(attributes: &str) -> Option<String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " .:;%#-/".contains(c);
    let mut kept = String::new();
    let mut rest = attributes;
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix(' ')?.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        rest = after;
        if name == "id" {
            continue;
        }
        if !ATTRIBUTES.contains(&name) || !value.chars().all(harmless) {
            return None;
        }
        let _ = write!(kept, " {name}=\"{value}\"");
    }
    Some(kept)
}

/// The converter has written `&` as an entity.
fn push_literal(out: &mut String, c: char) {
    if c.is_control() {
        out.push(' ');
    } else if c.is_ascii_punctuation() && !matches!(c, '&' | ';') {
        let _ = write!(out, "&#{};", u32::from(c));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(tex: &str) -> Result<String, String> {
        let found = Found {
            range: 0..tex.len(),
            tex: tex.to_owned(),
            shape: Shape::Inline,
        };
        all(&[found]).remove(0)
    }

    #[test]
    fn a_formula_is_one_line_that_markdown_leaves_alone() {
        let made = drawn("x_1 * y <\n\\frac{a}{b}").unwrap();
        assert_eq!(
            made,
            "<math><semantics><mrow><msub><mi>x</mi><mn>1</mn></msub><mo lspace=\"0.2222em\" \
             rspace=\"0.2222em\">∗</mo><mi>y</mi><mo>&lt;</mo><mfrac><mi>a</mi><mi>b</mi></mfrac>\
             </mrow><annotation encoding=\"application/x-tex\">x&#95;1 &#42; y &lt; \
             &#92;frac&#123;a&#125;&#123;b&#125;</annotation></semantics></math>"
        );
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let deep = format!("{}x{}", "{".repeat(51), "}".repeat(51));
        let roots = "\\sqrt ".repeat(600) + "x";
        for (tex, expected) in [
            ("\\foo x", "unknown command `\\foo`"),
            (
                "\\frac{1}{",
                "expected closing token `}`, but reached end of input",
            ),
            ("\\href{javascript:alert(1)}{x}", "unknown command `\\href`"),
            ("\\def\\a{\\a\\a}\\a", "unknown command `\\def`"),
            (&deep, "it is nested more than 50 levels deep"),
            (&roots, "it is nested more than 50 levels deep"),
            (&"x".repeat(4_001), "it is longer than 4000 bytes"),
        ] {
            assert_eq!(drawn(tex).unwrap_err(), expected, "{tex}");
        }
    }

    #[test]
    fn only_elements_and_attributes_of_the_list_are_written() {
        let label = drawn("\\begin{equation}a\\label{x\" onclick=\"y}\\end{equation}");
        for made in [
            label,
            drawn("\\text{<script>alert(1)</script>}"),
            drawn("\\begin{equation}a\\label{<img src=x onerror=y>}\\end{equation}"),
            drawn("\\eqref{javascript:x}"),
        ] {
            let made = made.unwrap_or_default();
            for bad in ["<script", "onclick=", "<img", "href", " id="] {
                assert!(!made.contains(bad), "{made}");
            }
        }
        for bad in [
            "<math><a href=\"x\">y</a></math>",
            "<math><mi onclick=\"x\">y</mi></math>",
            "<math><mi style=\"background: url(x)\">y</mi></math>",
            "<math><mi",
        ] {
            assert!(on_one_line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_formulas_of_a_page_have_a_common_limit() {
        let found = |_| Found {
            range: 0..0,
            tex: "x".repeat(LONGEST),
            shape: Shape::Display,
        };
        let found: Vec<Found> = (0..30).map(found).collect();
        let read = all(&found).iter().filter(|made| made.is_ok()).count();
        assert_eq!(read, MOST / LONGEST);
    }
}
