//! Faults in what a manual reads: F35. Links and special files where pages, settings, pictures
//! and deliveries are looked for; a stranger's manual.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::project::Project;

const SECRET: &str = "outside-words-4711";

/// All text below a folder.
fn all_text(folder: &Path) -> String {
    let mut all = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all += &String::from_utf8_lossy(&fs::read(path).unwrap());
            }
        }
    }
    all
}

/// A project with one link out of it, and what its lint and build say.
fn linked(link: &str, to: &Path, page: &str, settings: &str) -> (Project, String) {
    let project = Project::new(page);
    if !settings.is_empty() {
        let settings = format!("[book]\nsrc = \"manual\"\n{settings}");
        project.write("book.toml", &settings);
    }
    let path = project.path(link);
    let _ = fs::remove_file(&path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(to, path).unwrap();
    let lint = project.opsbook(&["lint"]).said();
    let build = project.opsbook(&["build"]).said();
    let said = [lint.out, lint.err, build.out, build.err].concat();
    (project, said)
}

#[test]
fn f35_no_link_brings_a_file_from_outside_into_the_book_or_a_run() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file.md");
    let folder = outside.path().to_owned();
    fs::write(&file, format!("# {SECRET}\n")).unwrap();
    let deliver = |what: &str| {
        format!("```yaml procedure\nid: p\n```\n\n```yaml deliver\n- {{{what}}}\n```\n")
    };
    let cases: &[(&str, &PathBuf, &str, &str)] = &[
        ("manual/page.md", &file, "", ""),
        ("manual/SUMMARY.md", &file, "x", ""),
        ("manual/part.txt", &file, "{{#include part.txt}}", ""),
        ("manual/part", &folder, "{{#include part/file.md}}", ""),
        ("manual/x.png", &file, "![x](x.png)", ""),
        ("manual/x.txt", &file, "[x](x.txt)", ""),
        ("book.toml", &file, "x", ""),
        ("nodes.yaml", &file, "x", ""),
        ("checks/mine.sh", &file, "x", ""),
        ("theme/head.hbs", &file, "x", ""),
        ("theme", &folder, "x", ""),
        (
            "x.css",
            &file,
            "x",
            "[output.html]\nadditional-css = [\"x.css\"]\n",
        ),
        (
            "x.js",
            &file,
            "x",
            "[output.html]\nadditional-js = [\"x.js\"]\n",
        ),
        ("secret.txt", &file, &deliver("file: secret.txt"), ""),
        ("templates/t", &file, &deliver("template: t"), ""),
        ("tree/link", &file, &deliver("tree: tree"), ""),
        ("tree", &folder, &deliver("tree: tree"), ""),
    ];
    for (link, to, page, settings) in cases {
        let (project, said) = linked(link, to, page, settings);
        assert!(said.contains("outside"), "{link}\n{said}");
        assert!(!said.contains(SECRET), "{link}\n{said}");
        let book = all_text(&project.path("book"));
        assert!(!book.contains(SECRET), "{link}\n{said}");
        if page.contains("deliver") {
            let run = project.opsbook(&["run", "p", "here"]).said();
            assert_ne!(run.status, 0, "{link}\n{run:?}");
            let home = all_text(&project.path("home"));
            assert!(!home.contains(SECRET), "{link}");
        }
    }
}

#[test]
fn f35_a_folder_of_pages_that_leads_outside_is_an_error_that_names_both() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.md"), SECRET).unwrap();
    let project = Project::new("x");
    symlink(outside.path(), project.path("manual/more")).unwrap();
    project.write("manual/SUMMARY.md", "- [A](more/a.md)\n");
    let said = project.opsbook(&["lint"]).said();
    assert_eq!(said.status, 2);
    let expected = format!(
        "manual/SUMMARY.md:1:3: error: `more/a.md`: `manual/more` is a link to `{}`, outside the project",
        outside.path().display()
    );
    said.has(&expected);
}

