//! The served book: rebuilt when the manual has changed; each page contains the data by which the
//! console recognises it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Manual, print::Print};
use crate::book::{Options, build};
use crate::token::new_token;
use crate::wire::{Kind, Problem};

/// The number of builds to keep: their pages may still be open in a browser.
const KEPT: usize = 8;

/// The book of a manual.
#[derive(Debug)]
pub struct Book {
    root: PathBuf,
    folder: PathBuf,
    built: Mutex<Vec<Arc<Built>>>,
    /// One build at a time.
    building: Mutex<()>,
}

#[derive(Debug)]
struct Built {
    /// The id, which its pages contain.
    id: String,
    folder: PathBuf,
    print: Print,
    /// For each procedure, the SHA-256 of the page in this build.
    pages: BTreeMap<String, String>,
    /// Pages with their own scripts get no console and no data of the reader.
    scripts: Scripts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scripts {
    Ours,
    Theirs,
}

/// A file of the book.
#[derive(Debug)]
pub struct Page {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its content type.
    pub content_type: &'static str,
    /// Its content security policy, in addition to its own.
    pub policy: &'static str,
}

/// The book's own scripts are listed by hash in each page's policy.
const HELD: &str = "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'none'";
/// A page with its own scripts gets an opaque origin.
const SANDBOX: &str = "sandbox allow-scripts; frame-ancestors 'self'";

impl Book {
    pub(super) fn new(root: &Path, folder: &Path) -> Book {
        Book {
            root: root.to_owned(),
            folder: folder.to_owned(),
            built: Mutex::new(Vec::new()),
            building: Mutex::new(()),
        }
    }

    /// The page hashes of procedures in a build; `None` if the build is unknown.
    #[must_use]
    pub fn pages(&self, id: &str) -> Option<BTreeMap<String, String>> {
        let built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built
            .iter()
            .find(|built| built.id == id)
            .map(|built| built.pages.clone())
    }

    fn current(&self) -> Option<Arc<Built>> {
        let built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.last().cloned()
    }
}

impl Manual {
    /// A file of the current book; `None` if it does not exist. Takes long if the manual has
    /// changed.
    ///
    /// # Errors
    /// If the book cannot be built.
    pub fn page(&self, path: &str) -> Result<Option<Page>, Box<Problem>> {
        let built = self.built()?;
        let Some(file) = below(&built.folder, path) else {
            return Ok(None);
        };
        let Ok(bytes) = std::fs::read(&file) else {
            return Ok(None);
        };
        let content_type = content_type(&file);
        let html = content_type.starts_with("text/html");
        let (bytes, policy) = match (html, built.scripts) {
            (true, Scripts::Ours) => (with_console(&bytes, (&self.id, &built.id)), HELD),
            (true, Scripts::Theirs) => (bytes, SANDBOX),
            (false, _) => (bytes, "default-src 'none'; sandbox"),
        };
        Ok(Some(Page {
            bytes,
            content_type,
            policy,
        }))
    }

    fn built(&self) -> Result<Arc<Built>, Box<Problem>> {
        let print = Print::of(&self.root);
        if let Some(built) = self.book.current().filter(|built| built.print == print) {
            return Ok(built);
        }
        let _one = self
            .book
            .building
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another task may have built it meanwhile.
        let mut print = Print::of(&self.root);
        if let Some(built) = self.book.current().filter(|built| built.print == print) {
            return Ok(built);
        }
        // If the manual changes during the build, build again, so that pages and hashes belong to
        // the same state.
        for _ in 0..5 {
            let built = self.build(print)?;
            let after = Print::of(&self.root);
            if after == print {
                return Ok(built);
            }
            print = after;
        }
        let detail = "the manual changed while its book was built";
        Err(Box::new(Problem::new(Kind::Unavailable, detail)))
    }

    fn build(&self, print: Print) -> Result<Arc<Built>, Box<Problem>> {
        let failed = |why: String| {
            let detail = format!("cannot build the book: {why}");
            Box::new(Problem::new(Kind::Wrong, detail))
        };
        let id = new_token()[..16].to_owned();
        let folder = self.book.folder.join(&id);
        std::fs::create_dir_all(&self.book.folder).map_err(|error| failed(error.to_string()))?;
        let pages = self.read().map(|read| read.pages()).unwrap_or_default();
        let built = build(&self.book.root, Some(&folder), &Options::default())
            .map_err(|error| failed(error.to_string()))?;
        let built = Arc::new(Built {
            id,
            folder,
            print,
            pages,
            scripts: if built.allows_html {
                Scripts::Theirs
            } else {
                Scripts::Ours
            },
        });
        let mut all = self
            .book
            .built
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&built));
        while all.len() > KEPT {
            let old = all.remove(0);
            // A leftover only takes space.
            let _ = std::fs::remove_dir_all(&old.folder);
        }
        Ok(built)
    }
}

/// Adds the console's data to the page's head, and allows requests to the gateway.
fn with_console(html: &[u8], (manual, build): (&str, &str)) -> Vec<u8> {
    let html = String::from_utf8_lossy(html);
    // The first policy is the page's own: it precedes everything that the author wrote.
    let html = html.replacen("connect-src 'none'", "connect-src 'self'", 1);
    let manual = escaped(manual);
    let words = format!(
        "<meta name=\"opsbook-manual\" content=\"{manual}\">\
         <meta name=\"opsbook-build\" content=\"{build}\">\
         <link rel=\"stylesheet\" href=\"/console/console.css\">\
         <script type=\"module\" src=\"/console/console.js\"></script></head>"
    );
    html.replacen("</head>", &words, 1).into_bytes()
}

/// Escapes a name for HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A file below a folder; refuses links that lead out.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.'));
    if !path.components().all(plain) {
        return None;
    }
    let file = folder.join(path);
    let file = if file.is_dir() {
        file.join("index.html")
    } else {
        file
    };
    let real = file.canonicalize().ok()?;
    (real.starts_with(folder.canonicalize().ok()?) && real.is_file()).then_some(real)
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(std::ffi::OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
