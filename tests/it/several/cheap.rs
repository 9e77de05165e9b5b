//! Cheap nodes: home directories of this machine, each with its own shell. Their steps append lines
//! to one file, which shows their order over all nodes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use opsbook::engine::{Operator, Watcher};
use opsbook::event::Status;
use opsbook::files::Files;
use opsbook::plan::Request;
use opsbook::project::{Manner, Project, Run, Start, Who};

/// A page with all features of a run over several nodes: roles with one node and with two, a value
/// captured on one and used on another, parallel steps, a section.
pub const PAGE: &str = r#"# Cheap

```yaml procedure
id: p
roles:
  old: {nodes: "@all"}
  new: {nodes: "@all"}
  lb: {nodes: "@all", count: 1+}
  web: {nodes: "@all", count: 0+}
timeout: 1m
```

On the **old**:

```sh step id=find on=old capture=word
echo "find $node" >>"$ran"
echo 42
```

On the **new** one:

```sh step id=take on=new
echo "take $node $word of $old" >>"$ran"
```
```sh check id=taken on=old
grep -q "^take" "$ran"
```

On **all balancers**:

```sh step id=tell on=all:lb
echo "tell $node" >>"$ran"
```

## Each

```yaml each
web: {}
```

On **all balancers**:

```sh step id=drain on=all:lb
echo "drain $web on $node" >>"$ran"
```

On **web**:

```sh step id=install on=web
echo "install $node" >>"$ran"
```

## After

On the **old**:

```sh step id=end on=old
echo "end $node" >>"$ran"
```
"#;

/// The nodes of each role.
pub const WORDS: [&str; 4] = ["old=a", "new=b", "lb=c,d", "web=e,f"];

/// The expected work in order; entries of one list run in parallel.
pub const DONE: [&[&str]; 8] = [
    &["find a"],
    &["take b 42 of a"],
    &["tell c", "tell d"],
    &["drain e on c", "drain e on d"],
    &["install e"],
    &["drain f on c", "drain f on d"],
    &["install f"],
    &["end a"],
];

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Runs `opsbook` in a folder.
pub fn opsbook(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    command
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The exit status, and all output.
pub fn ended(output: Output) -> (Option<i32>, String) {
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code(), said)
}

/// Runs the manual's procedure `p`, in this process.
pub async fn run_here(root: &Path, words: &[&str], start: Start, watcher: Watcher) -> Status {
    let project = Project::open_to_run(Files::of(root)).map_err(drop).unwrap();
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let request = Request {
        procedure: "p",
        nodes: &words,
        set: &[],
    };
    let run = Run {
        plan: Arc::new(project.plan(&request).unwrap()),
        manner: Manner {
            yes: true,
            ..Manner::default()
        },
        start,
        who: Who::here(root),
    };
    let (operator, _nobody_answers) = Operator::new();
    let (_nobody_interrupts, interrupts) = tokio::sync::watch::channel(0);
    let done = run.go(&project, operator, interrupts, watcher);
    done.await.unwrap()
}

/// The nodes' folders.
pub struct Cheap(tempfile::TempDir);

impl Cheap {
    pub fn new() -> Cheap {
        let cheap = Cheap(tempfile::tempdir().unwrap());
        for name in NAMES {
            std::fs::create_dir(cheap.home(name)).unwrap();
        }
        cheap
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn ran(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.path().join("ran")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whether every step ran once, and in order.
    pub fn all_is_done(&self) -> bool {
        let ran = self.ran();
        let mut rest = ran.as_slice();
        for some in DONE {
            let Some((these, more)) = rest.split_at_checked(some.len()) else {
                return false;
            };
            let mut these = these.to_vec();
            these.sort_unstable();
            if these != some {
                return false;
            }
            rest = more;
        }
        rest.is_empty()
    }

    /// Leftovers of runs on the nodes: none if all runs have ended.
    pub fn held(&self) -> Vec<PathBuf> {
        let mut held = Vec::new();
        for name in NAMES {
            let place = self.home(name).join(".opsbook");
            held.extend(Some(place.join("bundle")));
            let turns = std::fs::read_dir(place.join("bundle.turns"));
            let turns = turns.into_iter().flatten().flatten();
            held.extend(turns.map(|turn| turn.path().join("bundle")));
        }
        held.retain(|path| path.exists());
        held
    }

    /// A folder with a page and no journal.
    pub fn folder(&self, page: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("book.toml", "[book]\ntitle = \"Cheap\"\nsrc = \"manual\"\n");
        write("manual/SUMMARY.md", "- [Cheap](page.md)\n");
        write("manual/page.md", page);
        write("nodes.yaml", &self.nodes());
        folder
    }

    fn nodes(&self) -> String {
        let dir = self.0.path().display();
        let nodes = NAMES.map(|name| {
            let home = self.home(name);
            format!(
                "  {name}: {{groups: [all], transport: {{exec: [env, \"HOME={}\", sh]}}}}\n",
                home.display()
            )
        });
        format!(
            "opsbook: 1\ngroups:\n  all: {{ran: \"{dir}/ran\", dir: \"{dir}\"}}\nnodes:\n{}",
            nodes.concat()
        )
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }
}
