//! Dangers for an unattended run: a restart empties folders in memory, and logind may kill the
//! processes of a closed login. Both are reported before the first step.

use crate::event::What;
use crate::halt::Halt;
use crate::manual::On;
use crate::node::NodeRun;
use crate::session::{Call, Limits};

/// Prints the file system type of each folder, or of its nearest existing parent.
const KINDS: &str = r#"for d do
  while [ ! -d "$d" ] && [ "$d" ]; do d=${d%/*}; done
  stat -f -c %T "${d:-/}" || echo unknown
done"#;

impl NodeRun<'_> {
    /// Refuses a bundle in memory if a step restarts the node: the bundle would be lost.
    pub async fn prove_durable(&self, dirs: &[String], first: usize) -> Result<(), Halt> {
        let mut steps = self
            .given
            .plan
            .steps
            .iter()
            .filter(|step| step.number >= first);
        let Some(step) = steps.find(|step| step.reboot && step.on == On::Node) else {
            return Ok(());
        };
        if dirs.is_empty() {
            return Ok(());
        }
        let call = Call::new("set --").words(dirs).code("\n").code(KINDS);
        let session = self.bundles.reach.session();
        let done = session.call(&call, Limits::seconds(60)).await;
        let done = done.map_err(|lost| Halt::error(lost.to_string()))?;
        let said = String::from_utf8_lossy(&done.out);
        let label = step.label();
        for (dir, kind) in dirs
            .iter()
            .zip(said.lines().chain(std::iter::repeat("unknown")))
        {
            match kind {
                "tmpfs" | "ramfs" => {
                    return Err(Halt::error(format!(
                        "step {label} restarts the node, and the bundle `{dir}` is in memory \
                         ({kind}), which a restart empties: set `bundle_dir` to a folder on a disk"
                    )));
                }
                "unknown" => {
                    let text = format!(
                        "step {label} restarts the node, and opsbook cannot tell whether the \
                         bundle `{dir}` survives that"
                    );
                    let text = text.into();
                    self.given.record(None, What::Warned { text })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
