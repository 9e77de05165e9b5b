//! ! A gateway that serves a small manual, and a client that sends exactly the given requests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opsbook_gateway::config::Config;
use opsbook_gateway::serve::{RunnerHere, Running, Start, start};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

pub const PAGE: &str = "# Deploy the web\n\n```yaml procedure\nid: web.deploy\nnodes: \"@web\"\nparams:\n  version: {help: Which version, default: \"2\"}\n```\n\nLook around.\n\n```sh step id=look\necho \"version $version\"\n```\n\nGo on.\n\n```sh step id=go confirm\necho going\n```\n";

/// The store of a gateway.
#[derive(Clone)]
pub enum On {
    /// A file.
    Sqlite,
    /// A database of the tests' server.
    Postgres(String),
}

/// A gateway and its folder.
pub struct Served {
    pub running: Running,
    pub root: PathBuf,
    /// What it has told its administrator.
    pub told: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Served {
    pub async fn new(on: On) -> Served {
        Served::with(on, "").await
    }

    /// Starts a gateway with this configuration in addition to its store.
    pub async fn with(on: On, config: &str) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shop");
        std::fs::create_dir(&root).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("book.toml", "[book]\ntitle = \"Shop\"\nsrc = \".\"\n");
        write("SUMMARY.md", "# Summary\n\n- [Web](web.md)\n");
        write("web.md", PAGE);
        write(
            "nodes.yaml",
            "opsbook: 1\ndefaults: {transport: local}\ngroups:\n  web: {}\nnodes:\n  web1: {groups: [web]}\n  web2: {groups: [web]}\n  far1: {groups: [web], segment: dmz}\n  db1: {}\n",
        );
        let store = match on {
            On::Sqlite => String::new(),
            On::Postgres(url) => format!("[store]\nurl = \"{url}\"\n"),
        };
        let config = config.replace("{root}", &root.display().to_string());
        write("gateway.toml", &format!("{config}{store}"));
        let mut config = Config::read(&root.join("gateway.toml"), true).unwrap();
        config.listen.address.set_port(0);
        let begin = Start {
            root: root.clone(),
            state: None,
            config,
            runner: RunnerHere::Others,
        };
        Served::started(begin, root, folder).await
    }

    /// Starts another gateway of the same manual on the same store, as on another host.
    pub async fn another(&self, url: &str) -> Served {
        self.another_with(url, "").await
    }

    /// As [`Self::another`], with this additional configuration.
    pub async fn another_with(&self, url: &str, more: &str) -> Served {
        let blobs = self.state().join("blobs");
        let blobs = format!("[blobs]\nfolder = \"{}\"\n", blobs.display());
        self.another_in(url, &format!("{more}{blobs}")).await
    }

