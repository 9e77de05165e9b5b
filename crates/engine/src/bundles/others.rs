//! Steps as another user than root. Such a user cannot read the login user's bundle and gets a
//! separate one, with the delivered files and the same shell variables. Whatever comes back from
//! that user is untrusted data: see `state`.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::bundle::{Alive, Bundle, BundleError, Fate};
use crate::bundles::Bundles;
use crate::bundles::{dir_of, last_token};
use crate::event::{Status, What};
use crate::halt::{Attention, Halt};
use crate::journal::Record;
use crate::manual::{On, SudoUser, variables};
use crate::plan::{PlannedStep, PlannedWork};
use crate::session::{Call, Cancel, Content, Done, Limits};
use crate::shell::Shell;
use crate::state::{State, Takes};

/// The most bytes of files copied between users.
const LARGEST: u64 = 256 << 20;
/// The prefix of the file that records that a user has the bundle's files; the user's name follows.
const GIVEN: &str = "steps/given";
/// The same for the user's id and the place of the bundle.
const AS: &str = "steps/as";
/// The same for a copy of that user's bundle.
const COPIED: &str = "steps/copy";
/// Prints an archive of the bundle's files, without opsbook's own.
const ARCHIVE: &str = r#"set --
for f in * .[!.]*; do
  case $f in steps | owner | lock | live | token* | recorder | run | state | values | .*.part) continue ;; esac
  if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "./$f"; fi
done
[ $# = 0 ] || tar -cf - "$@""#;
/// The place for a user without a home. The system deletes old files there, so the login's bundle
/// keeps a copy of what must not be lost.
const BY_AGE: &str = "/var/tmp/";
/// Prints that copy, without parts that are useless elsewhere.
const COPY: &str = r#"set --
for f in * .[!.]*; do
  case $f in owner | lock | live | token* | .*.part) continue ;; esac
  if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "./$f"; fi
done
tar -cf - "$@" | head -c 67108865"#;
/// The most bytes of that copy.
const LARGEST_COPY: u64 = 64 << 20;
/// Prints the variables that steps have set, up to one byte beyond the limit.
const STATE: &str = "[ -e state ] || exit 0\n\
    [ -f state ] || { echo 'it is not a regular file' >&2; exit 1; }\n\
    head -c 4194305 state";

/// What this run knows of another user's bundle.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Its path, once it was opened.
    pub dir: Option<String>,
    /// The token by which this run holds it, if known. After a cut, the shell of the lost
    /// connection may live for a while; then this run alone still holds it.
    token: Option<String>,
    /// Steps that were started in it: the run cannot continue without it.
    begun: BTreeSet<usize>,
}

