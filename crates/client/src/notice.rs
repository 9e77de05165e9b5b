//! Messages that appear once a day: a file's time records the last one.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

/// Whether the message appeared within the last day; if not, records it now. Returns true if that
/// cannot be recorded.
#[must_use]
pub fn told_today(folder: &Path, what: &str) -> bool {
    let path = folder.join(format!("told-{what}"));
    let now = SystemTime::now();
    let told = std::fs::symlink_metadata(&path).and_then(|file| file.modified());
    // A time in the future comes from a wrong clock.
    let recent = |at: SystemTime| now.duration_since(at).is_ok_and(|since| since < DAY);
    if told.is_ok_and(recent) {
        return true;
    }
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::create_dir_all(folder);
    File::create_new(&path).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!told_today(folder.path(), "older"));
        assert!(told_today(folder.path(), "older"));
        let file = File::options()
            .write(true)
            .open(folder.path().join("told-older"));
        let long_ago = SystemTime::now() - 2 * DAY;
        file.unwrap().set_modified(long_ago).unwrap();
        assert!(!told_today(folder.path(), "older"));
        assert!(told_today(Path::new("/proc/nowhere"), "older"));
    }
}
