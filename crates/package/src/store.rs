//! Provides the files of packages: from folders next to the book, the cache, archives and, only in
//! some commands, repositories. Compares them with the lock each time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opsbook_text::files::{Files, Refused};
use opsbook_text::outside;
use opsbook_text::source::{Problem, Source};

use crate::cache::{Cache, Kind};
use crate::lock::{self, Lock, Locked};
use crate::manifest::{self, At, Dependency, From, Manifest};
use crate::resolve::{Given, Wanted};
use crate::selection::{LOCAL, PACKAGES, Selection};
use crate::sign::{self, Signed};
use crate::tree::{MOST_BYTES, Tree};
use crate::{archive, description, folder, git, oci};

/// A book's knowledge of its packages.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    cache: Cache,
    /// The lock.
    pub lock: Lock,
    /// Local replacements on this machine: names and folders.
    pub local: Vec<(String, String)>,
    signers: Option<PathBuf>,
    /// For a book in an archive: the packages in it, by name and hash.
    carried: Vec<(String, String)>,
}

/// How files may be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<'a> {
    /// Without network; the lock must match.
    Locked,
    /// Ask repositories and rewrite the lock. These packages may change.
    Update(&'a [String]),
}

type Failed = Box<Problem>;

impl Store {
    /// Reads the lock and the local replacements.
    ///
    /// # Errors
    /// The errors in these files.
    pub fn open(root: &Path, manifest: &Manifest) -> Result<Store, Vec<Problem>> {
        let files = Files::of(root);
        let mut problems = Vec::new();
        let read = |name: &str| match files.text(Path::new(name), 1 << 24) {
            Ok(text) => Ok(Some(Source::new(name, text))),
            Err(Refused::Missing) => Ok(None),
            Err(why) => Err(vec![Problem::bare(
                "bad-package",
                format!("`{name}`: {why}"),
            )]),
        };
        let lock = read(lock::FILE)?.map(|source| {
            let (lock, found) = lock::read(&source);
            problems.extend(found);
            lock
        });
        let local = read(LOCAL)?.map(|source| replacements(&source, &mut problems));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let signers = manifest.trust.signers.as_ref();
        Ok(Store {
            root: root.to_owned(),
            cache: Cache::of_user(),
            lock: lock.unwrap_or_default(),
            local: local.unwrap_or_default(),
            signers: signers.map(|signers| root.join(&signers.value)),
            carried: Vec::new(),
        })
    }

    /// For a book in an archive: the packages that it names by path are in the archive.
    #[must_use]
    pub fn carrying(self, parts: &[description::Part]) -> Store {
        let parts = parts.iter();
        let carried = parts.map(|part| (part.name.clone(), part.content.clone()));
        Store {
            carried: carried.collect(),
            ..self
        }
    }

    /// The user's cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The files of a package.
    ///
    /// # Errors
    /// If they are missing, or do not match.
    pub fn get(&self, wanted: &Wanted<'_>, reach: Reach<'_>) -> Result<Given, Failed> {
        let local = self.local.iter().find(|(name, _)| name == wanted.name);
        if let Some((_, path)) = local {
            return Ok(Given {
                replaces: Some(path.clone()),
                ..self.by_path(wanted, path)?
            });
        }
        let carried = self.carried.iter().find(|(name, _)| name == wanted.name);
        match (&wanted.dependency.from, reach) {
            (From::Path(path), _) if let Some((_, content)) = carried => {
                self.in_archive(wanted, path, content)
            }
            (From::Path(path), _) if self.is_beside(wanted, path) => self.by_path(wanted, path),
            (From::Path(_), _) => {
                let problem = error(
                    wanted,
                    "path-package",
                    format!("`{}` is a folder on somebody's machine", wanted.name),
                );
                let hint = match wanted.asker {
                    Some(From::Archive(_) | From::Oci { .. }) => format!(
                        "an archive refers to a neighbour by path: name `{}` in `[packages]` of \
                         the book",
                        wanted.name
                    ),
                    _ => "a path must stay in the repository of the package: name a tag instead"
                        .to_owned(),
                };
                Err(Box::new(problem.hint(hint)))
            }
            (_, Reach::Locked) => self.locked(wanted),
            (From::Archive(path), Reach::Update(_)) => {
                let given = self.by_archive(wanted, path)?;
                self.keep(wanted, given)
            }
            (From::Oci { reference, tag }, Reach::Update(named)) => {
                let given = self.by_oci(wanted, (reference, tag), named)?;
                self.keep(wanted, given)
            }
            (From::Git { .. }, Reach::Update(named)) => {
                let given = self.by_git(wanted, named)?;
                self.keep(wanted, given)
            }
        }
    }

