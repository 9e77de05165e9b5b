//! `opsbook init`: a small manual to begin with, which passes its own tests at once.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

const FILES: [(&str, &str); 6] = [
    ("book.toml", include_str!("init/book.toml")),
    ("nodes.yaml", include_str!("init/nodes.yaml")),
    (".gitignore", include_str!("init/gitignore")),
    ("manual/SUMMARY.md", include_str!("init/manual/SUMMARY.md")),
    ("manual/README.md", include_str!("init/manual/README.md")),
    ("manual/hello.md", include_str!("init/manual/hello.md")),
];

/// Write a small manual into a new or empty folder.
///
/// It has one procedure and some checks, one node, and passes its own `opsbook test`.
#[derive(Args, Debug)]
pub struct Init {
    /// The folder of the manual.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Why there is no new manual.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something in the folder already.
    #[error("`{}` is not empty: it holds `{found}`", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// The first thing that was found in it.
        found: String,
    },
    /// A file stands where the folder is to be.
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The system does not let it be written.
    #[error("cannot write `{}`: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Writes the manual and says what to do next.
pub fn run(args: &Init, talk: &mut dyn Write) -> Result<(), InitError> {
    let dir = &args.dir;
    refuse_content(dir)?;
    for (name, text) in FILES {
        let path = dir.join(name);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| InitError::Io { path, error })?;
    }
    // The manual is there whether or not somebody hears of it.
    let _ = advise(dir, talk);
    Ok(())
}

/// A folder may hold a fresh `.git` and nothing else.
fn refuse_content(dir: &Path) -> Result<(), InitError> {
    if dir.exists() && !dir.is_dir() {
        return Err(InitError::NotAFolder(dir.to_owned()));
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let path = dir.to_owned();
            return Err(InitError::Io { path, error });
        }
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".git")
        .collect();
    names.sort();
    match names.into_iter().next() {
        None => Ok(()),
        Some(found) => Err(InitError::NotEmpty {
            dir: dir.to_owned(),
            found,
        }),
    }
}

fn advise(dir: &Path, talk: &mut dyn Write) -> io::Result<()> {
    let here = dir.display();
    writeln!(talk, "wrote a manual into `{here}`\n")?;
    writeln!(
        talk,
        "  opsbook -C {here} test                  run its checks"
    )?;
    writeln!(
        talk,
        "  opsbook -C {here} run hello.greet here  run its procedure"
    )?;
    writeln!(
        talk,
        "  opsbook -C {here} build                 make the book"
    )?;
    writeln!(talk, "\nThen write your own pages in `{here}/manual`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(dir: &Path) -> Result<(), InitError> {
        let dir = dir.to_owned();
        run(&Init { dir }, &mut Vec::new())
    }

    #[test]
    fn the_new_manual_has_no_mistake() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        let (manual, problems) = crate::manual::load(&crate::files::Files::of(folder.path()));
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.join("\n"), "");
        assert!(manual.procedures.contains_key("hello.greet"));
        assert!(manual.groups.contains_key("hello"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        init(folder.path()).unwrap();
        std::fs::write(folder.path().join("manual/hello.md"), "mine").unwrap();
        let refused = init(folder.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with("is not empty: it holds `.gitignore`"),
            "{refused}"
        );
        let kept = std::fs::read_to_string(folder.path().join("manual/hello.md")).unwrap();
        assert_eq!(kept, "mine");
        let file = folder.path().join("book.toml");
        assert!(matches!(init(&file), Err(InitError::NotAFolder(_))));
    }
}
