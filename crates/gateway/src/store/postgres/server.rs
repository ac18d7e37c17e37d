//! Which PostgreSQL server, and how it is reached.

use std::fmt;
use std::path::PathBuf;

use tokio_postgres::config::{Host, SslMode};

use crate::config::secret::Secret;

/// A server, as a URL names it. It is shown without the password and the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// What the client library knows.
    pub(super) config: tokio_postgres::Config,
    /// What is demanded of its certificate.
    pub(super) trust: Trust,
    /// The certificate authorities that are trusted beside the system's.
    pub(super) authorities: Option<PathBuf>,
}

/// What is demanded of a server's certificate, as `sslmode` says.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing (`prefer`, `require`).
    Anyone,
    /// An authority has signed it (`verify-ca`).
    Signed,
    /// And it is for this host (`verify-full`).
    SignedForHost,
}

impl Server {
    /// Reads a URL such as `postgres://user@host:5432/database?sslmode=verify-full`. `password` goes before one that the URL
    /// has. The error does not repeat the URL.
    pub fn parse(url: &str, password: Option<&Secret>) -> Result<Self, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut others, mut mode, mut authorities) = (Vec::new(), "prefer", None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", path)) => {
                    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
                    authorities = Some(PathBuf::from(path.into_owned()));
                }
                _ => others.push(pair),
            }
        }
        let (encrypts, mut trust) = match mode {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "allow" | "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" => (SslMode::Require, Trust::Anyone),
            "verify-ca" => (SslMode::Require, Trust::Signed),
            "verify-full" => (SslMode::Require, Trust::SignedForHost),
            _ => {
                return Err("`sslmode` must be disable, prefer, require, verify-ca or verify-full".to_owned());
            }
        };
        if encrypts == SslMode::Require && authorities.is_some() && trust == Trust::Anyone {
            // As libpq has it.
            trust = Trust::Signed;
        }
        let rest = format!("{address}?{}", others.join("&"));
        let mut config: tokio_postgres::Config = rest.parse().map_err(|error| unreadable(&error))?;
        config.ssl_mode(encrypts);
        if let Some(password) = password {
            config.password(password.expose());
        }
        if config.get_application_name().is_none() {
            config.application_name("mynah");
        }
        if config.get_hosts().is_empty() {
            return Err("names no host, such as postgres://user@host/database".to_owned());
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err("names no user, such as postgres://user@host/database".to_owned());
        }
        Ok(Self {
            config,
            trust,
            authorities,
        })
    }
}

fn unreadable(error: &tokio_postgres::Error) -> String {
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    format!("is no URL such as postgres://user@host/database: {reason}")
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(formatter, "{comma}{name}")?,
                Host::Unix(path) => write!(formatter, "{comma}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(formatter, ":{port}")?;
            }
        }
        match self.config.get_dbname() {
            Some(name) => write!(formatter, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = "postgresql://mynah:sec%40ret@db.example:5433/ledger?sslmode=disable";
        let server = Server::parse(url, None).unwrap();
        assert_eq!(server.to_string(), "postgres://db.example:5433/ledger");
        assert_eq!(format!("{server:?}"), server.to_string());
        assert_eq!(server.config.get_password(), Some(&b"sec@ret"[..]));
        let other = Server::parse(url, Some(&Secret::new("an@other/one"))).unwrap();
        assert_eq!(other.config.get_password(), Some(&b"an@other/one"[..]));
    }

    #[test]
    fn the_mode_says_what_is_demanded() {
        let of = |query: &str| {
            let server = Server::parse(&format!("postgres://u@h/d?{query}"), None).unwrap();
            (server.config.get_ssl_mode(), server.trust)
        };
        assert_eq!(of(""), (SslMode::Prefer, Trust::Anyone));
        assert_eq!(of("sslmode=disable"), (SslMode::Disable, Trust::Anyone));
        assert_eq!(
            of("connect_timeout=9&sslmode=require"),
            (SslMode::Require, Trust::Anyone)
        );
        assert_eq!(
            of("sslmode=require&sslrootcert=%2Fca.pem"),
            (SslMode::Require, Trust::Signed)
        );
        assert_eq!(of("sslmode=verify-ca"), (SslMode::Require, Trust::Signed));
        assert_eq!(of("sslmode=verify-full"), (SslMode::Require, Trust::SignedForHost));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (url, part) in [
            ("postgres://u:secret@h/d?sslmode=maybe", "sslmode"),
            ("postgres://u:secret@h/d?sslcert=x", "sslcert"),
            ("postgres://u:secret@h:port/d", "port"),
            ("postgres://:secret@h/d", "user"),
            ("postgres:///d?user=secret", "host"),
        ] {
            let error = Server::parse(url, None).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
