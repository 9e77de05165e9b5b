//! The book: its contents, what is left out, and bad input.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use opsbook::book::{self, BookError, Built, Options};

/// A folder with a manual in it.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let project = Project(tempfile::tempdir().unwrap());
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    fn one_page(text: &str) -> Project {
        Project::new(&[
            ("book.toml", "[book]\nsrc = \"manual\"\n"),
            ("manual/SUMMARY.md", "- [Page](page.md)\n"),
            ("manual/page.md", text),
        ])
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn build(&self) -> Built {
        book::build(self.root(), None, &Options::default()).unwrap()
    }

    /// A page of the finished book.
    fn page(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join("book").join(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.root().join("book").join(path).exists()
    }
}

fn refusal(root: &Path, dest: Option<&Path>) -> String {
    match book::build(root, dest, &Options::default()) {
        Ok(built) => panic!("built into {}", built.destination.display()),
        Err(error) => error.to_string(),
    }
}

fn drawn(built: &Built) -> String {
    let problems: Vec<String> = built.problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

fn main_part(html: &str) -> &str {
    let (_, main) = html.split_once("<main>").unwrap();
    main.split_once("</main>").unwrap().0
}

/// The visible text, in one line.
fn seen(html: &str) -> String {
    let mut text = String::new();
    for part in main_part(html).split('<') {
        let (tag, rest) = part.split_once('>').unwrap_or(("", part));
        let apart = ["td", "th", "dt", "dd", "li", "p", "div"];
        if apart.contains(&tag.split(' ').next().unwrap()) {
            text.push(' ');
        }
        text.push_str(rest);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.strip_prefix(folder).unwrap().to_owned());
        }
    }
    found
}

const EVERY_ROLE: &str = r#"# All of it

## Checks first

```yaml checks
id: web
nodes: "@web"
service:
  nginx: {running: true, enabled: false}
file:
  /etc/nginx/tls/site.pem: {mode: "0600", contains: [BEGIN, END]}
```

```sh check id=web.port sudo timeout=5s eventually=60s/2s
echo 'a < b'
```
```text expect regex
^a < b$
```

## Deploy it

```yaml procedure
id: web.deploy
nodes: "@web"
needs: [web]
timeout: 10m
params:
  version: {required: true, pattern: '\d+', help: "what to <install>"}
  colour: {default: blue}
```

1. On your machine:
   ```sh step id=hidden on=local capture=made
   echo next
   ```
2. Bring it:

   ```yaml deliver
   - {file: "dist/shop-${version}.whl"}
   - {tree: dist, as: all, mode: "0755"}
   - {template: site.conf}
   ```

3. A file:

   > ```ini file as=shop.ini mode=0644
   > workers = {{ colour }}
   > ```

4. Run it:

   ~~~sh step sudo=shop confirm reboot setup exit=0,3
   echo "$version $colour $made"
   ~~~

   ```json expect
   {"a": 1}
   ```

   <!-- opsbook: check id=up always -->
   ```sh
   true
   ```

5. Look:

   ```text manual id=look
   Is it green?
   ```

```sh example
rm -rf /
```

```sh
untouched
```
"#;

fn every_role() -> Project {
    let project = Project::one_page(EVERY_ROLE);
    project.write("templates/site.conf", "x");
    project.write(
        "nodes.yaml",
        "opsbook: 1\ngroups: {web: {}}\nnodes: {a: {groups: [web]}}\n",
    );
    project
}

#[test]
fn the_manual_of_opsbook_itself_builds_without_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("book");
    // A book with packages is assembled first.
    let said = Command::new(env!("CARGO_BIN_EXE_opsbook"))
        .args(["build", "--strict", "--dest"])
        .arg(&dest)
        .env("OPSBOOK_DIR", env!("CARGO_MANIFEST_DIR"))
        .env("XDG_CACHE_HOME", folder.path())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{err}");
    assert!(!err.contains("warning") && !err.contains("error"), "{err}");
    let tour = std::fs::read_to_string(dest.join("tour.html")).unwrap();
    let text = seen(&tour);
    for expected in [
        "Procedure tour.release",
        "Step 1 tour.release/time on your own machine",
        "Step 3 tour.release/unpack on the node",
        "Must print of tour.release/unpack",
        "Check tour.release/live on the node after step 4",
        "opsbook run tour.release",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(main_part(&tour).contains("href=\"machine.html#machine\""));
}

