//! F35: pages that were made to take long. Each is linted and built at two sizes, beside a
//! plain page of the same size in the same run: time of the processor, memory and what is said
//! stay within a few times of it.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::project::Project;

/// Bytes of a page: what takes the square of its size takes sixteen times as long.
const SIZES: [usize; 2] = [10_000, 40_000];
/// Beside plain text, every page of marks is slow: each byte is an element of the page.
const TIMES: f64 = 8.0;
/// What starting a process may differ by on a busy machine, in seconds.
const SLACK: f64 = 0.6;
/// Megabytes.
const MEMORY: f64 = 100.0;
const SAID: usize = 400_000;

type Shape = (&'static str, fn(usize) -> String);

fn each(n: usize, unit: usize, line: impl Fn(usize) -> String) -> String {
    (0..n / unit).map(line).collect()
}

fn root(n: usize) -> usize {
    n.isqrt()
}

/// Within a step of a procedure.
fn step(body: &str) -> String {
    format!("```yaml procedure\nid: p\n```\n\n```sh step id=a\n{body}\n```\n")
}

fn plain(n: usize) -> String {
    each(n, 55, |i| {
        format!("## Heading {i}\n\nSome plain words on line {i}, and `code`.\n\n")
    })
}

const SHAPES: &[Shape] = &[
    ("nested images", |n| {
        "![".repeat(n / 6) + "x" + &"](x)".repeat(n / 6)
    }),
    ("nested images from elsewhere", |n| {
        "![".repeat(n / 12) + "x" + &"](http://a)".repeat(n / 12)
    }),
    ("open images", |n| "![".repeat(n / 2) + "](x)"),
    ("nested links", |n| {
        "[a".repeat(n / 6) + "x" + &"](x)".repeat(n / 6)
    }),
    ("open brackets", |n| "[".repeat(n)),
    ("equal headings", |n| "# a\n\n".repeat(n / 5)),
    ("equal terms", |n| "a\n: b\n\n".repeat(n / 7)),
    ("long heading", |n| "# ".to_owned() + &"a".repeat(n)),
    ("classes of a heading", |n| {
        format!("# a {{{}}}\n", " .b".repeat(n / 3))
    }),
    ("braces of a heading", |n| {
        format!("# a {{{}}}\n", "{ ".repeat(n / 2))
    }),
    ("an attribute again and again", |n| {
        format!("<a{}>", " b".repeat(n / 2))
    }),
    ("many attributes", |n| {
        format!("<a {}>", each(n, 7, |i| format!(" b{i}")))
    }),
    ("many tags of many attributes", |n| {
        let tag = format!("<a {}>", each(900 * 5, 5, |i| format!(" b{i}")));
        tag.repeat(n.div_ceil(tag.len()))
    }),
    ("open comments", |n| "<!--".repeat(n / 4)),
    ("open comments in blocks", |n| "<!--\n\n".repeat(n / 6)),
    ("open tags", |n| "<a href=\"".repeat(n / 9)),
    ("tags in blocks", |n| "<div>".repeat(n / 5)),
    ("tags in lines", |n| "a".to_owned() + &"<b>".repeat(n / 3)),
    ("angle brackets", |n| "<".repeat(n)),
    ("processing instructions", |n| "<?".repeat(n / 2)),
    ("sections of data", |n| "a<![CDATA[".repeat(n / 10)),
    ("declarations", |n| "a<!A ".repeat(n / 5)),
    ("scripts", |n| "<b onclick=x>\n\n".repeat(n / 15)),
    ("links that run", |n| "[a](javascript:x)\n".repeat(n / 18)),
    ("deep lists", |n| {
        (0..root(n)).map(|i| "  ".repeat(i) + "- a\n").collect()
    }),
    ("deep lists on one line", |n| "-\t".repeat(n / 2) + "a"),
    ("deep quotes", |n| ">".repeat(n) + "a"),
    ("emphasis", |n| "*a ".repeat(n / 3)),
    ("emphasis of two kinds", |n| "**a *b ".repeat(n / 7)),
    ("stars", |n| "*".repeat(n)),
    ("strokes", |n| "~~a ".repeat(n / 4)),
    ("columns", |n| {
        let row = |cell: &str| cell.repeat(n / 6) + "|\n";
        row("|a") + &row("|-") + &row("|b")
    }),
    ("rows", |n| {
        "|a|b|\n|-|-|\n".to_owned() + &"|c|d|\n".repeat(n / 6)
    }),
    ("missing cells", |n| {
        let row = |cell: &str| cell.repeat(root(n)) + "|\n";
        row("|a") + &row("|-") + &"|b|\n".repeat(n / 4)
    }),
    ("references of a footnote", |n| {
        "[^a] ".repeat(n / 5) + "\n\n[^a]: x\n"
    }),
    ("footnotes", |n| {
        each(n, 22, |i| format!("x[^{i}]\n\n[^{i}]: y\n\n"))
    }),
    ("definitions", |n| {
        each(n, 12, |i| format!("[a{i}]: b\n")) + "\n[a1]"
    }),
    ("references of a long definition", |n| {
        format!("[a]: {}\n\n{}", "b".repeat(n / 2), "[a] ".repeat(n / 8))
    }),
    ("a long line", |n| "word ".repeat(n / 5)),
    ("a long word", |n| "a".repeat(n)),
    ("many words", |n| each(n, 9, |i| format!("w{i}xyz "))),
    ("broken links on a line", |n| {
        each(n, 16, |i| format!("[a](pag{i}.md) "))
    }),
    ("broken anchors", |n| {
        each(n, 24, |i| format!("# h{i}\n\n[a](#x{i})\n\n"))
    }),
    ("regular expressions", |n| {
        let regexes = "(a{1,50}){1,20}\n".repeat(n / 16);
        step("echo") + &format!("\n```text expect regex\n{regexes}```\n")
    }),
    ("open braces", |n| "{{".repeat(n / 2)),
    ("open includes", |n| "{{#include ".repeat(n / 11)),
    ("missing includes", |n| {
        "{{#include gone.md}} ".repeat(n / 21)
    }),
    ("hidden characters", |n| {
        format!("```sh example\n{}\n```\n", "\u{200b}".repeat(n / 3))
    }),
    ("unclosed fences", |n| "- ```\n".repeat(n / 6)),
    ("unknown roles", |n| "```sh stpe\n```\n".repeat(n / 15)),
    ("runs of backticks", |n| {
        (1..root(2 * n)).map(|i| "`".repeat(i) + " ").collect()
    }),
    ("entities", |n| "&amp;".repeat(n / 5)),
    ("ampersands", |n| "&".repeat(n)),
    ("a large block", |n| {
        format!("```sh\n{}```\n", "echo a\n".repeat(n / 7))
    }),
    ("a large step", |n| step(&"echo a\n".repeat(n / 7))),
    ("a large step in another script", |n| {
        step(&"echo ü\n".repeat(n / 8))
    }),
    ("open braces in a script", |n| {
        step(&format!("echo {} }}}}", "{{ ".repeat(n / 3)))
    }),
    ("backquotes in a here-document", |n| {
        step(&format!("cat <<E\n{}`\nE", "`a` ".repeat(n / 4)))
    }),
    ("a long pipe", |n| step(&("a|".repeat(n / 2) + "a"))),
    ("a group into a long command", |n| {
        let group = "a;".repeat(n / 4);
        step(&format!("{{ {group} }} | b {}", "c ".repeat(n / 4)))
    }),
    ("functions that call the next", |n| {
        let calls = each(n, 15, |i| format!("f{i}() {{ f{}; }}\n", i + 1));
        step(&format!("{calls}\nx | f0"))
    }),
    ("a function with a long name", |n| {
        let name = "f".repeat(n / 2);
        step(&format!("{name}() {{ {} }}", "a;".repeat(n / 4)))
    }),
    ("unknown variables", |n| {
        step(&each(n, 11, |i| format!("echo $v{i}\n")))
    }),
    ("nested substitutions", |n| {
        step(&("echo ".to_owned() + &"$(".repeat(n / 2)))
    }),
    ("open quotes", |n| step(&"\"$(echo ".repeat(n / 8))),
    ("open here-documents", |n| step(&"cat <<A\n".repeat(n / 8))),
    ("a long transcript", |n| {
        step("true").replace("sh step", "console step")
            + &format!(
                "\n```console step id=b\n{}```\n",
                "$ echo a\na\n".repeat(n / 11)
            )
    }),
    ("many steps", |n| {
        step("true") + &each(n, 32, |i| format!("```sh step id=b{i}\necho\n```\n\n"))
    }),
    ("keys that are not known", |n| {
        format!(
            "```yaml checks\nid: c\n{}```\n",
            each(n, 10, |i| format!("fil{i}: x\n"))
        )
    }),
    ("deep YAML", |n| {
        format!("```yaml checks\nid: c\nfile: {}\n```\n", "[".repeat(n))
    }),
    ("much YAML on a line", |n| {
        let files = each(n, 22, |i| format!("/a{i}: {{exist: true}}, "));
        format!("```yaml checks\nid: c\nfile: {{{files}}}\n```\n")
    }),
    ("front matter", |n| {
        format!("---\n{}---\n", each(n, 9, |i| format!("k{i}: v\n")))
    }),
    ("addresses", |n| "<http://a>".repeat(n / 10)),
    ("ends of lines", |n| "\n".repeat(n)),
];

/// Runs a command and says at the end of standard error how much it took.
const MEASURE: &str = "import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, _, used = os.wait4(pid, 0)
sys.stderr.write('\\n%f %d' % (used.ru_utime + used.ru_stime, used.ru_maxrss))
";

/// Whole books: other files beside the page.
type Book = (&'static str, fn(&Project));

const BOOKS: &[Book] = &[
    ("a large file again and again", |project| {
        project.write("manual/big.md", &"some plain words\n".repeat(40_000));
        project.page(&"{{#include big.md}}\n\n".repeat(2_000));
    }),
    ("a line of a large file again and again", |project| {
        project.write("manual/big.md", &"some plain words\n".repeat(40_000));
        project.page(&"{{#include big.md:7}}\n\n".repeat(4_000));
    }),
    ("an anchor of a large file again and again", |project| {
        let lines = "some ANCHOR: words\n".repeat(40_000);
        project.write(
            "manual/big.md",
            &format!("{lines}ANCHOR: a\nx\nANCHOR_END: a\n"),
        );
        project.page(&"{{#include big.md:a}}\n\n".repeat(4_000));
    }),
    ("includes that double", |project| {
        for level in 0..9 {
            let next = format!("{{{{#include l{}.md}}}}\n", level + 1);
            project.write(&format!("manual/l{level}.md"), &next.repeat(10));
        }
        project.write("manual/l9.md", "x\n");
        project.page("{{#include l0.md}}\n");
    }),
    ("chapters within chapters", |project| {
        let chapter = |level| format!("{}- [a](a{level}.md)\n", "  ".repeat(level));
        let list: String = (0..600).map(chapter).collect();
        project.write("manual/SUMMARY.md", &list);
        for level in 0..600 {
            project.write(&format!("manual/a{level}.md"), "# a\n");
        }
    }),
];

/// As long as a manual of some hundred pages may take on a slow machine, and no longer.
#[test]
fn f35_no_book_of_a_few_files_takes_long() {
    let mut wrong = String::new();
    for (name, make) in BOOKS {
        for command in ["lint", "build"] {
            let project = Project::new("# P\n");
            make(&project);
            let cost = measured(&project, command);
            if cost.seconds > 60.0 || cost.memory > 700.0 || cost.said > SAID {
                let _ = writeln!(wrong, "{command} {name}: {cost:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Seconds of the processor, megabytes, and bytes said.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    seconds: f64,
    memory: f64,
    said: usize,
}

fn cost(page: &str, command: &str) -> Cost {
    measured(&Project::new(page), command)
}

fn measured(project: &Project, command: &str) -> Cost {
    let said = project
        .through(&["python3", "-c", MEASURE], &[command])
        .said();
    let measured = said.err.rsplit('\n').next().unwrap_or_default();
    let numbers = measured.split(' ').map(|n| n.parse().unwrap_or(f64::MAX));
    let numbers: Vec<f64> = numbers.collect();
    Cost {
        seconds: numbers[0],
        memory: numbers.get(1).copied().unwrap_or(f64::MAX) / 1024.0,
        said: said.out.len() + said.err.len(),
    }
}

#[test]
fn f35_no_page_takes_longer_than_a_few_plain_ones_of_its_size() {
    let mut wrong = String::new();
    for command in ["lint", "build"] {
        for size in SIZES {
            let beside = cost(&plain(size), command);
            let next = AtomicUsize::new(0);
            let found = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while let Some((name, shape)) =
                            SHAPES.get(next.fetch_add(1, Ordering::Relaxed))
                        {
                            let cost = cost(&shape(size), command);
                            found.lock().unwrap().push((*name, cost));
                        }
                    });
                }
            });
            for (name, cost) in found.into_inner().unwrap() {
                if cost.seconds > TIMES * beside.seconds + SLACK
                    || cost.memory > beside.memory + MEMORY
                    || cost.said > SAID
                {
                    let _ = writeln!(wrong, "{command} {size} {name}: {cost:?} beside {beside:?}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