    /// Whether a folder may be named: the book may name any, a package only those of its
    /// repository.
    fn is_beside(&self, wanted: &Wanted<'_>, path: &str) -> bool {
        match wanted.asker {
            None => true,
            Some(From::Path(asker)) => {
                let of = |path: &str| repository_of(&self.root.join(path));
                of(path).is_some_and(|repository| Some(repository) == of(asker))
            }
            Some(From::Git { .. } | From::Archive(_) | From::Oci { .. }) => false,
        }
    }

    fn keep(&self, wanted: &Wanted<'_>, given: Given) -> Result<Given, Failed> {
        let kept = self
            .cache
            .keep(Kind::Packages, &given.tree.content(), &given.tree);
        kept.map_err(|why| Box::new(error(wanted, "content-differs", why.to_string())))?;
        Ok(given)
    }

    fn by_path(&self, wanted: &Wanted<'_>, path: &str) -> Result<Given, Failed> {
        let place = self.root.join(path);
        let failed = |why: String| Box::new(error(wanted, "package-missing", why));
        if !place.is_dir() {
            return Err(failed(format!(
                "`{}`: `{path}` is not a folder",
                wanted.name
            )));
        }
        let selection = selection(&Files::below(&place));
        let tree = folder::read_below(&place, &|path| selection.enters(path), &|path| {
            selection.takes(path)
        });
        let tree = tree.map_err(|why| failed(format!("`{}`: {why}", wanted.name)))?;
        Ok(Given {
            tree,
            from: format!("path:{path}"),
            signed: None,
            replaces: None,
        })
    }

    /// A package that was next to the book when the archive was made.
    fn in_archive(&self, wanted: &Wanted<'_>, path: &str, content: &str) -> Result<Given, Failed> {
        let place = format!("{PACKAGES}/{}", wanted.name);
        let failed = |why: String| Box::new(error(wanted, "content-differs", why));
        let tree = folder::read(&self.root.join(&place), &|_| true);
        let tree = tree.map_err(|why| failed(format!("`{place}`: {why}")))?;
        if tree.content() != content {
            let found = tree.content();
            let message = format!("`{place}` has the content {found}, but {content} is listed");
            return Err(failed(message));
        }
        Ok(Given {
            tree,
            from: format!("path:{path}"),
            signed: None,
            replaces: None,
        })
    }

    fn by_archive(&self, wanted: &Wanted<'_>, path: &str) -> Result<Given, Failed> {
        let name = wanted.name;
        let opened = Files::of(&self.root).open(Path::new(path));
        let opened = opened.map_err(|why| {
            let message = format!("`{name}`: `{}`: {why}", outside::line(path));
            Box::new(error(wanted, "package-missing", message))
        })?;
        let mut bytes = Vec::new();
        let read = std::io::Read::take(opened.file, MOST_BYTES + 1);
        let read = std::io::Read::read_to_end(&mut { read }, &mut bytes);
        read.map_err(|cause| {
            let message = format!("`{}`: {cause}", outside::line(path));
            Box::new(error(wanted, "bad-archive", message))
        })?;
        self.of_archive(wanted, path, &bytes, format!("archive:{path}"))
    }