#[test]
fn every_role_has_its_caption_and_its_anchor() {
    let project = every_role();
    let built = project.build();
    assert_eq!(drawn(&built), "");
    let page = project.page("page.html");
    let text = seen(&page);
    for expected in [
        "Checks web Must hold on @web Checked by script web.port",
        "Kind Resource Must be service nginx runningnot enabled",
        "mode 0600contains [BEGIN, END]",
        "opsbook test web::",
        "Check web.port on the node as root within 1 min, every 2 s at most 5 s echo 'a &lt; b'",
        "Must print a regular expression a line of web.port ^a &lt; b$",
        "Procedure web.deploy May run on @web Must hold first web",
        "Time limit 10 min for each step",
        "version what to &lt;install&gt; required \\d+ colour blue",
        "opsbook run web.deploy NODE --set version=VERSION",
        "Step 1 web.deploy/hidden on your own machine its output becomes $made echo next",
        "Step 2 web.deploy/2 copied into the bundle",
        "$bundle/shop-${version}.whl the file dist/shop-${version}.whl 0600",
        "$bundle/all the folder dist 0755 $bundle/site.conf the template site.conf 0600",
        "Step 3 web.deploy/3 copied into the bundle",
        "$bundle/shop.ini the text below 0644 workers = {{ colour }}",
        "Step 4 web.deploy/4 on the node as shop asks first restarts the node \
         runs again on resume may exit 0, 3",
        "Must print at least this JSON of web.deploy/4",
        "Check web.deploy/up on the node after step 4 and at all times true",
        "Step 5 web.deploy/look done by a person, who confirms it Is it green?",
        "Example shown, never run rm -rf /",
    ] {
        assert!(text.contains(expected), "{expected}\n\n{text}");
    }
    for id in [
        "web",
        "web.port",
        "web.deploy",
        "web.deploy/hidden",
        "web.deploy/2",
        "web.deploy/up",
        "web.deploy/look",
    ] {
        let anchor = format!(" id=\"{id}\"");
        assert_eq!(page.matches(&anchor).count(), 1, "{id}");
    }
}

