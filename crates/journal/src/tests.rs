//! Journals that are truncated, locked by another process, or mistyped.

use super::*;
use crate::event::Status;

fn journal(state: &State) -> Journal {
    let mut journal = Journal::create(state, "20261121-091403-3f9a").unwrap();
    let reached = What::NodeReached {
        user: "ops".into(),
        shell: "dash".into(),
        milliseconds: 3,
    };
    journal.record(Some("web1".into()), None, reached).unwrap();
    journal
        .record(
            None,
            None,
            What::RunEnded {
                status: Status::Failed,
            },
        )
        .unwrap();
    journal
}

#[test]
fn a_journal_is_read_back_gapless() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    drop(journal(&state));
    let record = read(&state, "20261121-091403-3f9a").unwrap();
    assert_eq!(
        record
            .events
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(record.status(), Some(Status::Failed));
}

#[test]
fn a_journal_that_is_not_where_it_belongs_is_not_written_on() {
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 4] = [
        (|path| std::fs::remove_file(path).unwrap(), "it was removed"),
        (
            |path| std::fs::remove_dir_all(path.parent().unwrap()).unwrap(),
            "it was removed",
        ),
        (
            |path| {
                let copy = path.with_extension("copy");
                std::fs::copy(path, &copy).unwrap();
                std::fs::rename(copy, path).unwrap();
            },
            "another file is in its place",
        ),
        (
            |path| std::fs::write(path, "").unwrap(),
            "somebody else has written to it",
        ),
    ];
    for (harm, why) in harms {
        let folder = tempfile::tempdir().unwrap();
        let state = State::beside(folder.path());
        let mut journal = journal(&state);
        journal.sync().unwrap();
        harm(journal.path());
        let error = journal.sync().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        let ended = What::NodeEnded {
            status: Status::Error,
            cause: None,
        };
        let error = journal.record(None, None, ended).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_torn_last_line_is_taken_off_and_the_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    let path = journal(&state).path().to_owned();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"v\":1,\"seq\":3,\"at").unwrap();
    let (mut again, record) = Journal::reopen(&state, "20261121-091403-3f9a").unwrap();
    assert!(record.torn);
    assert_eq!(
        again
            .record(None, None, What::RunEnded { status: Status::Ok })
            .unwrap()
            .seq,
        3
    );
    drop(again);
    let record = read(&state, "20261121-091403-3f9a").unwrap();
    assert!(!record.torn);
    assert_eq!(record.events.len(), 3);
}

#[test]
fn a_line_without_end_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    let path = journal(&state).path().to_owned();
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    // Nothing of it is on the disk.
    file.set_len(1 << 40).unwrap();
    let error = read(&state, "20261121-091403-3f9a").unwrap_err();
    assert!(error.to_string().contains("more than 64 MiB"), "{error}");
}

#[test]
fn one_run_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    let _held = journal(&state);
    let second = Journal::reopen(&state, "20261121-091403-3f9a").unwrap_err();
    assert_eq!(
        second.to_string(),
        "run `20261121-091403-3f9a` is running in another opsbook on this machine"
    );
}

#[test]
fn a_mistyped_run_is_named_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    drop(journal(&state));
    let error = read(&state, "20261121-091403-3f9b").unwrap_err();
    assert!(
        matches!(error, JournalError::Missing { near: Some(near), .. } if near.ends_with("3f9a"))
    );
}

#[test]
fn of_two_runs_of_one_second_the_older_one_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::beside(folder.path());
    let names = [
        "20261121-091403-ffff",
        "20261121-091403-0000",
        "20261121-091402-aaaa",
    ];
    for (name, at) in names.into_iter().zip(["03.100", "03.101", "02.000"]) {
        drop(Journal::create(&state, name).unwrap());
        let line = format!("{{\"v\":2,\"seq\":1,\"at\":\"2026-11-21T09:14:{at}Z\"}}\n");
        std::fs::write(state.runs().join(format!("{name}.jsonl")), line).unwrap();
    }
    assert_eq!(runs(&state), [names[2], names[0], names[1]]);
}
