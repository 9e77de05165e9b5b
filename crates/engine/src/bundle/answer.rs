//! Parses the answers of `bundle.sh`.

use crate::outside::Outside;

use super::{Alive, BundleError, Held, How, StepDone, StepState};
use crate::session::Done;
use crate::shell::Shell;

/// An answer: a word, the rest of its line, and more lines.
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// What its shell said beside it.
    said: Outside,
    /// The folder of the session that answered.
    folder: String,
}

impl Answer {
    pub(super) fn new(shell: &Shell, done: Done) -> Answer {
        Answer {
            bytes: done.out,
            said: Outside::of_bytes(&done.err).trimmed(),
            folder: shell.hello().dir.clone(),
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.bytes
            .split(|&byte| byte == b'\n')
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .filter(|line| !line.is_empty())
    }

    pub(super) fn word(&self) -> &str {
        self.first().split(' ').next().unwrap_or_default()
    }

    pub(super) fn rest(&self) -> &str {
        self.first().split_once(' ').map_or("", |(_, rest)| rest)
    }

    pub(super) fn first(&self) -> &str {
        self.lines().next().unwrap_or_default()
    }

    /// The error for any other answer than the expected one.
    pub(super) fn refusal(&self, dir: &str) -> BundleError {
        match self.word() {
            "HELD" | "LOST" => BundleError::Held(Box::new(self.held(dir))),
            "TAKEN" => BundleError::Taken,
            "REFUSED" => BundleError::Refused(self.rest().into()),
            "FAILED" => BundleError::Failed(self.rest().into()),
            "GONE" => BundleError::Gone,
            "ENDED" => BundleError::Ended,
            // A shell that cannot open a file leaves out what would have used it.
            "" if !self.said.is_empty() => BundleError::Failed(self.said.clone()),
            "" | "FULL" => BundleError::NoAnswer(self.folder.as_str().into()),
            _ => self.not_understood(),
        }
    }

    fn held(&self, dir: &str) -> Held {
        let alive = match self.rest() {
            "live" => Alive::Live,
            "stale" => Alive::Stale,
            _ => Alive::Unknown,
        };
        let step = self
            .lines()
            .find_map(|line| line.strip_prefix("STEP "))
            .and_then(|step| step.parse().ok());
        let owner = self
            .lines()
            .find(|line| line.starts_with('{'))
            .and_then(|line| serde_json::from_str(line).ok());
        Held {
            dir: dir.to_owned(),
            alive,
            step: step.unwrap_or(0),
            owner,
        }
    }

    /// Parses the state of a step in the bundle `dir`.
    pub(super) fn state(&self, dir: &str) -> Result<StepState, BundleError> {
        match self.word() {
            "NONE" => Ok(StepState::NotStarted),
            "UNKNOWN" => Ok(StepState::Unknown),
            "REBOOTED" => Ok(StepState::Rebooted),
            "RUNNING" => Ok(StepState::Running(self.rest().parse().unwrap_or(0))),
            "DONE" => self.done().map(StepState::Done),
            "EXISTS" => Err(BundleError::Started),
            "FAILED" => Err(BundleError::NotStarted(self.rest().into())),
            _ => Err(self.refusal(dir)),
        }
    }

    fn done(&self) -> Result<StepDone, BundleError> {
        let mut done = ended(self.rest()).ok_or_else(|| self.not_understood())?;
        let mut rest = self.bytes.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            rest = &rest[end + 1..];
            match line.split_once(' ').unwrap_or((line, "")) {
                ("LEFT", process) => done.left.push(process.to_owned()),
                ("CUT", _) => done.cut = true,
                ("UNSET", names) => names.clone_into(&mut done.unset),
                ("OUTPUT", _) => {
                    let size = usize::try_from(done.sizes.0).map_err(|_| self.not_understood())?;
                    let (out, err) = rest.split_at(size.min(rest.len()));
                    // With less, the node could not store all of it; with more, somebody else wrote
                    // to it.
                    if (out.len() as u64, err.len() as u64) == done.sizes {
                        done.output = Some((out.to_vec(), err.to_vec()));
                    }
                    break;
                }
                _ => {}
            }
        }
        if done.sizes == (0, 0) {
            done.output = Some((Vec::new(), Vec::new()));
        }
        Ok(done)
    }

    fn not_understood(&self) -> BundleError {
        BundleError::Answer(Outside::of_bytes(&self.bytes[..self.bytes.len().min(200)]))
    }
}

