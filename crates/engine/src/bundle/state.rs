//! States of a step, as the node reports them.

/// The state of a step on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    NotStarted,
    /// Process id.
    Running(u32),
    Done(StepDone),
    /// The node restarted while it ran.
    Rebooted,
    /// It started, and its end is unknown.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// 128 + n if signal n ended it.
    pub status: i32,
    pub how: How,
    /// Processes that still run in its process group or are known to come from it: `pid command`.
    pub left: Vec<String>,
    /// The output was cut at its limit.
    pub cut: bool,
    /// Variables that it may have set but that could not be saved for the next step.
    pub unset: String,
    /// Sizes of standard output and standard error, in bytes.
    pub sizes: (u64, u64),
    /// Why they could not be kept on the node, if that is known.
    pub why: String,
    /// Standard output and standard error, if they were small enough to send along.
    pub output: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Exited,
    TimedOut,
    Stopped,
    /// It ended, but its output or variables may be lost.
    DiskFull,
    /// Its start folder is gone: nothing of it ran.
    NoFolder,
}

impl How {
    /// Parses the node's word.
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
