//! Fetches a file from the run's bundle on another node, for a delivery here.

use std::path::{Component, Path};
use std::time::Duration;

use crate::halt::Halt;
use crate::peers::Peer;
use crate::session::{Call, Limits, checksum_like};

/// The largest file that is copied between nodes, in bytes.
const LARGEST: u64 = 256 << 20;

/// Prints the file, and its checksum on standard error.
const READ: &str = r#"[ ! -L "$1" ] && [ -f "$1" ] || { echo 'it is not a regular file' >&2; exit 1; }
if command -v sha256sum >/dev/null 2>&1; then s=$(sha256sum <"$1") && echo "sha256:${s%% *}" >&2
else s=$(cksum <"$1") && echo "cksum:$s" >&2; fi && cat "$1""#;

/// The bytes of a file, verified with the checksum from its node.
///
/// # Errors
/// If it cannot be read, is too large, or changed on the way.
pub(super) async fn fetch(peer: &Peer, path: &str, time: Duration) -> Result<Vec<u8>, Halt> {
    let node = &peer.reach.node.name;
    let cannot = |why: &str| Halt::error(format!("cannot read `{path}` of `{node}`: {why}"));
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(cannot("it is not a name inside the bundle"));
    }
    let Some(bundle) = &peer.bundle else {
        return Err(cannot("the run has no bundle there"));
    };
    let call = Call::new("cd").word(&bundle.dir).code(" || exit\nset --");
    let call = call.word(format!("./{path}")).code("\n").code(READ);
    let limits = Limits {
        time,
        output: LARGEST + 1,
        ..Limits::default()
    };
    let done = bundle.shell().call(&call, limits).await;
    let done = done.map_err(|lost| cannot(&lost.to_string()))?;
    let said = crate::harmless(&done.err).trim().to_owned();
    if !done.ok() {
        return Err(cannot(&said));
    }
    if done.truncated || done.out.len() as u64 > LARGEST {
        return Err(cannot("it has more than 256 MiB"));
    }
    let sum = checksum_like(&said, done.out.as_slice()).ok().flatten();
    match sum {
        Some(sum) if sum == said => Ok(done.out),
        Some(_) => Err(cannot("it changed while it was read")),
        None => Err(cannot("its machine has no checksum of it")),
    }
}