/// `STATUS HOW BYTES BYTES`: how a step ended, and how much it printed.
fn ended(line: &str) -> Option<StepDone> {
    let words: Vec<&str> = line.split(' ').collect();
    let &[status, how, out, err] = words.as_slice() else {
        return None;
    };
    let how = How::of(how)?;
    Some(StepDone {
        status: status.parse().ok()?,
        how,
        left: Vec::new(),
        cut: false,
        unset: String::new(),
        why: String::new(),
        sizes: (out.parse().ok()?, err.parse().ok()?),
        output: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(answer: &str) -> String {
        state_with(answer, "")
    }

    fn state_with(answer: &str, said: &str) -> String {
        let answer = Answer {
            bytes: answer.as_bytes().to_vec(),
            said: said.into(),
            folder: "/run/s".to_owned(),
        };
        match answer.state("/b") {
            Ok(StepState::Done(done)) => {
                let (left, sizes) = (done.left.join(","), done.sizes);
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                let output = done.output.map(|(out, err)| (text(out), text(err)));
                let (status, how, cut) = (done.status, done.how, done.cut);
                format!("{status} {how:?} cut={cut} left={left} {sizes:?} {output:?}")
            }
            Ok(state) => format!("{state:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn what_a_node_says_of_a_step_is_read() {
        let owner = "{\"run\":\"r1\",\"operator\":\"ana\",\"controller\":\"desk\",\
            \"procedure\":\"web.deploy\",\"since\":\"9:00\",\"revision\":null}";
        let held = format!("HELD live\nSTEP 3\n{owner}\n");
        for (answer, expected) in [
            ("NONE\n", "NotStarted"),
            ("UNKNOWN\n", "Unknown"),
            ("REBOOTED\n", "Rebooted"),
            ("RUNNING 4711\n", "Running(4711)"),
            ("RUNNING x\n", "Running(0)"),
            (
                "DONE 0 exited 0 0\n",
                r#"0 Exited cut=false left= (0, 0) Some(("", ""))"#,
            ),
            (
                "DONE 143 timed-out 3 9000\n",
                "143 TimedOut cut=false left= (3, 9000) None",
            ),
            (
                "DONE 3 stopped 2 1\nLEFT 12 sleep 60\nLEFT 13 sh\nCUT\nOUTPUT\nabc",
                r#"3 Stopped cut=true left=12 sleep 60,13 sh (2, 1) Some(("ab", "c"))"#,
            ),
            (
                "DONE 0 disk-full 4 0\nOUTPUT\nab",
                "0 DiskFull cut=false left= (4, 0) None",
            ),
            (
                "DONE 0 exited 12 1\nOUTPUT\nLEFT 1 sh\nCUT",
                r#"0 Exited cut=false left= (12, 1) Some(("LEFT 1 sh\nCU", "T"))"#,
            ),
            (
                "DONE 0 vanished 0 0\n",
                "error: the node gave an invalid answer: DONE 0 vanished 0 0",
            ),
            (
                "DONE 0 exited 0\n",
                "error: the node gave an invalid answer: DONE 0 exited 0",
            ),
            (
                "EXISTS\n",
                "error: the step cannot be started: it was started before, but the journal does \
                 not say so",
            ),
            (
                "FAILED no space left\n",
                "error: the step cannot be started: no space left",
            ),
            ("GONE\n", "error: the bundle is gone from the node"),
            ("REFUSED /b is a file\n", "error: /b is a file"),
            (
                "",
                "error: the node gave no answer; check whether the folder of its session, \
                 `/run/s`, is full",
            ),
            (
                "FULL\n",
                "error: the node gave no answer; check whether the folder of its session, \
                 `/run/s`, is full",
            ),
            (
                "LOST stale\n",
                "error: the bundle is held, owner unknown (nothing of it runs any more)",
            ),
            (
                &held,
                "error: the bundle is held by ana@desk since 9:00: `web.deploy`, run r1, step 3 is the latest on this node (it is running)",
            ),
        ] {
            assert_eq!(state(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn where_a_node_gives_no_answer_its_shell_may_say_why() {
        let said = "sh: 9: cannot create /b/token.turn: Read-only file system";
        let expected = format!(
            "error: the bundle cannot be used: {said}; `dmesg` there may say why nothing can be written"
        );
        assert_eq!(state_with("", said), expected);
        assert_eq!(state_with("GONE\n", said), state("GONE\n"));
    }
}
