//! Steps as another user than root: such a user cannot read the login user's bundle, and gets
//! one of its own, with the files that were delivered and the same shell state.

use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::execute::Attention;
use crate::engine::halt::Halt;
use crate::engine::node::NodeRun;
use crate::event::What;
use crate::manual::{On, SudoUser};
use crate::plan::PlannedStep;
use crate::session::{Cancel, Content, Done, Limits, quote};

/// Bytes of files, or of variables, that are copied from user to user.
const LARGEST: u64 = 256 << 20;
/// Where a bundle has it written down that a user has its files: this, and the user's name.
const GIVEN: &str = "steps/given";
/// Prints an archive of the bundle's files, but for those that are its own.
const ARCHIVE: &str = r#"set --
for f in * .[!.]*; do
  case $f in steps | owner | lock | live | token* | recorder | run | state | values | .*.part) continue ;; esac
  if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "./$f"; fi
done
[ $# = 0 ] || tar -cf - "$@""#;

/// Where another user's bundle is: not in a home, which such users rarely have, and durable.
pub(super) fn dir_of(user: &str) -> String {
    format!("/var/tmp/.opsbook-{user}/bundle")
}

impl NodeRun<'_> {
    /// The bundle of another user, opened and filled when it is first needed.
    pub(super) async fn bundle_of_user(&mut self, user: &SudoUser) -> Result<Bundle, Attention> {
        let session = match self.reach.to(On::Node, Some(user)).await {
            Ok(session) => session,
            Err(crate::engine::ReachError::Lost(lost)) => return Err(Attention::Lost(lost)),
            Err(error) => return Err(Attention::Halt(Halt::error(error.to_string()))),
        };
        let own = self.bundle()?;
        if user.0 == "root" || self.reach.session().hello().user == user.0 {
            return Ok(own.through(&session, &self.token).await?);
        }
        let dir = dir_of(&user.0);
        let run = self.recorder.run();
        // Its own lock is the login user's: whoever holds that one holds this one.
        let reopened = match Bundle::look(&session, &dir).await? {
            Some(held) if held.owner.as_ref().is_some_and(|owner| owner.run == run) => {
                Bundle::reopen(&session, &dir, &run, &self.token, &self.token)
                    .await
                    .map(Some)
            }
            Some(held) if held.alive != crate::engine::Alive::Live => {
                let owner = held.owner.map(|owner| owner.run).unwrap_or_default();
                Bundle::release(&session, &dir, owner.exact()).await?;
                Ok(None)
            }
            Some(held) => Err(BundleError::Held(Box::new(held))),
            None => Ok(None),
        };
        if let Some(bundle) = reopened? {
            return Ok(bundle);
        }
        let bundle =
            Bundle::open(&session, &dir, &self.options.owner, &self.token, None, 0).await?;
        self.record_opened(&dir, false, Some(user.0.clone()))?;
        Ok(bundle)
    }

    /// Gives another user the files of the bundle, where that user does not have what was
    /// delivered last.
    pub(super) async fn give_files(
        &self,
        step: &PlannedStep,
        user: &str,
        to: &Bundle,
    ) -> Result<(), Attention> {
        let own = self.bundle()?;
        let mut given = Vec::new();
        quote(format!("{GIVEN}.{user}").as_bytes(), &mut given);
        let given = String::from_utf8_lossy(&given);
        let script = format!("[ ! -e {given} ] || exit 0\n{ARCHIVE}");
        let done = within(&own, &script).await?;
        let said = crate::engine::harmless(&done.err);
        if done.truncated {
            let cause =
                format!("the files of the bundle are too many for {user}: more than 256 MiB");
            return Err(Halt::error(cause).into());
        }
        if !done.ok() && done.out.is_empty() {
            let cause = format!(
                "the files of the bundle cannot be given to {user}: {}",
                said.trim()
            );
            return Err(Halt::error(cause).into());
        }
        if !done.ok() {
            let text = format!(
                "not all files of the bundle are there for {user}: {}",
                said.trim()
            );
            self.record(Some(step), What::Warned { text: text.into() })?;
        }
        if !done.out.is_empty() {
            let path = format!("{}/.files.part", to.dir);
            let content = Content::Bytes(&done.out);
            let session = to.session();
            let delivered = session.deliver(&path, content, 0o600, &Cancel::new()).await;
            delivered.map_err(|error| Halt::error(error.to_string()))?;
            let unpack = "tar -xof .files.part && rm .files.part";
            let unpacked = within(to, unpack).await?;
            if !unpacked.ok() {
                let said = crate::engine::harmless(&unpacked.err);
                let cause = format!(
                    "the files of the bundle cannot be unpacked for {user}: {}",
                    said.trim()
                );
                return Err(Halt::error(cause).into());
            }
            within(&own, &format!(": > {given}")).await?;
        }
        Ok(())
    }

    /// With the delivery that begins now nobody else has all files.
    pub(super) async fn files_are_new(&self) -> Result<(), Halt> {
        let mut steps = self.plan.steps.iter();
        if !steps.any(|step| self.stranger(step).is_some()) {
            return Ok(());
        }
        let bundle = self.bundle()?;
        let done = within(&bundle, &format!("rm -f {GIVEN}.*")).await;
        match done {
            Ok(_) => Ok(()),
            Err(Attention::Halt(halt)) => Err(halt),
            Err(Attention::Lost(lost)) => Err(Halt::error(lost.to_string())),
        }
    }

    /// Lets the next step, of whichever user, see what the steps before it have set.
    pub(super) async fn carry_state(&self, from: &Bundle, to: &Bundle) -> Result<(), Attention> {
        let state = within(from, "[ ! -e state ] || cat state").await?;
        if !state.ok() || state.truncated {
            let cause = "what the steps before have set cannot be read";
            return Err(Halt::error(cause).into());
        }
        if state.out.is_empty() {
            return Ok(());
        }
        // Another run that has the bundle by now has a state of its own.
        to.mine().await?;
        let path = format!("{}/state", to.dir);
        let state = state_for(&state.out, &from.dir, &to.dir);
        let delivered = to
            .session()
            .deliver(&path, Content::Bytes(&state), 0o600, &Cancel::new())
            .await;
        delivered
            .map(drop)
            .map_err(|error| Attention::Halt(Halt::error(error.to_string())))
    }
}