impl Bundles<'_> {
    /// Notes the journal's steps of other users: the run cannot continue without their bundles.
    pub fn know_others(&mut self, resume: Option<&Record>) {
        let plan = self.given.plan;
        let before = resume.map(|record| record.steps(plan.site()));
        let before = before.unwrap_or_default();
        for step in &plan.steps {
            if let Some(user) = self.other_user(step) {
                let place = self.places.entry(user).or_default();
                place.token = resume.and_then(|record| last_token(record, plan.site(), false));
                match before.get(&step.number) {
                    None | Some(Some(Status::Skipped | Status::ByHand)) => {}
                    Some(_) => drop(place.begun.insert(step.number)),
                }
            }
        }
    }

    /// Opens the bundles of all other users that steps run as, before the first step, so that
    /// obstacles are found before anything changes.
    pub async fn open_others(&mut self) -> Result<(), Halt> {
        if !self.is_open() {
            return Ok(());
        }
        let plan = self.given.plan;
        for step in &plan.steps {
            if self.other_user(step).is_some() {
                let bundle = self.of(step.on, step.sudo.as_ref()).await;
                bundle.map_err(Attention::into_halt)?;
            }
        }
        Ok(())
    }

    /// Warns if logind would kill steps together with the connection.
    pub async fn warn_of_mortal_steps(&mut self) -> Result<(), Halt> {
        // If everything is done, no bundle is open and no step will come.
        if !self.is_open() {
            return Ok(());
        }
        let plan = self.given.plan;
        let mut said = BTreeSet::new();
        let killing = self.own.as_ref().map(|own| own.fate) == Some(Fate::Mortal);
        for step in plan.steps.iter().filter(|step| step.on == On::Node) {
            let root = step.sudo.as_ref().is_some_and(|user| user.0 == "root");
            // Root can nearly always keep its steps alive; check only where logind kills.
            if (root && !killing) || !matches!(step.work, PlannedWork::Script(_)) {
                continue;
            }
            let bundle = self.of(step.on, step.sudo.as_ref()).await;
            let bundle = bundle.map_err(Attention::into_halt)?;
            let user = bundle.shell().hello().user.line().to_string();
            if bundle.fate == Fate::Mortal && said.insert(user.clone()) {
                let text = format!(
                    "on this node, logind kills the processes of a closed login \
                     (`KillUserProcesses`): a step of {user} ends with the connection, without a \
                     result; `loginctl enable-linger {user}` prevents that"
                );
                self.given
                    .record(None, What::Warned { text: text.into() })?;
            }
        }
        Ok(())
    }

    /// The paths of the opened bundles of other users.
    pub fn dirs_of_others(&self) -> Vec<String> {
        let places = self.places.values();
        places.filter_map(|place| place.dir.clone()).collect()
    }

    /// The path of another user's bundle, once it was opened.
    pub fn dir_of(&self, user: &str) -> Option<String> {
        self.places.get(user)?.dir.clone()
    }

    /// The bundle of another user; opens and fills it on first use.
    pub async fn of_user(&mut self, user: &SudoUser) -> Result<Bundle, Attention> {
        let session = match self.reach.to(On::Node, Some(user)).await {
            Ok(session) => session,
            Err(crate::ReachError::Lost(lost)) => return Err(Attention::Lost(lost)),
            Err(error) => return Err(Attention::Halt(error.into())),
        };
        let own = self.own()?;
        if user.0 == "root" || self.reach.session().hello().user == user.0 {
            return Ok(own.through(&session, &self.token).await?);
        }
        match self.open_place(&own, &session, &user.0).await {
            Err(Attention::Halt(Halt::End {
                status,
                cause,
                outcome_unknown,
            })) => Err(Attention::Halt(Halt::End {
                status,
                cause: format!("the bundle of {}: {cause}", user.0),
                outcome_unknown,
            })),
            other => other,
        }
    }

    async fn open_place(
        &mut self,
        own: &Bundle,
        shell: &Shell,
        user: &str,
    ) -> Result<Bundle, Attention> {
        let run = self.given.run();
        let dir = Bundle::place(shell, &self.place_name()).await?;
        let place = self.places.entry(user.to_owned()).or_default();
        let begun = place.begun.clone();
        let old = place.token.clone().unwrap_or_else(|| self.token.clone());
        let by_age = dir.starts_with(BY_AGE);
        let held = Bundle::look(shell, &dir).await?;
        let taken = match &held {
            // The login user's bundle is its lock: whoever holds that one holds this one.
            Some(held) if held.owner.as_ref().is_some_and(|owner| owner.run == run) => {
                match Bundle::reopen(shell, &dir, &run, &self.token, &old, None).await {
                    Err(BundleError::Held(_)) if by_age => None,
                    taken => Some(taken?),
                }
            }
            Some(held) if held.alive == Alive::Live => {
                return Err(BundleError::Held(Box::new(held.clone())).into());
            }
            _ => None,
        };
        let gone = "it is gone from the node, so the run cannot continue with what its steps left \
            there";
        let bundle = match taken {
            Some(bundle) => bundle,
            None if !begun.is_empty() && !by_age => return Err(Halt::error(gone).into()),
            None => {
                if let Some(held) = held {
                    let owner = held.owner.map(|owner| owner.run).unwrap_or_default();
                    Bundle::release(shell, &dir, owner.exact()).await?;
                }
                self.new_place(own, shell, user, &dir).await?
            }
        };
        if by_age && !begun.is_empty() && !give_back(own, &bundle, user, &begun).await? {
            return Err(Halt::error(gone).into());
        }
        let place = self.places.entry(user.to_owned()).or_default();
        place.dir = Some(dir);
        place.token = Some(self.token.clone());
        Ok(bundle)
    }

    async fn new_place(
        &self,
        own: &Bundle,
        shell: &Shell,
        user: &str,
        dir: &str,
    ) -> Result<Bundle, Attention> {
        let bundle = Bundle::open(
            shell,
            dir,
            &self.given.options.owner,
            &self.token,
            None,
            &[],
        )
        .await?;
        self.record_opened(dir, false, Some(user.to_owned()))?;
        // It has no files yet. The login's side recognises this by the missing file.
        let script = Call::new("rm -f").word(format!("{GIVEN}.{user}"));
        let script = script
            .code("; printf '%s\\n'")
            .word(format!("{} {dir}", shell.hello().uid));
        let script = script.code(" >").word(format!("{AS}.{user}"));
        let noted = within(own, &script).await?;
        if noted.ok() {
            return Ok(bundle);
        }
        let said = crate::harmless(&noted.err);
        Err(Halt::error(format!("cannot record it: {}", said.trim())).into())
    }

    /// Notes that a step of that user is on the node.
    pub fn note_begun(&mut self, user: &str, step: usize) {
        let place = self.places.entry(user.to_owned()).or_default();
        place.begun.insert(step);
    }

    /// The name of the place: one for each bundle that a login may hold.
    fn place_name(&self) -> String {
        let hello = self.reach.session().hello();
        let node = &self.given.plan.node;
        if node.bundle_dir.is_none() && !self.given.below {
            return hello.uid.to_string();
        }
        let sum = Sha256::digest(dir_of(&self.given, hello));
        let sum: String = sum
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{sum}", hello.uid)
    }

    /// Gives another user the bundle's files, unless that user has the latest delivery.
    pub async fn give_files(
        &self,
        step: &PlannedStep,
        user: &str,
        to: &Bundle,
    ) -> Result<(), Attention> {
        let own = self.own()?;
        let given = format!("{GIVEN}.{user}");
        let script = Call::new("[ ! -e")
            .word(&given)
            .code(" ] || exit 0\n")
            .code(ARCHIVE);
        let done = within(&own, &script).await?;
        let said = crate::harmless(&done.err);
        if done.truncated {
            let cause = format!("the files of the bundle for {user} are larger than 256 MiB");
            return Err(Halt::error(cause).into());
        }
        if !done.ok() && done.out.is_empty() {
            let cause = format!(
                "cannot copy the files of the bundle to {user}: {}",
                said.trim()
            );
            return Err(Halt::error(cause).into());
        }
        if !done.ok() {
            let text = format!(
                "some files of the bundle are missing for {user}: {}",
                said.trim()
            );
            self.given
                .record(Some(step), What::Warned { text: text.into() })?;
        }
        if !done.out.is_empty() {
            put(to, ".files.part", &done.out).await?;
            let unpack = Call::new("tar -xof .files.part && rm .files.part");
            let unpacked = within(to, &unpack).await?;
            if !unpacked.ok() {
                let said = crate::harmless(&unpacked.err);
                let cause = format!(
                    "cannot unpack the files of the bundle for {user}: {}",
                    said.trim()
                );
                return Err(Halt::error(cause).into());
            }
            within(&own, &Call::new(": >").word(&given)).await?;
        }
        Ok(())
    }

    /// Notes that the delivery which begins now makes all other copies outdated.
    pub async fn files_are_new(&self) -> Result<(), Halt> {
        let mut steps = self.given.plan.steps.iter();
        if !steps.any(|step| self.other_user(step).is_some()) {
            return Ok(());
        }
        let bundle = self.own()?;
        let done = within(&bundle, &Call::new("rm -f").word(GIVEN).code(".*")).await;
        match done {
            Ok(_) => Ok(()),
            Err(Attention::Halt(halt)) => Err(halt),
            Err(Attention::Lost(lost)) => Err(Halt::error(lost.to_string())),
        }
    }

    /// Gives a step of another user the variables of the earlier steps.
    pub async fn carry_state(&self, to: &Bundle) -> Result<(), Attention> {
        let own = self.own()?;
        let state = state_of(&own).await?.map_err(not_taken_over)?;
        let theirs = state_of(to).await?.unwrap_or_default();
        if state.is_empty() && theirs.is_empty() {
            return Ok(());
        }
        let text = state.for_other(&theirs, &own.dir, &to.dir).text();
        put_state(to, &text).await
    }

    /// Takes the files and variables of another bundle of the same user into a new bundle.
    pub async fn take_from(&self, dir: &str) -> Result<(), Attention> {
        let own = self.own()?;
        let files = Call::new("(cd").word(dir).code(" || exit\n").code(ARCHIVE);
        let files = files.code(
            ") >.files.part && { [ ! -s .files.part ] || tar -xf .files.part; } && rm .files.part",
        );
        let taken = within(&own, &files).await?;
        if !taken.ok() {
            let said = crate::harmless(&taken.err);
            let cause = format!("cannot take over the files of `{dir}`: {}", said.trim());
            return Err(Halt::error(cause).into());
        }
        let state = Call::new("cd").word(dir).code(" || exit\n").code(STATE);
        let done = within(&own, &state).await?;
        if !done.ok() {
            let why = crate::harmless(&done.err).trim().to_owned();
            return Err(not_taken_over(why).into());
        }
        let state = State::read(&done.out).map_err(|why| not_taken_over(why.to_string()))?;
        if state == State::default() {
            return Ok(());
        }
        let state = state.for_other(&State::default(), dir, &own.dir);
        put_state(&own, &state.text()).await
    }

    /// Takes the variables that another user's step has set, limited to those that its script sets.
    pub async fn take_state(
        &self,
        user: &str,
        step: &PlannedStep,
        interpreter: &str,
        script: &[u8],
    ) -> Result<(), Attention> {
        let Some(from) = self.users.get(user) else {
            return Ok(());
        };
        if from.dir.starts_with(BY_AGE) {
            self.keep_copy(step, user, from).await?;
        }
        let of_it = |why: String| {
            format!(
                "cannot take over the variables that {user} has set: \
                 {why}"
            )
        };
        let theirs = state_of(from)
            .await?
            .map_err(|why| Halt::error(of_it(why)))?;
        if theirs.is_empty() {
            return Ok(());
        }
        let own = self.own()?;
        let before = state_of(&own).await?.map_err(not_taken_over)?;
        let text = String::from_utf8_lossy(script);
        let found = variables(&text, interpreter);
        let takes = Takes {
            names: &found.kept,
            opaque: found.opaque,
            folder: found.opaque || may_move(&text),
        };
        let mut state = before.clone();
        let taken = state.take_over(&theirs, takes, &from.dir, &own.dir);
        if !taken.of_the_shell.is_empty() {
            let names = taken.of_the_shell.join(", ");
            let text = format!(
                "{names}: not taken over from {user}, because it controls how \
                 programs run"
            );
            self.given
                .record(Some(step), What::Warned { text: text.into() })?;
        }
        if !taken.changed.is_empty() {
            let names = taken.changed.join(", ");
            let text = format!(
                "{names}: not taken over from {user}, because the step does not \
                 set it"
            );
            self.given
                .record(Some(step), What::Warned { text: text.into() })?;
        }
        if state == before {
            return Ok(());
        }
        put_state(&own, &state.text()).await
    }

    /// Copies a bundle in a place that the system cleans up into the login's bundle. The copy is
    /// only data there; only its own user ever unpacks it.
    async fn keep_copy(
        &self,
        step: &PlannedStep,
        user: &str,
        from: &Bundle,
    ) -> Result<(), Attention> {
        let done = bounded(from, &Call::new(COPY), LARGEST_COPY + 1).await?;
        let large = done.out.len() as u64 > LARGEST_COPY;
        if large || !done.ok() || !done.err.is_empty() {
            let why = if large {
                "it has more than 64 MiB".to_owned()
            } else {
                crate::harmless(&done.err).trim().to_owned()
            };
            let text = format!(
                "the bundle of {user} is in /var/tmp, which is emptied by age, and cannot be copied: {why}"
            );
            return Ok(self
                .given
                .record(Some(step), What::Warned { text: text.into() })?);
        }
        let own = self.own()?;
        own.mine().await?;
        put(&own, &format!("{COPIED}.{user}"), &done.out).await
    }
}

