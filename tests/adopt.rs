//! `opsbook adopt` in an existing repository.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PAGE: &str = "# Agent\n\n## Restart\n\n```sh\nsystemctl restart agent\n```\n\n```sh\nsystemctl is-active agent\n```\n\n## Shell\n\n```sh\nfrobnicate --all\n```\n";

fn shell(folder: &Path, script: &str) -> Output {
    let tools = Path::new(env!("CARGO_BIN_EXE_opsbook")).parent().unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .current_dir(folder)
        .env("PATH", path);
    command
        .env("HOME", folder)
        .env("OPSBOOK_SETTINGS", "")
        .output()
        .unwrap()
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/agent.md"), PAGE).unwrap();
    fs::write(
        folder.path().join("docs/SUMMARY.md"),
        "- [Agent](agent.md)\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("book.toml"),
        "[book]\ntitle = \"T\"\nsrc = \"docs\"\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("nodes.yaml"),
        "opsbook: 1\nnodes:\n  here: {transport: local}\n",
    )
    .unwrap();
    let git = "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x";
    assert!(shell(folder.path(), git).status.success());
    folder
}

#[test]
fn the_patch_is_taken_by_git_and_the_page_has_no_mistake_then() {
    let (patched, written) = (repository(), repository());
    let said = shell(patched.path(), "opsbook adopt > p; echo $?; git apply p");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "1\n", "{said:?}");
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        told.contains("3 shell blocks: 1 check, 1 step, 0 examples, 1 left"),
        "{told}"
    );
    assert!(
        told.contains(":15  step? it is unclear what `frobnicate` does"),
        "{told}"
    );
    let said = shell(written.path(), "opsbook adopt docs --write");
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let text = |folder: &Path| fs::read_to_string(folder.join("docs/agent.md")).unwrap();
    assert_eq!(text(patched.path()), text(written.path()));
    assert!(text(patched.path()).contains("```yaml procedure\nid: agent.restart\n```"));
    let again = shell(
        written.path(),
        "git -c user.name=a -c user.email=a@b commit -qam y; opsbook adopt",
    );
    assert_eq!(String::from_utf8_lossy(&again.stdout), "", "{again:?}");
    let lint = shell(written.path(), "opsbook lint");
    assert!(lint.status.success(), "{lint:?}");
}

#[test]
fn a_page_that_git_does_not_have_as_it_is_now_is_left_alone() {
    let folder = repository();
    let page = folder.path().join("docs/agent.md");
    fs::write(&page, format!("{PAGE}mine\n")).unwrap();
    let said = shell(folder.path(), "opsbook adopt --write");
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert!(
        String::from_utf8_lossy(&said.stderr)
            .contains("not changed, because they have uncommitted changes"),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(page).unwrap(), format!("{PAGE}mine\n"));
}