    /// The files of an archive; if signers are configured, its signature is required.
    fn of_archive(
        &self,
        wanted: &Wanted<'_>,
        place: &str,
        bytes: &[u8],
        from: String,
    ) -> Result<Given, Failed> {
        let name = wanted.name;
        let bad = |why: String| {
            let message = format!("`{}`: {why}", outside::line(place));
            Box::new(error(wanted, "bad-archive", message))
        };
        let archive = archive::read(bytes).map_err(|why| match why {
            archive::Bad::Archive(why) => bad(why),
            archive::Bad::TooNew(format) => {
                let message = format!("`{name}` is an archive of form {format}, which is newer");
                Box::new(error(wanted, "package-too-new", message))
            }
        })?;
        let signed = match (&archive.signature, &self.signers) {
            (Some(signature), Some(signers)) => {
                let signer = sign::verify(&archive.signed_text(), signature, signers);
                let by = signer.map_err(|why| bad_signature(wanted, &why))?;
                Some(Signed::new(by, archive.description_sha256(), signature))
            }
            _ => None,
        };
        Ok(Given {
            tree: archive.description.own(&archive.tree),
            from,
            signed,
            replaces: None,
        })
    }

    fn by_oci(
        &self,
        wanted: &Wanted<'_>,
        (reference, tag): (&str, &str),
        named: &[String],
    ) -> Result<Given, Failed> {
        let failed = |why: oci::Refused| {
            Box::new(of_registry(error(wanted, why.code, ""), wanted.name, &why))
        };
        let digest = oci::digest(reference, tag).map_err(failed)?;
        let place = format!("oci:{reference}:{tag}");
        let from = format!("{place}@{digest}");
        let before = self.lock.get(wanted.name);
        if let Some(before) = before
            && before
                .from
                .rsplit_once('@')
                .is_some_and(|(before, _)| before == place)
            && before.from != from
            && !named.iter().any(|named| named == wanted.name)
        {
            let short = |text: &str| {
                let hex = text.rsplit(':').next().unwrap_or_default();
                hex.get(..12).unwrap_or(hex).to_owned()
            };
            let message = format!(
                "tag `{tag}` moved to {} from {}: refused",
                short(&digest),
                short(&before.from)
            );
            let problem = error(wanted, "tag-moved", message);
            let hint = format!("`opsbook packages update {}` accepts it", wanted.name);
            return Err(Box::new(problem.hint(hint)));
        }
        let bytes = oci::fetch(reference, &digest).map_err(failed)?;
        self.of_archive(wanted, &place, &bytes, from)
    }

    fn by_git(&self, wanted: &Wanted<'_>, named: &[String]) -> Result<Given, Failed> {
        let From::Git { url, at, subdir } = &wanted.dependency.from else {
            return Err(Box::new(error(wanted, "package-missing", "no repository")));
        };
        let failed = |why: git::NoFiles| {
            let message = format!("`{}`: {}", wanted.name, outside::line(&why.message));
            Box::new(with_hint(error(wanted, why.code, message)))
        };
        let into = self.cache.repository(url);
        let parent = into.parent().map(std::fs::create_dir_all);
        if let Some(Err(cause)) = parent {
            let message = format!("`{}`: {cause}", into.display());
            return Err(Box::new(error(wanted, "git-failed", message)));
        }
        let revision = git::fetch(url, at, &into).map_err(failed)?;
        let from = from_git(url, at, subdir.as_deref(), &revision);
        let before = self.lock.get(wanted.name);
        if let (Some(before), At::Tag(tag)) = (before, at)
            && before.from.split('#').next() == from.split('#').next()
            && before.from != from
            && !named.iter().any(|named| named == wanted.name)
        {
            let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
            let was = short(before.from.rsplit('#').next().unwrap_or_default());
            let message = format!(
                "tag `{tag}` moved to {} from {was}: refused",
                short(&revision)
            );
            let problem = error(wanted, "tag-moved", message);
            let hint = format!("`opsbook packages update {}` accepts it", wanted.name);
            return Err(Box::new(problem.hint(hint)));
        }
        let tree = package_of(&into, &revision, subdir.as_deref()).map_err(failed)?;
        Ok(Given {
            tree,
            from,
            signed: None,
            replaces: None,
        })
    }

