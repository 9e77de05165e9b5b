//! Commands that speak to a gateway, in the forms that no other test has: the record of a run in
//! a file, and applications.

use std::fs;

use serde_json::Value;

use crate::{PAGE, Team};

const BOOK: &str = "[book]\ntitle = \"T\"\nsrc = \"manual\"\n\
                    [applications.shop]\nprocedures = \"p\"\nnodes = \"here\"\nversion = \"seen\"\n";

/// What was asked for, and ran: shown by application, saved, and verified without its gateway.
#[test]
fn a_run_is_what_its_application_is_of_and_its_record_is_verified_in_a_file() {
    let mut team = Team::new(PAGE, "");
    team.write("m/book.toml", BOOK);
    let before = team.ok(&["applications"]);
    assert!(before.contains("not known"), "{before}");
    team.go();
    let runner = team.runner("r1");
    let run = team.ask();
    team.ok(&["watch", &run]);
    let table = team.ok(&["applications"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["shop", "here", "value-1"], "{table}");
    assert_eq!(row.last(), Some(&run.as_str()), "{table}");
    let one = team.ok(&["applications", "shop", "--json"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["hosts"][0]["version"], "value-1", "{one}");
    let none = team.opsbook(&["applications", "none"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");

    team.ok(&["record", "save", &run, "../record"]);
    runner.kill();
    team.kill_gateway();
    let verify = |file: &str| {
        let output = team.opsbook(&["log", "verify", file]);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), out, err)
    };
    let (status, out, err) = verify("../record");
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.contains("each follows the one before") && !out.contains("WRONG"),
        "{out}"
    );
    // Somebody would like it to have printed something else.
    let text = fs::read_to_string(team.path("record")).unwrap();
    team.write("forged", &text.replacen("value-1", "value-2", 1));
    let (status, out, _) = verify("../forged");
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("WRONG: "), "{out}");
    for (name, text) in [
        ("half", &text[..text.len() / 2]),
        ("rubbish", "moon\u{1b}[31m"),
    ] {
        team.write(name, text);
        let (status, out, err) = verify(&format!("../{name}"));
        assert_eq!((status, out.as_str()), (Some(3), ""), "{name}: {err}");
        assert!(err.contains(name) && !err.contains('\u{1b}'), "{err}");
    }
}

/// Each message names what is wrong, and a way out; nothing to show is said.
#[test]
fn what_is_wrong_is_told_with_a_way_out() {
    let page = PAGE.replacen("id: p\n", "id: web.deploy\n", 1);
    let mut team = Team::new(&page, "");
    for (words, err) in [
        (
            &["ask", "web.deply", "here"][..],
            "error: there is no procedure `web.deply`; did you mean `web.deploy`?\n",
        ),
        (
            &["ask", "web.deploy"],
            "error: name the nodes on which it should run: `nodes` is empty\n",
        ),
    ] {
        let said = team.opsbook(words);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert_eq!(String::from_utf8_lossy(&said.stderr), err);
    }
    for (words, err) in [
        ("sync", "this manual has no journals: nothing to report\n"),
        (
            "applications",
            "this manual has no applications: `[applications.NAME]` in `book.toml`\n",
        ),
    ] {
        let said = team.opsbook(&[words]);
        assert_eq!(said.status.code(), Some(0), "{said:?}");
        assert!(said.stdout.is_empty(), "{said:?}");
        assert_eq!(String::from_utf8_lossy(&said.stderr), err);
    }
    team.kill_gateway();
    let said = team.opsbook(&["runs"]);
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    let err = String::from_utf8_lossy(&said.stderr);
    assert!(
        err.contains("\nhint: `opsbook-gateway` starts one"),
        "{err}"
    );
}
