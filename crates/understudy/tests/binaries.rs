//! The binaries do what their arguments say.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// An understudy in a process of its own, which ends with this value.
struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Served {
    fn new(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mynah-understudy"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, output, address }
    }

    /// Sends a request on a connection of its own, and returns the body of the response.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn load(&self, arguments: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_mynah-load"))
            .args(arguments)
            .args([
                "--url",
                &format!("http://{}", self.address),
                "--warmup",
                "50ms",
                "--duration",
                "300ms",
            ])
            .args(["--pid", &self.child.id().to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn it_serves_the_persona_and_shows_what_arrived() {
    let mut served = Served::new(&["--log"]);
    let models = served.request("GET", "/v1/models", "");
    assert!(models.contains("gpt-4o"));
    let mut line = String::new();
    served.output.read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["target"], "/v1/models");
    let seen: Value = serde_json::from_str(&served.request("GET", "/__understudy/received", "")).unwrap();
    assert_eq!(
        (&seen[0]["target"], seen.as_array().unwrap().len()),
        (&json!("/v1/models"), 1)
    );
}

#[test]
fn it_reads_its_script_from_a_file() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/script.toml");
    std::fs::write(file, "[[rule]]\npath = '/a'\nreplies = [{ body = 'from the file' }]\n").unwrap();
    let served = Served::new(&["--script", file]);
    assert_eq!(served.request("GET", "/a", ""), "from the file");
    served.request(
        "PUT",
        "/__understudy/script",
        "[[rule]]\nreplies = [{ body = 'from a request' }]",
    );
    assert_eq!(served.request("GET", "/a", ""), "from a request");
}

#[test]
fn a_wrong_script_is_told_with_its_place() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/wrong.toml");
    std::fs::write(file, "[[rule]]\npath = '/a'\nrepliez = []\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mynah-understudy"))
        .args(["serve", "--listen", "127.0.0.1:0", "--script", file])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("wrong.toml") && message.contains("line 3") && message.contains("repliez"),
        "{message}"
    );
}

#[test]
fn bench_replies_are_as_long_as_asked_for() {
    let served = Served::new(&[
        "--bench-reply-bytes",
        "2000",
        "--bench-stream",
        "3",
        "--bench-pace",
        "1ms",
    ]);
    assert_eq!(served.request("POST", "/v1/chat/completions", "{}").len(), 2000);
    let stream = served.request("POST", "/v1/chat/completions", r#"{"stream":true}"#);
    assert_eq!(stream.matches("data: {").count(), 3);
    assert_eq!(served.request("GET", "/__understudy/received", ""), "[]");
}

#[test]
fn load_is_put_on_in_a_closed_loop() {
    let served = Served::new(&["--bench-reply-bytes", "500"]);
    let report = served.load(&["closed", "--connections", "4", "--header", "authorization: Bearer x"]);
    assert!(report["requests"].as_u64().unwrap() > 0);
    assert_eq!((&report["errors"], &report["unsent"]), (&json!(0), &json!(0)));
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(report["latency_ms"]["p50"].as_f64() <= report["latency_ms"]["max"].as_f64());
    assert!(report["rss_kb"].as_u64().unwrap() > 0);
    let counters: Value = serde_json::from_str(&served.request("GET", "/__understudy/counters", "")).unwrap();
    // The warm-up is not measured, but does happen.
    assert!(counters["requests"].as_u64() > report["requests"].as_u64());
    assert!(
        counters["connections"].as_u64().unwrap() <= 5,
        "connections are kept: {counters}"
    );
}

#[test]
fn load_is_put_on_at_a_rate() {
    let served = Served::new(&["--bench-reply-bytes", "500"]);
    let report = served.load(&["open", "--rate", "200", "--connections", "8"]);
    let requests = report["requests"].as_u64().unwrap();
    // Sixty are due in the time that is measured. A slow machine answers some of them, and of the ten before, late.
    assert!((1..=70).contains(&requests), "{report}");
}

#[test]
fn requests_that_a_server_keeps_from_being_sent_are_told() {
    let served = Served::new(&[]);
    let report = served.load(&["open", "--rate", "100", "--connections", "1", "--model", "hang"]);
    assert_eq!(report["requests"], 0);
    assert!(report["unsent"].as_u64().unwrap() > 0);
}

#[test]
fn load_is_put_on_in_streams() {
    let served = Served::new(&["--bench-stream", "5", "--bench-pace", "1ms"]);
    let report = served.load(&["streams", "--streams", "10"]);
    assert!(report["events"].as_u64().unwrap() > report["requests"].as_u64().unwrap());
    assert!(report["first_event_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert_eq!(report["errors"], 0);
}

#[test]
fn errors_are_counted() {
    let served = Served::new(&[]);
    let report = served.load(&["closed", "--connections", "1", "--model", "status-500"]);
    assert_eq!(report["errors_status"], report["requests"]);
    assert_eq!(report["throughput"], 0.0);
    let report = served.load(&["closed", "--connections", "1", "--model", "garbage"]);
    assert_eq!(report["errors_io"], report["requests"]);
}