    /// Checks that the files match the lock, with the lock's signature.
    fn as_locked(&self, wanted: &Wanted<'_>, locked: &Locked, tree: Tree) -> Result<Given, Failed> {
        same_version(wanted, locked, &tree)?;
        // Without a list of signers nobody is trusted.
        let signed = locked.signed.clone().zip(self.signers.as_ref());
        // The lock is an ordinary file: verify its signature again.
        if let Some((signed, signers)) = &signed {
            let release = (wanted.name, &*locked.version.to_string());
            let holds = signed.holds(release, &locked.content, signers);
            holds.map_err(|why| bad_signature(wanted, &why))?;
        }
        Ok(Given {
            tree,
            from: locked.from.clone(),
            signed: signed.map(|(signed, _)| signed),
            replaces: None,
        })
    }

    fn locked(&self, wanted: &Wanted<'_>) -> Result<Given, Failed> {
        let name = wanted.name;
        let Some(locked) = self.lock.get(name) else {
            let message = format!("`{name}` is not in `{}`", lock::FILE);
            let problem = error(wanted, "lock-differs", message);
            let hint = format!("`opsbook packages update {name}` writes it");
            return Err(Box::new(problem.hint(hint)));
        };
        match wanted.asker {
            None => fits(wanted, locked)?,
            Some(asker) => {
                same_source(wanted, locked)?;
                // The lock was right for a package that cannot change; a folder can.
                if matches!(asker, From::Path(_)) {
                    reaches(wanted, locked)?;
                }
            }
        }
        let given = |tree| self.as_locked(wanted, locked, tree);
        let differs = |place: &str, tree: &Tree| {
            let kept = self
                .cache
                .get(Kind::Packages, &locked.content)
                .ok()
                .flatten();
            let first = kept
                .as_ref()
                .and_then(|(_, kept)| kept.first_difference(tree));
            let first = first.map(|path| format!("; the first that differs is `{path}`"));
            let message = format!(
                "`{name}` in {place} has the content {}, but {} is locked{}",
                tree.content(),
                locked.content,
                first.unwrap_or_default()
            );
            let problem = error(wanted, "content-differs", message);
            Box::new(problem.hint("somebody has changed it; nothing in it was used"))
        };
        let beside = self.root.join(PACKAGES).join(name);
        if beside.is_dir() {
            let tree = folder::read(&beside, &|_| true).map_err(|why| {
                let message = format!("`{PACKAGES}/{name}`: {why}");
                Box::new(error(wanted, "content-differs", message))
            })?;
            if tree.content() == locked.content {
                return given(tree);
            }
            return Err(differs(&format!("`{PACKAGES}/{name}`"), &tree));
        }
        match self.cache.get(Kind::Packages, &locked.content) {
            Ok(Some((_, tree))) => return given(tree),
            Ok(None) => {}
            Err(why) => {
                let problem = error(wanted, "content-differs", why.to_string());
                let place = self.cache.place(Kind::Packages, &locked.content);
                let hint = format!(
                    "find out who changed it; delete `{}` to download it again",
                    place.display()
                );
                return Err(Box::new(problem.hint(hint)));
            }
        }
        if let From::Archive(path) = &wanted.dependency.from {
            let found = self.by_archive(wanted, path)?;
            if found.tree.content() == locked.content {
                return given(found.tree);
            }
            return Err(differs(&format!("`{path}`"), &found.tree));
        }
        let message = format!("`{name}` {} is locked, but not here", locked.version);
        let problem = error(wanted, "package-missing", message);
        Err(Box::new(
            problem.hint("`opsbook packages fetch` downloads it"),
        ))
    }