#[test]
fn words_of_the_info_string_are_no_css_classes() {
    let project = every_role();
    project.build();
    let page = project.page("page.html");
    let classes = main_part(&page)
        .split("<code class=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    let classes: BTreeSet<&str> = classes.collect();
    let expected = [
        "language-ini",
        "language-json",
        "language-sh",
        "language-text",
        "language-yaml",
    ];
    assert_eq!(classes, BTreeSet::from(expected));
}

#[test]
fn a_tight_list_stays_tight_and_a_quote_stays_a_quote() {
    let project = every_role();
    project.build();
    let page = project.page("page.html");
    let quote = page.split("<blockquote>").nth(1).unwrap();
    let quote = quote.split("</blockquote>").next().unwrap();
    assert!(
        quote.contains("shop.ini") && quote.contains("workers"),
        "{quote}"
    );

    let tight = Project::one_page(
        "## P\n```yaml procedure\nid: p\n```\n- one\n  ```sh step\n  true\n  ```\n- two\n  ```sh step\n  true\n  ```\n",
    );
    tight.build();
    assert!(main_part(&tight.page("page.html")).contains("<li>one<!--"));
}

#[test]
fn the_book_needs_no_network_and_no_javascript() {
    let project = Project::new(&[
        (
            "book.toml",
            "[output.html]\nmathjax-support = true\n[output.html.playground]\neditable = true\n",
        ),
        ("src/SUMMARY.md", "- [Page](page.md)\n"),
        ("src/page.md", "# P\n\n```rust\nfn main() {}\n```\n"),
    ]);
    let built = project.build();
    assert_eq!(drawn(&built), "");
    let page = project.page("page.html");
    for loaded in page.split(['<']).filter(|tag| {
        ["script ", "link ", "img ", "iframe "]
            .iter()
            .any(|start| tag.starts_with(start))
    }) {
        assert!(!loaded.contains("//"), "{loaded}");
    }
    assert!(!page.contains("class=\"playground\""), "{page}");
    assert!(project.has("opsbook/opsbook.css"));
}

#[test]
fn formulas_are_mathml_where_the_author_asks_for_them() {
    let page = "# P\n\n## Lag of $x$\n\n$PATH and $\\frac{a}{b_1}$, `$x$`.\n\n!!! note\n\n    $$\n    \\sqrt{c}\n    $$\n\n\
                ```math\nd^2\n```\n\n$\\foo *e*$ \u{fdd1}\n\n```sh\necho $x$ $$\n```\n";
    let project = Project::new(&[
        (
            "mkdocs.yml",
            "nav:\n  - p.md\nmarkdown_extensions:\n  - pymdownx.arithmatex\n",
        ),
        ("docs/p.md", page),
    ]);
    let said = drawn(&project.build());
    assert!(
        said.starts_with(
            "docs/p.md:17:1: warning: this formula cannot be read: unknown command `\\foo`"
        ),
        "{said}"
    );
    let html = main_part(&project.page("docs/p.html")).to_owned();
    for part in [
        "Lag of $x$</a></h2>",
        "<p>$PATH and <math><semantics><mfrac><mi>a</mi><msub><mi>b</mi><mn>1</mn></msub></mfrac>",
        "<annotation encoding=\"application/x-tex\">\\frac{a}{b_1}</annotation></semantics></math>, <code>$x$</code>.</p>",
        "<span class=\"ops-formula\"><math display=\"block\"><semantics><msqrt><mi>c</mi></msqrt>",
        "<span class=\"ops-formula\"><math display=\"block\"><semantics><msup><mi>d</mi><mn>2</mn></msup>",
        "<p><code>$\\foo *e*$</code> \u{fdd1}</p>",
        "echo $x$ $$\n",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    let texts = project.page("opsbook/search/d0.js");
    assert!(
        texts.contains("$PATH and \\\\frac{a}{b_1} , $x$"),
        "{texts}"
    );

    // Our own mark within a page shows no formula, and breaks nothing.
    let forged = "# P\n\n<b title=\"\u{fdd0}0\u{fdd1}\">x</b> $y$\n";
    let project = Project::new(&[("p.md", &format!("---\nmath: true\n---\n{forged}"))]);
    project.build();
    let html = project.page("p.html");
    assert!(
        html.contains("x</b> $y$") && !html.contains("<math"),
        "{html}"
    );
}

#[test]
fn pages_of_other_site_generators_are_a_book_without_writing_into_their_folder() {
    let project = Project::new(&[
        (
            "docs/_index.md",
            "---\ntitle: Operations\nweight: 1\n---\n\nStart [here](guide/disk/).\n",
        ),
        (
            "docs/guide/disk.md",
            "---\ntitle: Disks\n---\n\n## Replace\n\nText.\n",
        ),
        ("docs/guide/deep/net.md", "# Net\n"),
    ]);
    let before = tree(project.root());
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("book");
    let built = book::build(project.root(), Some(&dest), &Options::default()).unwrap();
    assert_eq!(tree(project.root()), before);
    assert_eq!(built.pages, 3, "{}", drawn(&built));
    let html: Vec<String> = tree(&dest)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "html"))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let disk = html
        .iter()
        .find(|path| path.ends_with("guide/disk.html"))
        .unwrap();
    let text = seen(&std::fs::read_to_string(dest.join(disk)).unwrap());
    assert_eq!(text, "Disks Replace Text.");
    assert_eq!(drawn(&built), "");
    let toc = std::fs::read_to_string(dest.join("toc.html")).unwrap();
    for title in ["Operations<", "1.</strong> guide<", "Disks<", "Net<"] {
        assert!(toc.contains(title), "{title}: {toc}");
    }
    let index = std::fs::read_to_string(dest.join("index.html")).unwrap();
    assert!(index.contains("url=docs/index.html"), "{index}");
}

