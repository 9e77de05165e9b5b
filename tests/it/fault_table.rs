//! The fault table: each fault, what opsbook promises, and the tests that inject it. Written
//! from here into the manual; `OPSBOOK_BLESS=1` writes the chapter anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::record::{self, Loop, Suite};

struct Fault {
    id: &'static str,
    fault: &'static str,
    promise: &'static str,
    /// Where it is injected: on this machine alone (T0), over private servers (T1), on nodes of
    /// their own (T2), on nodes with services (T3).
    tiers: &'static str,
    tests: &'static [&'static str],
    /// What the tests leave open.
    open: &'static str,
}

const TABLE: [Fault; 29] = [
    Fault {
        id: "F1",
        fault: "the controller is killed (`kill -9`) at any point",
        promise: "the step ends by itself; `resume` learns how, and nothing runs twice",
        tiers: "T0: killed at every write of the journal, and while a step runs",
        tests: &[
            "killed_at_every_write_of_the_journal_nothing_is_lost_and_nothing_runs_twice",
            "f1_a_killed_controller_loses_nothing",
            "f1_a_killed_controllers_step_is_attached_to_while_it_runs",
            "f1_the_sheet_of_a_killed_controller_says_where_the_bundle_is",
            "f1_a_repeated_set_up_keeps_what_the_steps_after_it_have_set",
            "f1_what_still_runs_ends_before_a_set_up_is_repeated",
            "f1_beside_what_still_runs_no_other_step_is_started",
            "f1_a_set_up_that_fails_when_it_is_repeated_leaves_what_was_done_done",
            "random_faults_on_this_machine",
        ],
        open: "",
    },
    Fault {
        id: "F2",
        fault: "Ctrl-C, or a TERM signal",
        promise: "a terminal is asked: leave the step running, stop it, or hold; otherwise it is stopped, and STOPPED is in the journal",
        tiers: "T0; T2: a slow delivery",
        tests: &[
            "f2_a_delivery_is_stopped_at_once_and_nothing_of_it_is_left",
            "f2_a_signal_stops_the_step_and_says_so",
            "f2_while_a_node_is_reached_it_stops_at_once",
            "f2_on_a_terminal_it_asks_and_leaving_leaves_the_step_running",
            "f2_pressed_once_each_step_that_runs_is_asked_about",
            "f2_pressed_twice_every_step_is_stopped",
            "f2_pressed_thrice_it_goes_at_once_and_leaves_what_runs",
            "f2_a_terminal_shows_what_is_typed_after_a_password_was_not_given",
            "f2_a_step_that_is_about_to_be_passed_is_still_to_be_done_after_ctrl_c",
        ],
        open: "",
    },
    Fault {
        id: "F3",
        fault: "the connection is cut during a step, for a while or for ever",
        promise: "noticed, and taken up again; else the outcome is unknown, and the step is never repeated unasked",
        tiers: "T1, T2: the network cut, lossy, frozen",
        tests: &[
            "f3_a_bundle_half_removed_by_a_killed_shell_is_removed_by_who_goes_on",
            "f3_a_cut_that_heals_is_reattached_and_nothing_runs_twice",
            "f3_a_cut_for_ever_is_an_unknown_outcome_that_resume_finds_out",
            "f3_frozen_for_a_while_and_lossy_a_node_is_only_slow",
            "f3_a_cut_in_a_step_that_is_tried_again_does_not_run_it_a_third_time",
            "f3_the_local_bundle_is_closed_after_a_cut",
            "f3_a_killed_process_of_the_session_is_noticed_at_once",
            "f3_a_killed_process_of_the_session_is_noticed_over_ssh",
            "f3_a_killed_shell_of_another_user_is_noticed_over_ssh",
            "f3_a_session_whose_folder_is_deleted_is_noticed_at_once",
            "f3_a_killed_shell_of_root_is_found_again_and_named_as_what_it_is",
            "random_faults_over_ssh",
        ],
        open: "",
    },
    Fault {
        id: "F4",
        fault: "the node loses power during a step",
        promise: "ERROR that says so; the bundle stays, `resume` is offered",
        tiers: "T2",
        tests: &["f4_a_node_that_lost_power_during_a_step_is_an_error_that_says_so"],
        open: "",
    },
    Fault {
        id: "F5",
        fault: "the node restarts because a step says `reboot`",
        promise: "the run waits for another boot and goes on at the next step",
        tiers: "T3",
        tests: &["f5_a_reboot_on_purpose_is_waited_for"],
        open: "",
    },
    Fault {
        id: "F6",
        fault: "a step never ends, ignores TERM, or hides its children",
        promise: "TIMED OUT only when nothing of it is left; what is left is named",
        tiers: "T0; T2: a slow delivery",
        tests: &[
            "f6_a_delivery_has_the_time_limit_of_its_step",
            "f6_a_step_that_ignores_term_is_timed_out_when_it_is_dead",
            "f6_what_escaped_from_a_step_that_timed_out_is_named",
            "f6_what_stands_ready_between_two_steps_may_be_killed",
            "f6_what_was_to_answer_may_be_killed",
            "f6_without_its_recorder_a_step_has_an_unknown_end",
            "f6_before_it_is_run_again_a_step_whose_end_is_unknown_is_asked_about",
            "f6_where_nobody_can_be_asked_running_it_again_is_told",
            "f6_a_frozen_recorder_costs_no_step_its_end",
            "f6_without_its_recorder_a_step_keeps_its_time_limit",
            "f6_a_step_whose_record_was_deleted_keeps_its_time_limit",
            "f6_without_setsid_a_step_is_ended_with_all_that_came_from_it",
        ],
        open: "",
    },
    Fault {
        id: "F7",
        fault: "the node's disk is full",
        promise: "ERROR with that cause, before or between steps; nothing half delivered is used",
        tiers: "T2: a small disk under the bundle, full at opening, delivery and output",
        tests: &[
            "f7_a_full_disk_at_opening_is_an_error_and_nothing_ran",
            "f7_a_full_disk_at_delivery_is_an_error_before_the_step",
            "f7_a_full_disk_under_a_step_that_prints_is_never_ok",
            "f7_a_step_that_has_run_and_whose_variables_are_lost_is_asked_about",
            "f7_a_step_that_locks_itself_out_of_its_bundle_is_not_ok",
            "f7_a_full_disk_at_resume_is_an_error_with_that_cause",
        ],
        open: "",
    },
    Fault {
        id: "F8",
        fault: "the controller's disk is full",
        promise: "without its line in the journal no step begins",
        tiers: "T2",
        tests: &[
            "f8_a_journal_that_cannot_be_written_stops_the_run_before_the_next_step",
            "f8_a_journal_with_a_line_missing_or_of_another_run_is_not_gone_on_with",
            "f8_a_journal_in_a_newer_format_is_not_gone_on_with",
            "f8_where_journals_cannot_be_looked_for_nobody_says_that_there_are_none",
        ],
        open: "",
    },
    Fault {
        id: "F9",
        fault: "the bundle cannot be made, though nobody holds it",
        promise: "ERROR with the cause, not BLOCKED",
        tiers: "T0",
        tests: &[
            "f9_another_failure_than_held_is_an_error_with_its_cause",
            "f9_a_file_where_the_folder_goes_is_an_error",
        ],
        open: "",
    },
    Fault {
        id: "F10",
        fault: "a bundle without an owner",
        promise: "it counts as held, by somebody unknown, and can be released",
        tiers: "T0",
        tests: &[
            "f10_a_bundle_without_owner_is_held_and_can_be_released",
            "f10_what_a_run_that_was_given_up_left_here_blocks_nobody",
        ],
        open: "",
    },
    Fault {
        id: "F11",
        fault: "two operators, or many, at once",
        promise: "one runs; the others are BLOCKED and told by whom and since when",
        tiers: "T0",
        tests: &[
            "f11_of_two_operators_one_is_told_about_the_other",
            "f11_of_many_at_once_each_runs_alone_or_is_blocked",
            "f11_a_step_of_another_user_that_runs_is_seen_by_who_asks",
        ],
        open: "",
    },
    Fault {
        id: "F12",
        fault: "an old controller wakes after another has taken over; the bundle is removed under a step",
        promise: "BLOCKED at its next step; the outcome is unknown, and the time limit still holds",
        tiers: "T0",
        tests: &[
            "f12_an_old_controller_that_wakes_after_a_takeover_is_blocked",
            "f12_a_bundle_that_is_removed_under_a_step_leaves_its_outcome_unknown",
            "f12_a_step_whose_record_was_deleted_is_not_run_again",
            "f12_a_step_that_cannot_be_started_says_why",
            "f12_a_sheet_tells_how_to_begin_anew_where_the_bundle_is_gone",
            "f12_a_run_whose_bundle_was_released_is_nothing_to_go_on_with",
            "f12_an_old_controller_leaves_nothing_in_the_bundle_of_another_run",
            "f12_of_two_copies_of_a_journal_the_older_controller_is_blocked_and_says_so",
        ],
        open: "",
    },
    Fault {
        id: "F13",
        fault: "somebody planted a symbolic link or a folder where the bundle goes",
        promise: "refused, with the reason",
        tiers: "T0",
        tests: &["f13_what_is_planted_where_the_bundle_goes_is_refused"],
        open: "",
    },
    Fault {
        id: "F14",
        fault: "a wrong password for sudo",
        promise: "tried once; no other node is tried with it",
        tiers: "T2: a real sudo that counts",
        tests: &[
            "f14_a_wrong_password_is_tried_once_and_stops_all",
            "sudo_is_told_apart_and_never_asked_again",
        ],
        open: "",
    },
    Fault {
        id: "F15",
        fault: "sudo of other makes and moods",
        promise: "it works, or the ERROR says why not",
        tiers: "imitations of many, and the real one on T1 and T2",
        tests: &[
            "f15_sudo_in_all_its_moods",
            "f15_sudo_rs_in_all_its_moods",
            "the_sudo_of_this_machine_is_told_apart",
            "f15_a_step_that_sudo_hides_after_a_cut_may_or_may_not_have_finished",
        ],
        open: "",
    },
    Fault {
        id: "F16",
        fault: "a password or secret in a process list, an environment, the journal, a report",
        promise: "it is nowhere: searched for plain, encoded and quoted",
        tiers: "T2",
        tests: &[
            "f16_no_password_and_no_secret_leaks_anywhere",
            "a_secret_is_in_no_output_and_no_report",
            "nothing_of_a_script_stands_in_an_argument_list",
        ],
        open: "",
    },
    Fault {
        id: "F17",
        fault: "a step that prints without end",
        promise: "memory stays flat; what is kept ends at a cap, with a mark",
        tiers: "T0, T2",
        tests: &[
            "f17_much_output_is_kept_to_a_cap_in_flat_memory",
            "f17_a_step_that_prints_more_than_the_disk_holds_ends_well",
            "output_over_the_limit_is_stopped_there",
        ],
        open: "",
    },
    Fault {
        id: "F18",
        fault: "binary output, broken UTF-8, sequences that steer a terminal",
        promise: "the bytes are kept; what is shown does nothing",
        tiers: "T0",
        tests: &[
            "f18_bytes_are_kept_and_the_display_is_harmless",
            "bytes_arrive_as_they_were_printed",
        ],
        open: "",
    },
    Fault {
        id: "F19",
        fault: "a login that prints, or that is no shell",
        promise: "its words are kept apart, or the ERROR is clear",
        tiers: "T1",
        tests: &[
            "f19_a_noisy_login_is_framed_away",
            "f19_a_login_that_is_no_shell_is_a_clear_error",
            "ssh_runs_scripts_on_every_shell",
            "an_account_without_a_shell_is_told",
        ],
        open: "",
    },
    Fault {
        id: "F20",
        fault: "a host key that is unknown or has changed",
        promise: "refused; the fingerprints are shown",
        tiers: "T1",
        tests: &[
            "f20_an_unknown_or_changed_host_key_is_shown_and_refused",
            "an_unknown_and_a_changed_host_key_are_told_with_fingerprints",
        ],
        open: "",
    },
    Fault {
        id: "F21",
        fault: "the node's clock is wrong",
        promise: "no decision uses it",
        tiers: "T1",
        tests: &["f21_a_node_with_another_clock_is_as_good_as_any"],
        open: "",
    },
    Fault {
        id: "F22",
        fault: "words for the shell, line ends or NUL in values",
        promise: "they arrive unchanged or are refused; they are never executed",
        tiers: "T0, T2",
        tests: &[
            "f22_values_arrive_unchanged_and_are_never_executed",
            "f22_a_bundle_may_be_in_a_folder_of_any_name",
            "f22_a_nul_is_refused_before_anything_is_touched",
            "f22_a_captured_secret_is_never_gone_on_with_as_its_mask",
            "f22_another_user_has_the_files_and_the_variables_as_they_are",
            "values_arrive_unchanged",
            "values_reach_python_as_environment",
        ],
        open: "",
    },
    Fault {
        id: "F23",
        fault: "YAML made to harm: bombs, duplicate keys, depth, size",
        promise: "an error with its place, in little time and memory",
        tiers: "T0",
        tests: &[
            "bombs_are_refused_in_little_time",
            "depth_is_bounded",
            "a_duplicate_key_is_drawn_with_both_places",
            "hostile_files_are_refused_within_a_limit_of_memory",
        ],
        open: "",
    },
    Fault {
        id: "F24",
        fault: "Markdown or HTML made to harm a reader; hidden characters in a block; files from elsewhere",
        promise: "nothing in the book is executable, and what was left out is named; hidden characters are an error; no text from outside the project",
        tiers: "T0: the built pages are read as a browser reads them",
        tests: &[
            "nothing_in_a_built_page_is_executable",
            "a_title_is_words_in_the_search_too",
            "a_file_outside_the_project_is_not_included",
            "a_link_of_the_file_system_does_not_lead_outside_either",
            "no_page_breaks_the_parser",
            "a_page_with_forty_mistakes_reports_all_forty",
        ],
        open: "",
    },
    Fault {
        id: "F25",
        fault: "the manual, or a value, changes between halt and resume",
        promise: "refused, with the difference",
        tiers: "T0",
        tests: &[
            "f25_a_manual_that_changed_since_the_halt_is_refused_with_the_difference",
            "f25_a_step_that_is_done_and_stands_elsewhere_now_is_refused_whatever_is_accepted",
            "f25_the_step_that_failed_may_become_another",
            "f25_a_value_that_changed_since_the_halt_is_refused_with_the_difference",
        ],
        open: "",
    },
    Fault {
        id: "F26",
        fault: "many nodes, some of them dead",
        promise: "every dead one is named with its cause, the others are as they would be without it, and memory, files and processes are bounded",
        tiers: "T1: 100 nodes with an address each, ten of them dead in four ways; 1,000 nodes with 50 dead in `cargo bench --bench suite -- thousand`",
        tests: &[
            "f26_of_100_nodes_each_dead_one_is_named_with_its_cause_and_the_others_are_unaffected",
            "f26_where_few_files_may_be_open_fewer_nodes_are_asked_at_a_time_and_that_is_said",
            "a_node_that_does_not_answer_fails_each_of_its_tests_with_the_one_cause",
        ],
        open: "",
    },
    Fault {
        id: "F27",
        fault: "a delivery is cut half way",
        promise: "it is never used",
        tiers: "T2",
        tests: &[
            "f27_a_delivery_that_is_cut_half_way_is_never_used",
            "what_cannot_be_delivered_is_told_and_leaves_nothing",
        ],
        open: "",
    },
    Fault {
        id: "F28",
        fault: "no node given, or a wrong one",
        promise: "exit status 2, and nothing runs",
        tiers: "T0",
        tests: &["f28_no_or_a_wrong_target_runs_nothing", "an_unknown_node"],
        open: "",
    },
    Fault {
        id: "F29",
        fault: "a step reads its input, keeps pipes open, or leaves children",
        promise: "it ends when its script ends; what it left behind is named",
        tiers: "T0",
        tests: &[
            "f29_a_step_that_reads_gets_nothing",
            "f29_a_step_ends_when_its_script_ends_and_its_children_are_named",
            "f29_what_is_left_behind_is_named_whatever_grep_a_node_has",
        ],
        open: "",
    },
];