    /// Fetches a locked package into the cache, exactly as in the lock.
    ///
    /// # Errors
    /// If it cannot be fetched, or has changed.
    pub fn fetch(&self, locked: &Locked) -> Result<bool, Failed> {
        let wrong = |code: &'static str, message: String| {
            Box::new(match &locked.span {
                Some(span) => Problem::error(code, span.clone(), message),
                None => Problem::bare(code, message),
            })
        };
        let name = &locked.name;
        match self.cache.get(Kind::Packages, &locked.content) {
            Ok(Some(_)) => return Ok(false),
            Ok(None) => {}
            Err(why) => return Err(wrong("content-differs", why.to_string())),
        }
        let Some((url, subdir, revision)) = parse_git(&locked.from) else {
            return self.fetch_oci(locked);
        };
        let failed = |why: git::NoFiles| {
            let message = format!("`{name}`: {}", outside::line(&why.message));
            Box::new(with_hint(*wrong(why.code, message)))
        };
        let into = self.cache.repository(&url);
        if let Some(parent) = into.parent() {
            let made = std::fs::create_dir_all(parent);
            made.map_err(|cause| wrong("git-failed", format!("`{}`: {cause}", parent.display())))?;
        }
        let at = At::Revision(revision.clone());
        git::fetch(&url, &at, &into).map_err(failed)?;
        let tree = package_of(&into, &revision, subdir.as_deref()).map_err(failed)?;
        if tree.content() != locked.content {
            let message = format!(
                "`{name}` has the content {}, but {} is locked",
                tree.content(),
                locked.content
            );
            return Err(wrong("content-differs", message));
        }
        let kept = self.cache.keep(Kind::Packages, &locked.content, &tree);
        kept.map_err(|why| wrong("content-differs", why.to_string()))?;
        Ok(true)
    }

    /// The same from a registry: the digest identifies the archive, and the lock its contents.
    fn fetch_oci(&self, locked: &Locked) -> Result<bool, Failed> {
        let Some((reference, digest)) = parse_oci(&locked.from) else {
            return Ok(false);
        };
        let name = &locked.name;
        let problem = |code: &'static str, message: String| match &locked.span {
            Some(span) => Problem::error(code, span.clone(), message),
            None => Problem::bare(code, message),
        };
        let bytes = oci::fetch(reference, digest)
            .map_err(|why| Box::new(of_registry(problem(why.code, String::new()), name, &why)))?;
        let archive = archive::read(&bytes).map_err(|why| {
            let why = match why {
                archive::Bad::Archive(why) => why,
                archive::Bad::TooNew(format) => format!(
                    "its archive format {format} is newer \
                     than this opsbook"
                ),
            };
            Box::new(problem("bad-archive", format!("`{name}`: {why}")))
        })?;
        let tree = archive.description.own(&archive.tree);
        if tree.content() != locked.content {
            let message = format!(
                "`{name}` has the content {}, but {} is locked",
                tree.content(),
                locked.content
            );
            return Err(Box::new(problem("content-differs", message)));
        }
        let kept = self.cache.keep(Kind::Packages, &locked.content, &tree);
        kept.map_err(|why| Box::new(problem("content-differs", why.to_string())))?;
        Ok(true)
    }
}

/// Adds a hint to git's message.
fn with_hint(problem: Problem) -> Problem {
    match git::hint(&problem.message) {
        Some(hint) if problem.code == "git-failed" => problem.hint(hint),
        _ => problem,
    }
}

/// The work tree that contains a folder.
fn repository_of(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut above = folder.ancestors();
    above
        .find(|above| above.join(".git").exists())
        .map(Path::to_owned)
}

/// A registry tool's message about a package.
fn of_registry(problem: Problem, name: &str, why: &oci::Refused) -> Problem {
    let problem = Problem {
        message: format!("`{name}`: {}", outside::line(&why.message)),
        ..problem
    };
    match why.code {
        "no-skopeo" => {
            problem.hint("install it, or download the archive and name it: `{archive = \"FILE\"}`")
        }
        _ => problem,
    }
}

/// Place and digest of `oci:REFERENCE:TAG@sha256:HEX`.
fn parse_oci(from: &str) -> Option<(&str, &str)> {
    let (place, digest) = from.strip_prefix("oci:")?.rsplit_once('@')?;
    let (reference, _) = place.rsplit_once(':')?;
    oci::check_reference(reference).ok()?;
    Some((reference, digest))
}

/// The package's files in a revision; its own manifest selects them.
fn package_of(
    repository: &Path,
    revision: &str,
    subdir: Option<&str>,
) -> Result<Tree, git::NoFiles> {
    let first = git::tree(repository, revision, subdir, &|path| path == manifest::FILE)?;
    let manifest = first.text(manifest::FILE).map(|text| {
        let source = Source::new(manifest::FILE, text);
        manifest::read(&source).0
    });
    let selection = Selection::of(manifest.as_ref());
    git::tree(repository, revision, subdir, &|path| selection.takes(path))
}

