//! Each construct that people's pages have, as a page, and what adopting makes of it.

use opsbook_adopt::{Suggestion, page};

/// What the only block of a page is, and the page then.
fn adopted(before: &str, language: &str, body: &str) -> (Suggestion, String) {
    let text = format!("# Agent\n\n{before}\n\n```{language}\n{body}\n```\n");
    let mut adopted = page("agent.md", &text);
    assert_eq!(adopted.blocks.len(), 1, "{text}");
    (adopted.blocks.remove(0).suggestion, adopted.text)
}

fn is_left(before: &str, language: &str, body: &str, why: &str) {
    let (suggestion, text) = adopted(before, language, body);
    let Suggestion::Left(said) = &suggestion else {
        panic!("{suggestion:?}");
    };
    assert!(said.contains(why), "{said}");
    assert!(
        !text.contains("procedure") && !text.contains("checks"),
        "{text}"
    );
}

#[test]
fn comments_and_logs_are_shown() {
    for body in ["# only words", "2026-01-01 10:00:00 agent[1]: started"] {
        let (suggestion, text) = adopted("It says:", "sh", body);
        assert!(matches!(suggestion, Suggestion::Example(_)), "{body}");
        assert!(text.contains("```sh example\n"), "{text}");
    }
}

#[test]
fn what_follows_or_watches_is_shown() {
    for body in [
        "tail -f /var/log/agent",
        "watch ls",
        "kubectl port-forward svc/a 80:80",
    ] {
        let (suggestion, _) = adopted("Follow it:", "sh", body);
        assert!(matches!(suggestion, Suggestion::Example(_)), "{body}");
    }
}

#[test]
fn what_needs_a_terminal_is_left() {
    is_left("Edit it:", "bash", "vim /etc/agent.conf", "terminal");
    is_left(
        "Log in:",
        "bash",
        "kubectl exec -it pod -- bash",
        "terminal",
    );
}

#[test]
fn commands_for_several_systems_are_left() {
    is_left(
        "Install it:",
        "sh",
        "apt install agent\nyum install agent",
        "several systems",
    );
}

#[test]
fn a_file_is_left_with_the_words_that_place_it() {
    is_left(
        "Put this into `/usr/local/bin/x`:",
        "sh",
        "#!/bin/sh\nrm x",
        "file to=/PATH mode=0755",
    );
}

#[test]
fn a_session_is_left() {
    is_left(
        "See:",
        "console",
        "$ uptime\n 10:00 up 3 days",
        "a session that only looks",
    );
    is_left(
        "Do:",
        "console",
        "$ rm x\n$ ls",
        "a session that changes something",
    );
}

#[test]
fn what_only_looks_is_a_check() {
    let (suggestion, text) = adopted("It runs:", "sh", "systemctl is-active agent | cat");
    assert_eq!(suggestion, Suggestion::Check);
    assert!(text.contains("```yaml checks\nid: agent\n```\n"), "{text}");
}

#[test]
fn what_changes_something_is_a_step_of_a_procedure() {
    let (suggestion, text) = adopted("Restart it:", "sh", "sudo systemctl restart agent");
    assert_eq!(suggestion, Suggestion::Step);
    assert!(
        text.contains("```yaml procedure\nid: agent\n```\n"),
        "{text}"
    );
}

#[test]
fn a_placeholder_is_left_as_a_parameter_to_be() {
    for body in [
        "systemctl restart <unit name>",
        "rm YOUR_FILE",
        "ping %host%",
    ] {
        is_left("Then:", "sh", body, "a parameter?");
    }
}

#[test]
fn what_it_should_print_is_left_to_bless() {
    let (suggestion, text) = adopted(
        "This should print `active`:",
        "sh",
        "systemctl is-active agent",
    );
    assert_eq!(suggestion, Suggestion::Check);
    assert!(!text.contains("expect"), "{text}");
}
