//! The part of the check that is about the admin listener.

use std::net::SocketAddr;

use super::AdminConfig;
use super::access::key_hash;
use super::check::{Check, listen_address};
use super::clients::Client;
use crate::caller::hash;

impl Check<'_> {
    /// Where the operator is listened to, if anywhere.
    pub(super) fn admin(&mut self) -> Option<AdminConfig> {
        let admin = self.file.admin.as_ref()?;
        let listen = self.take("admin.listen", listen_address(&admin.listen));
        if let Some(listen) = listen {
            if !listen.ip().is_loopback() && admin.key.is_none() {
                let message = "this address can be reached from other machines, so the operator needs a key: set `admin.key`, such as `key = \"${MYNAH_ADMIN_KEY}\"`";
                self.report("admin.listen", message);
            }
            if listen_address(&self.file.server.listen).is_ok_and(|public| overlap(public, listen)) {
                let message = "this is where `server.listen` is; the admin listener needs a port of its own";
                self.report("admin.listen", message);
            }
        }
        if let Some(key) = &admin.key {
            self.admin_key(key.expose());
        }
        let tls = self.tls("admin.tls", admin.tls.as_ref());
        Some(AdminConfig {
            listen: listen?,
            key: admin.key.as_ref().map(|key| hash(key.expose().trim().as_bytes())),
            tls,
        })
    }

    fn admin_key(&mut self, key: &str) {
        if key.trim().is_empty() {
            self.report("admin.key", "is empty; leave it out, or write a key");
        }
        let own = hash(key.trim().as_bytes());
        let is_clients = |client: &&Client| key_hash(client) == Ok(own);
        if let Some(client) = self.file.clients.iter().find(is_clients) {
            let message = format!(
                "the client `{}` has the same key; the operator needs one of its own",
                client.name
            );
            self.report("admin.key", message);
        }
    }
}

/// Whether two listeners would be in each other's way.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_place = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_place
}

#[cfg(test)]
mod tests {
    use crate::config::env::Env;

    fn problems(text: &str) -> Vec<String> {
        let problems = crate::config::load("f", text, &Env::default(), None).err();
        problems
            .into_iter()
            .flatten()
            .map(|problem| problem.to_string())
            .collect()
    }

    #[test]
    fn what_can_be_reached_from_elsewhere_needs_a_key() {
        for listen in ["0.0.0.0:8081", ":8081", "192.0.2.1:8081", "[::]:8081"] {
            let found = problems(&format!("[admin]\nlisten = '{listen}'"));
            assert!(
                found[0].starts_with("f:2:1: `admin.listen`: ") && found[0].contains("admin.key"),
                "{found:?}"
            );
            assert_eq!(problems(&format!("[admin]\nlisten = '{listen}'\nkey = 'k'")), [""; 0]);
        }
        assert_eq!(problems("[admin]"), [""; 0]);
    }

    #[test]
    fn the_operators_key_is_nobody_elses_and_not_masked() {
        let found = problems("[admin]\nkey = 'k'\n[[clients]]\nname = 'team'\nkey = 'k'");
        assert_eq!(
            found,
            ["f:2:1: `admin.key`: the client `team` has the same key; the operator needs one of its own"]
        );
        assert_eq!(problems("[admin]\nkey = ' '").len(), 1);
        for masked in ["sk-…abcd", "***", "redacted:sha256:12345678"] {
            let found = problems(&format!("[admin]\nkey = '{masked}'"));
            assert!(found[0].contains("not the credential itself"), "{found:?}");
        }
        let found = problems("[providers.up]\nbase_url = 'http://x'\nheaders = { x-key = '***' }\napi_key = 'sk-…1'");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn two_listeners_need_two_places() {
        for (public, admin, fine) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8080", false),
            ("127.0.0.2:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
        ] {
            let text = format!("[server]\nlisten = '{public}'\nallow_anonymous = true\n[admin]\nlisten = '{admin}'");
            assert_eq!(problems(&text).is_empty(), fine, "{public} {admin}");
        }
    }
}
