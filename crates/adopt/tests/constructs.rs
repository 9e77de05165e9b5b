//! ! One page for each construct found in people's pages, and the suggestion of `opsbook adopt` for
//! it.

use opsbook_adopt::{Likely, Suggestion, Tags, page};

/// Returns the suggestion for the only block of a page, and the page after adoption.
fn adopted(before: &str, language: &str, body: &str) -> (Suggestion, String) {
    let text = format!("# Agent\n\n{before}\n\n```{language}\n{body}\n```\n");
    let mut adopted = page("agent.md", &text, Tags::Words);
    assert_eq!(adopted.blocks.len(), 1, "{text}");
    (adopted.blocks.remove(0).suggestion, adopted.text)
}

fn is_left(before: &str, language: &str, body: &str, why: &str) {
    let (suggestion, text) = adopted(before, language, body);
    let Suggestion::Left(said) = &suggestion else {
        panic!("{suggestion:?}");
    };
    assert!(said.why.contains(why), "{said:?}");
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
        "a session that only reads",
    );
    is_left(
        "Do:",
        "console",
        "$ rm x\n$ ls\na b",
        "a session that changes something",
    );
}

#[test]
fn a_session_that_shows_no_output_is_as_good_as_its_commands() {
    for language in ["console", "sh", "shell"] {
        let (suggestion, text) = adopted("Do:", language, "$ rm x\n$ cat \\\n> y");
        assert_eq!(suggestion, Suggestion::Step);
        assert!(
            text.contains(&format!("```{language} step id=step-1\n")),
            "{text}"
        );
    }
}

#[test]
fn other_prompts_and_other_programs_are_told_apart() {
    let likely = |body: &str| match adopted("See:", "sh", body).0 {
        Suggestion::Left(left) => left.likely,
        other => panic!("{other:?}"),
    };
    assert_eq!(likely("root@db1:~# systemctl restart x"), Likely::Step);
    assert_eq!(likely("# systemctl is-active x"), Likely::Check);
    assert_eq!(likely("❯ systemctl is-active x"), Likely::Check);
    for body in [
        "postgres=# select 1;",
        "127.0.0.1:6379> GET x",
        "SUBSCRIBE x",
        "curl: (60) no",
        "key:\n  - value",
        "print(x)",
        "sec   rsa4096/0x1 2026-01-01 [C]\nuid   somebody",
    ] {
        assert_eq!(likely(body), Likely::Example, "{body}");
    }
    assert_eq!(likely("A=1\nB=2"), Likely::File);
    assert_eq!(likely("nano /etc/x\nsystemctl restart x"), Likely::Split);
    assert_eq!(likely("sudo -u postgres psql"), Likely::Manual);
    assert_eq!(likely("frobnicate status"), Likely::Check);
    assert_eq!(likely("frobnicate --all"), Likely::Step);
    assert_eq!(likely("systemctl is-active <unit>"), Likely::Check);
}

#[test]
fn a_generator_that_takes_no_words_on_a_fence_gets_comments() {
    let text = "# Agent\n\n- so:\n\n  ```sh\n  rm x\n  ```\n";
    let adopted = page("agent.md", text, Tags::Comments);
    assert_eq!(
        adopted.text,
        "# Agent\n\n<!-- opsbook: procedure -->\n```yaml\nid: agent\n```\n\n- so:\n\n  \
         <!-- opsbook: step id=step-1 -->\n  ```sh\n  rm x\n  ```\n"
    );
    assert_eq!(
        page("agent.md", &adopted.text, Tags::Comments).text,
        adopted.text
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
        is_left("Then:", "sh", body, ": a parameter");
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

/// Returns the suggestion for the block at a line, and the text.
fn said(text: &str, line: usize) -> (String, String) {
    let adopted = page("agent.md", text, Tags::Words);
    let block = { adopted.blocks.into_iter() }.find(|block| block.line == line);
    let said = match block.expect("a block is there").suggestion {
        Suggestion::Left(left) => left.why,
        other => format!("{other:?}"),
    };
    (said, adopted.text)
}

#[test]
fn what_would_be_an_error_of_the_manual_is_not_written() {
    // A question to the package manager; a fence within HTML; a fence indented too far.
    let asks = "# A\n\n```sh\napt install x\n```\n";
    let (why, text) = said(asks, 3);
    assert!(why.contains("apt"), "{why}");
    assert_eq!(text, asks);
    let html = "# A\n\n<div>\n```sh\nrm x\n```\n</div>\n";
    let (_, text) = said(html, 4);
    assert_eq!(text, html);
    let unset = "# A\n\n```sh\nrm \"$file\"\n```\n\n# B\n\n```sh\nfile=x\n```\n\n```sh\nfile=x\nrm \"$file\"\n```\n";
    let (why, text) = said(unset, 3);
    assert_eq!(why, "nothing sets `$file`: a parameter");
    assert!(!text.contains("id: agent\n"), "{text}");
}

#[test]
fn a_section_above_others_that_have_contracts_has_none() {
    let text =
        "# A\n\n```sh\nrm x\n```\n\n## B\n\n```sh\nrm y\n```\n\n## C\n\n### D\n\n```sh\nls\n```\n";
    let (why, text) = said(text, 3);
    assert_eq!(why, "sections below its own have tags");
    assert!(
        text.contains("id: agent.b\n") && text.contains("id: agent.d\n"),
        "{text}"
    );
    assert!(!text.contains("id: agent\n"), "{text}");
    let once = page("agent.md", &text, Tags::Words).text;
    assert_eq!(once, text);
    // A group may stand above other groups.
    let groups = "# A\n\n```sh\nls\n```\n\n## B\n\n```sh\nls\n```\n";
    let text = page("agent.md", groups, Tags::Words).text;
    assert!(
        text.contains("id: agent\n") && text.contains("id: agent.b\n"),
        "{text}"
    );
}
