//! Archives of packages: `NAME-VERSION.opsbook`, a tar file compressed with zstd.
//!
//! The first entry, `opsbook-pack.json`, lists all others. From that list the reader computes each
//! header, byte for byte, and compares: it accepts no other tar file. This excludes long names,
//! sparse files, devices, repeated entries, and entries larger than listed. Pure; nothing is
//! written until everything has been read and compared.

use std::io::{self, Read};

use crate::description::{Description, FORMAT};
use crate::sign;
use crate::tree::{self, Entry, MOST_BYTES, MOST_FILES, Mode, Tree, shown};

/// The name of the first entry.
pub const DESCRIPTION: &str = "opsbook-pack.json";
/// The name of the last entry of a signed archive.
pub const SIGNATURE: &str = "opsbook-pack.sig";
/// The size of a tar block.
const BLOCK: usize = 512;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 32 << 20;
/// The longest signature, in bytes.
const LONGEST_SIGNATURE: usize = 64 << 10;
/// The most unpacked bytes of an empty file, and the additional bytes for each of its bytes: a
/// larger claim is an attempt to fill the disk.
const ROOM: u64 = 64 << 20;
const RATIO: u64 = 200;
/// The compression level: the best one that is still fast to read.
const LEVEL: i32 = 19;
/// Binary logarithm of the memory limit for reading.
const WINDOW: u32 = 27;

/// A whole archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its description.
    pub description: Description,
    /// The description as written in the archive.
    pub text: String,
    /// Its files, including those of other packages.
    pub tree: Tree,
    /// The output of `ssh-keygen -Y sign`.
    pub signature: Option<String>,
}

impl Archive {
    /// An unsigned archive.
    #[must_use]
    pub fn new(description: Description, tree: Tree) -> Archive {
        Archive {
            text: description.text(),
            description,
            tree,
            signature: None,
        }
    }

    /// The text that a signature covers.
    #[must_use]
    pub fn signed_text(&self) -> String {
        let Description {
            name,
            version,
            content,
            ..
        } = &self.description;
        sign::text_of((name, version), content, &self.description_sha256())
    }

    /// SHA-256 of the description, hexadecimal.
    #[must_use]
    pub fn description_sha256(&self) -> String {
        tree::sha256(self.text.as_bytes())
    }
}

/// Why an archive cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    /// opsbook did not write it in this form.
    Archive(String),
    /// Only a newer opsbook knows its format.
    TooNew(u32),
}

/// The bytes of an archive.
///
/// # Errors
/// If a name is too long, or memory runs out.
pub fn write(archive: &Archive) -> Result<Vec<u8>, String> {
    let mut out = zstd::Encoder::new(Vec::new(), LEVEL).map_err(|error| error.to_string())?;
    write_tar(archive, &mut out)
        .and_then(|()| out.finish())
        .map_err(|error| error.to_string())
}

fn write_tar(archive: &Archive, out: &mut impl io::Write) -> io::Result<()> {
    let description = archive.text.clone().into_bytes();
    write_entry(DESCRIPTION, &Entry::file(false, description), out)?;
    for (path, entry) in archive.tree.entries() {
        write_entry(path, entry, out)?;
    }
    if let Some(signature) = &archive.signature {
        let entry = Entry::file(false, signature.clone().into_bytes());
        write_entry(SIGNATURE, &entry, out)?;
    }
    out.write_all(&[0; 2 * BLOCK])
}

fn write_entry(path: &str, entry: &Entry, out: &mut impl io::Write) -> io::Result<()> {
    let header = header(path, entry.mode, entry.bytes.len(), &entry.bytes);
    let header = header.ok_or_else(|| {
        io::Error::other(format!(
            "the name `{}` is too long for an archive",
            shown(path)
        ))
    })?;
    out.write_all(&header)?;
    if entry.mode == Mode::Link {
        return Ok(());
    }
    out.write_all(&entry.bytes)?;
    out.write_all(&[0; BLOCK][..padding(entry.bytes.len())])
}

fn padding(size: usize) -> usize {
    size.next_multiple_of(BLOCK) - size
}

/// The only valid header of an entry; `None` if its name does not fit.
fn header(path: &str, mode: Mode, size: usize, target: &[u8]) -> Option<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let is_link = mode == Mode::Link;
    put(0, name.as_bytes());
    let bits: &[u8] = match mode {
        Mode::Plain => b"0000644\0",
        Mode::Executable => b"0000755\0",
        Mode::Link => b"0000777\0",
    };
    put(100, bits);
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    let size = if is_link { 0 } else { size };
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, if is_link { b"2" } else { b"0" });
    if is_link {
        put(157, target.get(..tree::LONGEST_TARGET.min(target.len()))?);
    }
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// Splits a path for the two name fields of a header: at the first `/` that leaves a name of at
/// most 100 bytes.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let mut places = path.match_indices('/').map(|(at, _)| at);
    let at = places.find(|at| path.len() - at - 1 <= 100 && *at <= 155)?;
    Some((&path[..at], &path[at + 1..]))
}

