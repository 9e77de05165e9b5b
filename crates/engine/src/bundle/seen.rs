//! The runs that left a trace on a node. One call of a short function that prints only names,
//! because a round of checks calls it on every node.

use super::BundleError;
use crate::event::{How, Trace};
use crate::outside::Outside;
use crate::session::Limits;
use crate::shell::{Shell, Way};

const SEEN: &str = include_str!("seen.sh");
/// The most names that are read; the script prints no more.
const MOST: usize = 201;
/// The most bytes of a name.
const NAME: usize = 64;

/// The run that holds the bundle, and the runs in the history next to it.
///
/// # Errors
/// If the node does not answer.
pub async fn traces(shell: &Shell, dir: &str) -> Result<Vec<Trace>, BundleError> {
    let limits = Limits::seconds(20);
    let words = [dir.as_bytes()];
    let done = shell
        .function(Way::Beside, SEEN, "obb_seen", &words, limits)
        .await?;
    let text = String::from_utf8_lossy(&done.out);
    if text.lines().next_back() != Some("END") {
        return Err(BundleError::Failed(Outside::of_bytes(&done.err).trimmed()));
    }
    Ok(text.lines().filter_map(trace).take(MOST).collect())
}

/// Ignores everything that is not a run's name, such as the word of `opsbook lock acquire`.
fn trace(line: &str) -> Option<Trace> {
    let (word, run) = line.split_once(' ')?;
    let how = match word {
        "HOLDS" => How::Holds,
        "PAST" => How::Past,
        _ => return None,
    };
    let mut parts = run.splitn(3, '-');
    let mut digits = |count| {
        let part = parts.next().unwrap_or_default();
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let dated = digits(8) && digits(6);
    let rest = parts.next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    (dated && !rest.is_empty() && rest.bytes().all(plain) && run.len() <= NAME).then(|| Trace {
        run: run.to_owned(),
        how,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_the_name_of_a_run() {
        let found = trace("PAST 20261129-180000-ab12").unwrap();
        assert_eq!(
            (found.how, found.run.as_str()),
            (How::Past, "20261129-180000-ab12")
        );
        for wrong in [
            "END",
            "PAST",
            "PAST lock",
            "HOLDS 20261129-180000",
            "HOLDS 20261129-180000-",
            "HOLDS 20261129-180000-../x",
            "HOLDS 2026112-180000-ab12",
            "OTHER 20261129-180000-ab12",
        ] {
            assert_eq!(trace(wrong), None, "{wrong}");
        }
        let long = format!("PAST 20261129-180000-{}", "a".repeat(NAME));
        assert_eq!(trace(&long), None);
    }

    /// Runs the script in each available shell, with real folders, links, and other files.
    #[test]
    fn only_what_is_ours_is_looked_at() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("o");
        let dir = home.join("bundle");
        std::fs::create_dir_all(home.join("history/20261101-120000-aaaa")).unwrap();
        std::fs::create_dir_all(home.join("history/.hidden x")).unwrap();
        std::fs::create_dir_all(home.join("history/Odd Name")).unwrap();
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(
            dir.join("owner"),
            "{\"run\":\"20261102-120000-bbbb\",\"operator\":\"a\\\"run\\\":\\\"x\"}\n",
        )
        .unwrap();
        let says = |shell: &str| {
            let script = format!("set -u\n{SEEN}\nobb_seen \"$1\"");
            let mut words = shell.split(' ');
            let out = std::process::Command::new(words.next().unwrap_or(shell))
                .args(words)
                .args(["-c", &script, "sh"])
                .arg(&dir)
                .output()
                .unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        let shells = ["dash", "bash", "busybox sh", "sh"].into_iter();
        let there = |shell: &str| {
            let program = shell.split(' ').next().unwrap_or(shell);
            let asked = std::process::Command::new(program).arg("--help").output();
            asked.is_ok()
        };
        let shells: Vec<&str> = shells.filter(|shell| there(shell)).collect();
        for shell in &shells {
            let said = says(shell);
            assert_eq!(
                said, "HOLDS 20261102-120000-bbbb\nPAST 20261101-120000-aaaa\nEND\n",
                "{shell}"
            );
        }
        // Opening links or a pipe in the place of a file could hang.
        std::fs::remove_file(dir.join("owner")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(dir.join("owner"))
            .status();
        assert!(made.unwrap().success());
        std::fs::rename(home.join("history"), home.join("else")).unwrap();
        symlink(home.join("else"), home.join("history")).unwrap();
        for shell in &shells {
            assert_eq!(says(shell), "END\n", "{shell}");
        }
    }
}
