//! An answer that is kept, as the nodes of a cluster write it for one another: a line of JSON about it, and its body.
//!
//! What is read comes from outside. It passes the same examination as an answer that is kept for the first time.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::stored::{Stored, is_describing};

/// The version of the form. One that is not known is as good as no answer.
const VERSION: u32 = 1;

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    /// How long it was to be kept in all, in milliseconds.
    ttl: u64,
    headers: Vec<(String, String)>,
    /// The length of the body, in bytes.
    length: usize,
}

/// Writes an answer; `None` for one that has something in its headers that is no text.
pub(super) fn write(stored: &Stored) -> Option<Vec<u8>> {
    let describing = stored.headers.iter().filter(|(name, _)| is_describing(name));
    let headers = describing.map(|(name, value)| Some((name.as_str().into(), value.to_str().ok()?.into())));
    let head = Head {
        version: VERSION,
        ttl: stored.until.saturating_sub(stored.since),
        headers: headers.collect::<Option<_>>()?,
        length: stored.body.len(),
    };
    let mut form = serde_json::to_vec(&head).ok()?;
    form.reserve_exact(1 + stored.body.len());
    form.push(b'\n');
    form.extend_from_slice(&stored.body);
    Some(form)
}

/// Reads an answer that stays for so many milliseconds more at `now`: its age follows from that, whatever the clocks of the nodes show.
pub(super) fn read(form: &[u8], left: u64, now: u64) -> Option<Stored> {
    let at = memchr::memchr(b'\n', form)?;
    let (head, body) = form.split_at_checked(at)?;
    let (head, body): (Head, _) = (serde_json::from_slice(head).ok()?, body.get(1..)?);
    if head.version != VERSION || head.length != body.len() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &head.headers {
        let (name, value) = (HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?);
        // A map does not hold any number of names.
        if is_describing(&name) {
            headers.append(name, value);
        }
    }
    let (ttl, headers) = (Duration::from_millis(head.ttl), Stored::headers_of(&headers));
    let since = now.saturating_sub(head.ttl.checked_sub(left)?);
    Stored::new(headers, body.to_vec(), since, ttl)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn stored(headers: &[(&'static str, &'static str)], body: &str) -> Stored {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = Stored::headers_of(&headers.collect());
        Stored::new(headers, body.into(), NOW, Duration::from_secs(5)).unwrap()
    }

    fn whole() -> Stored {
        stored(
            &[
                ("content-type", "application/json"),
                ("x-mynah-model", "up/a"),
                ("x-mynah-lossy", "a, b"),
            ],
            r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#,
        )
    }

    fn streamed() -> Stored {
        stored(
            &[("content-type", "text/event-stream")],
            "data: {\"choices\":[]}\n\ndata: [DONE]\n\n",
        )
    }

    #[test]
    fn what_was_written_is_read_with_its_age() {
        for stored in [whole(), streamed()] {
            let read = read(&write(&stored).unwrap(), 3000, NOW * 2).unwrap();
            assert_eq!((&read.headers, &read.body), (&stored.headers, &stored.body));
            assert_eq!((read.since, read.until), (NOW * 2 - 2000, NOW * 2 + 3000));
        }
    }

    #[test]
    fn what_no_node_writes_is_not_read() {
        let form = String::from_utf8(write(&whole()).unwrap()).unwrap();
        assert!(read(form.as_bytes(), 5000, NOW).is_some());
        for wrong in [
            String::new(),
            "\n".to_owned(),
            form.replace("\"version\":1", "\"version\":2"),
            form.replace("\"version\":1,", ""),
            form.replace("\"ttl\":5000", "\"ttl\":-1"),
            form.replace("up/a", "up/a\\n"),
            form.replace("x-mynah-model", "x mynah model"),
            // It is cut, or goes on, or is an error after all.
            form[..form.len() - 1].to_owned(),
            form.clone() + " ",
            form.replace("stop", "error"),
        ] {
            assert!(read(wrong.as_bytes(), 5000, NOW).is_none(), "{wrong}");
        }
        // It stays longer than it was to.
        assert!(read(form.as_bytes(), 5001, NOW).is_none());
        // Nobody gets a header that does not describe an answer.
        let more = form.replace("x-mynah-model", "set-cookie");
        assert!(
            !read(more.as_bytes(), 5000, NOW)
                .unwrap()
                .headers
                .contains_key("set-cookie")
        );
    }

    #[test]
    fn more_headers_than_there_can_be_are_no_harm() {
        let form = write(&whole()).unwrap();
        let end = memchr::memchr(b'\n', &form).unwrap();
        let mut head: Head = serde_json::from_slice(&form[..end]).unwrap();
        head.headers
            .extend((0..40_000).map(|number| (format!("x-{number}"), String::new())));
        let form = [&serde_json::to_vec(&head).unwrap(), &form[end..]].concat();
        assert_eq!(read(&form, 5000, NOW).unwrap().headers, whole().headers);
    }

    proptest! {
        #[test]
        fn whatever_is_there_is_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200), left: u64, now: u64) {
            prop_assert!(read(&bytes, left, now).is_none());
        }

        #[test]
        fn what_was_changed_is_read_or_not(at: prop::sample::Index, byte: u8, left: u64, now: u64, is_whole: bool) {
            let stored = if is_whole { whole() } else { streamed() };
            let mut form = write(&stored).unwrap();
            *at.get_mut(&mut form) = byte;
            if let Some(read) = read(&form, left, now) {
                prop_assert_eq!(read.body.len(), stored.body.len());
                prop_assert!(read.headers.len() <= stored.headers.len());
                prop_assert!(write(&read).is_some());
            }
        }
    }
}
