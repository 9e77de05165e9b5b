//! The lines of a journal that the gateway does not have yet, and the position up to which it has
//! them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::path::PathBuf;

use opsbook_wire::{Acked, PartKey, limit};
use serde::Deserialize;

/// A journal, read from the gateway's position on.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    offset: u64,
}

/// Some complete lines of it.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub lines: Vec<String>,
    ends: Vec<End>,
}

/// The end of a line, and the line's number.
#[derive(Debug)]
struct End {
    epoch: u64,
    seq: u64,
    offset: u64,
}

#[derive(Deserialize)]
struct Place {
    seq: u64,
    epoch: Option<u64>,
}

impl Tail {
    /// The gateway has the first `offset` bytes.
    pub fn new(path: PathBuf, offset: u64) -> Tail {
        Tail { path, offset }
    }

    /// The next lines, up to `most` bytes. An incomplete line is left for later.
    pub fn next(&self, lease: u64, most: usize) -> Result<Piece, String> {
        let mut piece = Piece::default();
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(piece),
            Err(error) => return Err(error.to_string()),
        };
        let seek = file.seek(SeekFrom::Start(self.offset));
        seek.map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(file);
        let (mut offset, mut taken) = (self.offset, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            let read = read.map_err(|error| error.to_string())?;
            if line.last() != Some(&b'\n') {
                return Ok(piece);
            }
            offset += read as u64;
            line.pop();
            if line.len() > limit::LINE {
                let long = line.len();
                return Err(format!(
                    "a line of its journal has {long} bytes, which is too long"
                ));
            }
            taken += line.len();
            if taken > most && !piece.lines.is_empty() {
                return Ok(piece);
            }
            let place: Place = serde_json::from_slice(&line)
                .map_err(|error| format!("a line of its journal is not an event: {error}"))?;
            let text = String::from_utf8(std::mem::take(&mut line));
            piece.lines.push(text.map_err(|error| error.to_string())?);
            piece.ends.push(End {
                epoch: place.epoch.unwrap_or(lease),
                seq: place.seq,
                offset,
            });
        }
    }

    /// Notes the gateway's new position. Returns true if it has more than before.
    pub fn acked(&mut self, key: &PartKey, piece: &Piece, acked: &Acked) -> bool {
        let has = |end: &End| {
            let key = PartKey {
                epoch: end.epoch,
                ..key.clone()
            };
            acked
                .acked
                .get(&key.to_string())
                .is_some_and(|seq| *seq >= end.seq)
        };
        let before = self.offset;
        if piece
            .ends
            .first()
            .is_some_and(|first| knows_less(key, first, acked))
        {
            self.offset = 0;
            return false;
        }
        if let Some(last) = piece.ends.iter().take_while(|end| has(end)).last() {
            self.offset = last.offset;
        }
        self.offset > before
    }
}

/// The gateway lacks even the line before: its store was restored from an older state. It skips the
/// lines that it has.
fn knows_less(key: &PartKey, first: &End, acked: &Acked) -> bool {
    let key = PartKey {
        epoch: first.epoch,
        ..key.clone()
    };
    let has = acked.acked.get(&key.to_string());
    has.is_some_and(|has| has + 1 < first.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_again_from_the_first_that_was_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let mut tail = Tail::new(path.clone(), 0);
        assert!(tail.next(3, 1000).unwrap().lines.is_empty());
        let lines = [
            r#"{"seq":1,"epoch":1}"#,
            r#"{"seq":2}"#,
            r#"{"seq":3,"epoch":2}"#,
        ];
        std::fs::write(&path, format!("{}\n{{\"seq\":4", lines.join("\n"))).unwrap();
        let key = PartKey {
            run: "r".into(),
            node: "n".into(),
            epoch: 3,
        };
        let piece = tail.next(3, 1000).unwrap();
        assert_eq!(piece.lines, lines);
        let mut acked = Acked::default();
        assert!(!tail.acked(&key, &piece, &acked));
        // The second line has the lease's epoch and is not stored.
        acked.acked.insert("r:n:1".into(), 1);
        acked.acked.insert("r:n:2".into(), 3);
        assert!(tail.acked(&key, &piece, &acked));
        let piece = tail.next(3, 1000).unwrap();
        assert_eq!(piece.lines, lines[1..]);
        acked.acked.insert("r:n:3".into(), 2);
        assert!(tail.acked(&key, &piece, &acked));
        assert!(tail.next(3, 1000).unwrap().lines.is_empty());
        // A store that was restored from an older state has fewer lines than were sent.
        let mut later = Tail::new(path.clone(), 30);
        let piece = later.next(3, 1000).unwrap();
        assert_eq!(piece.lines, lines[2..]);
        let mut older = Acked::default();
        older.acked.insert("r:n:2".into(), 1);
        assert!(!later.acked(&key, &piece, &older));
        assert_eq!(later.next(3, 1000).unwrap().lines, lines);
        // At least one line, however long.
        let one = Tail::new(path, 0).next(3, 1).unwrap();
        assert_eq!(one.lines.len(), 1);
    }

    #[test]
    fn what_is_no_event_or_too_long_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        std::fs::write(&path, "moon\n").unwrap();
        assert!(
            Tail::new(path.clone(), 0)
                .next(1, 9)
                .unwrap_err()
                .contains("is not an event")
        );
        let long = format!("{{\"seq\":1,\"x\":\"{}\"}}\n", "x".repeat(limit::LINE));
        std::fs::write(&path, long).unwrap();
        assert!(
            Tail::new(path, 0)
                .next(1, 9)
                .unwrap_err()
                .contains("too long")
        );
    }
}