/// Restores the missing parts of a user's bundle. Returns false if the copy lacks something that
/// the run needs.
async fn give_back(
    own: &Bundle,
    to: &Bundle,
    user: &str,
    begun: &BTreeSet<usize>,
) -> Result<bool, Attention> {
    let copy = format!("{COPIED}.{user}");
    let kept = Call::new("[ ! -f")
        .word(&copy)
        .code(" ] || cat")
        .word(&copy);
    let kept = within(own, &kept).await?;
    if !kept.ok() || kept.truncated {
        return Ok(false);
    }
    if !kept.out.is_empty() {
        put(to, ".files.part", &kept.out).await?;
    }
    let mut script =
        Call::new("[ ! -f .files.part ] || tar -xkof .files.part 2>/dev/null; rm -f .files.part\n");
    for step in begun {
        let step = format!("steps/{step}");
        script = script
            .code("[ -e")
            .word(&step)
            .code(" ] || [ -e")
            .word(format!("{step}-1"));
        script = script.code(" ] || exit 1\n");
    }
    Ok(within(to, &script).await?.ok())
}

fn not_taken_over(why: String) -> Halt {
    Halt::error(format!(
        "cannot read the variables that earlier steps set: {why}"
    ))
}

/// The variables in a bundle, or the reason why they cannot be read.
async fn state_of(bundle: &Bundle) -> Result<Result<State, String>, Attention> {
    let done = within(bundle, &Call::new(STATE)).await?;
    if !done.ok() {
        let said = crate::harmless(&done.err);
        return Ok(Err(said.trim().to_owned()));
    }
    Ok(State::read(&done.out).map_err(|error| error.to_string()))
}

