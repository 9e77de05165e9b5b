//! Steps as another user than root: such a user cannot read the login user's bundle, and gets
//! one of its own, with the same files and the same shell state.

use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::execute::Attention;
use crate::engine::node::{Halt, NodeRun};
use crate::event::What;
use crate::manual::{On, SudoUser};
use crate::session::{Content, Limits, quote};

/// Bytes of one delivered file that are copied from user to user.
const LARGEST: u64 = 256 << 20;

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
        if user.0 == "root" || user.0 == self.reach.session().hello().user {
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
                Bundle::release(&session, &dir, &owner).await?;
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
        let token = self.token.clone();
        self.record(
            None,
            What::BundleOpened {
                path: dir,
                local: true,
                token,
            },
        )?;
        copy_files(&own, &bundle).await?;
        Ok(bundle)
    }

    /// Lets the next step, of whichever user, see what the steps before it have set.
    pub(super) async fn carry_state(&self, from: &Bundle, to: &Bundle) -> Result<(), Attention> {
        let state = read(from, "state").await?;
        let Some(state) = state else { return Ok(()) };
        // A folder that the other user cannot enter is no reason to stop.
        let text = String::from_utf8_lossy(&state);
        let lines = text.split_inclusive('\n').map(|line| {
            if line.starts_with("cd '") && line.ends_with("'\n") {
                let here = line.trim_end_matches('\n').replace(&from.dir, &to.dir);
                format!("{here} 2>/dev/null || cd '{}'\n", to.dir)
            } else {
                line.to_owned()
            }
        });
        let state: String = lines.collect();
        let path = format!("{}/state", to.dir);
        let delivered = to
            .session()
            .deliver(&path, Content::Bytes(state.as_bytes()), 0o600)
            .await;
        delivered
            .map(drop)
            .map_err(|error| Attention::Halt(Halt::error(error.to_string())))
    }
}

/// A file of a bundle; nothing where it does not exist.
async fn read(bundle: &Bundle, name: &str) -> Result<Option<Vec<u8>>, Attention> {
    let mut code = b"cat ".to_vec();
    quote(format!("{}/{name}", bundle.dir).as_bytes(), &mut code);
    let limits = Limits {
        output: LARGEST,
        ..Limits::seconds(600)
    };
    let done = bundle
        .session()
        .call(&code, limits)
        .await
        .map_err(Attention::Lost)?;
    Ok(done.ok().then_some(done.out))
}

async fn copy_files(from: &Bundle, to: &Bundle) -> Result<(), Attention> {
    let own = "-name steps -o -name owner -o -name lock -o -name live -o -name 'token*' -o -name recorder -o -name run -o -name state -o -name values";
    let mut code = b"cd ".to_vec();
    quote(from.dir.as_bytes(), &mut code);
    code.extend_from_slice(format!(" && for f in * .[!.]*; do [ -e \"$f\" ] && find \"$f\" \\( {own} \\) -prune -o -type f -print; done").as_bytes());
    let done = from
        .session()
        .call(&code, Limits::seconds(60))
        .await
        .map_err(Attention::Lost)?;
    for name in String::from_utf8_lossy(&done.out).lines() {
        let Some(content) = read(from, name).await? else {
            continue;
        };
        if let Some((folder, _)) = name.rsplit_once('/') {
            let mut code = b"umask 077; mkdir -p ".to_vec();
            quote(format!("{}/{folder}", to.dir).as_bytes(), &mut code);
            to.session()
                .call(&code, Limits::seconds(60))
                .await
                .map_err(Attention::Lost)?;
        }
        let path = format!("{}/{name}", to.dir);
        let delivered = to
            .session()
            .deliver(&path, Content::Bytes(&content), 0o600)
            .await;
        delivered.map_err(|error| Attention::Halt(Halt::error(error.to_string())))?;
    }
    Ok(())
}
