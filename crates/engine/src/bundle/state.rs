//! What a node can say of a step.

/// What is known of a step on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    NotStarted,
    /// Process id.
    Running(u32),
    Done(StepDone),
    /// The node restarted while it ran.
    Rebooted,
    /// It started, and nothing tells how it ended.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// 128 + n where signal n ended it.
    pub status: i32,
    pub how: How,
    /// `pid command`, still running in its process group or known to come from it.
    pub left: Vec<String>,
    /// Output was cut at the cap.
    pub cut: bool,
    /// Variables that it may have set, and that its shell could not keep for the next step.
    pub unset: String,
    /// Bytes of standard output and of standard error.
    pub sizes: (u64, u64),
    /// Both, where they were small enough to come along.
    pub output: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Exited,
    TimedOut,
    Stopped,
    /// It ended, and what it printed or set may not have been kept.
    DiskFull,
    /// The folder in which it was to begin is gone: nothing of it was run.
    NoFolder,
}

impl How {
    /// As the node writes it.
    #[must_use]
    pub fn of(word: &str) -> Option<How> {
        let all = [
            How::Exited,
            How::TimedOut,
            How::Stopped,
            How::DiskFull,
            How::NoFolder,
        ];
        all.into_iter().find(|how| how.word() == word)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            How::Exited => "exited",
            How::TimedOut => "timed-out",
            How::Stopped => "stopped",
            How::DiskFull => "disk-full",
            How::NoFolder => "no-folder",
        }
    }
}
