//! ! A copied block does the same as opsbook. The test copies every block of this project's manual
//! with real clicks and runs it in a clean shell, next to the script that opsbook's plan makes of
//! it with the values that the plan binds. Both must call the same programs with the same arguments
//! in the same order.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use opsbook_book::{self as book, Options};
use opsbook_nodes::Text;
use opsbook_plan::{Ask, NodePlan, Request, Script, Value, uses};
use opsbook_project::Project;

use super::drive::{Browser, Screen};
use super::skip::or_skip;

/// The value of every name that has none before a run. It contains every character that needs
/// quoting.
const CAPTURED: &str = "it's \"a\" $b `c` \\ #d";

pub fn own_root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Returns the manual's folder with its packages merged in.
pub fn place_of(root: &Path) -> opsbook_project::Place {
    opsbook_project::merge::place(root).unwrap()
}

pub fn built(root: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("book");
    let place = place_of(root);
    let root = place.files.root().to_owned();
    let options = Options {
        place: Some(place),
        ..Options::default()
    };
    book::build(&root, Some(&dest), &options).unwrap();
    (folder, dest)
}

/// A place where programs only print how they were called.
struct Sandbox(tempfile::TempDir);

impl Sandbox {
    fn new() -> Sandbox {
        let sandbox = Sandbox(tempfile::tempdir().unwrap());
        let folder = sandbox.0.path();
        let programs = folder.join("bin");
        std::fs::create_dir(&programs).unwrap();
        // Programs that the copied text itself needs are real; all others only print their
        // arguments.
        let told = format!(
            "#!/bin/sh\nname=${{0##*/}}\nif [ \"$name\" = cat ] && [ $# = 0 ]; then exec /bin/cat; fi\n\
             if [ \"$name\" = env ] || [ \"$name\" = sudo ]; then\n\
             [ \"$name $1\" = 'sudo -u' ] && shift 2\nwhile case \"${{1-}}\" in *=*) ;; *) false ;; esac; do export \"$1\"; shift; done\nexec \"$@\"; fi\n\
             line=$name; for word; do line=\"$line <$word>\"; done; printf '%s\\n' \"$line\" >> '{}'\n",
            folder.join("trace").display()
        );
        let stub = folder.join("stub");
        std::fs::write(&stub, told).unwrap();
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
        for place in ["/usr/bin", "/usr/sbin", "/bin", "/sbin"] {
            for entry in std::fs::read_dir(place).unwrap() {
                let name = entry.unwrap().file_name();
                let real = ["sh", "bash", "mktemp", "python3"];
                let shown = name.to_string_lossy().into_owned();
                let target = match real.contains(&shown.as_str()) {
                    true => Path::new("/usr/bin").join(&name),
                    false => stub.clone(),
                };
                let _ = symlink(target, programs.join(&name));
            }
        }
        let home = folder.join("home");
        std::fs::create_dir(&home).unwrap();
        for path in [folder, &home] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        sandbox
    }

