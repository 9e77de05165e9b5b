//! ! One browser per test: a chromedriver on its own port, and the operations of the tests.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::skip::{self, Skip};

const DRIVER: &str = "/usr/bin/chromedriver";
const CHROMIUM: &str = "/usr/bin/chromium";
/// The limit for an operation that takes less than a second on a calm machine.
const BOUND: Duration = Duration::from_secs(30);

pub struct Browser {
    runtime: Runtime,
    client: Client,
    port: u16,
    driver: Child,
    /// Holds only settings of the browser.
    _home: tempfile::TempDir,
}

/// The reader's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Desk,
    Phone,
}

impl Browser {
    pub fn open(screen: Screen) -> Result<Browser, Skip> {
        skip::program(CHROMIUM)?;
        skip::program(DRIVER)?;
        let home = tempfile::tempdir().unwrap();
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = port(&mut driver);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities(screen, home.path()))
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
                .unwrap()
        });
        Ok(Browser {
            runtime,
            client,
            port,
            driver,
            _home: home,
        })
    }

    /// Opens a page of a book and waits until its scripts have run.
    pub fn page(&self, book: &Path, page: &str) {
        self.go(&format!("file://{}/{page}", book.display()));
        self.until("return document.documentElement.dataset.opsbook === 'ready' || !document.querySelector('script[src$=\"opsbook/node.js\"]')");
    }

    /// Opens an address, as if typed.
    pub fn go(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    /// Shows all following pages as in print.
    pub fn on_paper(&self) {
        let id = self
            .runtime
            .block_on(self.client.session_id())
            .unwrap()
            .unwrap();
        let body = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}});
        let body = body.to_string();
        let request = format!(
            "POST /session/{id}/goog/cdp/execute HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Runs a script and returns the value of its `return`.
    pub fn ask(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|text| json!(text)).collect();
        let asked = self.client.execute(script, arguments);
        self.runtime.block_on(asked).unwrap()
    }

    /// Awaits the promise of `script`, which is an expression, and returns its value.
    pub fn promised(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|text| json!(text)).collect();
        let script = format!(
            "const done = arguments[arguments.length - 1]; ({script}).then(done, (error) => done(String(error)));"
        );
        let asked = self.client.execute_async(&script, arguments);
        self.runtime.block_on(asked).unwrap()
    }

    pub fn text(&self, script: &str, arguments: &[&str]) -> String {
        match self.ask(script, arguments) {
            Value::String(text) => text,
            other => panic!("`{script}` gave {other}"),
        }
    }

    /// Waits until a script returns a truthy value.
    pub fn until(&self, script: &str) {
        let begin = Instant::now();
        while self.ask(script, &[]) != json!(true) {
            assert!(begin.elapsed() < BOUND, "never came about: {script}");
            let pause = async { tokio::time::sleep(Duration::from_millis(20)).await };
            self.runtime.block_on(pause);
        }
    }

    /// Clicks an element, as a person does.
    pub fn click(&self, selector: &str) {
        // The element must not be below the bar at the top.
        let middle = "const part = document.querySelector(arguments[0]); if (part) part.scrollIntoView({block: 'center', behavior: 'instant'});";
        self.ask(middle, &[selector]);
        self.runtime.block_on(async {
            let found = self.client.find(Locator::Css(selector)).await;
            let found = found.unwrap_or_else(|error| panic!("no `{selector}`: {error}"));
            let clicked = found.click().await;
            clicked.unwrap_or_else(|error| panic!("`{selector}` cannot be clicked: {error}"));
        });
    }

    /// Sends keys to the focused element.
    pub fn press(&self, keys: &str) {
        self.runtime.block_on(async {
            let found = self.client.active_element().await.unwrap();
            found.send_keys(keys).await.unwrap();
        });
    }

    pub fn keys(&self, selector: &str, keys: &str) {
        self.runtime.block_on(async {
            let found = self.client.find(Locator::Css(selector)).await.unwrap();
            found.send_keys(keys).await.unwrap();
        });
    }

    /// Returns the clipboard by pasting it into a field.
    pub fn clipboard(&self) -> String {
        self.ask(
            "const area = document.createElement('textarea'); area.id = 'pasted'; document.body.append(area); area.focus();",
            &[],
        );
        self.keys("#pasted", "\u{e009}v");
        let pasted = self.text("return document.getElementById('pasted').value", &[]);
        self.ask("document.getElementById('pasted').remove()", &[]);
        pasted
    }

    /// Saves a picture for people to look at, if the environment names a folder.
    pub fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("OPSBOOK_PICTURES") {
            let png = self.runtime.block_on(self.client.screenshot()).unwrap();
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Reads the port from the driver's output.
fn port(driver: &mut Child) -> u16 {
    let out = driver.stdout.take().unwrap();
    for line in BufReader::new(out).lines() {
        let line = line.unwrap();
        if let Some((_, port)) = line.rsplit_once("successfully on port ") {
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
    panic!("chromedriver has ended");
}

fn capabilities(screen: Screen, home: &Path) -> Map<String, Value> {
    let mut options = json!({
        "binary": CHROMIUM,
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--window-size=1280,900", "--lang=en",
            format!("--user-data-dir={}", home.join("profile").display()),
        ],
    });
    if screen == Screen::Phone {
        let metrics = json!({"width": 390, "height": 844, "pixelRatio": 2, "touch": true});
        options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    }
    let mut all = Map::new();
    all.insert("goog:chromeOptions".into(), options);
    // axe reads a whole book in one file: half a minute is too short on a busy machine.
    let script = 1000 * 150;
    all.insert("timeouts".into(), json!({ "script": script }));
    all
}
