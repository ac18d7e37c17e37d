//! A real Redis, or Valkey, for one test.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::PATIENCE;

/// A server on a port of its own, which keeps nothing; it ends with the test. `MYNAH_TEST_REDIS` names another program, such as
/// `valkey-server`.
pub struct Redis {
    child: Child,
    pub port: u16,
    directory: tempfile::TempDir,
    /// What else it was started with.
    arguments: Vec<String>,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// Starts with further arguments.
    pub fn start_with(arguments: Vec<String>) -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(port, directory.path(), &arguments);
        let redis = Self {
            child,
            port,
            directory,
            arguments,
        };
        redis.wait();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a signal such as `STOP`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, empty, after it was killed.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, self.directory.path(), &self.arguments);
        self.wait();
    }

    /// Does a command, and returns what it answers as it came.
    pub fn ask(&self, words: &[&str]) -> String {
        self.try_ask(words).unwrap()
    }

    fn try_ask(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(command, "${}\r\n{word}\r\n", word.len());
        }
        stream.write_all((command + "*1\r\n$4\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim_end_matches("+OK\r\n").to_owned())
    }

    /// A field of a hash, as a number; 0 when there is none.
    pub fn number(&self, key: &str, field: &str) -> u64 {
        let answer = self.ask(&["HGET", key, field]);
        answer.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.try_ask(&["PING"]).is_ok_and(|answer| answer.starts_with("+PONG")) {
            assert!(Instant::now() < deadline, "redis does not answer");
            #[expect(
                clippy::disallowed_methods,
                reason = "whoever starts a server has nothing else to do"
            )]
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was just had, and is free.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, directory: &std::path::Path, arguments: &[String]) -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the tests are run with, not what is tested"
    )]
    let named = std::env::var("MYNAH_TEST_REDIS").ok();
    let programs = named.map_or_else(
        || vec!["redis-server".to_owned(), "valkey-server".to_owned()],
        |named| vec![named],
    );
    let start = |program: &String| {
        Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    };
    programs.iter().find_map(start).unwrap_or_else(|| {
        panic!("there is none of {programs:?}: `apt-get install redis-server`, or set MYNAH_TEST_REDIS to the program")
    })
}
