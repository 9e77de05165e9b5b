//! Records of a run's steps, from a bundle or from a node's history.

use super::answer::Answer;
use super::call::{call, load};
use super::{Bundle, BundleError, How, Owner};
use crate::shell::Shell;

/// Who starts a step, and which step: the controller writes it to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The hash of the planned step.
    pub sha256: String,
    /// Number of the controller.
    pub epoch: u64,
    /// The journal's line about it, and that line's hash.
    pub seq: u64,
    pub hash: String,
    /// How the earlier steps ended, one letter each: `o`k, by `h`and, `s`kipped, `-` otherwise.
    pub passed: String,
}

/// The node's record of one script of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRecord {
    pub step: usize,
    /// In a transcript: the number of the command.
    pub command: Option<usize>,
    /// Exit status, and how it ended; `None` without an end.
    pub end: Option<(i32, Option<How>)>,
    /// `None` if an older opsbook started it.
    pub claim: Option<Claim>,
}

/// All records of a run on a node.
#[derive(Clone, Debug, Default)]
pub struct NodeRecord {
    /// The owner, if it can be read.
    pub owner: Option<Owner>,
    /// The recorded steps, in the order of their numbers.
    pub steps: Vec<ScriptRecord>,
    /// What the controller knew when it closed the bundle.
    pub end: Option<Claim>,
}

impl Claim {
    fn parse(line: &str) -> Option<Claim> {
        let mut words = line.split(' ');
        let mut word = || words.next().filter(|word| !word.is_empty());
        let claim = Claim {
            sha256: word()?.to_owned(),
            epoch: word()?.parse().ok()?,
            seq: word()?.parse().ok()?,
            hash: word()?.to_owned(),
            passed: word()?.strip_prefix('=')?.to_owned(),
        };
        let hex =
            |text: &str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (hex(&claim.sha256) && hex(&claim.hash)).then_some(claim)
    }

    /// The line that the node stores.
    pub(super) fn line(&self) -> String {
        let Claim {
            sha256,
            epoch,
            seq,
            hash,
            passed,
        } = self;
        format!("{sha256} {epoch} {seq} {hash} ={passed}")
    }
}

impl ScriptRecord {
    /// `3-2|0 exited 12 0 .|CLAIM`
    fn parse(line: &str) -> Option<ScriptRecord> {
        let mut parts = line.splitn(3, '|');
        let label = parts.next()?;
        let (step, command) = match label.split_once('-') {
            Some((step, command)) => (step, Some(command.parse().ok()?)),
            None => (label, None),
        };
        let words: Vec<&str> = parts.next()?.split(' ').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let end = match words.as_slice() {
            &[status, how, _, _, "."] => Some((status.parse().ok()?, How::of(how))),
            _ => None,
        };
        Some(ScriptRecord {
            step: step.parse().ok()?,
            command,
            end,
            claim: Claim::parse(parts.next().unwrap_or_default()),
        })
    }
}

impl NodeRecord {
    fn of(answer: &Answer) -> NodeRecord {
        let mut tale = NodeRecord::default();
        for line in answer.lines().skip(1) {
            if let Some(end) = line.strip_prefix("END ") {
                tale.end = Claim::parse(end);
            } else if line.starts_with('{') {
                tale.owner = serde_json::from_str(line).ok();
            } else {
                tale.steps.extend(ScriptRecord::parse(line));
            }
        }
        tale
    }
}

impl Bundle {
    /// All step records in the bundle.
    ///
    /// # Errors
    /// If the bundle was taken over or the connection is lost.
    pub async fn tale(&self) -> Result<NodeRecord, BundleError> {
        let answer = call(&self.shell, "obb_tale", &[]).await?;
        match answer.word() {
            "TALE" => Ok(NodeRecord::of(&answer)),
            _ => Err(answer.refusal(&self.dir)),
        }
    }

    /// The owner's run in the history next to the bundle; `None` if absent.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn past(
        shell: &Shell,
        dir: &str,
        owner: &Owner,
    ) -> Result<Option<NodeRecord>, BundleError> {
        load(shell).await?;
        let line = owner.line()?;
        let answer = call(shell, "obb_history", &[dir, owner.run.exact(), &line]).await?;
        match answer.word() {
            "TALE" => Ok(Some(NodeRecord::of(&answer))),
            "NONE" => Ok(None),
            _ => Err(answer.refusal(dir)),
        }
    }

    /// Writes the number of the current step, for people who look at the lock.
    ///
    /// # Errors
    /// If the bundle was taken over or the connection is lost.
    pub async fn at(&self, step: usize) -> Result<(), BundleError> {
        let answer = call(&self.shell, "obb_at", &[&step.to_string()]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_has_of_a_step_is_read() {
        let claim = Claim {
            sha256: "ab12".into(),
            epoch: 2,
            seq: 17,
            hash: "cd".into(),
            passed: "oh-".into(),
        };
        assert_eq!(Claim::parse(&claim.line()), Some(claim.clone()));
        let told = |line: &str| ScriptRecord::parse(line);
        let line = format!(
            "3-2|0 exited 12 0                           .|{}",
            claim.line()
        );
        let expected = ScriptRecord {
            step: 3,
            command: Some(2),
            end: Some((0, Some(How::Exited))),
            claim: Some(claim),
        };
        assert_eq!(told(&line), Some(expected));
        let none = ScriptRecord {
            step: 4,
            command: None,
            end: None,
            claim: None,
        };
        assert_eq!(told("4|running .|"), Some(none.clone()));
        assert_eq!(told("4||ab 1 x cd ="), Some(none.clone()));
        assert_eq!(told("4||../.. 1 1 cd =o"), Some(none));
        for wrong in ["", "x|0 exited 0 0 .|", "4", "4-|0 exited 0 0 .|"] {
            assert_eq!(told(wrong), None, "{wrong}");
        }
    }
}
