//! Commands that need a person are never OK on an empty input: F46. What lint knows of them
//! stands in `tests/it/idioms.rs`.

use std::fs;

use crate::lab::{Kind, Node};
use crate::project::Project;
use crate::sshd::or_skip;

fn page(blocks: &str) -> String {
    format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{blocks}")
}

#[test]
fn f46_a_step_that_needs_a_person_does_not_run_until_its_author_says_so() {
    let project = Project::new(&page(
        "```sh step\ntouch \"$HOME/ran\"\n```\n\n```sh step\nread -r answer || true\n```\n",
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(2);
    assert!(said.err.contains("[needs-a-person]"), "{}", said.err);
    assert!(said.err.contains("page.md:12:"), "{}", said.err);
    assert!(said.err.contains("parameter or a secret"), "{}", said.err);
    assert!(!project.home("ran").exists());
    let text = fs::read_to_string(project.path("manual/page.md")).unwrap();
    project.page(&text.replace("step\nread", "step allow=needs-a-person\nread"));
    project.opsbook(&["run", "p", "here"]).ends(0);
    let said = project.opsbook(&["lint"]).ends(0);
    assert!(said.out.contains("allowed"), "{}", said.out);
}

#[test]
fn f46_a_check_that_needs_a_person_is_not_asked_either() {
    let project =
        Project::new("# Page\n\n```yaml checks\nid: g\n```\n\n```sh check id=c\npsql shop\n```\n");
    let said = project.opsbook(&["test"]).said();
    assert_ne!(said.status, 0, "{}", said.out);
    let all = [said.out, said.err].concat();
    assert!(all.contains("`psql` opens an interactive session"), "{all}");
}

#[test]
fn f46_sudo_within_a_script_that_wants_a_password_names_the_word_on_the_fence() {
    let node = Node::of(&Kind {
        systemd: false,
        home: None,
        sudoers: "ops ALL=(ALL:ALL) ALL\n",
        sshd: "",
        shell: "/bin/bash",
    });
    let Some(node) = or_skip("T2", node) else {
        return;
    };
    let page = page("```sh step\nsudo id\n```\n");
    let project = Project::new(&page);
    project.node("far", &node.ssh(), "");
    let said = project.opsbook(&["lint"]).said();
    assert!(
        said.out.contains("[sudo-in-script]"),
        "{}{}",
        said.out,
        said.err
    );
    let said = project.opsbook(&["run", "p", "far"]).ends(1);
    let hint =
        "`sudo` in a script cannot ask for a password: write `sudo` or `sudo=USER` on the fence";
    assert!(said.out.contains(hint), "{}{}", said.out, said.err);
    let ended = project.ended(1);
    assert_eq!(ended.evidence[0].hint.as_deref(), Some(hint));
    // As root it asks nobody, and lint says nothing.
    project.page(&page.replace("sh step", "sh step sudo"));
    let said = project.opsbook(&["lint"]).ends(0);
    assert!(!said.out.contains("sudo-in-script"), "{}", said.out);
}