const INTRODUCTION: &str = "\
# Faults

The journal, the bundle and the node agree, or the run says that it does not know. This table takes that sentence apart: what may go wrong, what opsbook promises then, and the tests that make it go wrong.

Written by `tests/it/fault_table.rs`, which fails where a test that is named here does not exist. Whether a promise holds is for the tests to say: the suite fails if one does not. The last column says what they said when they were last recorded.

Tests run in four tiers. T0 needs nothing but this machine's shell; T1 starts SSH servers of its own; T2 needs root and gives each node a network and a disk of its own; T3 is such a node with services. Where a tier cannot run, its tests say that they were skipped and why; under `CI=true` as root that is a failure.

";

fn chapter() -> String {
    let suite: Option<Suite> = record::read("suite");
    let mut out = INTRODUCTION.to_owned();
    if let Some(suite) = &suite {
        let origin = &suite.origin;
        let _ = writeln!(
            out,
            "Recorded on {} at revision {} ({}), as root, by `just record`.\n",
            origin.date, origin.revision, origin.machine
        );
    }
    out.push_str(
        "| # | fault | promise | how it is injected | recorded |\n|---|---|---|---|---|\n",
    );
    for row in &TABLE {
        let how = match (row.tests, row.open) {
            ([], _) => "not injected".to_owned(),
            (_, "") => row.tiers.to_owned(),
            (_, open) => format!("{} ({open})", row.tiers),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {how} | {} |",
            row.id,
            row.fault,
            row.promise,
            verdict(row, suite.as_ref())
        );
    }
    out.push_str(&loops());
    out.push_str("\n## The tests of each row\n\n");
    for row in &TABLE {
        let tests: Vec<String> = row.tests.iter().map(|test| format!("`{test}`")).collect();
        let tests = if tests.is_empty() {
            "none".to_owned()
        } else {
            tests.join(", ")
        };
        let _ = writeln!(out, "- {}: {tests}", row.id);
    }
    out
}