/// Whether a name fits into an archive.
#[must_use]
pub fn fits(path: &str) -> bool {
    split(path).is_some_and(|(_, name)| !name.is_empty())
}

/// Reads an archive, and compares everything with its description.
///
/// # Errors
/// What is wrong, and at which entry.
pub fn read(bytes: &[u8]) -> Result<Archive, Bad> {
    let most = ROOM.saturating_add(RATIO.saturating_mul(bytes.len() as u64));
    let bad = |error: io::Error| Bad::Archive(format!("it is not an opsbook archive: {error}"));
    let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(bad)?;
    decoder.window_log_max(WINDOW).map_err(bad)?;
    Reader {
        input: decoder.take(most.min(2 * MOST_BYTES)),
        entry: 0,
    }
    .read(most)
}

struct Reader<R> {
    input: R,
    /// The number of the current entry, from 1.
    entry: usize,
}

impl<R: Read> Reader<R> {
    fn read(mut self, most: u64) -> Result<Archive, Bad> {
        let text = self.description()?;
        let description = self.understand(&text, most)?;
        let mut tree = Tree::default();
        for file in &description.files {
            self.entry += 1;
            let mode = Mode::of_word(&file.mode);
            let mode = mode.ok_or_else(|| self.bad("has an invalid mode"))?;
            let target = file.target.clone().unwrap_or_default().into_bytes();
            let size = usize::try_from(file.size).unwrap_or(usize::MAX);
            if mode == Mode::Link && size != target.len() {
                return Err(self.bad("is a link with a wrong length"));
            }
            let bytes = self.entry(&file.path, mode, size, target)?;
            let entry = Entry { mode, bytes };
            let hash = file.sha256.as_ref().or(file.target.as_ref());
            if hash != Some(&entry.identity()) {
                let path = shown(&file.path);
                return Err(self.bad(&format!("`{path}` does not match its hash in the list")));
            }
            tree.add(&file.path, entry).map_err(|why| self.bad(&why))?;
        }
        let signature = self.end()?;
        let archive = Archive {
            description,
            text,
            tree,
            signature,
        };
        agrees(&archive).map_err(Bad::Archive)?;
        Ok(archive)
    }