/// The variables as they are; the folder, where it is in one bundle, in the other. One that
/// the other user cannot enter is no reason to stop.
fn state_for(state: &[u8], from: &str, to: &str) -> Vec<u8> {
    let state = state.strip_suffix(b"#\n").unwrap_or(state);
    let (variables, folder) = state.split_at(last_command(state));
    let quoted = |dir: &str| {
        let mut text = Vec::new();
        quote(dir.as_bytes(), &mut text);
        text
    };
    let (from, to) = (quoted(from), quoted(to));
    let mut text = variables.to_vec();
    let folder = folder.strip_suffix(b"\n").unwrap_or(folder);
    let Some(path) = folder.strip_prefix(b"cd ") else {
        text.extend(folder);
        return text;
    };
    text.extend(b"cd ");
    match path.strip_prefix(&from[..from.len() - 1]) {
        Some(below @ [b'/' | b'\'', ..]) => {
            text.extend(&to[..to.len() - 1]);
            text.extend(below);
        }
        _ => text.extend(path),
    }
    text.extend(b" 2>/dev/null || cd ");
    text.extend(to);
    text.push(b'\n');
    text
}

/// Where the last command of assignments in single quotes begins.
fn last_command(state: &[u8]) -> usize {
    let (mut quoted, mut start) = (false, 0);
    let mut bytes = state.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\'' => quoted = !quoted,
            b'\\' if !quoted => drop(bytes.next()),
            b'\n' if !quoted && at + 1 < state.len() => start = at + 1,
            _ => {}
        }
    }
    start
}

/// Runs a script of our own in a bundle.
async fn within(bundle: &Bundle, script: &str) -> Result<Done, Attention> {
    let mut code = b"umask 077; cd ".to_vec();
    quote(bundle.dir.as_bytes(), &mut code);
    code.extend_from_slice(b" || exit\n");
    code.extend_from_slice(script.as_bytes());
    let limits = Limits {
        output: LARGEST,
        ..Limits::seconds(600)
    };
    let done = bundle.session().call(&code, limits).await;
    done.map_err(Attention::Lost)
}

#[cfg(test)]
mod tests {
    use super::state_for;

    #[test]
    fn variables_stay_as_they_are_and_the_folder_is_the_users_own() {
        let value = b"v='a\ncd '\\''/b'\\''\n'\nw='\xe9'\n";
        let state = |cd: &str| [&value[..], cd.as_bytes()].concat();
        let ended = |cd: &str| [&state(cd)[..], b"#\n"].concat();
        for (cd, other) in [
            ("cd '/b'\n", "cd '/u' 2>/dev/null || cd '/u'\n"),
            ("cd '/b/x\ny'\n", "cd '/u/x\ny' 2>/dev/null || cd '/u'\n"),
            ("cd '/bb'\n", "cd '/bb' 2>/dev/null || cd '/u'\n"),
            ("cd '/srv'\n", "cd '/srv' 2>/dev/null || cd '/u'\n"),
        ] {
            assert_eq!(state_for(&ended(cd), "/b", "/u"), state(other), "{cd}");
        }
    }
}