#[test]
fn a_folder_without_a_page_is_no_book() {
    let project = Project::new(&[("notes.txt", "x")]);
    let refused = refusal(project.root(), None);
    assert!(
        refused.starts_with("cannot load the book in `"),
        "{refused}"
    );
    assert!(!project.root().join("book").exists());
}

#[test]
fn a_chapter_outside_the_folder_is_no_part_of_the_book() {
    let project = Project::one_page("# P\n");
    project.write("secret.md", "# Secret\n");
    project.write(
        "manual/SUMMARY.md",
        "- [Page](page.md)\n- [Out](../secret.md)\n- [Far](/etc/hostname)\n",
    );
    let built = project.build();
    assert_eq!(built.pages, 1);
    for outside in ["`../secret.md`", "`/etc/hostname`"] {
        let problem = format!("{outside} is outside the folder of `SUMMARY.md`");
        assert!(drawn(&built).contains(&problem), "{}", drawn(&built));
    }
    let found = tree(project.root());
    let html = found.iter().filter(|path| path.ends_with("secret.html"));
    assert_eq!(html.count(), 0);
    project.write("manual/SUMMARY.md", "- [Out](../secret.md)\n");
    let refused = refusal(project.root(), None);
    assert!(refused.contains("`../secret.md` is outside"), "{refused}");
}

#[test]
fn a_setting_that_mdbook_would_drop_is_an_error_with_its_place() {
    let project = Project::one_page("# P\n");
    project.write(
        "book.toml",
        "[book]\nsrc = \"manual\"\n\n[output.html]\ncurly-quotes = true\n",
    );
    assert_eq!(
        refusal(project.root(), None).lines().collect::<Vec<_>>()[1..],
        [
            "  |",
            "5 | curly-quotes = true",
            "  | ^^^^^^^^^^^^",
            "",
            "hint: write `smart-punctuation` instead"
        ]
    );
    assert!(!project.has("index.html"));
}

#[test]
fn a_preprocessor_that_is_not_installed_is_named_and_the_book_is_made_without_it() {
    let project = Project::one_page("# Page\n\nText.\n");
    let settings =
        "[book]\nsrc = \"manual\"\n\n[preprocessor.mermaid]\ncommand = \"no-such-mermaid\"\n";
    project.write("book.toml", settings);
    let built = project.build();
    assert!(project.page("page.html").contains("Text."));
    assert_eq!(
        drawn(&built),
        "book.toml:4:2: error: the book is built without the preprocessor `mermaid`: there is no command `no-such-mermaid`\n  \
         |\n4 | [preprocessor.mermaid]\n  |  ^^^^^^^^^^^^^^^^^^^^\n\n\
         hint: install it, or write `optional = true` under it"
    );
    project.write("book.toml", &format!("{settings}optional = true\n"));
    let said = drawn(&project.build());
    assert!(said.starts_with("warning: "), "{said}");
}

#[test]
fn a_build_never_deletes_what_is_not_a_book() {
    let project = Project::one_page("# P\n");
    project.write("notes/mine.txt", "x");
    let before = tree(project.root());
    for dest in ["", "manual", "..", "notes"] {
        let dest = project.root().join(dest);
        let refused = refusal(project.root(), Some(&dest));
        assert!(refused.starts_with("cannot build into `"), "{refused}");
    }
    project.write(
        "book.toml",
        "[book]\nsrc = \"manual\"\n[build]\nbuild-dir = \".\"\n",
    );
    let refused = refusal(project.root(), None);
    assert!(
        refused.ends_with("that would delete the manual itself"),
        "{refused}"
    );
    assert_eq!(tree(project.root()), before);
}

