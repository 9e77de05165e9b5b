//! Which elements, attributes and addresses a page may not bring.

/// Elements that run, load, send or take in something, or that make a browser read what
/// follows in another way.
const ELEMENTS: [&str; 50] = [
    "animate",
    "animatemotion",
    "animatetransform",
    "applet",
    "base",
    "basefont",
    "bgsound",
    "body",
    "button",
    "datalist",
    "embed",
    "fencedframe",
    "foreignobject",
    "form",
    "frame",
    "frameset",
    "head",
    "html",
    "iframe",
    "ilayer",
    "input",
    "isindex",
    "keygen",
    "layer",
    "link",
    "listing",
    "main",
    "math",
    "menuitem",
    "meta",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "optgroup",
    "option",
    "param",
    "plaintext",
    "portal",
    "script",
    "select",
    "set",
    "slot",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "use",
    "xmp",
];

/// Attributes that act or send, whatever they say.
const ATTRIBUTES: [&str; 9] = [
    "action",
    "archive",
    "classid",
    "codebase",
    "formaction",
    "http-equiv",
    "manifest",
    "ping",
    "srcdoc",
];

/// Attributes that are words for a reader, never addresses.
const WORDS: [&str; 5] = ["alt", "title", "class", "id", "aria-label"];

const SCHEMES: [&str; 8] = [
    "feed",
    "jar",
    "javascript",
    "livescript",
    "mhtml",
    "mocha",
    "vbscript",
    "view-source",
];

/// What a style may not hold: addresses, code, and ways to hide either.
const STYLES: [&str; 10] = [
    "url",
    "image-set",
    "expression",
    "import",
    "behavior",
    "binding",
    "script",
    "\\",
    "/*",
    "<",
];

/// Whether an element is left out.
pub(super) fn forbids_element(name: &str) -> bool {
    ELEMENTS.binary_search(&name).is_ok()
}

/// Whether an attribute of an element is left out. Names are compared in lower case.
pub(super) fn forbids(name: &str, value: &str, element: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    if name.starts_with("on") || ATTRIBUTES.contains(&name) {
        return true;
    }
    match name {
        "style" => {
            let style = value.to_lowercase();
            STYLES.iter().any(|part| style.contains(part))
        }
        "srcset" | "imagesrcset" => value
            .split(',')
            .any(|one| !one.trim_start().starts_with("data:") && executable(one, element)),
        name if WORDS.contains(&name) => false,
        _ => executable(value, element),
    }
}

/// A name that is written as it is read, by every parser.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:.@".contains(&b);
    !name.is_empty() && name.bytes().all(plain)
}

/// Whether following an address would run something, for a browser, which passes over
/// control characters and blanks.
pub(super) fn executable(url: &str, element: &str) -> bool {
    let url = compact(url);
    let Some((scheme, rest)) = url.split_once(':') else {
        return false;
    };
    if scheme == "data" {
        let drawn = matches!(element, "img" | "source" | "video" | "audio" | "picture");
        let picture = rest.starts_with("image/") || rest.starts_with("audio/");
        return !(picture || rest.starts_with("video/")) || (rest.contains("svg") && !drawn);
    }
    SCHEMES.contains(&scheme)
}

/// The beginning of an address, as a browser reads it. Long enough for what decides.
fn compact(url: &str) -> String {
    url.chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !is_hidden(*c))
        .take(64)
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How a removed address is called.
pub(super) fn scheme(url: &str) -> String {
    let url = compact(url);
    let scheme = url.split(':').next().unwrap_or_default();
    format!("a `{scheme}:` link")
}

/// How a removed attribute is called; odd names are not repeated.
pub(super) fn attribute(name: &str, of: &str) -> String {
    if is_plain(name) {
        format!("`{}` of {of}", &name[..name.len().min(40)])
    } else {
        format!("an attribute of {of}")
    }
}

/// How an element is called.
pub(super) fn element(name: &str) -> String {
    if is_plain(name) {
        format!("`<{}>`", &name[..name.len().min(40)])
    } else {
        "an element".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_stand_in_order() {
        assert!(ELEMENTS.is_sorted());
    }

    #[test]
    fn an_address_is_read_as_a_browser_reads_it() {
        for (url, element, expected) in [
            ("javascript:alert(1)", "a", true),
            (" JaVa\tScRiPt\n:alert(1)", "a", true),
            ("\u{1}java\u{0}script:alert(1)", "a", true),
            ("vbscript:x", "a", true),
            ("data:text/html,<script>", "a", true),
            ("data:image/svg+xml,<svg>", "a", true),
            ("data:image/svg+xml,<svg>", "img", false),
            ("data:image/png;base64,AA", "img", false),
            ("https://example.net/javascript:x", "a", false),
            ("mailto:a@example.net", "a", false),
            ("javascript.md#x", "a", false),
            ("#javascript", "a", false),
        ] {
            assert_eq!(executable(url, element), expected, "{url:?}");
        }
    }
}