/// The selection rule from a package's manifest.
fn selection(files: &Files) -> Selection {
    let text = files.text(Path::new(manifest::FILE), 1 << 24).ok();
    let manifest = text.map(|text| manifest::read(&Source::new(manifest::FILE, text)).0);
    Selection::of(manifest.as_ref())
}

/// Compares the book's request with the lock by meaning.
fn fits(wanted: &Wanted<'_>, locked: &Locked) -> Result<(), Failed> {
    let (here, there) = match &wanted.dependency.from {
        From::Git { url, at, subdir } => {
            let here = from_git(url, at, subdir.as_deref(), "");
            let base = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
            match at {
                At::Tag(_) => (base(&here), base(&locked.from)),
                At::Revision(revision) => {
                    let here = from_git(url, at, subdir.as_deref(), revision);
                    (here, locked.from.clone())
                }
            }
        }
        From::Archive(path) => (format!("archive:{path}"), locked.from.clone()),
        From::Oci { reference, tag } => {
            let place = locked.from.split('@').next().unwrap_or_default();
            (format!("oci:{reference}:{tag}"), place.to_owned())
        }
        From::Path(_) => return Ok(()),
    };
    if here == there {
        return Ok(());
    }
    let name = wanted.name;
    let tag = |text: &str| {
        let tag = text
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("tag="));
        tag.map_or_else(|| text.to_owned(), str::to_owned)
    };
    let (here, there) = match (tag(&here), tag(&there)) {
        (one, two) if one != two => (one, two),
        _ => (here, there),
    };
    let there = outside::line(&there).to_string();
    let message = format!("`{name}` is {here} here, but {there} in `{}`", lock::FILE);
    let problem = error(wanted, "lock-differs", message);
    let hint = format!("`opsbook packages update {name}` writes it");
    Err(Box::new(problem.hint(hint)))
}

/// A package's dependency must come from the source that the package names.
fn same_source(wanted: &Wanted<'_>, locked: &Locked) -> Result<(), Failed> {
    let (here, there) = match &wanted.dependency.from {
        From::Git { url, subdir, .. } => {
            let there = parse_git(&locked.from).map(|(url, subdir, _)| (url, subdir));
            (url.clone(), there == Some((url.clone(), subdir.clone())))
        }
        From::Oci { reference, .. } => {
            let there = parse_oci(&locked.from);
            (
                reference.clone(),
                there.is_some_and(|(there, _)| there == reference),
            )
        }
        From::Archive(_) | From::Path(_) => return Ok(()),
    };
    if there {
        return Ok(());
    }
    let from = outside::line(&locked.from).to_string();
    let message = format!(
        "`{}` is {here} here, but {from} in `{}`",
        wanted.name,
        lock::FILE
    );
    let problem = error(wanted, "lock-differs", message);
    Err(Box::new(
        problem.hint("`opsbook packages update` writes it"),
    ))
}

/// The version may have been changed by hand.
fn same_version(wanted: &Wanted<'_>, locked: &Locked, tree: &Tree) -> Result<(), Failed> {
    let text = tree.text(manifest::FILE).unwrap_or_default();
    let said = manifest::read(&Source::new(manifest::FILE, text)).0.package;
    let Some(said) = said.filter(|said| said.version.value != locked.version) else {
        return Ok(());
    };
    let (name, is, was) = (wanted.name, &said.version.value, &locked.version);
    let message = format!(
        "`{name}` calls itself {is}, but is {was} in `{}`",
        lock::FILE
    );
    let problem = error(wanted, "lock-differs", message);
    let hint = format!("`opsbook packages update {name}` writes it");
    Err(Box::new(problem.hint(hint)))
}