    /// The text of the first entry. Only its size is read from a header.
    fn description(&mut self) -> Result<String, Bad> {
        self.entry = 1;
        let found = self.block()?;
        let size = std::str::from_utf8(&found[124..135]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 8).ok());
        let size = size.filter(|size| *size <= LONGEST_DESCRIPTION);
        let wanted = size.and_then(|size| header(DESCRIPTION, Mode::Plain, size, b""));
        let (Some(size), true) = (size, wanted == Some(found)) else {
            let found = name_of(&found);
            return Err(self.bad(&format!("is {found}, not `{DESCRIPTION}`")));
        };
        let bytes = self.bytes(size)?;
        String::from_utf8(bytes).map_err(|_| self.bad("is not text"))
    }

    /// Validates the list before any entry is read.
    fn understand(&self, text: &str, most: u64) -> Result<Description, Bad> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |error: serde_json::Error| self.bad(&format!("cannot be read: {error}"));
        let Format { format } = serde_json::from_str(text).map_err(wrong)?;
        if format > FORMAT {
            return Err(Bad::TooNew(format));
        }
        let description: Description = serde_json::from_str(text).map_err(wrong)?;
        if description.files.len() > MOST_FILES {
            return Err(self.bad(&format!("lists more than {MOST_FILES} files")));
        }
        let mut sizes = description.files.iter().map(|file| file.size);
        let total = sizes.try_fold(0_u64, u64::checked_add);
        let bound = MOST_BYTES.min(most);
        if total.is_none_or(|total| total > bound) {
            let why = format!(
                "lists more than {} MiB, for an archive of that size",
                bound >> 20
            );
            return Err(self.bad(&why));
        }
        for file in &description.files {
            tree::check_path(&file.path)
                .map_err(|why| self.bad(&format!("lists a file: {why}")))?;
        }
        let sorted = { description.files.windows(2) }.find(|two| two[0].path >= two[1].path);
        if let Some(two) = sorted {
            let path = shown(&two[1].path);
            return Err(self.bad(&format!("lists `{path}` twice, or not in order")));
        }
        Ok(description)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: Mode,
        size: usize,
        target: Vec<u8>,
    ) -> Result<Vec<u8>, Bad> {
        let found = self.block()?;
        if header(path, mode, size, &target) != Some(found) {
            let (found, path) = (name_of(&found), shown(path));
            return Err(self.bad(&format!("is {found}, but the list has `{path}`")));
        }
        match mode {
            Mode::Link => Ok(target),
            Mode::Plain | Mode::Executable => self.bytes(size),
        }
    }

    /// The signature, if there is one, and the end, after which nothing may follow.
    fn end(&mut self) -> Result<Option<String>, Bad> {
        self.entry += 1;
        let mut block = self.block()?;
        let mut signature = None;
        if block != [0; BLOCK] {
            let size = std::str::from_utf8(&block[124..135]).ok();
            let size = size.and_then(|size| usize::from_str_radix(size, 8).ok());
            let size = size.filter(|size| *size <= LONGEST_SIGNATURE);
            let wanted = size.and_then(|size| header(SIGNATURE, Mode::Plain, size, b""));
            let (Some(size), true) = (size, wanted == Some(block)) else {
                let found = name_of(&block);
                return Err(self.bad(&format!("is {found}, which is not in the list")));
            };
            let text = String::from_utf8(self.bytes(size)?);
            signature = Some(text.map_err(|_| self.bad("is not text"))?);
            self.entry += 1;
            block = self.block()?;
        }
        let last = self.block()?;
        let mut more = [0];
        let rest = self
            .input
            .read(&mut more)
            .map_err(|error| self.cut(&error))?;
        if block != [0; BLOCK] || last != [0; BLOCK] || rest > 0 {
            return Err(self.bad("is where the archive should end"));
        }
        Ok(signature)
    }

    fn block(&mut self) -> Result<[u8; BLOCK], Bad> {
        let mut block = [0; BLOCK];
        let read = self.input.read_exact(&mut block);
        read.map_err(|error| self.cut(&error))?;
        Ok(block)
    }

    /// Allocates only for bytes that were read, not for a claimed size.
    fn bytes(&mut self, size: usize) -> Result<Vec<u8>, Bad> {
        let mut bytes = Vec::new();
        let read = { self.input.by_ref() }
            .take(size as u64)
            .read_to_end(&mut bytes);
        let read = read.map_err(|error| self.cut(&error))?;
        let mut filled = [0; BLOCK];
        let filled = &mut filled[..padding(size)];
        let padded = self.input.read_exact(filled);
        padded.map_err(|error| self.cut(&error))?;
        if read < size {
            return Err(self.bad("ends too early"));
        }
        if filled.iter().any(|byte| *byte != 0) {
            return Err(self.bad("has data after its end"));
        }
        Ok(bytes)
    }

    fn cut(&self, error: &io::Error) -> Bad {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.bad("is incomplete, or larger than allowed"),
            _ => self.bad(&format!("cannot be unpacked: {error}")),
        }
    }

    fn bad(&self, why: &str) -> Bad {
        Bad::Archive(format!("entry {} {why}", self.entry))
    }
}

/// What an invalid header seems to be, for the message.
fn name_of(header: &[u8; BLOCK]) -> String {
    let text = |range: std::ops::Range<usize>| {
        let bytes = &header[range];
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
        shown(&text)
    };
    let kind = match header[156] {
        _ if *header == [0; BLOCK] => return "the end".to_owned(),
        b'1' => "a hard link",
        b'2' => "a link",
        b'3' | b'4' => "a device",
        b'5' => "a folder",
        b'6' => "a pipe",
        b'L' | b'K' | b'x' | b'g' => "an unsupported tar extension",
        b'S' => "a sparse file",
        _ => "a file",
    };
    match text(157..257) {
        target if !target.is_empty() => format!("{kind}, `{}` to `{target}`", text(0..100)),
        _ => format!("{kind}, `{}`", text(0..100)),
    }
}

/// Compares the parts of an archive.
fn agrees(archive: &Archive) -> Result<(), String> {
    let Archive {
        description, tree, ..
    } = archive;
    tree.check()?;
    if description.own(tree).content() != description.content {
        return Err("its files do not match its hash".to_owned());
    }
    for part in &description.packages {
        let found = tree.below(&format!("packages/{}", part.name)).content();
        if found != part.content {
            let name = shown(&part.name);
            return Err(format!("its package `{name}` does not match its hash"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
