//! A raw client: what it sends and receives are the very bytes.
#![allow(dead_code, reason = "each test file uses a part of it")]

use mynah_understudy::Understudy;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to an understudy.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    input: Vec<u8>,
}

/// A response with a length or in chunks, the framing taken off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn new(understudy: &Understudy) -> Self {
        Self::over(TcpStream::connect(understudy.address()).await.expect("it listens"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("it takes them");
    }

    /// All bytes up to the end of the connection, and whether that was an orderly one.
    pub(crate) async fn rest(&mut self) -> (String, bool) {
        let mut bytes = std::mem::take(&mut self.input);
        let end = self.stream.read_to_end(&mut bytes).await;
        (String::from_utf8_lossy(&bytes).into_owned(), end.is_ok())
    }

    /// The next bytes, as many as come at once.
    pub(crate) async fn some(&mut self) -> String {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).await.expect("some bytes");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.answer().await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
            .await
    }

    pub(crate) async fn post_bytes(&mut self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.send([head.as_bytes(), body].concat()).await;
        self.answer().await
    }

    /// Sends JSON with these headers; without a body it is a `GET`.
    pub(crate) async fn ask(&mut self, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let headers = headers.concat();
        let length = body.len();
        self.send(format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let head_end = self.find(b"\r\n\r\n").await;
        let head = String::from_utf8_lossy(&self.take(head_end + 4).await).into_owned();
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value)
        };
        let mut body = Vec::new();
        if header("transfer-encoding").is_some() {
            loop {
                let line_end = self.find(b"\r\n").await;
                let line = self.take(line_end + 2).await;
                let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                let data = self.take(size + 2).await;
                body.extend_from_slice(&data[..size]);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = header("content-length") {
            body = self.take(length.parse().unwrap()).await;
        }
        Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body,
        }
    }

    async fn find(&mut self, wanted: &[u8]) -> usize {
        loop {
            if let Some(place) = self.input.windows(wanted.len()).position(|window| window == wanted) {
                return place;
            }
            self.fill().await;
        }
    }

    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            self.fill().await;
        }
        self.input.drain(..count).collect()
    }

    async fn fill(&mut self) {
        let count = self
            .stream
            .read_buf(&mut self.input)
            .await
            .expect("the response goes on");
        assert_ne!(
            count,
            0,
            "the response ended early: {}",
            String::from_utf8_lossy(&self.input)
        );
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The data of all events.
    pub(crate) fn events(&self) -> Vec<String> {
        self.text()
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(str::to_owned)
            .collect()
    }

    /// The data of all events that are JSON.
    pub(crate) fn json_events(&self) -> Vec<Value> {
        self.events()
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }
}

/// A request with these fields added or replaced; a null one is taken away.
pub(crate) fn with(base: &Value, extra: &Value) -> Value {
    let mut request = base.clone();
    let fields = request.as_object_mut().expect("an object");
    for (name, value) in extra.as_object().expect("an object") {
        fields.remove(name);
        if !value.is_null() {
            fields.insert(name.clone(), value.clone());
        }
    }
    request
}

/// A strict persona to talk to.
pub(crate) struct Stage {
    pub(crate) understudy: Understudy,
    client: Client,
    headers: &'static [(&'static str, &'static str)],
}

impl Stage {
    pub(crate) async fn new(headers: &'static [(&'static str, &'static str)]) -> Self {
        let understudy = Understudy::builder()
            .persona(mynah_understudy::Persona::Strict)
            .start()
            .await
            .unwrap();
        let client = Client::new(&understudy).await;
        Self {
            understudy,
            client,
            headers,
        }
    }

    pub(crate) async fn ask(&mut self, path: &str, body: &Value) -> Answer {
        self.client.ask(path, self.headers, Some(body)).await
    }

    pub(crate) async fn list(&mut self, path: &str) -> Answer {
        self.client.ask(path, self.headers, None).await
    }

    /// What is answered to a request that must be accepted.
    pub(crate) async fn play(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.ask(path, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Checks that each of these is refused with that status, and with words that contain these.
    pub(crate) async fn refuses(&mut self, path: &str, base: &Value, cases: &[(Value, u16, &str)]) {
        assert_eq!(self.ask(path, base).await.status, 200, "{base}");
        for (extra, status, words) in cases {
            let answer = self.ask(path, &with(base, extra)).await;
            let text = answer.json().to_string().replace("\\\"", "\"");
            assert_eq!(answer.status, *status, "{extra}: {text}");
            assert!(text.contains(words), "{extra}: {words} not in {text}");
        }
    }
}