/// A folder may require more than is locked.
fn reaches(wanted: &Wanted<'_>, locked: &Locked) -> Result<(), Failed> {
    let (From::Git {
        at: At::Tag(tag), ..
    }
    | From::Oci { tag, .. }) = &wanted.dependency.from
    else {
        return Ok(());
    };
    let asked = semver::Version::parse(tag.trim_start_matches('v'));
    let (Ok(asked), Some(asker)) = (asked, wanted.chain.last()) else {
        return Ok(());
    };
    if asked <= locked.version {
        return Ok(());
    }
    let (name, there) = (wanted.name, &locked.version);
    let message = format!(
        "`{name}` is {tag} in `{asker}`, but {there} in `{}`",
        lock::FILE
    );
    let problem = error(wanted, "lock-differs", message);
    Err(Box::new(
        problem.hint("`opsbook packages update` writes it"),
    ))
}

fn error(wanted: &Wanted<'_>, code: &'static str, message: impl Into<String>) -> Problem {
    Problem::error(code, wanted.dependency.span.clone(), message)
}

fn bad_signature(wanted: &Wanted<'_>, why: &str) -> Failed {
    let why = outside::line(why);
    let message = format!("the signature of `{}` is not valid: {why}", wanted.name);
    Box::new(error(wanted, "bad-signature", message))
}

/// `git+URL?tag=T&subdir=S#REVISION`
fn from_git(url: &str, at: &At, subdir: Option<&str>, revision: &str) -> String {
    let mut words = Vec::new();
    if let At::Tag(tag) = at {
        words.push(format!("tag={tag}"));
    }
    words.extend(subdir.map(|subdir| format!("subdir={subdir}")));
    let words = if words.is_empty() {
        String::new()
    } else {
        format!("?{}", words.join("&"))
    };
    format!("git+{url}{words}#{revision}")
}

/// Repository, folder and revision of that form.
#[must_use]
pub fn parse_git(from: &str) -> Option<(String, Option<String>, String)> {
    let rest = from.strip_prefix("git+")?;
    let (rest, revision) = rest.rsplit_once('#')?;
    let is_revision = revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit());
    let (url, words) = match rest.rsplit_once('?') {
        Some((url, words)) if words.starts_with("tag=") || words.starts_with("subdir=") => {
            (url, words)
        }
        _ => (rest, ""),
    };
    let subdir = words
        .split('&')
        .find_map(|word| word.strip_prefix("subdir="));
    let good = crate::address::check_url(url).is_ok()
        && subdir.is_none_or(|subdir| crate::tree::check_path(subdir).is_ok());
    (good && is_revision).then(|| {
        (
            url.to_owned(),
            subdir.map(str::to_owned),
            revision.to_owned(),
        )
    })
}

/// `[replace] shop = {path = "../shop"}`
fn replacements(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let mut reader = manifest::reader::Reader::new(source);
    let found = reader.document(|reader, table| {
        reader.known(table, "`opsbook.local.toml`", &["replace"]);
        let Some((replace, _)) = reader.table(table, "replace") else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for name in replace.keys() {
            let name: &str = name.get_ref();
            if let Some((said, span)) = reader.table(replace, name) {
                reader.known(said, "a replaced package", &["path"]);
                let path = reader.string(said, "path");
                if let Some(path) = reader.wanted(path, "path", &span) {
                    found.push((name.to_owned(), path.value));
                }
            }
        }
        found
    });
    problems.extend(reader.problems);
    found
}

/// The text of a dependency in `opsbook.toml`.
#[must_use]
pub fn written(dependency: &Dependency) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match &dependency.from {
        From::Git { url, at, subdir } => {
            let at = match at {
                At::Tag(tag) => format!("tag = {}", quoted(tag)),
                At::Revision(revision) => format!("rev = {}", quoted(revision)),
            };
            let subdir = subdir
                .as_ref()
                .map(|subdir| format!(", subdir = {}", quoted(subdir)));
            format!(
                "{{git = {}, {at}{}}}",
                quoted(url),
                subdir.unwrap_or_default()
            )
        }
        From::Oci { reference, tag } => {
            format!("{{oci = {}, tag = {}}}", quoted(reference), quoted(tag))
        }
        From::Archive(path) => format!("{{archive = {}}}", quoted(path)),
        From::Path(path) => format!("{{path = {}}}", quoted(path)),
    }
}
