//! `opsbook init`: writes a small new manual, which passes its own tests at once. Its files are in
//! `init/`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

/// The files of every new manual.
const SHARED: [(&str, &str); 1] = [("book.toml", include_str!("init/book.toml"))];
/// Files that are not under version control.
const IGNORED: &str = include_str!("init/gitignore");
const MINIMAL: [(&str, &str); 4] = [
    ("nodes.yaml", include_str!("init/minimal/nodes.yaml")),
    (
        "manual/SUMMARY.md",
        include_str!("init/minimal/manual/SUMMARY.md"),
    ),
    (
        "manual/README.md",
        include_str!("init/minimal/manual/README.md"),
    ),
    (
        "manual/hello.md",
        include_str!("init/minimal/manual/hello.md"),
    ),
];
const SERVICE: [(&str, &str); 8] = [
    ("nodes.yaml", include_str!("init/service/nodes.yaml")),
    (
        "manual/SUMMARY.md",
        include_str!("init/service/manual/SUMMARY.md"),
    ),
    (
        "manual/README.md",
        include_str!("init/service/manual/README.md"),
    ),
    (
        "manual/service/release.md",
        include_str!("init/service/manual/service/release.md"),
    ),
    (
        "manual/service/rollback.md",
        include_str!("init/service/manual/service/rollback.md"),
    ),
    (
        "manual/service/checks.md",
        include_str!("init/service/manual/service/checks.md"),
    ),
    (
        "manual/service/down.md",
        include_str!("init/service/manual/service/down.md"),
    ),
    (
        "templates/service/service.conf",
        include_str!("init/service/templates/service/service.conf"),
    ),
];

/// Write a small manual to begin with
///
/// It passes its own `opsbook test` at once. The folder may be new, empty, or an existing
/// repository: no file is overwritten.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook init                              in this folder
  opsbook init ops --template service       a service's manual, in the folder ops

`opsbook guide` teaches how to go on.")]
pub struct Init {
    /// The folder of the manual
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The kind of manual
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Template::Minimal)]
    template: Template,
}

/// A kind of new manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// One page with a procedure and two checks
    Minimal,
    /// A service: release, roll back, what must hold, and a page for emergencies
    Service,
}

impl Template {
    fn files(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own: &[_] = match self {
            Template::Minimal => &MINIMAL,
            Template::Service => &SERVICE,
        };
        SHARED.iter().chain(own).copied()
    }

    /// The command of a procedure to try, with its node.
    fn first_run(self) -> &'static str {
        match self {
            Template::Minimal => "hello.greet here",
            Template::Service => "service.release here",
        }
    }
}

/// Why no manual was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder already contains parts of a manual.
    #[error(
        "`{}` already exists: nothing was written\n\n\
         hint: name a folder that is new or empty, such as `opsbook init ops`",
        .0.display()
    )]
    There(PathBuf),
    /// A file is in the place of the folder.
    #[error(
        "`{}` is a file, not a folder\n\n\
         hint: name a folder that is new or empty, such as `opsbook init ops`",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// A system error.
    #[error("cannot write `{}`: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}

/// Writes the manual and explains the next steps.
pub fn run(args: &Init, talk: &mut dyn Write) -> Result<(), InitError> {
    let dir = &args.dir;
    refuse_what_is_there(dir, args.template)?;
    for (name, text) in args.template.files() {
        write_new(&dir.join(name), text)?;
    }
    ignore(&dir.join(".gitignore"))?;
    // The manual exists even if this message cannot be printed.
    let _ = advise(args, talk);
    Ok(())
}

/// Refuses to overwrite or to mix with existing files: a page that is already in `manual/` would
/// become a page of the new manual.
fn refuse_what_is_there(dir: &Path, template: Template) -> Result<(), InitError> {
    if dir.exists() && !dir.is_dir() {
        return Err(InitError::NotAFolder(dir.to_owned()));
    }
    let folder = |name: &str| name.split('/').next().map(|first| dir.join(first));
    let there = |path: PathBuf| path.symlink_metadata().is_ok().then_some(path);
    match template.files().find_map(|(name, _)| there(folder(name)?)) {
        Some(path) => Err(InitError::There(path)),
        None => Ok(()),
    }
}

