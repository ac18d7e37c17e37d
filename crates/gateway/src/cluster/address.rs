//! Where Redis is, as a URL says it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::resp::Command;
use crate::config::secret::Secret;

/// The port of Redis where the URL names none.
const PORT: u16 = 6379;

/// Where Redis is, and as whom to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The host's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The socket, in place of host and port.
    pub socket: Option<PathBuf>,
    /// Speak TLS.
    pub tls: bool,
    /// Certificate authorities beside the system's.
    pub authorities: Vec<PathBuf>,
    user: Option<String>,
    password: Option<Secret>,
    database: u32,
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(formatter, "{}", socket.display()),
            None => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    /// Reads `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://…` for TLS, or `unix:///PATH`. What is wrong is told
    /// without repeating the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || {
            "must be a URL such as redis://:PASSWORD@HOST:6379/0 (rediss:// for TLS, unix:///PATH for a socket)"
                .to_owned()
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let mut address = Self {
            host: String::new(),
            port: PORT,
            socket: None,
            tls: matches!(scheme, "rediss" | "valkeys"),
            authorities: Vec::new(),
            user: None,
            password: None,
            database: 0,
        };
        match scheme {
            "unix" | "redis+unix" if rest.starts_with('/') => {
                address.socket = Some(PathBuf::from(rest));
                return Ok(address);
            }
            "redis" | "rediss" | "valkey" | "valkeys" => {}
            _ => return Err(wrong()),
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if !database.is_empty() {
            address.database = database
                .parse()
                .map_err(|_| "what follows the host and `/` must be the number of a database".to_owned())?;
        }
        let (credentials, place) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(credentials, place)| (Some(credentials), place));
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            let decoded = |text: &str| {
                percent_decode_str(text)
                    .decode_utf8()
                    .map(String::from)
                    .map_err(|_| wrong())
            };
            address.user = Some(decoded(user)?).filter(|user| !user.is_empty());
            address.password = Some(Secret::new(decoded(password)?));
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
            None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
        };
        if let Some(port) = port.strip_prefix(':') {
            address.port = port.parse().map_err(|_| wrong())?;
        } else if !port.is_empty() {
            return Err(wrong());
        }
        if host.is_empty() {
            return Err(wrong());
        }
        host.clone_into(&mut address.host);
        Ok(address)
    }

    /// What is said first on a connection.
    pub fn greeting(&self) -> Vec<Command> {
        let mut greeting = Vec::new();
        if let Some(password) = &self.password {
            let mut command = Command::of(&["AUTH"]);
            if let Some(user) = &self.user {
                command.add(user);
            }
            greeting.push(command.word(password.expose()));
        }
        if self.database != 0 {
            greeting.push(Command::of(&["SELECT"]).word(self.database.to_string()));
        }
        greeting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let parsed = |url| Address::parse(url).unwrap();
        let plain = parsed("redis://cache");
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("cache", 6379, false));
        assert!(plain.greeting().is_empty());
        let full = parsed("rediss://mynah:p%40ss:w@[::1]:7000/3");
        assert_eq!((full.host.as_str(), full.port, full.tls), ("::1", 7000, true));
        let words: Vec<Vec<u8>> = full.greeting().iter().map(Command::bytes).collect();
        assert_eq!(words[0], Command::of(&["AUTH", "mynah", "p@ss:w"]).bytes());
        assert_eq!(words[1], Command::of(&["SELECT", "3"]).bytes());
        assert_eq!(
            parsed("redis://:secret@h").greeting()[0].bytes(),
            Command::of(&["AUTH", "secret"]).bytes()
        );
        assert_eq!(
            parsed("unix:///run/redis.sock").socket,
            Some(PathBuf::from("/run/redis.sock"))
        );
    }

    #[test]
    fn a_password_is_never_told() {
        let address = Address::parse("redis://u:secret@h:1").unwrap();
        assert_eq!(format!("{address} {address:?}"), "h:1 h:1");
        for wrong in [
            "h:6379",
            "http://u:secret@h",
            "redis://u:secret@",
            "redis://u:secret@h:x",
            "redis://u:secret@h/x",
            "unix://secret",
        ] {
            assert!(!Address::parse(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
