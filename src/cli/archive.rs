//! `--book FILE`: an archive that is verified, unpacked once, and compared with the archive at each
//! use.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::error::Failure;
use crate::event::Book;
use crate::files::Files;
use crate::journal::{State, VARIABLE};
use crate::outside;
use crate::package::archive::{self, Archive, Bad};
use crate::package::cache::{Cache, CacheError, Kind, user_folder};
use crate::package::sign;
use crate::package::tree::MOST_BYTES;
use crate::project::Place;
use crate::source::Problem;

/// A verified archive, and its signer.
pub(crate) struct Opened {
    pub archive: Archive,
    pub signer: Signer,
}

/// The signer of an archive.
pub(crate) enum Signer {
    /// It is not signed.
    None,
    /// It is signed, but no list of signers is configured.
    Unknown,
    /// A trusted signer.
    Named(String),
}

/// Reads an archive. If a list of signers is given, a trusted signature is required.
pub(crate) fn open(path: &Path, signers: Option<&Path>) -> Result<Opened, Failure> {
    let archive = read(path)?;
    let signer = match (&archive.signature, signers) {
        (None, None) => Signer::None,
        (Some(_), None) => Signer::Unknown,
        (None, Some(_)) => {
            let message = format!("`{}` is not signed", path.display());
            let problem = Problem::bare("not-signed", message);
            return Err(problem
                .hint("`opsbook pack --sign KEY` signs an archive")
                .into());
        }
        (Some(signature), Some(signers)) => {
            let signer = sign::verify(&archive.signed_text(), signature, signers);
            Signer::Named(signer.map_err(|why| {
                let why = outside::line(&why).to_string();
                let message = format!("the signature of `{}` is not valid: {why}", path.display());
                Problem::bare("bad-signature", message)
            })?)
        }
    };
    Ok(Opened { archive, signer })
}

/// Reads an archive of limited size.
pub(crate) fn read(path: &Path) -> Result<Archive, Failure> {
    let bad = |why: String| {
        let message = format!("`{}`: {why}", path.display());
        Problem::bare("bad-archive", message)
    };
    let found = path.metadata().map_err(|error| bad(error.to_string()))?;
    if !found.is_file() {
        return Err(bad("it is not a regular file".to_owned()).into());
    }
    let file = std::fs::File::open(path).map_err(|error| bad(error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| bad(error.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(bad(format!("it is larger than {} MiB", MOST_BYTES >> 20)).into());
    }
    archive::read(&bytes).map_err(|why| match why {
        Bad::Archive(why) => {
            let hint = "nothing in it was used; download it again";
            Failure::from(bad(why).hint(hint))
        }
        Bad::TooNew(format) => {
            let message = format!(
                "`{}` has archive format {format}, which is newer than this \
                 opsbook",
                path.display()
            );
            let problem = Problem::bare("package-too-new", message);
            Failure::from(problem.hint("upgrade opsbook"))
        }
    })
}

/// The unpacked archive as the place of a project.
pub(crate) fn place(path: &Path, signers: Option<&Path>) -> Result<Place, Failure> {
    if path.is_dir() {
        return folder(path);
    }
    let Opened { archive, signer } = open(path, signers)?;
    let description = &archive.description;
    let needs = description.opsbook.needs.as_deref();
    crate::project::new_enough(needs).map_err(|why| Problem::bare("package-too-new", why))?;
    let cache = Cache::of_user();
    // The cache entry contains the whole archive, not only its own files.
    let content = archive.tree.content();
    let kept = cache.keep(Kind::Books, &content, &archive.tree);
    let root = kept.map_err(|error| {
        let problem = Problem::bare("content-differs", error.to_string());
        match &error {
            CacheError::Differs { path, .. } | CacheError::NotOurs(path) => {
                let path = path.display();
                problem.hint(format!(
                    "find out who changed it; delete `{path}` to unpack it again"
                ))
            }
            CacheError::Io { .. } => problem,
        }
    })?;
    let book = Book {
        name: description.name.clone(),
        version: description.version.clone(),
        content: description.content.clone(),
        revision: description.git.as_ref().map(|git| {
            let short = git.revision.get(..12).unwrap_or(&git.revision);
            short.to_owned()
        }),
        signer: match signer {
            Signer::Named(name) => Some(name),
            Signer::None | Signer::Unknown => None,
        },
    };
    Ok(Place {
        state: Some(state(&description.name)),
        book: Some(book),
        ..crate::project::merge::place_carrying(&root, &description.packages)?
    })
}

/// A folder used like an archive: its journal is in the user's state folder.
fn folder(path: &Path) -> Result<Place, Failure> {
    let root = path.canonicalize()?;
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    Ok(Place {
        state: Some(state(&name)),
        ..Place::from(Files::of(&root))
    })
}

/// The state folder of an archive: by name, so that a newer version finds the runs of an older one.
fn state(name: &str) -> State {
    // The name in an archive must not act as a path.
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.trim_start_matches('.').chars().map(safe).collect();
    let folder = user_folder("XDG_STATE_HOME", ".local/state");
    let folder: PathBuf = folder.join("opsbook").join(name);
    if std::env::var_os(VARIABLE).is_some_and(|folder| !folder.is_empty()) {
        return State::of(Path::new(""), None);
    }
    State::of(Path::new(""), Some(&folder))
}
