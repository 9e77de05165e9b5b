//! What a node reports about itself in its greeting.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::outside::Outside;

/// The node, as its shell sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The login user, as `id` names it.
    pub user: Outside,
    /// The user id; 0 is root.
    pub uid: u32,
    /// Its home directory, absolute.
    pub home: String,
    /// The node's own name.
    pub hostname: Outside,
    /// `Linux 6.1.0`, …
    pub kernel: Outside,
    /// `bash`, `busybox`, `dash`, or `sh` if unknown.
    pub shell: Outside,
    /// Empty if the system has none.
    pub boot_id: String,
    /// The runner's process id on the node.
    pub pid: u32,
    /// The number of processors; 1 if the node does not report it.
    pub cores: u32,
    /// The session's private directory on the node (0700); removed when the session ends.
    pub dir: String,
    /// Available programs that opsbook can use.
    pub tools: BTreeSet<Utility>,
    /// The time from the start of the transport to the answer.
    pub connect: Duration,
}

/// A program that a node has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Utility {
    /// `setsid`, which gives a step its own session.
    Setsid,
    /// `flock`, which shows whether a controller is alive.
    Flock,
    /// `base64`, for bytes that a line cannot contain.
    Base64,
    /// `sha256sum`, to verify delivered files.
    Sha256sum,
    /// `bash`, for scripts that need it.
    Bash,
    /// `sudo`, for steps as another user.
    Sudo,
    /// `tar`, for folders that are delivered as an archive.
    Tar,
}

impl Utility {
    fn named(name: &str) -> Option<Utility> {
        Some(match name {
            "setsid" => Utility::Setsid,
            "flock" => Utility::Flock,
            "base64" => Utility::Base64,
            "sha256sum" => Utility::Sha256sum,
            "bash" => Utility::Bash,
            "sudo" => Utility::Sudo,
            "tar" => Utility::Tar,
            _ => return None,
        })
    }
}

impl Hello {
    /// Whether the node has a tool.
    #[must_use]
    pub fn has(&self, tool: Utility) -> bool {
        self.tools.contains(&tool)
    }

    /// Notes a tool by its name; ignores unknown ones.
    pub(super) fn found(&mut self, tool: &str) {
        self.tools.extend(Utility::named(tool));
    }
}
