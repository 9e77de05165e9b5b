//! Converts a page of a book into a PDF with an outline, using an installed Chromium, which reads
//! only files of the book and has no network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::BookError;

/// Possible program names.
const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];
/// A book of 25,000 pages is not for paper.
const LIMIT: Duration = Duration::from_mins(10);

/// Converts the HTML file `page` into the PDF `file`, atomically.
///
/// # Errors
/// If no Chromium is installed, or it produces no PDF.
pub fn pdf(page: &Path, file: &Path) -> Result<(), BookError> {
    let program = installed().ok_or_else(|| {
        failed("a PDF needs an installed Chromium or Chrome in `PATH`: there is none".to_owned())
    })?;
    if !page.exists() {
        let page = page.file_name().unwrap_or_default().to_string_lossy();
        return Err(failed(format!(
            "there is no `{page}` to print: `[output.html.print]` of `book.toml` turns it off"
        )));
    }
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |error| BookError::Io { doing, path, error }
    };
    let page = page.canonicalize().map_err(io("read", page))?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let room = tempfile::tempdir().map_err(io("write", folder))?;
    let made = tempfile::Builder::new()
        .prefix(".opsbook-")
        .suffix(".pdf")
        .tempfile_in(folder)
        .map_err(io("write", folder))?;
    let mut command = Command::new(program);
    command.args([
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-background-networking",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
    ]);
    if rustix::process::geteuid().is_root() {
        // Its sandbox does not work as root.
        command.arg("--no-sandbox");
    }
    command
        .arg(format!("--user-data-dir={}", room.path().display()))
        .arg(format!("--print-to-pdf={}", made.path().display()))
        .arg(address(&page))
        .env("HOME", room.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    finished(&mut command)?;
    let bytes = std::fs::read(made.path()).map_err(io("read", file))?;
    if !bytes.starts_with(b"%PDF-") {
        return Err(failed("Chromium has ended without a PDF".to_owned()));
    }
    let kept = made.persist(file).map_err(|error| error.error);
    kept.map(drop).map_err(io("write", file))
}

fn failed(why: String) -> BookError {
    BookError::Render(why)
}

fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let all = NAMES.iter().flat_map(|name| {
        let folders = folders.iter();
        folders.map(move |folder| folder.join(name))
    });
    let mut all = all.filter(|path| path.is_absolute());
    all.find(|path| path.is_file())
}

/// The `file:` URL of a file.
fn address(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut address = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                address.push(char::from(*byte));
            }
            _ => address += &format!("%{byte:02X}"),
        }
    }
    address
}

fn finished(command: &mut Command) -> Result<(), BookError> {
    let cannot = |error: std::io::Error| failed(format!("cannot run Chromium: {error}"));
    let mut child = command.spawn().map_err(cannot)?;
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(cannot)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(failed(format!("Chromium has failed: {status}"))),
            None if begun.elapsed() > LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("Chromium took more than ten minutes".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