/// Refuses to overwrite a file that was created meanwhile.
fn write_new(path: &Path, text: &str) -> Result<(), InitError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::File::create_new(path))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| InitError::Io {
            path: path.to_owned(),
            error,
        })
}

/// Adds the missing entries. Follows no link there, like git.
fn ignore(path: &Path) -> Result<(), InitError> {
    let failed = |error| InitError::Io {
        path: path.to_owned(),
        error,
    };
    if path.is_symlink() {
        return Ok(());
    }
    let there = match std::fs::read_to_string(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let lacks = |line: &&str| !there.lines().any(|own| own.trim() == *line);
    let missing: Vec<&str> = IGNORED.lines().filter(lacks).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let gap = if there.is_empty() || there.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let text = format!("{gap}{}\n", missing.join("\n"));
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed)
}

fn advise(args: &Init, talk: &mut dyn Write) -> io::Result<()> {
    let here = args.dir.display().to_string();
    let opsbook = match here.as_str() {
        "." => "opsbook".to_owned(),
        other => format!("opsbook -C {other}"),
    };
    let run = format!("run {}", args.template.first_run());
    let width = run.len().max(5);
    writeln!(talk, "wrote a manual into `{here}`\n")?;
    writeln!(talk, "  {opsbook} {:width$}  run its checks", "test")?;
    writeln!(talk, "  {opsbook} {run:width$}  run its procedure")?;
    writeln!(talk, "  {opsbook} {:width$}  make the book", "build")?;
    let pages = args.dir.join("manual");
    let pages = pages.strip_prefix(".").unwrap_or(&pages).display();
    writeln!(
        talk,
        "\nThen write your own pages in `{pages}`. `opsbook guide` teaches how."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(dir: &Path, template: Template) -> Result<(), InitError> {
        let dir = dir.to_owned();
        run(&Init { dir, template }, &mut Vec::new())
    }

    #[test]
    fn a_new_manual_has_no_mistake() {
        let first = [
            (Template::Minimal, "hello.greet", "hello"),
            (Template::Service, "service.release", "service"),
        ];
        for (template, procedure, group) in first {
            let folder = tempfile::tempdir().unwrap();
            init(folder.path(), template).unwrap();
            let (manual, problems) = crate::manual::load(&crate::files::Files::of(folder.path()));
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(problems.join("\n"), "");
            assert!(manual.procedures.contains_key(procedure));
            assert!(manual.groups.contains_key(group));
        }
    }

    #[test]
    fn a_repository_that_is_there_keeps_all_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at(".git")).unwrap();
        std::fs::write(at("main.py"), "mine").unwrap();
        std::fs::write(at(".gitignore"), "/book\n*.pyc").unwrap();
        init(folder.path(), Template::Service).unwrap();
        let ignored = std::fs::read_to_string(at(".gitignore")).unwrap();
        assert_eq!(
            ignored,
            "/book\n*.pyc\n/.opsbook\n/opsbook.local.toml\n/.opsbook-book-*\n"
        );
        assert_eq!(std::fs::read_to_string(at("main.py")).unwrap(), "mine");
    }

    #[test]
    fn what_is_there_is_left_alone_and_nothing_is_written() {
        for name in ["manual", "nodes.yaml", "templates", "book.toml"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), "mine").unwrap();
            let refused = init(folder.path(), Template::Service).unwrap_err();
            assert!(
                refused
                    .to_string()
                    .contains("already exists: nothing was written"),
                "{refused}"
            );
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let refused = init(&file, Template::Minimal).unwrap_err();
        assert!(matches!(refused, InitError::NotAFolder(_)), "{refused}");
    }
}
