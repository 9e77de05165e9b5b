//! The limits of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files that this process may open as far as allowed: a session needs four.
/// Returns the resulting limit.
#[expect(clippy::must_use_candidate, reason = "called for what it does")]
pub fn raise_limits() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it cannot be raised, the old limit stays and is returned.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Protects this process's memory: it is not written to a core dump, and other programs of the same
/// user cannot read it. Child programs are not affected: the kernel resets this flag when another
/// program starts, and the core dump limit, which they inherit, stays unchanged.
pub fn hide_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // This cannot fail for the process itself.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// How many nodes can be used at once with this limit of open files: a node may need a session of
/// the login, one of another user and one on this machine, each with three pipes, and briefly more
/// while a program starts.
#[must_use]
pub fn nodes_within(files: u64) -> usize {
    const OWN: u64 = 64;
    const EACH: u64 = 8;
    let nodes = files.saturating_sub(OWN) / EACH;
    usize::try_from(nodes).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_few_nodes_and_never_none() {
        assert_eq!(nodes_within(1024), 120);
        assert_eq!(nodes_within(128), 8);
        assert_eq!(nodes_within(20), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise_limits(), allowed);
    }
}