/// What the recorded run said of a row; a test that was not in it is not passed over.
fn verdict(row: &Fault, suite: Option<&Suite>) -> String {
    let passed = |test: &&&str| suite.and_then(|suite| suite.passed.get(**test));
    let count = |wanted| {
        row.tests
            .iter()
            .filter(|test| passed(test) == wanted)
            .count()
    };
    let all = row.tests.len();
    match (count(Some(&false)), count(None)) {
        _ if all == 0 => "not recorded".to_owned(),
        (0, 0) => format!("{all} passed"),
        (0, unknown) if unknown == all => "not recorded".to_owned(),
        (0, unknown) => format!("{} passed, {unknown} not recorded", all - unknown),
        (failed, _) => format!("**{failed} of {all} failed**"),
    }
}

/// The random loop, as far as it was recorded.
fn loops() -> String {
    let loops: Vec<Loop> = ["loop-local", "loop-ssh"]
        .into_iter()
        .filter_map(record::read)
        .collect();
    if loops.is_empty() {
        return String::new();
    }
    let mut out = LOOPS.to_owned();
    for ran in loops {
        let broken = match ran.broken.as_slice() {
            [] => "never".to_owned(),
            seeds => format!("**{} times** (seeds {seeds:?})", seeds.len()),
        };
        let _ = writeln!(
            out,
            "| {} | {}, revision {}, {} | {} | {} | {} | {} | {} | {broken} |",
            ran.nodes,
            ran.origin.date,
            ran.origin.revision,
            ran.origin.machine,
            ran.minutes,
            ran.rounds,
            ran.controllers,
            ran.faults,
            ran.unknown
        );
    }
    out
}

