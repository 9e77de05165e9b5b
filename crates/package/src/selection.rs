//! Which files of a folder belong to a package. Depends only on their names, so that a folder, a
//! repository and an archive have the same files. Pure.

use opsbook_text::wildcard;

use crate::archive::{DESCRIPTION, SIGNATURE};
use crate::manifest::{Globs, Manifest};

/// The folder of nested packages.
pub const PACKAGES: &str = "packages";
/// One person's replacements on one machine.
pub const LOCAL: &str = "opsbook.local.toml";

/// The selection rule of one package.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Vec<String>,
    exclude: Vec<String>,
    /// It contains other packages, which are not a part of it.
    made_of_others: bool,
}

impl Selection {
    /// From a manifest.
    #[must_use]
    pub fn of(manifest: Option<&Manifest>) -> Selection {
        let files = manifest.map(|manifest| manifest.files.clone());
        let Globs { include, exclude } = files.unwrap_or_default();
        Selection {
            include,
            exclude,
            made_of_others: manifest.is_some_and(|manifest| !manifest.packages.is_empty()),
        }
    }

    /// Whether a file belongs to the package. Hidden files do only if they are named.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        let hidden = path.split('/').any(|part| part.starts_with('.'));
        let internal = [DESCRIPTION, SIGNATURE, LOCAL].contains(&path);
        let of_others = self.made_of_others && path.starts_with("packages/");
        if internal || of_others || self.exclude.iter().any(|glob| matches(glob, path)) {
            return false;
        }
        !hidden || self.includes(path)
    }

    /// Whether a folder may contain such files: `exclude = ["target/**"]` says that it need not be
    /// read.
    #[must_use]
    pub fn enters(&self, folder: &str) -> bool {
        let mut all = self
            .exclude
            .iter()
            .filter_map(|glob| glob.strip_suffix("/**"));
        !all.any(|glob| matches(glob, folder))
    }

    /// Whether `include` names it: then it is packed without being tracked.
    #[must_use]
    pub fn includes(&self, path: &str) -> bool {
        self.include.iter().any(|glob| matches(glob, path))
    }
}

/// Whether a path matches a pattern: `*` and `?` within one name, `**` for any folders.
#[must_use]
pub fn matches(glob: &str, path: &str) -> bool {
    let glob: Vec<&str> = glob.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // `reached[p]`: the pattern parts so far match the first `p` names.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in glob {
        let mut next = vec![false; path.len() + 1];
        if part == "**" {
            let mut any = false;
            for (at, was) in reached.iter().enumerate() {
                any |= *was;
                next[at] = any;
            }
        } else {
            for (at, name) in path.iter().enumerate() {
                next[at + 1] = reached[at] && wildcard::fits(part.as_bytes(), name.as_bytes());
            }
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_left_out_as_a_whole_is_not_looked_into() {
        let selection = Selection {
            exclude: ["target/**", "a/*/**", "drafts/*.md", "**/x"]
                .map(str::to_owned)
                .into(),
            ..Selection::default()
        };
        for (folder, enters) in [
            ("target", false),
            ("a", true),
            ("a/b", false),
            ("drafts", true),
            ("b", true),
        ] {
            assert_eq!(selection.enters(folder), enters, "{folder}");
        }
        assert!(!selection.takes("target/debug/x") && selection.takes("drafts/a/b.md"));
    }

    #[test]
    fn patterns_know_folders() {
        for (glob, path, fits) in [
            ("dist/*.whl", "dist/a.whl", true),
            ("dist/*.whl", "dist/b/a.whl", false),
            ("drafts/**", "drafts/a/b.md", true),
            ("**/*.md", "a.md", true),
            ("**/*.md", "a/b/c.md", true),
            ("a/**/d", "a/d", true),
            ("a/**/d", "a/b/c/d", true),
            ("a/**/d", "a/b/c", false),
            ("*", "a/b", false),
        ] {
            assert_eq!(matches(glob, path), fits, "{glob} {path}");
        }
    }
}
