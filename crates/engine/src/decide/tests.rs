//! The complete product: a table for each `Wanted`, a line for each `NodeSays`, a column for each
//! `JournalSays`.

use super::*;

const JOURNAL: [JournalSays; 6] = [
    JournalSays::NotBegun,
    JournalSays::Begun,
    JournalSays::Passed,
    JournalSays::Failed,
    JournalSays::CouldNot,
    JournalSays::Unknown,
];

const NODE: [(&str, NodeSays); 14] = [
    ("not asked", NodeSays::NotAsked),
    ("no record", NodeSays::NoRecord),
    ("bundle gone", NodeSays::BundleGone),
    ("running", NodeSays::Running),
    ("whole", NodeSays::Ended(End::Whole, Left::Nothing)),
    ("whole, left", NodeSays::Ended(End::Whole, Left::Something)),
    ("not kept", NodeSays::Ended(End::NotKept, Left::Nothing)),
    (
        "not kept, left",
        NodeSays::Ended(End::NotKept, Left::Something),
    ),
    ("cut short", NodeSays::Ended(End::CutShort, Left::Nothing)),
    (
        "cut short, left",
        NodeSays::Ended(End::CutShort, Left::Something),
    ),
    ("rebooted", NodeSays::Rebooted),
    ("unknown", NodeSays::Unknown),
    ("ahead", NodeSays::Ahead),
    ("contradicts", NodeSays::Contradicts),
];

const WANTED: [Wanted; 7] = [
    Wanted::GoOn,
    Wanted::Named,
    Wanted::Agreed,
    Wanted::Repeat,
    Wanted::Done,
    Wanted::PassOver,
    Wanted::CatchUp,
];

/// `?` asks and `!` refuses.
const TABLE: &str = "
GoOn            | not begun begun   passed  failed  couldn't unknown
not asked       | run       look    look    look    look     look
no record       | run       run     run     run     run      ?end
bundle gone     | run       ?end    run     run     run      ?end
running         | !ahead    wait    wait    wait    wait     wait
whole           | !ahead    take    again   again   take     take
whole, left     | !ahead    take    ?left   ?left   take     take
not kept        | !ahead    take    ?lost   ?lost   ?lost    ?lost
not kept, left  | !ahead    take    ?lost   ?lost   ?lost    ?lost
cut short       | !ahead    take    again   again   again    again
cut short, left | !ahead    take    ?left   ?left   ?left    ?left
rebooted        | !ahead    blind   again   again   ?end     ?end
unknown         | !ahead    blind   again   again   ?end     ?end
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

Named           | not begun begun   passed  failed  couldn't unknown
not asked       | run       look    look    look    look     look
no record       | run       run     run     run     run      run
bundle gone     | run       run     run     run     run      run
running         | !ahead    wait    wait    wait    wait     wait
whole           | !ahead    take    again   again   take     take
whole, left     | !ahead    take    again   again   take     take
not kept        | !ahead    take    again   again   again    again
not kept, left  | !ahead    take    again   again   again    again
cut short       | !ahead    take    again   again   again    again
cut short, left | !ahead    take    again   again   again    again
rebooted        | !ahead    blind   again   again   again    again
unknown         | !ahead    blind   again   again   again    again
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

Agreed          | not begun begun   passed  failed  couldn't unknown
not asked       | run       look    look    look    look     look
no record       | run       run     run     run     run      run
bundle gone     | run       run     run     run     run      run
running         | !ahead    wait    wait    wait    wait     wait
whole           | !ahead    again   again   again   again    again
whole, left     | !ahead    again   again   again   again    again
not kept        | !ahead    again   again   again   again    again
not kept, left  | !ahead    again   again   again   again    again
cut short       | !ahead    again   again   again   again    again
cut short, left | !ahead    again   again   again   again    again
rebooted        | !ahead    again   again   again   again    again
unknown         | !ahead    again   again   again   again    again
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

