//! Opens and reads the file of a journal. A checkout may contain anything under its name, so only
//! a regular file is read: links are not followed, and a pipe does not block.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Error, Read as _, Result};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// The most bytes of a line: far more than opsbook writes. Its longest line names all nodes and
/// steps of a run.
const LONGEST: u64 = 64 << 20;

/// Opens a regular file.
pub(super) fn regular(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
    let is_link = || {
        path.symlink_metadata()
            .is_ok_and(|found| found.is_symlink())
    };
    let file = match opened {
        Err(_) if is_link() => return Err(Error::other("a symbolic link is not a regular file")),
        opened => opened?,
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Error::other("it is not a regular file"))
    }
}

/// Reads one line with its line end. Returns the number of bytes: 0 at the end of the file.
pub(super) fn line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<u64> {
    line.clear();
    let read = reader.take(LONGEST).read_until(b'\n', line)? as u64;
    if read == LONGEST && line.last() != Some(&b'\n') {
        let most = LONGEST >> 20;
        let cause = format!("a line of it has more than {most} MiB, which opsbook does not write");
        return Err(Error::other(cause));
    }
    Ok(read)
}
