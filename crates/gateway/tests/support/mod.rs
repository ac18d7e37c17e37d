//! Runs the real binary and speaks HTTP to it, byte for byte.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "every test file uses a part of this"
)]

pub mod dialects;
pub mod load;
pub mod model_list;
pub mod ocf;
pub mod postgres;
pub mod redis;
pub mod rows;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No wait in a test is longer than this; it is never the reason why a test passes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, in a directory of its own, without the environment's keys.
pub struct Gateway {
    child: Child,
    pub address: String,
    pub directory: tempfile::TempDir,
    /// What it printed after its address.
    pub printed: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Gateway {
    /// Starts with a configuration. `listen` is set to a free port unless the configuration does so.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with environment variables.
    pub fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
        Self::start_in(directory, variables)
    }

    /// Starts in a prepared directory.
    pub fn start_in(directory: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let command = command(directory.path());
        Self::start_by(command, directory, variables)
    }

    /// Starts with a command of one's own.
    pub fn start_by(mut command: Command, directory: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        if !std::fs::read_to_string(directory.path().join("mynah.toml"))
            .unwrap_or_default()
            .contains("listen =")
        {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let mut out = BufReader::new(child.stdout.take().unwrap());
        collect(child.stderr.take().unwrap(), printed.clone());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.split("://").nth(1).unwrap_or_else(|| {
            panic!("the gateway did not start: {first}{}", printed.lock().unwrap());
        });
        let address = address.trim().to_owned();
        collect(out, printed.clone());
        Self {
            child,
            address,
            directory,
            printed,
        }
    }

    /// Deletes the configuration file.
    pub fn remove_file(&self) {
        std::fs::remove_file(self.directory.path().join("mynah.toml")).unwrap();
    }

    /// Rewrites the configuration file.
    pub fn rewrite(&self, config: &str) {
        // In one step, as editors do it: a half-written file is never seen.
        let file = self.directory.path().join("mynah.toml");
        let new = self.directory.path().join("mynah.toml.new");
        std::fs::write(&new, config).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// The most memory that it has had, in bytes; `None` where the system does not tell.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// The files and connections that it has open; `None` where the system does not tell.
    pub fn open_files(&self) -> Option<usize> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?;
        Some(files.count())
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Waits for the process to end and returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the gateway did not end")
    }

    /// Waits until it has printed a text.
    pub async fn printed(&self, text: &str) {
        let printed = self.printed.clone();
        until(
            || printed.lock().unwrap().contains(text),
            || format!("{text} not in {}", printed.lock().unwrap()),
        )
        .await;
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// One request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(&request.bytes()).await.unwrap();
        read_reply(&mut stream).await.expect("a whole reply")
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(&Request::new("GET", path)).await
    }

    /// A chat completion with this JSON body.
    pub async fn chat(&self, body: &str) -> Reply {
        self.send(&Request::chat(body)).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary in a directory, without the environment's variables.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.current_dir(directory).env_clear();
    command
}

fn collect(source: impl std::io::Read + Send + 'static, into: std::sync::Arc<std::sync::Mutex<String>>) {
    std::thread::spawn(move || {
        let mut source = source;
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            into.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
}

/// Waits until a condition holds.
pub async fn until(condition: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let held = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(held.await.is_ok(), "{}", otherwise());
}

/// A request, written out as it is.
#[derive(Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self::to("gateway", method, path)
    }

    /// A request for a host.
    pub fn to(host: &str, method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: vec![("host".into(), host.into())],
            body: Vec::new(),
        }
    }

    pub fn chat(body: &str) -> Self {
        Self::post("/v1/chat/completions", body)
    }

    pub fn post(path: &str, body: &str) -> Self {
        Self::new("POST", path)
            .header("content-type", "application/json")
            .body(body.as_bytes())
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header("content-length", &body.len().to_string())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// A reply as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body came to its announced end.
    pub whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The error's code, of an error in OpenAI's shape.
    pub fn error_code(&self) -> String {
        let json = self.json();
        let error = json["error"].as_object().unwrap_or_else(|| panic!("no error: {json}"));
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "type", "param", "code"]);
        error["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Reads one reply. `None` when the connection ends before its head does.
pub async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    tokio::time::timeout(PATIENCE, async {
        let mut reply = read_head(stream).await?;
        let length = reply
            .header("content-length")
            .map(|length| length.parse::<usize>().unwrap());
        reply.whole = match length {
            Some(length) => read_exactly(stream, &mut reply.body, length).await,
            None if reply.header("transfer-encoding") == Some("chunked") => read_chunks(stream, &mut reply.body).await,
            None => stream.read_to_end(&mut reply.body).await.is_ok(),
        };
        Some(reply)
    })
    .await
    .expect("no reply in time")
}

/// Reads the head of a reply alone.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Some(Reply {
        status,
        headers: lines.filter_map(header).collect(),
        body: Vec::new(),
        whole: false,
    })
}

async fn read_exactly(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>, count: usize) -> bool {
    stream
        .take(count as u64)
        .read_to_end(into)
        .await
        .is_ok_and(|read| read == count)
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> bool {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let Ok(byte) = stream.read_u8().await else { return false };
            line.push(byte);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut end = Vec::new();
        if !read_exactly(stream, into, size).await || !read_exactly(stream, &mut end, 2).await {
            return false;
        }
        if size == 0 {
            return true;
        }
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
