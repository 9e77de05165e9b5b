//! ! A minimal editor over a connection in memory.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use indoc::indoc;
use lsp_server::{Connection, Message, Notification, Request};
use serde_json::{Value, json};

pub const PAGE: &str = indoc! {r#"
    # Web

    ## Deploy

    ```yaml procedure
    id: web.deploy
    nodes: "@web"
    needs: [web]
    params:
      version: {required: true, help: the release}
    ```

    1. Ask for the time — é 😀:

       ```sh step id=time capture=began
       date
       ```

    2. Install:

       ```sh step id=install timeout=5m
       echo "$app_port $version $began" > /dev/null
       ```

       ```sh check id=there
       true
       ```

    ## What must hold

    ```yaml checks
    id: web
    nodes: "@web"
    file:
      /etc/passwd: {exists: true}
    ```

    Run it: `opsbook run web.deploy web1`.
"#};
pub const NODES: &str = indoc! {"
    opsbook: 1
    defaults: {app_port: 8000}
    groups:
      web: {}
    nodes:
      web1: {groups: [web], transport: local}
      web2: {groups: [web], transport: local, app_port: 8443}
"};

/// A manual of one page.
pub fn folder(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("book.toml", "[book]\ntitle = \"T\"\nsrc = \"manual\"\n");
    write("nodes.yaml", NODES);
    write("manual/SUMMARY.md", "- [Page](page.md)\n");
    write("manual/page.md", page);
    folder
}

pub struct Editor {
    pub folder: tempfile::TempDir,
    client: Connection,
    server: Option<std::thread::JoinHandle<()>>,
    last: i32,
    pub diagnostics: Vec<Value>,
    /// The server's answer to `initialize`.
    pub hello: Value,
}

impl Editor {
    pub fn new(page: &str) -> Editor {
        Editor::of(folder(page))
    }

    pub fn of(folder: tempfile::TempDir) -> Editor {
        Editor::with(folder, Value::Null)
    }

    /// With these settings of the editor.
    pub fn with(folder: tempfile::TempDir, settings: Value) -> Editor {
        let (server, client) = Connection::memory();
        let server = std::thread::spawn(move || {
            let _ = opsbook_lsp::serve(&server);
        });
        let mut editor = Editor {
            folder,
            client,
            server: Some(server),
            last: 0,
            diagnostics: Vec::new(),
            hello: Value::Null,
        };
        let hello = json!({"capabilities": {}, "initializationOptions": settings});
        editor.hello = editor.ask("initialize", hello)["result"].take();
        editor.tell("initialized", json!({}));
        editor
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub fn tell(&self, method: &str, params: Value) {
        let note = Notification::new(method.to_owned(), params);
        self.client.sender.send(note.into()).unwrap();
    }

    pub fn next(&mut self) -> Message {
        let within = Duration::from_secs(60);
        let message = self.client.receiver.recv_timeout(within).unwrap();
        if let Message::Notification(note) = &message {
            assert_eq!(note.method, "textDocument/publishDiagnostics");
            self.diagnostics.push(note.params.clone());
        }
        message
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let request = Request::new(self.last.into(), method.to_owned(), params);
        self.client.sender.send(request.into()).unwrap();
        loop {
            if let Message::Response(answer) = self.next() {
                let answer = serde_json::to_value(answer).unwrap();
                assert_eq!(answer["id"], self.last);
                return answer;
            }
        }
    }

    pub fn open(&self, name: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let document =
            json!({"uri": self.uri(name), "languageId": "markdown", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    pub fn replace(&self, name: &str, range: Value, text: &str) {
        let change = json!({"range": range, "text": text});
        self.tell(
            "textDocument/didChange",
            json!({"textDocument": {"uri": self.uri(name), "version": 2}, "contentChanges": [change]}),
        );
    }

    /// Waits for the next diagnostics of a file.
    pub fn diagnosed(&mut self, name: &str) -> Value {
        let uri = self.uri(name);
        loop {
            let at = self.diagnostics.iter().position(|said| said["uri"] == *uri);
            if let Some(at) = at {
                return self.diagnostics.remove(at)["diagnostics"].take();
            }
            self.next();
        }
    }

    /// Sends a request about the place of a text in the page, `more` bytes after its start.
    pub fn about(&mut self, method: &str, part: &str, more: usize) -> Value {
        let text = fs::read_to_string(self.path("manual/page.md")).unwrap();
        let (line, column) = place(&text, text.find(part).unwrap() + more);
        let mut params = json!({
            "textDocument": {"uri": self.uri("manual/page.md")},
            "position": {"line": line, "character": column},
        });
        if method.ends_with("references") {
            params["context"] = json!({"includeDeclaration": true});
        }
        self.ask(method, params)["result"].take()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        self.server.take().unwrap().join().unwrap();
    }
}

/// Line and column, counted in UTF-16 units.
pub fn place(text: &str, byte: usize) -> (usize, usize) {
    let line = text[..byte].rsplit('\n').next().unwrap();
    (
        text[..byte].matches('\n').count(),
        line.encode_utf16().count(),
    )
}

/// The byte offset of a place counted in UTF-16 units.
pub fn byte(text: &str, place: &Value) -> usize {
    let number = |name: &str| place[name].as_u64().unwrap() as usize;
    let start: usize = text
        .split_inclusive('\n')
        .take(number("line"))
        .map(str::len)
        .sum();
    let mut column = 0;
    for (at, letter) in text[start..].char_indices() {
        if column >= number("character") {
            return start + at;
        }
        column += letter.len_utf16();
    }
    text.len()
}