#[test]
fn a_build_that_fails_leaves_the_old_book() {
    let project = Project::one_page("# First\n");
    project.build();
    project.write("manual/page.md", "# Second\n\n[x](nowhere.md)\n");
    let strict = Options {
        strict: true,
        ..Options::default()
    };
    let built = book::build(project.root(), None, &strict).unwrap();
    assert!(!built.published);
    assert!(project.page("page.html").contains("First"));
    project.write(
        "book.toml",
        "[book]\nsrc = \"manual\"\n[preprocessor.x]\ncommand = \"sh -c '[ $# = 2 ]' sh\"\n",
    );
    let failed = book::build(project.root(), None, &Options::default());
    assert!(matches!(failed, Err(BookError::Render(_))), "{failed:?}");
    assert!(project.page("page.html").contains("First"));
    let left: Vec<PathBuf> = tree(project.root())
        .into_iter()
        .filter(|path| path.to_string_lossy().starts_with(".opsbook-book"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn only_files_that_a_page_names_are_published_and_none_that_looks_private() {
    let project = Project::one_page(
        "# P\n\n![rack](img/rack.png) [compose](compose.yml) [key](site.key) [env](.env)\n",
    );
    for file in [
        "img/rack.png",
        "compose.yml",
        "site.key",
        ".env",
        ".secret",
        "nodes.yaml",
        "draft.txt",
    ] {
        project.write(&format!("manual/{file}"), "x");
    }
    let built = project.build();
    let published: Vec<&str> = [
        "img/rack.png",
        "compose.yml",
        "site.key",
        ".env",
        ".secret",
        "nodes.yaml",
        "draft.txt",
    ]
    .into_iter()
    .filter(|file| project.has(file))
    .collect();
    assert_eq!(published, ["img/rack.png", "compose.yml"]);
    let problems = drawn(&built);
    for withheld in ["`.env`", "`site.key`"] {
        assert!(problems.contains(withheld), "{problems}");
    }
}

#[test]
fn links_that_lead_nowhere_are_found_with_their_place() {
    let project = Project::new(&[
        ("book.toml", ""),
        ("src/SUMMARY.md", "- [A](a.md)\n- [B](sub/README.md)\n"),
        (
            "src/a.md",
            "# A\n\n[ok](sub/README.md#b) [page](gone.md)\n[anchor](sub/README.md#none)\n<a href=\"gone.html\">x</a>\n",
        ),
        (
            "src/sub/README.md",
            "# B\n\n[back](../a.md#a) [out](../../x.md) [root](/x.html) [web](https://example.net)\n",
        ),
    ]);
    let built = project.build();
    let book: Vec<String> = built
        .problems
        .iter()
        .filter(|problem| problem.code == "broken-link" || problem.code == "broken-anchor")
        .map(|problem| problem.to_string().lines().next().unwrap().to_owned())
        .collect();
    assert!(
        book.iter().any(|p| p.starts_with("src/a.md:3:30: ")),
        "{book:#?}"
    );
    assert!(
        book.iter().any(|p| p.starts_with("src/a.md:4:10: ")),
        "{book:#?}"
    );
    assert!(
        book.iter().any(|p| p.contains("leads out of the book")),
        "{book:#?}"
    );
    assert!(
        book.iter().any(|p| p.contains("root of a server")),
        "{book:#?}"
    );
    assert!(!book.iter().any(|p| p.contains("example.net")), "{book:#?}");
}

#[test]
fn a_group_with_dots_in_its_name_is_found_by_its_checks() {
    let page = |group: &str| {
        format!(
            "# P\n\n```yaml checks\nid: {group}\nnodes: '@x'\n```\n\n```sh check id={group}.c\ntrue\n```\n"
        )
    };
    let book = "[preprocessor.opsbook]\ntest-nodes = \"here\"\n";
    let project = Project::new(&[
        ("book.toml", book),
        (
            "nodes.yaml",
            "opsbook: 1\ngroups: {x: {}}\nnodes: {here: {transport: local, groups: [x]}}\n",
        ),
        ("src/SUMMARY.md", "- [A](a.md)\n- [B](b.md)\n- [C](c.md)\n"),
        ("src/a.md", &page("web")),
        ("src/b.md", &page("web.node")),
        ("src/c.md", &page("node.web")),
    ]);
    assert_eq!(drawn(&project.build()), "");
    for (file, group) in [("a", "web"), ("b", "web.node"), ("c", "node.web")] {
        let html = project.page(&format!("{file}.html"));
        let link = format!("<a href=\"#{group}.c\">");
        assert!(html.contains(&link), "{group}: {html}");
        let command = format!("opsbook test --nodes @x {group}::");
        assert!(html.contains(&command), "{group}: {html}");
    }
}

#[test]
fn an_include_that_fails_is_a_problem_and_a_chapter_without_a_file_is_a_draft() {
    let project = Project::one_page("# P\n\n{{#include gone.md}}\n");
    project.write(
        "manual/SUMMARY.md",
        "- [Page](page.md)\n- [Gone](none.md)\n",
    );
    let built = project.build();
    let problems = drawn(&built);
    assert!(
        problems.contains("manual/page.md:3:1: error: cannot include `manual/gone.md`"),
        "{problems}"
    );
    assert!(problems.contains("none.md"), "{problems}");
    assert_eq!(built.pages, 1);
    assert!(!project.root().join("manual/none.md").exists());
}

#[test]
fn plain_mdbook_gets_the_same_marks() {
    let project = every_role();
    project.build();
    let config = serde_json::json!({"book": {"src": "manual"}});
    let chapter = serde_json::json!({"Chapter": {
        "name": "Page", "content": EVERY_ROLE, "number": [1], "sub_items": [],
        "path": "page.md", "source_path": "page.md", "parent_names": []
    }});
    let context = serde_json::json!({
        "root": project.root(), "config": config, "renderer": "html", "mdbook_version": "0.5.4"
    });
    let input = serde_json::json!([context, {"items": [chapter]}]).to_string();
    let mut output = Vec::new();
    book::preprocess(input.as_bytes(), &mut output).unwrap();
    let output: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let content = output["items"][0]["Chapter"]["content"].as_str().unwrap();
    let built = project.page("page.html");
    for line in content
        .lines()
        .filter(|line| line.contains("<p class=\"ops-caption\">"))
    {
        let (_, caption) = line.split_once("<p class=\"ops-caption\">").unwrap();
        let caption = caption.split("</p>").next().unwrap();
        assert!(built.contains(caption), "{caption}");
    }
    assert!(book::supports("html") && !book::supports("epub"));
}

#[test]
fn plain_mdbook_builds_the_same_pages() {
    let project = every_role();
    let settings = format!(
        "[book]\nsrc = \"manual\"\n[output.html.playground]\nrunnable = false\n\
         [preprocessor.opsbook]\ncommand = \"{} preprocess\"\n\
         after = [\"links\"]\nbefore = [\"index\"]\n",
        env!("CARGO_BIN_EXE_opsbook")
    );
    project.write("book.toml", &settings);
    let built = project.build();
    assert_eq!(drawn(&built), "");
    let ours = project.page("page.html");
    std::fs::remove_dir_all(&built.destination).unwrap();
    let plain = mdbook_driver::MDBook::load(project.root()).unwrap();
    plain.build().unwrap();
    let theirs = project.page("page.html");
    let (page, style) = main_part(&theirs).split_once("<style>").unwrap();
    assert!(style.contains(".ops-caption"));
    assert_eq!(page.trim_end(), main_part(&ours).trim_end());
}

#[test]
fn plain_mdbook_shows_the_pictures_of_packages() {
    let settings = format!(
        "[book]\nsrc = \"manual\"\n[preprocessor.opsbook]\ncommand = \"{} preprocess\"\n",
        env!("CARGO_BIN_EXE_opsbook")
    );
    let project = Project::new(&[
        ("book.toml", &settings),
        (
            "manual/SUMMARY.md",
            "- [Own](own.md)\n- [The shop]() <!-- package:shop -->\n",
        ),
        ("manual/own.md", "# Own\n\n![own](own.png)\n"),
        ("manual/own.png", "own"),
        ("opsbook.toml", "[packages]\nshop = {path = \"shop\"}\n"),
        (
            "shop/opsbook.toml",
            "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nowners = [\"ops@example.net\"]\n",
        ),
        ("shop/book.toml", "[book]\nsrc = \"manual\"\n"),
        ("shop/manual/SUMMARY.md", "- [Shop](shop.md)\n"),
        (
            "shop/manual/shop.md",
            "# Shop\n\n![map](map.png) and [rules](rules.yml)\n",
        ),
        ("shop/manual/map.png", "map"),
        ("shop/manual/rules.yml", "a: 1\n"),
    ]);
    let plain = mdbook_driver::MDBook::load(project.root()).unwrap();
    plain.build().unwrap();
    let page = project.page("packages/shop/manual/shop.html");
    assert!(
        page.contains("<img src=\"data:image/png;base64,bWFw\" alt=\"map\""),
        "{page}"
    );
    assert!(project.page("own.html").contains("<img src=\"own.png\""));

    let input = serde_json::json!([
        {"root": project.root(), "config": {"book": {"src": "manual"}}, "renderer": "html", "mdbook_version": "0.5.4"},
        {"items": []}
    ]);
    let problems = book::preprocess(input.to_string().as_bytes(), std::io::sink()).unwrap();
    let problem = problems
        .iter()
        .find(|problem| problem.code == "package-files")
        .unwrap();
    assert!(
        problem
            .message
            .ends_with("packages/shop/manual/rules.yml`, a file of a package"),
        "{problem}"
    );
}

#[test]
fn marks_are_found_again_where_another_preprocessor_changed_the_page() {
    let project = every_role();
    let changed = EVERY_ROLE.replace(
        "## Deploy it",
        "Inserted.\n\n```sh\nother\n```\n\n## Deploy it",
    );
    let chapter = serde_json::json!({"Chapter": {
        "name": "Page", "content": changed, "number": [1], "sub_items": [],
        "path": "page.md", "source_path": "page.md", "parent_names": []
    }});
    let context = serde_json::json!({
        "root": project.root(), "config": {"book": {"src": "manual"}},
        "renderer": "html", "mdbook_version": "0.5.4"
    });
    let input = serde_json::json!([context, {"items": [chapter]}]).to_string();
    let mut output = Vec::new();
    book::preprocess(input.as_bytes(), &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    assert_eq!(
        output.matches(r#"class=\"ops-caption\""#).count(),
        EVERY_ROLE_BLOCKS
    );
}

/// Tagged blocks in [`EVERY_ROLE`].
const EVERY_ROLE_BLOCKS: usize = 12;

const CHECKED: &str = "# Page\n\n```sh check id=g.a\ntrue\n```\n\n```sh check id=g.b\ntrue\n```\n\n```yaml checks\nid: h\nfile:\n  /etc/hosts: {exists: true}\n  /etc/passwd: {exists: true}\n```\n";

#[test]
fn without_a_record_nothing_is_said_of_results() {
    let project = Project::one_page(CHECKED);
    let without = |project: &Project| {
        assert_eq!(project.build().pages, 1);
        assert!(!project.has("opsbook-state.html"));
        let page = seen(&project.page("page.html"));
        assert!(
            !page.contains("record") && !page.contains("passed"),
            "{page}"
        );
    };
    without(&project);
    // An unreadable record is ignored.
    project.write(".opsbook/results/20260102-091404-0001.jsonl", "{\"v\":1,");
    without(&project);
}
