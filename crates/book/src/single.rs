//! A book in one file: all pages, pictures, the values of the nodes, and the scripts that show
//! them. It loads nothing, and its policy forbids loading.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::BookError;
use super::links::html_path;
use super::markup::{escaped, tags, unescaped};
use super::refer;
use super::render::OWN;

const BEFORE: &str = "<main>";
const AFTER: &str = "</main>";
const STYLE: &str = include_str!("assets/single.css");
/// The most bytes of all pictures.
pub(super) const PICTURES: u64 = 64 * 1024 * 1024;

/// Writes the built book in `book` into one file.
///
/// # Errors
/// If the book has no print page, or the file cannot be written.
pub fn single(book: &Path, file: &Path) -> Result<(), BookError> {
    let page = whole(book).map_err(|error| BookError::Render(format!("{error:#}")))?;
    let io = |error| BookError::Io {
        doing: "write",
        path: file.to_owned(),
        error,
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut made = tempfile::Builder::new()
        .prefix(".opsbook-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(io)?;
    std::io::Write::write_all(&mut made, page.as_bytes()).map_err(io)?;
    readable(made.path()).map_err(io)?;
    made.persist(file).map_err(|error| io(error.error))?;
    Ok(())
}

/// With ordinary permissions: a temporary file is private.
fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

fn whole(book: &Path) -> Result<String> {
    let print = std::fs::read_to_string(book.join("print.html")).map_err(|_| {
        anyhow!("there is no `print.html`: `[output.html.print]` of `book.toml` turns it off")
    })?;
    let (head, rest) = print
        .split_once(BEFORE)
        .context("`print.html` has no main part")?;
    let (main, foot) = rest
        .rsplit_once(AFTER)
        .context("`print.html` has no main part")?;
    let title = between(head, "<title>", "</title>").unwrap_or_default();
    let title = title.strip_suffix(" - ").unwrap_or(title);
    let language = between(head, "<html lang=\"", "\"").unwrap_or("en");
    let about = between(foot, "<footer", "</footer>");
    let about = about.map(|about| format!("<footer{about}</footer>"));
    let paper = between(head, "<style>@page", "</style>");
    let paper = paper
        .map(|paper| format!("@page{paper}"))
        .unwrap_or_default();
    let main = alone(book, main)?;
    let own = book.join(OWN);
    let style = std::fs::read_to_string(own.join("opsbook.css"))?;
    let scripts = scripts(&own)?;
    let mut hashes = String::new();
    for (_, script) in &scripts {
        let hash = Sha256::digest(script);
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        // Writing into a string cannot fail.
        let _ = write!(hashes, " 'sha256-{hash}'");
    }
    let policy = format!(
        "default-src 'none'; script-src{hashes}; style-src 'unsafe-inline'; img-src data:; \
         connect-src 'none'; base-uri 'none'; form-action 'none'"
    );
    let scripts = scripts.iter();
    let scripts = scripts.map(|(with, script)| format!("<script{with}>{script}</script>\n"));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\" class=\"light\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}{style}{paper}</style>\n</head>\n<body>\n\
         <header id=\"mdbook-menu-bar\"><strong>{title}</strong><span class=\"right-buttons\"></span></header>\n\
         <nav aria-label=\"Contents\"><details open><summary>Contents</summary><ol>{}</ol></details></nav>\n\
         <div class=\"content\"><main>{main}</main>{}</div>\n{}</body>\n</html>\n",
        contents(&main),
        about.unwrap_or_default(),
        scripts.collect::<String>()
    ))
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// The titles of the pages.
fn contents(main: &str) -> String {
    let titles = tags(main).filter(|tag| tag.name == "h1");
    let titles = titles.filter_map(|tag| {
        let (_, range) = tag.attributes().find(|(name, _)| *name == "id")?;
        let id = &main[range];
        let words = main[tag.start..].split_once('>')?.1.split_once("</h1>")?.0;
        Some(format!(
            "<li><a href=\"#{id}\">{}</a></li>",
            without_tags(words)
        ))
    });
    titles.collect()
}

fn without_tags(html: &str) -> String {
    let mut words = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        words += before;
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    words + rest
}

/// The scripts in execution order, each with its attributes. Scripts that a page would load on
/// demand come first.
fn scripts(own: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut scripts = vec![("", include_str!("assets/single.js").to_owned())];
    let file = |name: &str| std::fs::read_to_string(own.join(name));
    let days = std::fs::read_to_string(own.join("opsbook.js"))?;
    if let Ok(node) = file("node.js") {
        let machines = file("machines.js").ok();
        let with = match (own.join("nodes").exists(), &machines) {
            (false, _) => "",
            (true, None) => " data-nodes",
            (true, Some(_)) => " data-nodes data-machines",
        };
        scripts.push((with, node));
        if let Some(machines) = machines {
            scripts.push(("", machines));
        }
        let mut data = String::new();
        for folder in ["blocks", "nodes", "machines"] {
            for path in sorted(&own.join(folder))? {
                data += &std::fs::read_to_string(path)?;
            }
        }
        scripts.push(("", data));
    }
    scripts.push(("", days));
    Ok(scripts)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The pages with embedded pictures, and without links to other files.
fn alone(book: &Path, main: &str) -> Result<String> {
    let nodes = html_path(Path::new(refer::NODES));
    let nodes = format!("{}?", nodes.display());
    let mut out = String::with_capacity(main.len());
    let mut done = 0;
    let mut left = PICTURES;
    for tag in tags(main) {
        for (name, range) in tag.attributes() {
            let value = unescaped(&main[range.clone()]);
            let new = match (tag.name, name) {
                ("img", "src") => picture(book, &value, &mut left)?,
                ("a", "href") => value
                    .strip_prefix(&nodes)
                    .map(|node| format!("?{node}#nodes")),
                _ => None,
            };
            if let Some(new) = new {
                out.push_str(&main[done..range.start]);
                out.push_str(&escaped(&new));
                done = range.end;
            }
        }
    }
    out.push_str(&main[done..]);
    Ok(out)
}

/// A picture of the book as a `data:` address.
fn picture(book: &Path, address: &str, left: &mut u64) -> Result<Option<String>> {
    let path = Path::new(address.split(['#', '?']).next().unwrap_or_default());
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let file = book.join(path);
    if !inside || kind(path).is_none() || !file.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&file)?;
    *left = left
        .checked_sub(bytes.len() as u64)
        .context("its pictures are larger than 64 MiB")?;
    Ok(data(path, &bytes))
}

/// A picture as a `data:` address, if its name says what it is.
pub(super) fn data(path: &Path, bytes: &[u8]) -> Option<String> {
    let kind = kind(path)?;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Some(format!("data:{kind};base64,{text}"))
}

fn kind(path: &Path) -> Option<&'static str> {
    let end = path.extension()?.to_string_lossy();
    Some(match end.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}
