//! The elements, attributes and addresses that a page may use: those that a manual needs.

/// Elements for text, pictures and tables, without effects.
const ELEMENTS: [&str; 81] = [
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "audio",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "nobr",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "track",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
];

/// Attributes that all of them may have.
const ATTRIBUTES: [&str; 14] = [
    "align",
    "aria-hidden",
    "aria-label",
    "class",
    "data-find",
    "data-name",
    "data-page",
    "dir",
    "height",
    "id",
    "lang",
    "role",
    "title",
    "width",
];

/// Attributes of certain elements.
const OF_ELEMENTS: [(&str, &[&str]); 26] = [
    ("a", &["href", "name", "rel", "hreflang"]),
    (
        "img",
        &["src", "alt", "loading", "border", "hspace", "vspace"],
    ),
    ("source", &["src", "type", "media"]),
    ("track", &["src", "kind", "srclang", "label"]),
    ("video", &["src", "poster", "controls", "loop", "muted"]),
    ("audio", &["src", "controls", "loop", "muted"]),
    (
        "table",
        &["border", "cellpadding", "cellspacing", "rules", "summary"],
    ),
    ("tr", &["valign"]),
    ("td", &["colspan", "rowspan", "headers", "valign", "nowrap"]),
    (
        "th",
        &[
            "colspan", "rowspan", "headers", "scope", "abbr", "valign", "nowrap",
        ],
    ),
    ("thead", &["valign"]),
    ("tbody", &["valign"]),
    ("tfoot", &["valign"]),
    ("col", &["span", "valign"]),
    ("colgroup", &["span", "valign"]),
    ("ol", &["start", "reversed", "type"]),
    ("ul", &["type"]),
    ("li", &["value", "type"]),
    ("details", &["open"]),
    ("time", &["datetime"]),
    ("del", &["datetime"]),
    ("ins", &["datetime"]),
    ("data", &["value"]),
    ("font", &["color", "size"]),
    ("br", &["clear"]),
    ("hr", &["size", "noshade"]),
];

/// Allowed link schemes.
const SCHEMES: [&str; 5] = ["ftp", "http", "https", "mailto", "tel"];

/// Types of embedded pictures (`data:`). An SVG in an `<img>` runs nothing.
const PICTURES: [&str; 7] = ["avif", "bmp", "gif", "jpeg", "png", "svg+xml", "webp"];

/// Classes that mdBook's styles and scripts use: with them a page could cover the menu, or imitate
/// it.
const CLASSES: [&str; 71] = [
    "ace_editor",
    "active",
    "bordered",
    "buttons",
    "chapter",
    "chapter-fold-toggle",
    "chapter-item",
    "chapter-link-wrapper",
    "checkbox-img",
    "checkbox-label",
    "clip-button",
    "content",
    "current-header",
    "default",
    "expanded",
    "fade-out",
    "focus",
    "header",
    "header-in-summary",
    "header-item",
    "header-toggle",
    "hidden",
    "hide-boring",
    "hljs",
    "icon-button",
    "img-wrapper",
    "js",
    "left",
    "left-buttons",
    "mdbook-help-title",
    "menu-bar",
    "menu-title",
    "mobile-nav-chapters",
    "nav-chapters",
    "nav-wide-wrapper",
    "nav-wrapper",
    "next",
    "on-this-page",
    "page",
    "page-wrapper",
    "part-title",
    "play-button",
    "playground",
    "previous",
    "result",
    "result-no-output",
    "right",
    "right-buttons",
    "search-wrapper",
    "searchbar-outer",
    "searching",
    "searchresults-header",
    "searchresults-outer",
    "section",
    "sidebar",
    "sidebar-iframe-inner",
    "sidebar-iframe-outer",
    "sidebar-resize-handle",
    "sidebar-resize-indicator",
    "sidebar-resizing",
    "sidebar-scrollbox",
    "sidebar-visible",
    "spacer",
    "spinner-wrapper",
    "sticky",
    "teaser",
    "theme",
    "theme-popup",
    "theme-selected",
    "tooltipped",
    "tooltiptext",
];

/// The decision about an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Stays,
    /// It gets this value.
    Becomes(String),
    Goes,
}

/// Whether an element is allowed.
pub(super) fn allows_element(name: &str) -> bool {
    ELEMENTS.binary_search(&name).is_ok()
}

/// Decides about an attribute of an allowed element. Names are compared in lower case.
pub(super) fn attribute_of(name: &str, value: &str, element: &str) -> Attribute {
    let name = name.to_ascii_lowercase();
    let own = OF_ELEMENTS.iter().find(|(of, _)| *of == element);
    let known = ATTRIBUTES.contains(&name.as_str())
        || own.is_some_and(|(_, own)| own.contains(&name.as_str()));
    let stays = match name.as_str() {
        _ if !known => false,
        "class" => return classes(value),
        "id" | "name" => allows_id(value),
        "href" => allows_link(value),
        "src" | "poster" => is_local(value, element),
        _ => true,
    };
    if stays {
        Attribute::Stays
    } else {
        Attribute::Goes
    }
}