pub async fn put_state(to: &Bundle, text: &[u8]) -> Result<(), Attention> {
    // The bundle may belong to another run by now, with other variables.
    to.mine().await?;
    put(to, "state", text).await
}

async fn put(to: &Bundle, name: &str, bytes: &[u8]) -> Result<(), Attention> {
    let path = format!("{}/{name}", to.dir);
    let content = Content::Bytes(bytes);
    let cancel = Cancel::new();
    match to.shell().deliver(&path, content, 0o600, &cancel).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Halt::error(error.to_string()).into()),
    }
}

/// Whether a script may end in another folder than it began in.
#[must_use]
pub fn may_move(script: &str) -> bool {
    let mut words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| matches!(word, "cd" | "chdir" | "pushd" | "popd"))
}

/// Runs one of opsbook's scripts in a bundle.
async fn within(bundle: &Bundle, script: &Call) -> Result<Done, Attention> {
    bounded(bundle, script, LARGEST).await
}

async fn bounded(bundle: &Bundle, script: &Call, most: u64) -> Result<Done, Attention> {
    let call = Call::new("umask 077; cd").word(&bundle.dir);
    let call = call.code(" || exit\n").then(script);
    let limits = Limits {
        output: most,
        ..Limits::seconds(600)
    };
    let done = bundle.shell().call(&call, limits).await;
    done.map_err(Attention::Lost)
}