const LOOPS: &str = "
## The random loop

A random procedure (scripts, transcripts, deliveries, captures, variables that later steps use, set-up, checks, steps with `sudo`, on the controller or in Python, steps that fail once) and random faults while it runs: the controller is killed or told to end, one of its processes or of the node's is killed or frozen, a disk fills up, a second controller wants the same run. It is resumed, with more faults, until it is OK. After each controller the journal, the bundle and the node are compared: each step ran once, or the run has said that it does not know; nothing of it is left behind. `just soak MINUTES` runs it; a seed repeats a round.

| nodes | recorded | minutes | procedures | controllers | faults | outcomes unknown | promise broken |
|---|---|---|---|---|---|---|---|
";

/// The names of all functions that are tests.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(tests_of(&text));
        }
    }
}

fn tests_of(text: &str) -> Vec<String> {
    let mut test = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| test) {
            names.extend(rest.split('(').next().map(str::to_owned));
            test = false;
        }
    }
    names
}

fn known() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    tests_below(&root.join("tests/it"), &mut known);
    tests_below(&root.join("src"), &mut known);
    known
}

/// `f12_…` makes F12 happen.
#[test]
fn each_test_of_a_fault_stands_in_its_row() {
    let row = |test: &str| {
        let (id, _) = test.strip_prefix('f')?.split_once('_')?;
        let number: usize = id.parse().ok()?;
        Some(&TABLE[number - 1])
    };
    let mut known = known();
    known.retain(|test| row(test).is_some_and(|row| !row.tests.contains(&test.as_str())));
    assert_eq!(known, BTreeSet::new());
}

#[test]
fn each_test_that_the_table_names_exists() {
    let known = known();
    let missing: Vec<&str> = TABLE
        .iter()
        .flat_map(|row| row.tests)
        .copied()
        .filter(|test| !known.contains(*test))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_rows_are_numbered() {
    for (n, row) in TABLE.iter().enumerate() {
        assert_eq!(row.id, format!("F{}", n + 1));
    }
}

#[test]
fn the_chapter_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/faults.md");
    if let Some(junit) = std::env::var_os("OPSBOOK_RECORD") {
        let xml = std::fs::read_to_string(junit).unwrap();
        let mut suite = Suite::from_junit(&xml, record::Origin::now());
        let named: BTreeSet<&str> = TABLE.iter().flat_map(|row| row.tests).copied().collect();
        suite.passed.retain(|test, _| named.contains(test.as_str()));
        record::write("suite", &suite);
    }
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(&path, chapter()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == chapter(),
        "run this test with OPSBOOK_BLESS=1 to write the chapter anew"
    );
}

#[test]
fn only_tests_are_tests() {
    let text = "fn a() {}\n#[test]\nfn b() {\n#[tokio::test]\nasync fn c() {\nfn d() {";
    assert_eq!(tests_of(text), ["b", "c"]);
}