#[test]
fn f35_a_link_within_the_project_is_followed_but_not_to_what_is_private() {
    let project = Project::new("x");
    project.write("shared/a.md", "# Shared words\n");
    project.write(".env", SECRET);
    project.write(".opsbook/x.md", SECRET);
    project.write(
        "manual/SUMMARY.md",
        "- [A](a.md)\n- [B](b.md)\n- [C](c.md)\n",
    );
    symlink("../shared/a.md", project.path("manual/a.md")).unwrap();
    symlink("../.env", project.path("manual/b.md")).unwrap();
    symlink("../.opsbook/x.md", project.path("manual/c.md")).unwrap();
    let said = project.opsbook(&["build"]).said();
    said.has("`b.md`: it leads to `.env`, which looks private");
    said.has("`c.md`: it leads to `.opsbook/x.md`, which looks private");
    let book = all_text(&project.path("book"));
    assert!(book.contains("Shared words"));
    assert!(!book.contains(SECRET));
}

#[test]
fn f35_what_is_no_file_is_an_error_and_never_waited_for() {
    for kind in ["fifo", "socket", "folder", "zero"] {
        for place in [
            "manual/page.md",
            "manual/SUMMARY.md",
            "book.toml",
            "checks/x.sh",
        ] {
            let project = Project::new("x");
            let path = project.path(place);
            let _ = fs::remove_file(&path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let socket = match kind {
                "fifo" => {
                    let mode = rustix::fs::Mode::RUSR;
                    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
                    None
                }
                "socket" => Some(UnixListener::bind(&path).unwrap()),
                "folder" => {
                    fs::create_dir(&path).unwrap();
                    None
                }
                _ => {
                    symlink("/dev/zero", &path).unwrap();
                    None
                }
            };
            let said = project.opsbook(&["-C", ".", "lint"]).said();
            assert_eq!(said.status, 2, "{kind} {place} {said:?}");
            let why = if kind == "zero" {
                "outside"
            } else {
                "not a regular file"
            };
            said.has(why);
            project.opsbook(&["-C", ".", "build"]).said();
            drop(socket);
        }
    }
}

#[test]
fn f35_build_says_which_commands_it_runs_and_untrusted_runs_none() {
    let project =
        Project::new("<b>bold</b> <script>alert(1)</script>\n\n![x](https://example.net/x.png)\n");
    let ran = project.path("ran");
    project.write(
        "book.toml",
        &format!(
            "[book]\ntitle = \"Theirs\"\nsrc = \"manual\"\n\
             [preprocessor.opsbook]\nallow-html = true\n\
             [preprocessor.evil]\ncommand = \"sh -c 'touch {}; exit 1'\"\n\
             [output.html]\nadditional-js = [\"x.js\"]\n",
            ran.display()
        ),
    );
    project.write("x.js", SECRET);
    project.write("theme/head.hbs", SECRET);
    project.write(".opsbook/results/x.jsonl", SECRET);
    let said = project.opsbook(&["build", "--untrusted"]).ends(0);
    assert!(!ran.exists());
    for left_out in ["preprocessor.evil", "allow-html", "additional-js"] {
        said.has(&format!(
            "`{left_out}` is not followed: the manual is not trusted"
        ));
    }
    let book = all_text(&project.path("book"));
    assert!(!book.contains(SECRET));
    let page = fs::read_to_string(project.path("book/page.html")).unwrap();
    assert!(page.contains("<b>bold</b>") && !page.contains("<script>alert"));
    assert!(page.contains("Content-Security-Policy"));

    let said = project.opsbook(&["build"]).said();
    assert!(ran.exists(), "{said:?}");
}

#[test]
fn f35_untrusted_reads_only_below_the_folder() {
    let project = Project::new("x");
    project.write(".git/HEAD", "ref: refs/heads/main\n");
    project.write("near.txt", "near-words");
    project.write("ops/book.toml", "[book]\nsrc = \"manual\"\n");
    project.write("ops/manual/SUMMARY.md", "- [Page](page.md)\n");
    project.write("ops/manual/page.md", "{{#include ../../near.txt}}\n");
    let said = project
        .opsbook(&["-C", "ops", "build", "--untrusted"])
        .said();
    said.has("outside the project");
    assert!(!all_text(&project.path("ops/book")).contains("near-words"));
    project.opsbook(&["-C", "ops", "build"]).ends(0);
    assert!(all_text(&project.path("ops/book")).contains("near-words"));
}

#[test]
fn f35_a_setting_that_would_run_in_a_page_is_an_error() {
    for (setting, value) in [
        ("git-repository-url", "javascript:alert(1)"),
        ("default-theme", "\\\\"),
        ("site-url", "/x\\\" onload=y"),
    ] {
        let project = Project::new("x");
        let settings =
            format!("[book]\nsrc = \"manual\"\n[output.html]\n{setting} = \"{value}\"\n");
        project.write("book.toml", &settings);
        project.opsbook(&["build"]).ends(2);
        assert!(!project.path("book").exists(), "{setting}");
    }
}

/// The limits of the process hold here for those that `--untrusted` sets: they take longer.
#[test]
fn f35_untrusted_ends_where_it_takes_too_much() {
    let heading = "## Heading\n\nSome *words* and `code`.\n\n";
    let page = (0..40_000).map(|i| heading.replace("Heading", &format!("Heading {i}")));
    let project = Project::new(&page.collect::<String>());
    let bounded = ["sh", "-c", "ulimit -t 1; exec \"$0\" \"$@\""];
    let said = project.through(&bounded, &["build", "--untrusted"]).said();
    assert_eq!(said.status, 2, "{said:?}");
    said.has("it took more than 10 minutes of work, or 4 GiB of memory");
    assert!(!project.path("book").exists());
    assert_eq!(fs::read_dir(project.path(".")).unwrap().count(), 4);
}

#[test]
fn f35_a_recorded_result_that_is_no_file_is_not_waited_for() {
    let project = Project::new("x");
    fs::create_dir_all(project.path(".opsbook/results")).unwrap();
    let path = project.path(".opsbook/results/x.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
    project.opsbook(&["build"]).ends(0);
}

#[test]
fn f35_a_step_in_a_footnote_stops_its_page_and_too_many_headings_stop_nothing() {
    let page = "# P\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntrue\n```\n";
    let footnote = "\nx[^1]\n\n[^1]: y\n\n    ```sh step\n    true\n    ```\n";
    let project = Project::new(&[page, footnote].concat());
    project.opsbook(&["run", "p", "here"]).ends(2);
    project.page(&[page, &"\n# A\n".repeat(1_200)].concat());
    project.opsbook(&["lint"]).ends(2);
    project.opsbook(&["run", "p", "here"]).ends(0);
    project.opsbook(&["build"]).ends(0);
    let html = fs::read_to_string(project.path("book/page.html")).unwrap();
    assert!(html.contains("<pre># P"), "{html}");
}

#[test]
fn f35_what_else_is_wrong_in_a_contract_whose_id_stands_twice_is_told() {
    let group = |id: &str, nodes: &str, kind: &str| {
        format!(
            "# G\n\n```yaml checks\nid: {id}\nnodes: \"{nodes}\"\n{kind}:\n  a: {{running: true}}\n```\n\n"
        )
    };
    let procedure = "# P\n\n```yaml procedure\nid: p\nnodes: \"@here\"\nneeds: [nosuch]\n```\n\n```sh step\nif\n```\n\n";
    let sound = "# P\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntrue\n```\n\n";
    let pages = [
        &group("g", "here", "service"),
        sound,
        &group("g", "@wbe", "servcie"),
        procedure,
    ];
    let project = Project::new(&pages.map(String::from).concat());
    let said = project.opsbook(&["lint"]).said();
    for told in [
        "`g` is defined twice",
        "`p` is defined twice",
        "unknown group `wbe`",
        "unknown group `here`",
        "unknown group of checks `nosuch`",
        "servcie",
        "shell-syntax",
    ] {
        if told == "shell-syntax" {
            assert!(
                said.out
                    .lines()
                    .any(|line| line.starts_with("manual/page.md:34")),
                "{said:?}"
            );
        } else {
            said.has(told);
        }
    }
}