Repeat          | not begun begun   passed  failed  couldn't unknown
not asked       | run       look    look    look    look     look
no record       | run       run     run     run     run      ?end
bundle gone     | run       ?end    run     run     run      ?end
running         | !ahead    wait    wait    wait    wait     wait
whole           | !ahead    again   again   again   again    again
whole, left     | !ahead    ?left   ?left   ?left   ?left    ?left
not kept        | !ahead    ?lost   ?lost   ?lost   ?lost    ?lost
not kept, left  | !ahead    ?lost   ?lost   ?lost   ?lost    ?lost
cut short       | !ahead    again   again   again   again    again
cut short, left | !ahead    ?left   ?left   ?left   ?left    ?left
rebooted        | !ahead    ?end    again   again   ?end     ?end
unknown         | !ahead    ?end    again   again   ?end     ?end
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

Done            | not begun begun   passed  failed  couldn't unknown
not asked       | by-hand   by-hand by-hand by-hand by-hand  by-hand
no record       | by-hand   by-hand by-hand by-hand by-hand  by-hand
bundle gone     | by-hand   by-hand by-hand by-hand by-hand  by-hand
running         | !ahead    !runs   !runs   !runs   !runs    !runs
whole           | !ahead    by-hand by-hand by-hand by-hand  by-hand
whole, left     | !ahead    by-hand by-hand by-hand by-hand  by-hand
not kept        | !ahead    by-hand by-hand by-hand by-hand  by-hand
not kept, left  | !ahead    by-hand by-hand by-hand by-hand  by-hand
cut short       | !ahead    by-hand by-hand by-hand by-hand  by-hand
cut short, left | !ahead    by-hand by-hand by-hand by-hand  by-hand
rebooted        | !ahead    by-hand by-hand by-hand by-hand  by-hand
unknown         | !ahead    by-hand by-hand by-hand by-hand  by-hand
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

PassOver        | not begun begun   passed  failed  couldn't unknown
not asked       | skip      skip    leave   skip    skip     skip
no record       | skip      skip    leave   skip    skip     skip
bundle gone     | skip      skip    leave   skip    skip     skip
running         | !ahead    !runs   !runs   !runs   !runs    !runs
whole           | !ahead    skip    leave   skip    skip     skip
whole, left     | !ahead    skip    leave   skip    skip     skip
not kept        | !ahead    skip    leave   skip    skip     skip
not kept, left  | !ahead    skip    leave   skip    skip     skip
cut short       | !ahead    skip    leave   skip    skip     skip
cut short, left | !ahead    skip    leave   skip    skip     skip
rebooted        | !ahead    skip    leave   skip    skip     skip
unknown         | !ahead    skip    leave   skip    skip     skip
ahead           | !ahead    !ahead  !ahead  !ahead  !ahead   !ahead
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong

CatchUp         | not begun begun   passed  failed  couldn't unknown
not asked       | run       look    look    look    look     look
no record       | run       run     run     run     run      ?end
bundle gone     | run       ?end    run     run     run      ?end
running         | take-in   wait    wait    wait    wait     wait
whole           | take-in   take    again   again   take     take
whole, left     | take-in   take    ?left   ?left   take     take
not kept        | take-in   take    ?lost   ?lost   ?lost    ?lost
not kept, left  | take-in   take    ?lost   ?lost   ?lost    ?lost
cut short       | take-in   take    again   again   again    again
cut short, left | take-in   take    ?left   ?left   ?left    ?left
rebooted        | take-in   blind   again   again   ?end     ?end
unknown         | take-in   blind   again   again   ?end     ?end
ahead           | take-in   take-in take-in take-in take-in  take-in
contradicts     | !wrong    !wrong  !wrong  !wrong  !wrong   !wrong
";

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Look => "look",
        Decision::Run => "run",
        Decision::RunAgain => "again",
        Decision::Attach => "wait",
        Decision::TakeEnd => "take",
        Decision::TellUnknown => "blind",
        Decision::Ask(Doubt::MayHaveFinished) => "?end",
        Decision::Ask(Doubt::NotKept) => "?lost",
        Decision::Ask(Doubt::LeftBehind) => "?left",
        Decision::TakeIn => "take-in",
        Decision::MarkByHand => "by-hand",
        Decision::MarkSkipped => "skip",
        Decision::Leave => "leave",
        Decision::Refuse(Refusal::StillRuns(_)) => "!runs",
        Decision::Refuse(Refusal::NodeIsAhead) => "!ahead",
        Decision::Refuse(Refusal::Contradiction) => "!wrong",
    }
}

