//! Report arguments: `junit=tests.xml`, `github`. Files are written atomically.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::tested::Results;
use crate::{github, json, junit, prometheus, summary, tap};

/// One requested report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    form: Form,
    /// Standard output if absent.
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Junit,
    Xunit,
    Json,
    Tap,
    Prometheus,
    Github,
    Summary,
}

const FORMS: [(&str, Form); 7] = [
    ("junit", Form::Junit),
    ("xunit", Form::Xunit),
    ("json", Form::Json),
    ("tap", Form::Tap),
    ("prometheus", Form::Prometheus),
    ("github", Form::Github),
    ("summary", Form::Summary),
];

/// Why a `--report` argument is invalid: an unknown format, or no file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report `{path}`: {cause}")]
pub struct ReportError {
    path: PathBuf,
    cause: io::Error,
}

impl Report {
    /// Tests whether it can be written, before any test runs.
    ///
    /// # Errors
    /// If its folder does not exist or is not writable.
    pub fn try_out(&self) -> Result<(), ReportError> {
        match &self.file {
            Some(file) if !is_stream(file) => beside(&behind(file))
                .map(drop)
                .map_err(|cause| wrong(file, cause)),
            _ => Ok(()),
        }
    }

    /// Writes it; `out` is standard output, `root` the manual's folder.
    ///
    /// # Errors
    /// If the file or standard output cannot be written.
    pub fn write(
        &self,
        results: &Results,
        root: &Path,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let text = match self.form {
            Form::Junit => junit::junit(results, folder(root).as_deref()).map_err(io::Error::other),
            Form::Xunit => junit::xunit(results).map_err(io::Error::other),
            Form::Json => Ok(json::json(results)),
            Form::Tap => Ok(tap::tap(results)),
            Form::Prometheus => Ok(prometheus::prometheus(results)),
            Form::Summary => Ok(summary::summary(results)),
            Form::Github => Ok(github::github(results, folder(root).as_deref())),
        };
        let file = self.file.as_deref();
        let written = text.and_then(|text| match file {
            // Other steps of the CI job have written into it before.
            Some(file) if self.form == Form::Summary => append(file, &text),
            Some(file) => replace(file, &text),
            None => out.write_all(text.as_bytes()),
        });
        written.map_err(|cause| wrong(file.unwrap_or(Path::new("standard output")), cause))
    }
}

/// The manual's folder within its checkout: CI needs paths relative to the checkout. GitHub and
/// GitLab provide the checkout's folder; otherwise it is the one with `.git`.
#[must_use]
pub fn folder(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let said = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].map(std::env::var_os);
    let said = said.into_iter().flatten().map(PathBuf::from);
    let below = |folder: &Path| root.strip_prefix(folder).ok().map(Path::to_owned);
    let mut said = said.filter_map(|folder| below(&folder.canonicalize().ok()?));
    let by_git = || root.ancestors().find(|folder| folder.join(".git").exists());
    said.next().or_else(|| below(by_git()?))
}

fn wrong(path: &Path, cause: io::Error) -> ReportError {
    let path = path.to_owned();
    ReportError { path, cause }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::File::options();
    let mut file = options.append(true).create(true).open(file)?;
    file.write_all(text.as_bytes())
}

/// Replaces a file atomically: its readers see the old or the new one. A pipe or a terminal is
/// written to directly.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    if is_stream(file) {
        let mut stream = std::fs::File::options().append(true).open(file)?;
        return stream.write_all(text.as_bytes());
    }
    let file = &behind(file);
    let mut new = beside(file)?;
    new.write_all(text.as_bytes())?;
    let readable = std::fs::Permissions::from_mode(0o644);
    new.as_file().set_permissions(readable)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// A pipe, a device, or an open descriptor: `/dev/stdout` may be a file.
