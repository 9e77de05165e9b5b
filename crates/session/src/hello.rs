//! What a node says about itself when its shell answers. Knows nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::outside::Outside;

/// The node, as its shell sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The login user, as `id` names it.
    pub user: Outside,
    /// Its number; 0 is root.
    pub uid: u32,
    /// Its home directory, absolute.
    pub home: String,
    /// The name that the node gives itself.
    pub hostname: Outside,
    /// `Linux 6.1.0`, …
    pub kernel: Outside,
    /// `bash`, `busybox`, `dash` or `sh` where it cannot be told.
    pub shell: Outside,
    /// Empty where the system has none.
    pub boot_id: String,
    /// The runner's own process id on the node.
    pub pid: u32,
    /// How many processors the node has; 1 where it does not say.
    pub cores: u32,
    /// The private directory on the node (0700), gone when the session ends.
    pub dir: String,
    /// What is there of the tools that make a difference.
    pub tools: BTreeSet<Utility>,
    /// From the start of the transport to the answer.
    pub connect: Duration,
}

/// A program that a node has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Utility {
    /// `setsid`, which gives a step a session of its own.
    Setsid,
    /// `flock`, which tells whether a controller lives.
    Flock,
    /// `base64`, for bytes that a line cannot hold.
    Base64,
    /// `sha256sum`, for files that are delivered.
    Sha256sum,
    /// `bash`, for scripts that want it.
    Bash,
    /// `sudo`, for steps as another user.
    Sudo,
    /// `tar`, for folders that are delivered in one piece.
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

    /// Notes a tool by its name; one that makes no difference is left out.
    pub(super) fn found(&mut self, tool: &str) {
        self.tools.extend(Utility::named(tool));
    }
}