#[test]
fn every_cell_of_journal_and_node_and_wish_is_decided_as_the_table_says() {
    let mut tables = TABLE.trim().split("\n\n");
    for wanted in WANTED {
        let mut lines = tables.next().unwrap().lines();
        assert!(lines.next().unwrap().starts_with(&format!("{wanted:?} ")));
        for (name, node) in NODE {
            let (said, cells) = lines.next().unwrap().split_once('|').unwrap();
            assert_eq!(said.trim(), name, "{wanted:?}");
            let cells: Vec<&str> = cells.split_whitespace().collect();
            let decided = JOURNAL.map(|journal| word(decide(journal, node, wanted)));
            assert_eq!(decided.as_slice(), cells, "{wanted:?}, {name}");
        }
        assert_eq!(lines.next(), None);
    }
    assert_eq!(tables.next(), None);
}

fn all() -> impl Iterator<Item = (JournalSays, NodeSays, Wanted)> {
    JOURNAL.into_iter().flat_map(|journal| {
        let of_node = NODE.into_iter();
        of_node.flat_map(move |(_, node)| WANTED.map(|wanted| (journal, node, wanted)))
    })
}

#[test]
fn what_runs_is_never_run_a_second_time_beside_itself() {
    for (journal, _, wanted) in all() {
        let decision = decide(journal, NodeSays::Running, wanted);
        let starts = matches!(
            decision,
            Decision::Run | Decision::RunAgain | Decision::Ask(_) | Decision::Look
        );
        assert!(!starts, "{journal:?} {wanted:?} {decision:?}");
    }
}

#[test]
fn what_may_have_finished_is_run_again_only_by_the_word_of_the_operator() {
    for (journal, node, wanted) in all() {
        let open = matches!(node, NodeSays::Unknown | NodeSays::Rebooted);
        let named = matches!(wanted, Wanted::Named | Wanted::Agreed);
        if !open || !journal.may_run() || named {
            continue;
        }
        let decision = decide(journal, node, wanted);
        let starts = matches!(decision, Decision::Run | Decision::RunAgain);
        assert!(!starts, "{journal:?} {node:?} {wanted:?} {decision:?}");
    }
}

#[test]
fn a_record_of_which_the_journal_knows_nothing_is_never_run_over() {
    for (journal, node, wanted) in all() {
        let on_node = !matches!(
            node,
            NodeSays::NotAsked | NodeSays::NoRecord | NodeSays::BundleGone
        );
        if journal != JournalSays::NotBegun || !on_node {
            continue;
        }
        let decision = decide(journal, node, wanted);
        let kept = matches!(decision, Decision::Refuse(_) | Decision::TakeIn);
        assert!(kept, "{node:?} {wanted:?} {decision:?}");
    }
}

#[test]
fn what_the_operator_agrees_to_run_again_is_run() {
    for (journal, node, wanted) in all() {
        if let Decision::Ask(_) = decide(journal, node, wanted) {
            let decision = decide(journal, node, Wanted::Agreed);
            let starts = matches!(decision, Decision::Run | Decision::RunAgain);
            assert!(starts, "{journal:?} {node:?} {wanted:?} {decision:?}");
        }
    }
}
