//! Parsing and errors of `file to=` blocks.

use std::path::Path;

use crate::files::Refused;
use crate::source::{Problem, Source, Span};
use crate::{How, Manual, On, PageSource, Settings, Work, parse};

fn page(blocks: &str) -> (Manual, String) {
    let text = format!("# P\n\n```yaml procedure\nid: p\n```\n\n{blocks}");
    let page = PageSource {
        path: "a.md".into(),
        title: None,
        source: Source::new("a.md", text),
    };
    let (manual, problems) = parse(Path::new(""), Settings::default(), vec![page], &|_| {
        Err(Refused::Missing)
    });
    let told = problems.iter().map(|problem: &Problem| {
        let place = problem.span.as_ref().map_or("", Span::text);
        format!("{} {place}: {}\n", problem.code, problem.message)
    });
    (manual, told.collect())
}

#[test]
fn where_and_how_it_goes_stands_on_the_fence() {
    let (manual, told) = page(
        "Put this there:\n\n```ini file to=/etc/a.conf mode=0640 owner=root:web sudo id=a timeout=1m\nport = {{ port }}\n```\n\n```diff file to=/etc/a.conf edit on=local\n-a\n+b\n```\n\n```text file to=/etc/b append mode=600 setup confirm\nx\n```\n",
    );
    assert_eq!(told, "");
    let steps = &manual.procedures["p"].steps;
    let places = steps.iter().map(|step| match &step.work {
        Work::Place(place) => (place.to.as_str(), place.mode, place.how),
        other => panic!("{other:?}"),
    });
    let places: Vec<_> = places.collect();
    assert_eq!(
        places,
        [
            ("/etc/a.conf", Some(0o640), How::Whole),
            ("/etc/a.conf", None, How::Edit),
            ("/etc/b", Some(0o600), How::Append)
        ]
    );
    assert_eq!(steps[0].title, "Put this there");
    assert_eq!(steps[0].sudo.as_ref().unwrap().0, "root");
    assert_eq!(steps[1].on, On::Local);
    assert!(steps[2].setup && steps[2].confirm);
}

#[test]
fn each_mistake_is_told_once() {
    let whole = |words: &str| format!("```ini file {words}\na\n```\n");
    for (blocks, told) in [
        (
            whole("to=etc/a mode=0644"),
            "bad-attribute etc/a: `to` must be an absolute path, not `etc/a`\n",
        ),
        (
            whole("to=/etc/../a mode=0644"),
            "bad-attribute /etc/../a: `/etc/../a` is not the path of a file: no `.`, no `..`, no `/` at its end\n",
        ),
        (
            whole("to=/etc/a/ mode=0644"),
            "bad-attribute /etc/a/: `/etc/a/` is not the path of a file: no `.`, no `..`, no `/` at its end\n",
        ),
        (
            whole("to=/etc/a"),
            "file-without-mode file: this file does not say who may read it\n",
        ),
        (
            whole("to=/etc/a mode=0644 as=a"),
            "misplaced-attribute a: a file has either `as`, its name in the bundle, or `to`, its path on the machine\n",
        ),
        (
            whole("as=a sudo"),
            "misplaced-attribute sudo: `sudo` needs a file with `to`\n",
        ),
        (
            whole("to=/etc/a mode=0644 owner=-R"),
            "bad-attribute -R: `-R` is not `USER` or `USER:GROUP`\n",
        ),
        (
            whole("to=/etc/a append edit"),
            "misplaced-attribute edit: `append` and `edit` exclude each other\nedit-malformed a: this line begins with none of `-`, `+`, a space and `@@`\n",
        ),
        (
            "```diff file to=/etc/a mode=0644\n-a\n+b\n```\n".to_owned(),
            "edit-malformed file: this `diff` would be delivered with its `+` and `-`\n",
        ),
        (
            "```diff file to=/etc/a edit\n+b\n```\n".to_owned(),
            "edit-malformed +b: the place of these lines is unknown\n",
        ),
        (
            format!("{0}\nAgain:\n\n{0}", whole("to=/etc/a mode=0644")),
            "file-placed-twice /etc/a: `/etc/a` is placed twice in this procedure\n",
        ),
        (
            format!("{}\n```text expect\na\n```\n", whole("to=/etc/a mode=0644")),
            "expect-of-nothing expect: a `file` has no output to compare\n",
        ),
    ] {
        assert_eq!(page(&blocks).1, told, "{blocks}");
    }
}
