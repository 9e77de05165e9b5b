//! What a node says about itself when its shell answers. Knows nobody.

use std::time::Duration;

use crate::outside::Outside;

/// The node, as its shell sees it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a tool that is there or not"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    pub user: Outside,
    pub uid: u32,
    pub home: String,
    pub hostname: Outside,
    /// `Linux 6.1.0`, …
    pub kernel: Outside,
    /// `bash`, `busybox`, `dash` or `sh` where it cannot be told.
    pub shell: Outside,
    /// Empty where the system has none.
    pub boot_id: String,
    /// The runner's own process id on the node.
    pub pid: u32,
    pub cores: u32,
    /// The private directory on the node (0700), gone when the session ends.
    pub dir: String,
    pub has_setsid: bool,
    pub has_flock: bool,
    pub has_base64: bool,
    pub has_sha256sum: bool,
    pub has_bash: bool,
    pub has_sudo: bool,
    pub has_tar: bool,
    /// From the start of the transport to the answer.
    pub connect: Duration,
}

impl Hello {
    pub(super) fn has(&mut self, tool: &str) {
        match tool {
            "setsid" => self.has_setsid = true,
            "flock" => self.has_flock = true,
            "base64" => self.has_base64 = true,
            "sha256sum" => self.has_sha256sum = true,
            "bash" => self.has_bash = true,
            "sudo" => self.has_sudo = true,
            "tar" => self.has_tar = true,
            _ => {}
        }
    }
}
