//! A stream of events: the journal's lines, each with its position.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use opsbook_wire::limit;

/// A gateway sends something at least this often, even if there is nothing new.
const SILENCE: Duration = Duration::from_mins(1);

/// Incoming lines. After an interruption, the stream continues after the last position.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    event: Event,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its position: the stream can continue after it.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The line of the journal.
    pub data: String,
}

impl Lines {
    pub(crate) fn new(body: Incoming) -> Lines {
        Lines {
            body,
            buffer: Vec::new(),
            event: Event::default(),
        }
    }

    /// The next event; `None` once the stream has ended or broken off.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = taken(&mut self.buffer, &mut self.event) {
                return Some(event);
            }
            if self.buffer.len() > 2 * limit::LINE {
                return None;
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let data = frame.ok()??.ok()?.into_data().ok()?;
            self.buffer.extend_from_slice(&data);
        }
    }
}

/// Takes lines from the buffer until they form an event.
fn taken(buffer: &mut Vec<u8>, event: &mut Event) -> Option<Event> {
    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = buffer.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            let whole = std::mem::take(event);
            if !whole.data.is_empty() || whole.name.is_some() {
                return Some(whole);
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.name = Some(value.to_owned()),
            "data" if event.data.is_empty() => event.data = value.to_owned(),
            "data" => event.data = format!("{}\n{value}", event.data),
            // A comment only keeps the connection alive.
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_wherever_the_pieces_end() {
        let text = ": hello\n\nid: web1:2:17\nevent: step-ended\ndata: {\"a\":1}\n\ndata: b\r\ndata: c\r\n\r\nid: 9\n\n";
        for size in 1..text.len() {
            let (mut buffer, mut event, mut events) = (Vec::new(), Event::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                buffer.extend_from_slice(piece);
                while let Some(event) = taken(&mut buffer, &mut event) {
                    events.push(event);
                }
            }
            assert_eq!(events.len(), 2, "{size}");
            assert_eq!(events[0].id.as_deref(), Some("web1:2:17"));
            assert_eq!(events[0].name.as_deref(), Some("step-ended"));
            assert_eq!(events[0].data, "{\"a\":1}");
            assert_eq!(events[1].data, "b\nc");
        }
    }
}
