//! Asks the gateway that is running on this machine.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::outlook::Outlook;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// What the gateway at an address says of a model, or why it does not.
pub fn get(listen: SocketAddr, path: &str, key: Option<&str>) -> Result<Outlook, String> {
    let (status, body) = exchange(reachable(listen), path, key).map_err(|error| error.to_string())?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| "it answers something else".to_owned()),
        401 | 403 => Err("it wants a key; give one with --key".to_owned()),
        _ => {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let message = said["error"]["message"].as_str().unwrap_or("it answers something else");
            Err(message.trim_end_matches('.').to_owned())
        }
    }
}

/// Whether the gateway at an address serves, or why it does not. Of one that serves HTTPS it is only seen that it is there:
/// its certificate is for a name that its callers know.
pub fn is_healthy(listen: SocketAddr, is_https: bool) -> Result<(), String> {
    let address = reachable(listen);
    let told = if is_https {
        TcpStream::connect_timeout(&address, PATIENCE).map(|_| 200)
    } else {
        exchange(address, "/health", None).map(|(status, _)| status)
    };
    match told.map_err(|error| error.to_string())? {
        200 => Ok(()),
        0 => Err("it does not answer in HTTP".to_owned()),
        status => Err(format!("GET /health is answered with {status}")),
    }
}

/// An address that means every one of this machine's can be reached at its own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(address) if address.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

fn exchange(address: SocketAddr, path: &str, key: Option<&str>) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let key = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
    // HTTP/1.0: the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{key}\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + 4));
    let status = head
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Ok((status.unwrap_or(0), body.to_vec()))
}
