//! Starts a planned run on this terminal: display, questions, and the final messages.

use std::io::Write;
use std::sync::Arc;

use crate::cli::about::About;
use crate::cli::error::{Failure, exit};
use crate::cli::interrupts::count_interrupts;
use crate::cli::progress::Progress;
use crate::cli::screen::{self, Screen, SharedOut};
use crate::cli::sheet::ways_on;
use crate::cli::supervised::Supervisor;
use crate::cli::terminal::Terminal;
use crate::cli::tty::is_anybody_there;
use crate::cli::{Streams, block_on};
use crate::engine::{self, Operator, Turn, Watcher};
use crate::event::{Event, Status, What};
use crate::journal;
use crate::outside::Net;
use crate::project::{Project, Run, looked_over};

/// How the run is displayed and who answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// Print the journal's lines instead of text for people.
    pub json: bool,
    /// A supervisor answers instead of a person at the terminal.
    pub answers: bool,
}

/// Runs it.
pub(crate) fn launch(
    project: &Project,
    run: Run,
    seat: Seat,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    crate::session::raise_limits();
    prove(project, &run, seat, &mut *streams.talk)?;
    let json = seat.json;
    let name = run.start.run().to_owned();
    let out = streams.take();
    let out = SharedOut::new(out);
    let plan = Arc::clone(&run.plan);
    let names: Vec<String> = { plan.machines().into_iter() }.map(str::to_owned).collect();
    let screen = if json {
        Screen::of_questions()
    } else {
        Screen::human(out.clone(), Progress::new(&names, true))
    };
    let status = block_on(async {
        let interrupts = count_interrupts(name.clone(), screen.clone());
        let supervisor = seat
            .answers
            .then(|| Supervisor::listen(interrupts.0.clone()));
        let interrupts = interrupts.1;
        let (operator, questions) = Operator::new();
        let about = About {
            state: project.state.clone(),
            run: name.clone(),
            plan: Some(Arc::clone(&plan)),
            screen: screen.clone(),
        };
        let terminal = Terminal::new(interrupts.clone(), about, supervisor);
        tokio::spawn(terminal.answer(questions));
        let bars = screen.clone();
        let turn = Turn(Arc::new(move |node| bars.turn(node)));
        let mut watcher = watcher(screen, json.then(|| out.clone()));
        if let Some(record) = run.start.record().filter(|_| !json) {
            // A resumed run's screen needs the step names from the beginning.
            let began = |event: &&Event| matches!(event.what, What::RunStarted(_));
            record.events.iter().filter(began).for_each(&mut watcher);
        }
        let seat = (operator, interrupts);
        Ok(run.go_in_turn(project, seat, watcher, turn).await?)
    })?;
    if status == Status::Ok {
        // Nobody continues by hand any more; a leftover folder does no harm.
        let folder = engine::by_hand_folder(&project.state, &name, "");
        let _ = std::fs::remove_dir_all(folder);
    }
    if !json && status != Status::Ok {
        let record = journal::read(&project.state, &name)?;
        // The run has ended, even if these messages cannot be printed.
        if let Err(error) = ways_on(project, &plan, &record, &mut Net::new(&mut **out.lock())) {
            writeln!(
                streams.talk,
                "error: cannot write the hand-off sheet to standard output: {error}\n\nhint: \
                 `opsbook handoff {name}` prints it again"
            )?;
        }
    }
    Ok(exit(status))
}

/// Checks whether anything is missing, before anything is written or reached.
fn prove(project: &Project, run: &Run, seat: Seat, talk: &mut dyn Write) -> Result<(), Failure> {
    let proof = run.proof(project);
    looked_over(&proof)?;
    let manner = &run.manner;
    if manner.yes || manner.through.step || seat.answers || is_anybody_there() {
        return Ok(());
    }
    if let Some(step) = proof.asks_late(&run.told().steps) {
        writeln!(
            talk,
            "note: step `{}` asks for a confirmation, and there is nobody to ask: the run stops \
             there (`--yes` confirms)\n",
            step.label()
        )?;
    }
    Ok(())
}

/// Shows each event on the screen, and as JSON if requested.
fn watcher(screen: Screen, json: Option<SharedOut>) -> Watcher {
    let mut json = json.map(screen::json);
    Box::new(move |event| {
        if let Some(json) = &mut json {
            json(event);
        }
        screen.event(event);
    })
}