    /// Runs a text in a clean shell and returns its calls and its output. It runs with an ordinary
    /// user's rights, because redirections are real.
    fn run(&self, shell: &[&str], text: &str) -> (Vec<String>, String) {
        let trace = self.0.path().join("trace");
        std::fs::write(&trace, "").unwrap();
        std::fs::set_permissions(&trace, std::fs::Permissions::from_mode(0o666)).unwrap();
        let home = self.0.path().join("home");
        let mut command = match super::skip::is_root() {
            true => {
                let mut command = Command::new("/usr/bin/setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.arg(format!("/bin/{}", shell[0]));
                command
            }
            false => Command::new(format!("/bin/{}", shell[0])),
        };
        let done = command
            .args(&shell[1..])
            .arg("-c")
            .arg(text)
            .env_clear()
            .env("HOME", &home)
            .env("PATH", self.0.path().join("bin"))
            .current_dir(&home)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let calls = std::fs::read_to_string(&trace).unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        (calls.lines().map(str::to_owned).collect(), said)
    }

    /// Runs a script as the plan has it: its values in the environment, its text unchanged.
    fn planned(&self, script: &Script, bundle: &str) -> Vec<String> {
        let mut text = String::new();
        for binding in script.bindings() {
            let value = match &binding.value {
                Value::Text(Text::Plain(value)) => value.clone(),
                Value::Text(Text::Secret(_)) => panic!("the manual has no secret"),
                Value::Captured if binding.name == "bundle" => bundle.to_owned(),
                Value::Captured | Value::Rendered => CAPTURED.to_owned(),
            };
            let quoted = opsbook_manual::shell_quoted(&value);
            text += &format!("{}={quoted}\n", binding.name);
        }
        text += script.text();
        self.run(&[script.interpreter(), "-eu"], &text).0
    }
}

/// Removes the repetitions of a waiting loop. The ends of a pipe are called in any order.
fn once(calls: &[String]) -> BTreeSet<&str> {
    let calls = calls.iter().map(String::as_str);
    calls.filter(|call| !call.starts_with("sleep ")).collect()
}

fn plan(project: &Project, procedure: &str, node: &str) -> Option<NodePlan> {
    let required = project.manual.procedures[procedure].params.iter();
    let set: Vec<(String, String)> = required
        .filter(|(_, param)| param.required)
        .map(|(name, _)| (name.clone(), "4.5.6".to_owned()))
        .collect();
    let nodes = [node.to_owned()];
    let request = Request {
        procedure,
        nodes: &nodes,
        set: &set,
    };
    Some(project.plan(&request).ok()?.nodes.remove(0))
}

/// Types the values that the reader supplies: captured values, and parameters without a default.
fn type_values(browser: &Browser, project: &Project, bundle: &str) {
    let put =
        "sessionStorage.setItem(`opsbook-value:${arguments[0]}:${arguments[1]}`, arguments[2])";
    for procedure in project.manual.procedures.values() {
        let id = procedure.id.as_str();
        browser.ask(put, &[id, "bundle", bundle]);
        browser.ask(put, &[id, "run_id", CAPTURED]);
        for step in &procedure.steps {
            if let Some(name) = &step.capture {
                browser.ask(put, &[id, name, CAPTURED]);
            }
        }
        for (name, param) in &procedure.params {
            if param.required {
                browser.ask(put, &[id, name, "4.5.6"]);
            }
        }
    }
}

#[test]
fn every_block_of_the_manual_does_what_its_plan_does() {
    let Some(browser) = or_skip("browser copy", Browser::open(Screen::Desk)) else {
        return;
    };
    let root = own_root();
    let (_folder, book) = built(root);
    let project = Project::open_to_run(place_of(root)).unwrap();
    let sandbox = Sandbox::new();
    let bundle = "/nowhere/it's a bundle";
    let mut compared = 0;
    for node in ["here", "shop1"] {
        for page in &project.manual.pages {
            let file = page.path.with_extension("html");
            let file = file.to_string_lossy().replace("README", "index");
            browser.page(&book, &format!("{file}?node={node}"));
            type_values(&browser, &project, bundle);
            browser.page(&book, &format!("{file}?node={node}"));
            let names = browser.ask(
                "return [...document.querySelectorAll('main .ops[data-name]:has(> .ops-caption > .ops-copy)')].map((card) => card.dataset.name)",
                &[],
            );
            for (number, name) in names.as_array().unwrap().iter().enumerate() {
                let name = name.as_str().unwrap();
                let copied = browser.text("return opsbook.copied(arguments[0]).text", &[name]);
                // Each click takes a while, so one block per page shows that the button copies this
                // text.
                if number == 0 {
                    browser.click(&format!(
                        "main [data-name='{name}'] > .ops-caption > .ops-copy"
                    ));
                    browser.until("const said = document.querySelector('.ops-said'); return said !== null && said.textContent !== ''");
                    assert_eq!(browser.clipboard(), copied, "{node} {name}");
                }
                compared += usize::from(same(&project, &sandbox, node, name, &copied, bundle));
            }
        }
    }
    assert!(compared > 30, "{compared}");
}

/// Compares one copied text with the plan; returns whether there was anything to compare.
fn same(
    project: &Project,
    sandbox: &Sandbox,
    node: &str,
    name: &str,
    copied: &str,
    bundle: &str,
) -> bool {
    // A run over several nodes has no plan for one node.
    let owner = project
        .manual
        .procedures
        .get(name.split('/').next().unwrap());
    if owner.is_some_and(|procedure| !procedure.roles.is_empty()) {
        return false;
    }
    let of = project.manual.procedures.values();
    let mut steps = of.flat_map(|own| own.steps.iter().map(move |step| (own, step)));
    let step = steps.find(|(own, step)| own.name_of(step) == name);
    let scripts: Vec<Script> = if let Some((procedure, step)) = step {
        let Some(plan) = plan(project, &procedure.id, node) else {
            return refuses(copied, name);
        };
        let step = &plan.steps[step.number - 1];
        let Some(script) = step.script() else {
            return says_only(sandbox, copied);
        };
        assert_eq!(
            copied.contains("sudo sh -c"),
            step.sudo.is_some(),
            "{copied}"
        );
        let checks = step.checks.iter().filter_map(|case| script_of(&case.ask));
        std::iter::once(script.clone()).chain(checks).collect()
    } else {
        let (manual, nodes) = (&project.manual, &project.nodes);
        let all = |_: opsbook_manual::Subject<'_>| true;
        let wanted = opsbook_plan::case_name(name);
        let (cases, _) = opsbook_plan::cases(manual, nodes, &project.vocabulary, &[node], &all);
        match cases.iter().find(|case| case.name == wanted) {
            Some(case) => script_of(&case.ask).into_iter().collect(),
            None => match check_of_a_step(project, node, name) {
                Some(script) => vec![script],
                None if needed_only(project, name) => return false,
                None => return refuses(copied, name),
            },
        }
    };
    let mut expected = Vec::new();
    for script in &scripts {
        expected.extend(sandbox.planned(script, bundle));
    }
    let shells: &[&str] = if node == "here" {
        &["dash", "bash"]
    } else {
        &["dash"]
    };
    for shell in shells {
        let (calls, said) = sandbox.run(&[shell], copied);
        let (calls, expected) = (once(&calls), once(&expected));
        // A step that fails because of a stand-in ends the sequence.
        let first = sandbox.planned(&scripts[0], bundle);
        assert!(
            calls.is_superset(&once(&first)) && expected.is_superset(&calls),
            "{node} {name} in {shell}\n{said}\ncalls {calls:#?}\nplan {expected:#?}\n{copied}"
        );
    }
    true
}

fn script_of(ask: &Ask) -> Option<Script> {
    match ask {
        Ask::Script { script, .. } => Some(script.clone()),
        Ask::Probe { .. } => None,
    }
}

fn check_of_a_step(project: &Project, node: &str, name: &str) -> Option<Script> {
    let procedure = project.manual.procedures.get(name.split_once('/')?.0)?;
    let plan = plan(project, &procedure.id, node)?;
    let wanted = opsbook_plan::case_name(name);
    let of_steps = plan.steps.iter().flat_map(|step| &step.checks);
    let mut cases = of_steps.chain(&plan.before);
    script_of(&cases.find(|case| case.name == wanted)?.ask)
}

/// Where the plan refuses, the copied text runs nothing either.
fn refuses(copied: &str, name: &str) -> bool {
    let nothing = copied
        .lines()
        .all(|line| line.starts_with('#') || line == "false");
    assert!(nothing, "{name}\n{copied}");
    nothing
}

/// A group that only procedures require is not a case of a suite.
fn needed_only(project: &Project, name: &str) -> bool {
    let groups = project.manual.groups.values();
    let mut groups = groups.filter(|group| group.when == opsbook_manual::When::Needed);
    groups.any(|group| group.checks.iter().any(|check| check.name == name))
}

/// A block for a person or for opsbook itself runs nothing when pasted.
fn says_only(sandbox: &Sandbox, copied: &str) -> bool {
    let (calls, said) = sandbox.run(&["dash"], copied);
    assert!(calls.is_empty() && said.is_empty(), "{copied}\n{said}");
    true
}

/// Before the reader chooses a node, the book names the values that the plan will bind.
#[test]
fn what_a_block_is_said_to_use_is_what_its_plan_binds() {
    let root = own_root();
    let project = Project::open_to_run(place_of(root)).unwrap();
    for procedure in project.manual.procedures.values() {
        let said = uses::of_procedure(procedure);
        for node in ["here", "shop1"] {
            let Some(plan) = plan(&project, &procedure.id, node) else {
                continue;
            };
            for (step, uses) in plan.steps.iter().zip(&said.steps) {
                let Some(script) = step.script() else {
                    continue;
                };
                let bound: Vec<&str> = script
                    .bindings()
                    .iter()
                    .map(|own| own.name.as_str())
                    .collect();
                let has = |used: &&uses::Use| match used.from {
                    uses::From::Value
                    | uses::From::Captured(_)
                    | uses::From::Run
                    | uses::From::Role(_) => true,
                    uses::From::Optional | uses::From::Earlier(_) => {
                        plan.node.text(&used.name).is_ok()
                    }
                };
                let named: Vec<&str> = uses
                    .iter()
                    .filter(has)
                    .map(|used| used.name.as_str())
                    .collect();
                assert_eq!(named, bound, "{}", step.name);
            }
        }
    }
}

/// The whole tour, block by block, in one shell, from the clipboard.
#[test]
fn the_tour_copied_block_by_block_releases_a_site() {
    let Some(browser) = or_skip("browser tour", Browser::open(Screen::Desk)) else {
        return;
    };
    let root = own_root();
    let (_folder, book) = built(root);
    browser.page(&book, "tour.html?node=here");
    let copied = |name: &str| {
        browser.click(&format!(
            "main [data-name='{name}'] > .ops-caption > .ops-copy"
        ));
        browser.until(&format!(
            "const said = document.querySelector('.ops-said'); return said !== null && said.textContent.includes('{name}')"
        ));
        browser.clipboard()
    };
    let home = tempfile::tempdir().unwrap();
    let bundle = home.path().join("bundle");
    std::fs::create_dir_all(bundle.join("assets")).unwrap();
    std::fs::write(bundle.join("index.html"), "<h1>Release 1.0.0</h1>\n").unwrap();
    let names = ["time", "unpack", "switch", "look"];
    let mut text = format!("bundle='{}'\n", bundle.display());
    for name in names {
        text += &copied(&format!("tour.release/{name}"));
    }
    assert!(text.contains("still open: bundle"), "{text}");
    for shell in ["/bin/dash", "/bin/bash"] {
        let _ = std::fs::remove_dir_all(home.path().join("opsbook-tour"));
        let done = Command::new(shell)
            .args(["-e", "-c", &text])
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}\n{text}");
        let current = home.path().join("opsbook-tour/current");
        let read = |name: &str| std::fs::read_to_string(current.join(name)).unwrap();
        assert_eq!(read("VERSION"), "1.0.0\n");
        assert!(
            read("RELEASED").contains("released 20"),
            "{}",
            read("RELEASED")
        );
    }
    // Without a node, nothing is deleted from a wrong place.
    browser.page(&book, "tour.html?node=");
    let text = copied("tour.release/unpack");
    let done = Command::new("/bin/sh")
        .args(["-c", &text])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && done.stdout.is_empty(), "{said}");
    assert!(
        said.contains("bundle") || said.contains("tour_root"),
        "{said}"
    );
}