fn classes(value: &str) -> Attribute {
    let all = value.split_ascii_whitespace();
    let kept: Vec<&str> = all.clone().filter(|class| allows_class(class)).collect();
    if kept.len() == all.count() {
        Attribute::Stays
    } else if kept.is_empty() {
        Attribute::Goes
    } else {
        Attribute::Becomes(kept.join(" "))
    }
}

/// Whether a class is not one of mdBook's.
pub(super) fn allows_class(class: &str) -> bool {
    CLASSES.binary_search(&class).is_err()
}

/// Whether an id is not one that mdBook's scripts use.
pub(super) fn allows_id(id: &str) -> bool {
    !["mdbook-", "fa-"].iter().any(|start| id.starts_with(start))
}

/// Whether a name is parsed in the same way by every parser.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:.@".contains(&b);
    !name.is_empty() && name.bytes().all(plain)
}

/// Whether a link target is allowed.
pub(super) fn allows_link(url: &str) -> bool {
    match scheme_of(&compact(url)) {
        None => true,
        Some(scheme) => SCHEMES.contains(&scheme),
    }
}

/// Whether a picture, a sound or a film is a file of the book, or embedded.
pub(super) fn is_local(url: &str, element: &str) -> bool {
    let url = compact(url).replace('\\', "/");
    match scheme_of(&url) {
        None => !url.starts_with("//"),
        Some("data") => {
            let picture = url.strip_prefix("data:image/").unwrap_or_default();
            let kind = picture.split([';', ',']).next().unwrap_or_default();
            matches!(element, "img" | "source" | "video") && PICTURES.contains(&kind)
        }
        Some(_) => false,
    }
}

/// The text before the first `:`, unless a path begins earlier.
fn scheme_of(url: &str) -> Option<&str> {
    let end = url.find([':', '/', '?', '#', '\\'])?;
    url[end..].starts_with(':').then(|| &url[..end])
}

/// The beginning of an address, as a browser reads it; long enough for a decision.
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

/// The name of a removed address, for messages.
pub(super) fn scheme(url: &str) -> String {
    let url = compact(url);
    let scheme = scheme_of(&url).unwrap_or_default();
    let scheme: String = scheme.chars().take(20).collect();
    format!("a `{scheme}:` link")
}

/// The name of a removed attribute, for messages; odd names are not repeated.
pub(super) fn attribute(name: &str, of: &str) -> String {
    if is_plain(name) {
        format!("`{}` of {of}", &name[..name.len().min(40)])
    } else {
        format!("an attribute of {of}")
    }
}

/// The name of an element, for messages.
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
    fn the_lists_stand_in_order() {
        assert!(ELEMENTS.is_sorted());
        assert!(CLASSES.is_sorted());
    }

    #[test]
    fn a_link_is_read_as_a_browser_reads_it() {
        for (url, expected) in [
            ("javascript:alert(1)", false),
            (" JaVa\tScRiPt\n:alert(1)", false),
            ("\u{1}java\u{0}script:alert(1)", false),
            ("vbscript:x", false),
            ("data:text/html,<script>", false),
            ("ms-msdt:/id PCWDiagnostic", false),
            ("file:///etc/passwd", false),
            ("ssh://-oProxyCommand=x", false),
            ("https://example.net/javascript:x", true),
            ("//example.net/x", true),
            ("mailto:a@example.net", true),
            ("javascript.md#x:y", true),
            ("#javascript:x", true),
            ("a/b:c", true),
        ] {
            assert_eq!(allows_link(url), expected, "{url:?}");
        }
    }

    #[test]
    fn a_picture_is_of_the_book() {
        for (url, element, expected) in [
            ("images/a.png", "img", true),
            ("/images/a.png", "img", true),
            ("data:image/png;base64,AA", "img", true),
            ("data:image/svg+xml,<svg>", "img", true),
            ("data:image/png;base64,AA", "audio", false),
            ("data:text/html,x", "img", false),
            ("https://example.net/a.png", "img", false),
            ("//example.net/a.png", "img", false),
            ("\\\\example.net\\a.png", "img", false),
            ("/\\example.net/a.png", "img", false),
            (" \t//example.net/a.png", "img", false),
            ("file:///a.png", "img", false),
            ("blob:x", "img", false),
        ] {
            assert_eq!(is_local(url, element), expected, "{url:?}");
        }
    }

    #[test]
    fn classes_of_the_frame_go_and_others_stay() {
        assert_eq!(classes("note warning"), Attribute::Stays);
        assert_eq!(classes("sidebar"), Attribute::Goes);
        let becomes = Attribute::Becomes("note".to_owned());
        assert_eq!(classes("note nav-chapters sticky"), becomes);
        assert_eq!(attribute_of("ID", "mdbook-sidebar", "p"), Attribute::Goes);
        assert_eq!(attribute_of("name", "x", "img"), Attribute::Goes);
        assert_eq!(attribute_of("name", "x", "a"), Attribute::Stays);
        assert_eq!(attribute_of("style", "color: red", "p"), Attribute::Goes);
    }
}
