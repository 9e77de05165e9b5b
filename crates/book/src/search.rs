//! Search indexes of parts of a book -> the index of the whole, byte for byte what mdBook
//! would have written for it. Knows the file format of elasticlunr and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

const BEFORE: &str = "window.search = Object.assign(window.search, JSON.parse('";
const AFTER: &str = "'));";

/// One index file, read.
#[derive(Deserialize, Serialize)]
pub(super) struct Index {
    doc_urls: Vec<String>,
    #[serde(rename = "index")]
    words: Inner,
    results_options: Value,
    search_options: Value,
}

/// Fields stand in the order of their names, as mdBook sorts them.
#[derive(Deserialize, Serialize)]
struct Inner {
    #[serde(rename = "documentStore")]
    store: Store,
    fields: Value,
    index: BTreeMap<String, Root>,
    lang: Value,
    pipeline: Value,
    #[serde(rename = "ref")]
    reference: Value,
    version: Value,
}

#[derive(Deserialize, Serialize)]
struct Store {
    #[serde(rename = "docInfo")]
    info: BTreeMap<String, BTreeMap<String, usize>>,
    docs: BTreeMap<String, BTreeMap<String, String>>,
    length: usize,
    save: bool,
}

#[derive(Deserialize, Serialize)]
struct Root {
    root: Node,
}

/// A letter of a word; the documents are those that hold the word that ends here.
#[derive(Default)]
struct Node {
    /// Document, and how often it says the word.
    docs: Vec<(u32, u32)>,
    next: BTreeMap<char, Node>,
}

impl Index {
    /// Reads an index file; nothing where it is not one.
    pub(super) fn read(script: &str) -> Option<Index> {
        let json = script.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
        let mut plain = String::with_capacity(json.len());
        let mut rest = json;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            plain.push_str(&rest[..at]);
            let escaped = rest[at + 1..].chars().next()?;
            plain.push(escaped);
            rest = &rest[at + 1 + escaped.len_utf8()..];
        }
        plain.push_str(rest);
        serde_json::from_str(&plain).ok()
    }

    /// Appends the documents of another part.
    pub(super) fn append(&mut self, other: Index) {
        let by = u32::try_from(self.doc_urls.len()).unwrap_or(u32::MAX);
        let moved = |id: String| id.parse::<u32>().map_or(id, |id| (id + by).to_string());
        self.doc_urls.extend(other.doc_urls);
        let store = other.words.store;
        for (id, info) in store.info {
            self.words.store.info.insert(moved(id), info);
        }
        for (id, mut doc) in store.docs {
            let id = moved(id);
            if let Some(own) = doc.get_mut("id") {
                own.clone_from(&id);
            }
            self.words.store.docs.insert(id, doc);
        }
        self.words.store.length += store.length;
        for (field, root) in other.words.index {
            if let Some(own) = self.words.index.get_mut(&field) {
                own.root.append(root.root, by);
            }
        }
    }

    /// The index file.
    pub(super) fn write(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        let escaped = json.replace('\\', "\\\\").replace('\'', "\\'");
        Ok([BEFORE, &escaped, AFTER].concat())
    }
}

impl Node {
    fn append(&mut self, other: Node, by: u32) {
        self.docs
            .extend(other.docs.into_iter().map(|(id, n)| (id + by, n)));
        for (letter, node) in other.next {
            self.next.entry(letter).or_default().append(node, by);
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (letter, node) in self.next.range(..='d') {
            map.serialize_entry(letter, node)?;
        }
        map.serialize_entry("df", &self.docs.len())?;
        map.serialize_entry("docs", &Documents(&self.docs))?;
        for (letter, node) in self.next.range('e'..) {
            map.serialize_entry(letter, node)?;
        }
        map.end()
    }
}

struct Documents<'a>(&'a [(u32, u32)]);

impl Serialize for Documents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Frequency {
            tf: f64,
        }
        let mut docs: Vec<(String, u32)> =
            self.0.iter().map(|(id, n)| (id.to_string(), *n)).collect();
        docs.sort();
        let entries = docs.into_iter().map(|(id, n)| {
            let tf = f64::from(n).sqrt();
            (id, Frequency { tf })
        });
        serializer.collect_map(entries)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_map(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node of the search index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), key.chars().next()) {
                ("df", _) => {
                    map.next_value::<IgnoredAny>()?;
                }
                ("docs", _) => node.docs = documents(map.next_value()?),
                (_, Some(letter)) => {
                    node.next.insert(letter, map.next_value()?);
                }
                (_, None) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(node)
    }
}

#[derive(Deserialize)]
struct Frequency {
    tf: f64,
}

/// The file holds the square root of each count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of words on a page"
)]
fn documents(docs: BTreeMap<String, Frequency>) -> Vec<(u32, u32)> {
    let docs = docs.into_iter().filter_map(|(id, frequency)| {
        let count = (frequency.tf * frequency.tf).round() as u32;
        Some((id.parse().ok()?, count))
    });
    docs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_written_as_it_was_read() {
        let inner = concat!(
            r#"{"documentStore":{"docInfo":{"0":{"body":1}},"docs":{"0":{"body":"it\\'s \"a\" \\u0001","id":"0"}},"length":1,"save":true},"#,
            r#""fields":["body"],"index":{"body":{"root":{"a":{"df":1,"docs":{"0":{"tf":1.4142135623730951}}},"df":0,"docs":{},"é":{"df":0,"docs":{}}}}},"#,
            r#""lang":"English","pipeline":["stemmer"],"ref":"id","version":"0.9.5"}"#
        );
        let json = [
            r#"{"doc_urls":["a.html"],"index":"#,
            inner,
            r#","results_options":{"limit_results":30},"search_options":{"bool":"AND"}}"#,
        ]
        .concat()
        .replace("it\\\\'s", "it's")
        .replace("\\\\u0001", "\\u0001");
        let script = [
            BEFORE,
            &json.replace('\\', "\\\\").replace('\'', "\\'"),
            AFTER,
        ]
        .concat();
        let index = Index::read(&script).unwrap();
        assert_eq!(index.write().unwrap(), script);
    }
}
