//! A manual of one page, with the node `here`, and the built `opsbook` run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Lab {
    dir: tempfile::TempDir,
}

/// How a call ended.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Both streams together contain the text.
    pub fn has(&self, text: &str) -> &Said {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "{text}: {self:#?}"
        );
        self
    }

    pub fn lacks(&self, text: &str) -> &Said {
        assert!(
            !self.out.contains(text) && !self.err.contains(text),
            "{text}: {self:#?}"
        );
        self
    }

    pub fn ended(&self, status: i32) -> &Said {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

impl Lab {
    /// `ROOM` in a page is the folder of the manual.
    pub fn new(page: &str) -> Lab {
        let dir = tempfile::Builder::new()
            .prefix("opsbook-writing-")
            .tempdir()
            .unwrap();
        let lab = Lab { dir };
        lab.write("book.toml", "[book]\ntitle = \"Test\"\nsrc = \"manual\"\n");
        lab.write("manual/SUMMARY.md", "- [Page](page.md)\n");
        lab.nodes("  here: {transport: local}\n");
        fs::create_dir(lab.path("home")).unwrap();
        lab.page(page);
        lab
    }

    pub fn page(&self, text: &str) {
        let room = self.room();
        self.write(
            "manual/page.md",
            &text.replace("ROOM", room.to_str().unwrap()),
        );
    }

    pub fn nodes(&self, text: &str) {
        self.write("nodes.yaml", &format!("opsbook: 1\nnodes:\n{text}"));
    }

    pub fn room(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub fn opsbook(&self, arguments: &[&str]) -> Said {
        self.with(&[], arguments)
    }

    pub fn with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let done = Command::new(env!("CARGO_BIN_EXE_opsbook"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("OPSBOOK_SETTINGS", "")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Said {
            status: done.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// The text of all journals.
    pub fn journals(&self) -> String {
        let folder = self.path(".opsbook/runs");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .collect()
    }
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
