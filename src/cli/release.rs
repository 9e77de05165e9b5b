//! Releases a bundle on one node; and the questions and journal entries for releasing a whole run.

use std::collections::BTreeMap;
use std::io::Write;

use crate::cli::Streams;
use crate::cli::error::{Failure, exit};
use crate::cli::terminal;
use crate::cli::tty::is_anybody_there;
use crate::engine::{Alive, Answer, Bundle, BundleError, Held, Reach};
use crate::event::{Site, Status, What};
use crate::journal::{Journal, JournalError};
use crate::outside::line;
use crate::project::Project;
use crate::report::known::Known;

/// Releases the bundle of one node.
pub(super) async fn release(
    project: &Project,
    reach: &Reach,
    dir: &str,
    (run, yes): (Option<&str>, bool),
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let name = &reach.node.name;
    let Some(held) = Bundle::look(reach.session(), dir).await? else {
        writeln!(streams.people(), "{name}: already free")?;
        return Ok(0);
    };
    let owner = held.owner.as_ref().map(|owner| owner.run.exact());
    if let (Some(owner), None) = (owner, run) {
        writeln!(
            streams.talk,
            "error: {name}: {}\n\nhint: `--run {}` confirms that you mean this run",
            held.sentence(),
            line(owner)
        )?;
        return Ok(2);
    }
    let others = others_of(&held, name);
    if !others.is_empty() {
        let run = line(owner.unwrap_or_default());
        let others = others.join(", ");
        let about = format!(
            "{name}: run {run} also works on {others}: this releases only its lock on `{name}`, \
             and the run cannot continue\n\
             `opsbook lock release --run {run}` releases it on all its machines\n"
        );
        if yes {
            write!(streams.talk, "{about}")?;
        } else if !give_up_all_the_same(about, streams).await? {
            return Ok(exit(Status::Blocked));
        }
    }
    if held.alive == Alive::Live && !yes && !sure(name, &held, streams).await? {
        return Ok(exit(Status::Blocked));
    }
    let wanted = run.or(owner).unwrap_or_default();
    match Bundle::release(reach.session(), dir, wanted).await {
        Ok(()) => {}
        Err(BundleError::Gone) => {
            writeln!(streams.people(), "{name}: already free")?;
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    }
    writeln!(
        streams.people(),
        "{name}: released; its record is in the node's history"
    )?;
    write_down(project, wanted, name.into(), dir, streams)?;
    Ok(0)
}

/// A live run loses its bundle: a controller stops before its next step, a step continues.
async fn sure(name: &str, held: &Held, streams: &mut Streams) -> Result<bool, Failure> {
    give_up_all_the_same(format!("{name}: {}\n", held.sentence()), streams).await
}

/// Asks before something is released that others may need.
pub(super) async fn give_up_all_the_same(
    about: String,
    streams: &mut Streams,
) -> Result<bool, Failure> {
    if !is_anybody_there() {
        writeln!(
            streams.talk,
            "error: {about}\nhint: `--yes` releases it anyway"
        )?;
        return Ok(false);
    }
    match terminal::sure(about.clone(), about, "release it anyway?").await {
        Answer::Quit => Err(Failure::Stopped("nothing was released".to_owned())),
        answer => Ok(matches!(answer, Answer::Yes)),
    }
}

/// The other nodes of a run with roles that holds one.
fn others_of(held: &Held, name: &str) -> Vec<String> {
    let request = held.owner.as_ref().and_then(|owner| owner.request.as_ref());
    let Some(request) = request.filter(|request| !request.roles.is_empty()) else {
        return Vec::new();
    };
    let others = request.nodes.iter().filter(|other| *other != name);
    others.map(|other| line(other).to_string()).collect()
}

/// Journals the release of a bundle, and reports leftover bundles of other users.
pub(super) fn write_down(
    project: &Project,
    run: &str,
    site: Site<'_>,
    dir: &str,
    streams: &mut Streams,
) -> Result<(), Failure> {
    match written_down(project, run, site, dir) {
        Ok(left) => {
            for (user, path) in left {
                writeln!(
                    streams.people(),
                    "{site}: {path}, the bundle of {user}, stays until a step runs as {user} again"
                )?;
            }
        }
        Err(error) => writeln!(streams.talk, "warning: {error}")?,
    }
    Ok(())
}

/// Notes in the run's journal, if it is here, that the run cannot be resumed; returns leftover
/// bundles of other users.
fn written_down(
    project: &Project,
    run: &str,
    site: Site<'_>,
    dir: &str,
) -> Result<BTreeMap<String, String>, JournalError> {
    let (mut journal, record) = match Journal::reopen(&project.state, run) {
        Ok(both) => both,
        // The running controller stops before its next step, and journals that itself.
        Err(JournalError::Missing { .. } | JournalError::Busy { .. }) => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(error),
    };
    let closed = What::BundleClosed {
        path: dir.to_owned(),
        local: false,
        user: None,
    };
    journal.record(Some(site), None, closed)?;
    journal.sync()?;
    Ok(Known::of(&record, site).of_users)
}