fn is_stream(file: &Path) -> bool {
    let numbered = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
    numbered.iter().any(|place| file.starts_with(place))
        || std::fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The target of a symbolic link: the link stays.
fn behind(file: &Path) -> PathBuf {
    std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn beside(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let prefix = format!(
        ".{}.",
        file.file_name().unwrap_or_default().to_string_lossy()
    );
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempfile_in(folder.unwrap_or(Path::new(".")))
}

impl FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Report, String> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name, Some(file)),
            None => (text, None),
        };
        let names = FORMS.iter().map(|(name, _)| *name);
        let Some((_, form)) = FORMS.iter().find(|(known, _)| *known == name) else {
            let near = crate::source::nearest(name, names);
            let names: Vec<_> = FORMS.iter().map(|(name, _)| *name).collect();
            let hint = match near {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!("; there are {}", names.join(", ")),
            };
            return Err(format!("there is no report called `{name}`{hint}"));
        };
        match (form, file) {
            (Form::Github, None) => Ok(Report {
                form: *form,
                file: None,
            }),
            (_, Some("") | None) => Err(format!("`{name}` needs a file: `{name}=FILE`")),
            (_, Some(file)) => Ok(Report {
                form: *form,
                file: Some(file.into()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tested::samples::results;

    #[test]
    fn a_form_and_its_file() {
        for text in [
            "junit=a.xml",
            "json=a=b",
            "tap=-",
            "prometheus=/x/y.prom",
            "github",
            "github=log",
        ] {
            assert!(text.parse::<Report>().is_ok(), "{text}");
        }
        let wrong = |text: &str| text.parse::<Report>().unwrap_err();
        assert_eq!(
            wrong("junti=a"),
            "there is no report called `junti`; did you mean `junit`?"
        );
        assert_eq!(wrong("junit"), "`junit` needs a file: `junit=FILE`");
        assert_eq!(wrong("tap="), "`tap` needs a file: `tap=FILE`");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_all_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("opsbook.prom");
        std::fs::write(&file, "old").unwrap();
        let report: Report = format!("prometheus={}", file.display()).parse().unwrap();
        report.try_out().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        report
            .write(&results(), Path::new("/"), &mut Vec::new())
            .unwrap();
        assert!(
            std::fs::read_to_string(&file)
                .unwrap()
                .starts_with("# HELP")
        );
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Otherwise root would replace a device of the machine.
    #[test]
    fn what_is_no_file_of_its_own_stays_what_it_is() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let write = |file: PathBuf| {
            let report: Report = format!("tap={}", file.display()).parse().unwrap();
            report.try_out().unwrap();
            report.write(&results(), Path::new("/"), &mut Vec::new())
        };
        let fifo = path("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read_to_string(fifo).unwrap()
        });
        write(fifo.clone()).unwrap();
        assert!(std::fs::metadata(&fifo).unwrap().file_type().is_fifo());
        assert!(reader.join().unwrap().starts_with("TAP version 13"));

        std::fs::write(path("there"), "old").unwrap();
        std::os::unix::fs::symlink("there", path("link")).unwrap();
        write(path("link")).unwrap();
        assert!(path("link").is_symlink());
        let text = std::fs::read_to_string(path("there")).unwrap();
        assert!(text.starts_with("TAP version 13"));

        let open = std::fs::File::create(path("open")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        write(format!("/proc/self/fd/{number}").into()).unwrap();
        assert_ne!(
            open.metadata().unwrap().len(),
            0,
            "the same file is written"
        );
    }

    #[test]
    fn a_summary_is_added_to_what_stands_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.md");
        std::fs::write(&file, "before\n").unwrap();
        let report: Report = format!("summary={}", file.display()).parse().unwrap();
        report.try_out().unwrap();
        report
            .write(&results(), Path::new("/"), &mut Vec::new())
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("before\n## opsbook test: FAILED\n"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_found_out_before() {
        let report: Report = "tap=/nope/nope/x.tap".parse().unwrap();
        let error = report.try_out().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write the report `/nope/nope/x.tap`: "),
            "{error}"
        );
    }
}
