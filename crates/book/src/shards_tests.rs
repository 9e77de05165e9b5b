use std::collections::BTreeMap;

use mdbook_driver::MDBook;
use mdbook_driver::config::Config;
use mdbook_markdown::MarkdownOptions;

use super::*;
use crate::print::{self, Ids};
use crate::{frames, render};

const SETTINGS: &str = r#"
    [book]
    title = "Much & more"
    [output.html]
    edit-url-template = "x/{path}"
    [output.html.fold]
    enable = true
    [output.html.redirect]
    "/old.html" = "a/0.html"
    "/a/1.html#gone" = "0.html#words"
    [output.html.search.chapter]
    "a/3.md" = { enable = false }
"#;

/// 130 pages with everything that could differ between parts and a whole.
fn write(root: &Path) {
    let mut summary = "# Summary\n\n[Start](README.md)\n\n# First & <part>\n\n".to_owned();
    std::fs::create_dir_all(root.join("src/a")).unwrap();
    for n in 0..130 {
        let depth = if n % 10 == 0 {
            0
        } else {
            1 + usize::from(n % 3 == 0 && n % 10 > 1)
        };
        let indent = "  ".repeat(depth);
        summary.extend([format!("{indent}- [It's `{n}` \\\\ <b>](a/{n}.md)\n")]);
        let title = if n % 7 == 0 {
            "## Only a section"
        } else {
            "# Same title"
        };
        let text = format!(
            "{title}\n\nWords d{n} of e{n} page's \\\\ \"{n}\", [next]({}.md#words) [top](../README.md) \
             [away](https://example.net/#a) [file](x.png) ![p](../p.png)\n\n## Words\n\n<p id=\"p\">\
             the the the</p>\n\n## Words\n\n- a\n\n```sh\nls é | grep \"x>y\"\n```\n",
            n + 1
        );
        std::fs::write(root.join(format!("src/a/{n}.md")), text).unwrap();
    }
    summary += "\n---\n\n- [Not written]()\n\n[End](end.md)\n";
    std::fs::write(root.join("src/README.md"), "# Start\n\n[a](a/5.md)\n").unwrap();
    std::fs::write(root.join("src/end.md"), "plain text first\n").unwrap();
    std::fs::write(root.join("src/SUMMARY.md"), summary).unwrap();
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn compare(settings: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root);
    let mut config: Config = settings.parse().unwrap();
    let driver = MDBook::load_with_config(root, config.clone()).unwrap();
    let (book, _) = driver.preprocess_book(&HtmlHandlebars::new()).unwrap();
    render::take_search(&mut config, &book).unwrap();
    let empty = root.join("room");
    std::fs::create_dir(&empty).unwrap();
    let stock = RenderContext::new(root, book, config, root.join("stock"));
    let own = crate::files::Files::of(&stock.root);
    let days = render::Days::default();
    let (trust, scripts) = (render::Trust::Theme, render::Scripts::None);
    let stock = render::confined(stock, &empty, &own, trust, scripts, days).unwrap();
    let mut parts = stock.clone();
    parts.destination = root.join("parts");
    HtmlHandlebars::new().render(&stock).unwrap();
    let html: HtmlConfig = parts.config.get("output.html").unwrap().unwrap_or_default();
    let chapters: Vec<Chapter> = parts.book.chapters().cloned().collect();
    assert!(frames::possible(&empty.join(render::THEME)));
    let frames = frames::render(&parts, &chapters, None, |_| Ok(())).unwrap();
    let mut places = print::Places::default();
    let learn =
        |words: &mut Words<'_>| Ids::of(&words.chapter.name, &html_of(words.chapter), &words.html);
    super::render(&parts, &frames, &chapters, &Chapter::clone, &learn, |ids| {
        places.add(ids);
        Ok(())
    })
    .unwrap();
    if html.print.enable {
        places.fill(&parts.destination).unwrap();
    }

    let (stock, parts) = (files(&root.join("stock")), files(&root.join("parts")));
    assert!(stock.len() > 130);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    for (name, content) in &stock {
        let Some(other) = parts.get(name) else {
            panic!("no {} in {:?}", name.display(), names(&parts));
        };
        if content != other {
            let at = content
                .iter()
                .zip(other)
                .take_while(|(a, b)| a == b)
                .count();
            let near = |text: &[u8]| {
                let end = (at + 120).min(text.len());
                String::from_utf8_lossy(&text[at.saturating_sub(120)..end]).into_owned()
            };
            panic!(
                "{} differs at {at}:\n{}\n\n{}",
                name.display(),
                near(content),
                near(other)
            );
        }
    }
    assert_eq!(names(&stock), names(&parts));
}

#[test]
fn a_book_in_parts_is_the_same_book() {
    compare(SETTINGS);
}

#[test]
fn a_book_in_parts_is_the_same_book_without_hashes_search_and_print() {
    let plain = "[output.html]\nhash-files = false\nno-section-label = true\n";
    compare(&format!("{plain}[output.html.print]\nenable = false\n"));
    compare(&format!("{plain}[output.html.search]\nenable = false\n"));
}

#[test]
fn a_setting_about_a_chapter_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let settings = "[output.html.search.chapter]\n\"b\" = { enable = false }\n";
    let mut config: Config = settings.parse().unwrap();
    let driver = MDBook::load_with_config(folder.path(), config.clone()).unwrap();
    let taken = render::take_search(&mut config, &driver.book);
    let error = taken.unwrap_err().to_string();
    assert!(error.contains("key `b` does not match"), "{error}");
}

#[test]
fn a_long_generated_chapter_is_rendered_in_pieces() {
    let rows = (0..20_000).map(|n| format!("<tr><td id=\"r{n}\">row {n}</td></tr>"));
    let content = format!("# All of them\n\n{}", crate::html::table(&["Row"], rows));
    let (content, _) = crate::sanitise::sanitised(content, &MarkdownOptions::default());
    let made = crate::refer::generated("All", content.clone(), "opsbook-checks.md");
    let written = Chapter::new("All", content.clone(), "page.md", Vec::new());
    assert_eq!(in_pieces(written).len(), 1);

    let pieces = in_pieces(made);
    assert!(pieces.len() > 5, "{}", pieces.len());
    let longest = pieces.iter().map(|piece| piece.content.len()).max();
    assert!(longest.unwrap() < 2 * PIECE);
    let whole: String = pieces.iter().map(|piece| piece.content.as_str()).collect();
    assert_eq!(whole, content);
    let places: BTreeSet<PathBuf> = pieces.iter().map(html_of).collect();
    assert_eq!(places.len(), pieces.len());
}

#[test]
fn only_a_few_bytes_are_rendered_at_once() {
    let piece = |(at, bytes): (usize, usize)| {
        (at, Chapter::new("A", "x".repeat(bytes), "a.md", Vec::new()))
    };
    let sizes = [
        (0, 10),
        (0, PIECE - 10),
        (1, 1),
        (1, PIECE + 1),
        (2, 5),
        (2, 0),
    ];
    let mut batches = Vec::new();
    let rendered = for_each_batch(sizes.into_iter().map(piece), |batch| {
        let of = batch.iter().map(|(at, own)| (*at, own.content.len()));
        batches.push(of.collect::<Vec<_>>());
        Ok(())
    });
    rendered.unwrap();
    assert_eq!(
        batches,
        [
            vec![(0, 10), (0, PIECE - 10)],
            vec![(1, 1)],
            vec![(1, PIECE + 1)],
            vec![(2, 5), (2, 0)],
        ]
    );
}
