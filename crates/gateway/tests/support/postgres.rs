//! A PostgreSQL server of a test's own, in a folder that is gone with it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio_postgres::{Client, NoTls};

/// The user that runs the server when the tests are run by root, whom it refuses.
const USER: &str = "postgres";

/// A server that listens on a port of its own.
pub struct Postgres {
    directory: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    has_tls: bool,
}

impl Postgres {
    /// Makes a server and starts it.
    pub fn start() -> Self {
        Self::start_with_tls(None)
    }

    /// The same, with a certificate and its key, in PEM.
    pub fn start_with_tls(identity: Option<(&str, &str)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut postgres = Self {
            directory,
            port,
            server: None,
            has_tls: identity.is_some(),
        };
        if is_root() {
            let owned = Command::new("chown")
                .arg(USER)
                .arg(postgres.directory.path())
                .status()
                .unwrap();
            assert!(owned.success(), "there is no user {USER}: install postgresql");
        }
        let made = postgres
            .run("initdb")
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "--username=mynah",
                // No file has to be large: see `limit_files`.
                "--wal-segsize=1",
                "-D",
            ])
            .arg(postgres.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        if let Some((certificate, key)) = identity {
            std::fs::write(postgres.data().join("server.crt"), certificate).unwrap();
            // It has to be the server's own, and nobody else's.
            let file = postgres.data().join("server.key");
            let mut made = postgres.run_program(PathBuf::from("install"));
            made.args(["-m", "600", "/dev/null"]).arg(&file);
            assert!(made.status().unwrap().success());
            std::fs::write(file, key).unwrap();
        }
        postgres.resume();
        postgres
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://mynah@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database in which there is nothing yet. Returns its URL. `options` are those of `createdb`.
    pub fn database(&self, name: &str, options: &[&str]) -> String {
        let mut command = self.run("createdb");
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "mynah"])
            .args(options)
            .arg(name);
        assert!(command.status().unwrap().success());
        self.url_of(name)
    }

    /// Starts it again after it was stopped, and waits until it takes connections.
    pub fn resume(&mut self) {
        let mut command = self.run("postgres");
        // Nothing here has to survive the machine.
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-c", "fsync=off", "-c"])
            .arg(format!("unix_socket_directories={}", self.directory.path().display()))
            .stderr(Stdio::null());
        if self.has_tls {
            command.args(["-c", "ssl=on"]);
        }
        self.server = Some(command.spawn().unwrap());
        let deadline = tokio::time::Instant::now() + super::PATIENCE;
        while !self.is_ready() {
            assert!(tokio::time::Instant::now() < deadline, "PostgreSQL did not start");
            std::thread::yield_now();
        }
    }

    fn is_ready(&self) -> bool {
        let mut command = self.run("pg_isready");
        command.args(["-q", "-t", "1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.status().unwrap().success()
    }

    /// Stops it, and does not wait for those who are connected.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The fast shutdown. https://www.postgresql.org/docs/current/server-shutdown.html
            let told = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
            assert!(told.unwrap().success());
            server.wait().unwrap();
        }
    }

    /// Sends a signal to all of its processes.
    pub fn signal(&self, name: &str) {
        let processes = self.processes();
        let _ = Command::new("kill")
            .arg(format!("-{name}"))
            .args(processes)
            .stderr(Stdio::null())
            .status();
    }

    /// From now on, none of its files becomes larger than so many bytes: to the server, its disk is full where a file would. `None`
    /// ends that. Fewer than a mebibyte stop the server, whose log has files of that size.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let set = |process: &str| {
            // By the user who runs it, as root may not do so everywhere. The hard limit stays.
            let mut command = self.run_program(PathBuf::from("prlimit"));
            command.args(["--pid", process, &format!("--fsize={limit}:")]);
            command.stderr(Stdio::null()).status().unwrap().success()
        };
        let server = self.server.as_ref().unwrap().id().to_string();
        assert!(set(&server), "prlimit cannot limit files");
        // Those that it starts later have what it has. One of the others may just have ended.
        for process in self.processes() {
            set(&process);
        }
    }

    /// From now on its database can only be read, or be written again. All others who are connected have to connect anew.
    pub async fn set_read_only(&self, is_read_only: bool) {
        let client = self.client().await;
        let value = if is_read_only { "on" } else { "off" };
        for statement in [
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE".to_owned(),
            format!("ALTER DATABASE postgres SET default_transaction_read_only = {value}"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mynah' AND pid <> pg_backend_pid()"
                .to_owned(),
        ] {
            client.batch_execute(&statement).await.unwrap();
        }
    }

    /// The server and those that it has started.
    fn processes(&self) -> Vec<String> {
        let Some(server) = &self.server else { return Vec::new() };
        let server = server.id();
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        std::iter::once(server.to_string()).chain(children).collect()
    }

    /// A client of the test's own.
    pub async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(async { connection.await.ok() });
        client
    }

    /// What a query finds, as text. Columns are separated by spaces.
    pub async fn find(&self, query: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let found = self.client().await.simple_query(query).await?;
        let rows = found.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let texts = rows.map(|row| {
            let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("-")).collect();
            cells.join(" ")
        });
        Ok(texts.collect())
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of PostgreSQL's, run by somebody who is not root.
    fn run(&self, name: &str) -> Command {
        self.run_program(program(name))
    }

    fn run_program(&self, program: PathBuf) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal("CONT");
        self.stop();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

/// Where a program is: in the PATH, or where Debian keeps those of each version.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&path));
    let found = folders
        .into_iter()
        .rev()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("`{name}` is neither in the PATH nor in /usr/lib/postgresql/*/bin: install PostgreSQL (apt-get install postgresql)")
    })
}