    /// As [`Self::another_with`]; the configuration also gives the place of output.
    pub async fn another_in(&self, url: &str, more: &str) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let config =
            format!("{more}[store]\nurl = \"{url}\"\n[listen]\naddress = \"127.0.0.1:0\"\n");
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, config).unwrap();
        let begin = Start {
            root: self.root.clone(),
            state: Some(state),
            config: Config::read(&path, true).unwrap(),
            runner: RunnerHere::Others,
        };
        Served::started(begin, self.root.clone(), folder).await
    }

    async fn started(begin: Start, root: PathBuf, folder: tempfile::TempDir) -> Served {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&told);
        let tell = move |text: &str| all.lock().unwrap().push(text.to_owned());
        Served {
            running: start(begin, Arc::new(tell)).await.unwrap(),
            root,
            told,
            _folder: folder,
        }
    }

    pub fn state(&self) -> PathBuf {
        self.root.join(".opsbook/gateway")
    }

    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.state().join("token")).unwrap();
        token.trim().to_owned()
    }

    fn port(&self) -> &str {
        self.running.local.url.rsplit(':').next().unwrap()
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Sends a request over the loopback address, without a login.
    pub async fn tcp(&self, request: Request) -> Answer {
        let stream = TcpStream::connect(self.host()).await.unwrap();
        request.send(stream, &self.host()).await
    }

    /// Sends a request over the socket, as the user of these tests.
    pub async fn unix(&self, request: Request) -> Answer {
        let stream = UnixStream::connect(&self.running.local.socket)
            .await
            .unwrap();
        request.send(stream, "gateway").await
    }

    /// Sends a JSON body as a program does, and expects success.
    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> Value {
        let answer = self.unix(Request::post(path).json(body)).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
        answer.json()
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.unix(Request::get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Orders a run of the procedure on these nodes.
    pub async fn ask(&self, nodes: &[&str]) -> String {
        let mut ask = serde_json::json!({"procedure": "web.deploy", "nodes": nodes});
        if self.running.gateway.manuals.alone().is_none() {
            ask["manual"] = "shop".into();
        }
        let asked = self.post("/v1/asks", &ask).await;
        asked["run"].as_str().unwrap().to_owned()
    }

    /// Opens a stream of events.
    pub async fn stream(&self, path: &str) -> Stream {
        let mut stream = UnixStream::connect(&self.running.local.socket)
            .await
            .unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Stream {
            stream,
            text: String::new(),
        }
    }
}

/// A request, header by header.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    pub fn get(path: &str) -> Request {
        Request {
            method: "GET",
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A POST with the header that names the interface.
    pub fn post(path: &str) -> Request {
        Request {
            method: "POST",
            ..Request::get(path)
        }
        .header("opsbook-api", "1")
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.retain(|(have, _)| have != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Request {
        self.headers.retain(|(have, _)| have != name);
        self
    }

    pub fn bearer(self, token: &str) -> Request {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: &impl serde::Serialize) -> Request {
        let body = serde_json::to_string(body).unwrap();
        self.body(&body)
    }

    pub fn body(mut self, body: &str) -> Request {
        self.body = body.into();
        self
    }

    async fn send(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Answer {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            self.method, self.path
        );
        head += &format!("content-length: {}\r\n", self.body.len());
        let named = self.headers.iter().any(|(name, _)| name == "host");
        if !named {
            head += &format!("host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        // The server may refuse a body that is too large before reading it.
        let _ = stream.write_all((head + &self.body).as_bytes()).await;
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        let _ = tokio::time::timeout(Duration::from_mins(1), read)
            .await
            .expect("an answer");
        Answer::read(&String::from_utf8_lossy(&bytes))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// The answer's bytes as sent.
    pub exact: String,
    pub body: String,
}

impl Answer {
    fn read(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).unwrap_or_default();
        let exact = head.to_owned();
        let head = head.to_lowercase();
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Answer {
            status: status.parse().unwrap_or_default(),
            head,
            exact,
            body,
        }
    }

    /// A header's value as sent.
    pub fn exact(&self, name: &str) -> Option<&str> {
        let lines = self.exact.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(have, _)| have.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable word of a problem.
    pub fn kind(&self) -> String {
        let json = self.json();
        assert_eq!(json["status"], self.status);
        assert!(
            self.head.contains("content-type: application/problem+json"),
            "{self:?}"
        );
        json["type"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix(": "))
    }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        if size == 0 || rest.len() < size {
            break;
        }
        text += &rest[..size];
        body = rest[size..].trim_start_matches("\r\n");
    }
    text
}

/// Events as they arrive.
pub struct Stream {
    stream: UnixStream,
    text: String,
}

impl Stream {
    /// Reads until the stream contains these words.
    pub async fn until(&mut self, words: &str) -> &str {
        let read = async {
            let mut bytes = [0; 4096];
            while !self.text.contains(words) {
                let count = self.stream.read(&mut bytes).await.unwrap();
                assert!(
                    count > 0,
                    "the stream ended without `{words}`: {}",
                    self.text
                );
                self.text += &String::from_utf8_lossy(&bytes[..count]);
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(30), read).await;
        assert!(came.is_ok(), "`{words}` did not come: {}", self.text);
        &self.text
    }
}

/// The mode of a file or folder.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
