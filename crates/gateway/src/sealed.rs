//! Keeps a sealed certificate for each segment that has people for it. A new one is made after half
//! of its time, so that whoever fetches one has at least the other half.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::gateway::{Gateway, Tell};
use crate::manuals::segment_of;
use crate::private;
use crate::segments::sealing::seal;
use crate::segments::{Sealing, certificates};
use crate::store::written;
use crate::wire::sealed::{LARGEST, Sealed};

/// How often to look, at most.
const LOOK: Duration = Duration::from_secs(30);

/// Makes new ones until `stop`, in this folder.
pub(crate) async fn keep(
    gateway: Arc<Gateway>,
    folder: PathBuf,
    mut stop: watch::Receiver<()>,
    tell: Tell,
) {
    let mut said = String::new();
    loop {
        let mut wrong = Vec::new();
        let mut pause = LOOK;
        for (name, segment) in &gateway.segments {
            let Some(sealing) = &segment.sealed else {
                continue;
            };
            pause = pause.min(sealing.valid / 4);
            if let Err(why) = kept(&gateway, &folder, (name, sealing)).await {
                wrong.push(format!("no sealed certificate for segment `{name}`: {why}"));
            }
        }
        let wrong = wrong.join("; ");
        if wrong != said && !wrong.is_empty() {
            tell(&wrong);
        }
        said = wrong;
        if tokio::time::timeout(pause, stop.changed()).await.is_ok() {
            return;
        }
    }
}

/// Makes a new one if the last one is old, or for other people.
async fn kept(
    gateway: &Arc<Gateway>,
    folder: &Path,
    (segment, sealing): (&str, &Sealing),
) -> Result<(), String> {
    let Some(of) = certificates(&gateway.segments, segment) else {
        return Ok(());
    };
    let now = gateway
        .store
        .now()
        .await
        .map_err(|error| error.to_string())?;
    let people = sealing.people()?;
    let path = folder.join(format!("{segment}.json"));
    if let Some(last) = read(&path)
        && last.gateway == gateway.name
        && last.people().into_iter().eq(people.keys())
        && half_is_left(&last, sealing, now)
    {
        return Ok(());
    }
    let nodes = nodes(gateway, segment).await?;
    let names = (gateway.name.as_str(), segment);
    let until = written(now.saturating_add(milliseconds(sealing.valid)));
    let sealed = seal(names, (sealing, of), nodes, until).await?;
    let text = serde_json::to_string(&sealed).map_err(|error| error.to_string())?;
    let kept = private::folder(folder).and_then(|()| private::replace(&path, text.as_bytes()));
    kept.map_err(|error| format!("`{}`: {error}", path.display()))
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn half_is_left(last: &Sealed, sealing: &Sealing, now: i64) -> bool {
    let until = last.until.parse::<jiff::Timestamp>();
    let left = until.map_or(0, |until| until.as_millisecond() - now);
    left > milliseconds(sealing.valid / 2)
}

/// The nodes of a segment, of all manuals that can be read.
async fn nodes(gateway: &Arc<Gateway>, segment: &str) -> Result<Vec<String>, String> {
    let (here, segment) = (Arc::clone(gateway), segment.to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let mut names = Vec::new();
        for manual in here.manuals.all() {
            let nodes = manual.read().and_then(|read| read.hosts(None));
            let nodes = nodes.map_err(|problem| problem.to_string())?;
            let of = nodes.into_iter().filter(|node| segment_of(node) == segment);
            names.extend(of.map(|node| node.name));
        }
        names.sort();
        names.dedup();
        Ok(names)
    });
    found.await.map_err(|error| error.to_string())?
}

/// The sealed certificates that this person can help to open.
pub(crate) fn of_person(gateway: &Gateway, folder: &Path, person: &str) -> Vec<Sealed> {
    let sealed = gateway
        .segments
        .iter()
        .filter(|(_, of)| of.sealed.is_some());
    let paths = sealed.map(|(name, _)| folder.join(format!("{name}.json")));
    let all = paths.filter_map(|path| read(&path));
    all.filter(|one| one.layer_of(person).is_some()).collect()
}

fn read(path: &Path) -> Option<Sealed> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
