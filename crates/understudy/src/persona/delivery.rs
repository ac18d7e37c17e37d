//! How an answer goes out: as it should, or with the mischief that the scenario wants.

use serde_json::Value;

use super::scenario::Scenario;
use crate::reply::Reply;

/// The sizes of the pieces when characters are to be split.
const TINY: [usize; 4] = [1, 2, 1, 3];

/// A stream, in events as they are written.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) opening: Vec<String>,
    pub(super) middle: Vec<String>,
    /// What tells how it ended.
    pub(super) ending: Vec<String>,
}

impl Stream {
    /// The reply that this stream is. `failure` makes the event for an error after so many events.
    pub(super) fn reply(
        self,
        scenario: Option<Scenario>,
        content_type: &str,
        ping: &str,
        failure: impl Fn(usize) -> String,
    ) -> Reply {
        let half = self.middle.len().div_ceil(2);
        let events = match scenario {
            Some(Scenario::ErrorFirstEvent) => vec![failure(0)],
            Some(Scenario::ErrorMidStream) => {
                let mut events = self.opening;
                events.extend(self.middle.into_iter().take(half));
                events.push(failure(events.len()));
                events
            }
            Some(Scenario::NoFinish) => [self.opening, self.middle].concat(),
            Some(Scenario::CutMidStream) => return cut(self, content_type),
            _ => [self.opening, self.middle, self.ending].concat(),
        };
        let events = events.into_iter();
        match scenario {
            Some(Scenario::Pings) => {
                let comment = ping.to_owned();
                streamed(events.flat_map(|event| [event, comment.clone()]), content_type)
            }
            Some(Scenario::Crlf) => streamed(events.map(|event| event.replace('\n', "\r\n")), content_type),
            Some(Scenario::SplitUtf8) => streamed(events.map(|event| half_escaped(&event)), content_type).split(TINY),
            _ => streamed(events, content_type),
        }
    }
}

/// The reply that is a whole body of JSON.
pub(super) fn whole(value: &Value, scenario: Option<Scenario>) -> Reply {
    match scenario {
        Some(Scenario::SplitUtf8) => {
            let body = half_escaped(&value.to_string());
            Reply::json(value).body(body).chunked().split(TINY)
        }
        Some(Scenario::CutMidStream) => {
            let reply = Reply::json(value);
            let half = reply.body_length() / 2;
            reply.cut_at(half)
        }
        _ => Reply::json(value),
    }
}

/// Ends inside of an event, about halfway.
fn cut(stream: Stream, content_type: &str) -> Reply {
    let half = stream.middle.len() / 2;
    let before: usize = [&stream.opening[..], &stream.middle[..half]]
        .concat()
        .iter()
        .map(String::len)
        .sum();
    let within = stream.middle.get(half).map_or(0, |event| event.len() / 2);
    let events = [stream.opening, stream.middle, stream.ending].concat();
    streamed(events, content_type).cut_at(before + within)
}

fn streamed(events: impl IntoIterator<Item = String>, content_type: &str) -> Reply {
    let mut reply = Reply::stream(events);
    reply.headers.retain(|(name, _)| name.as_ref() != b"content-type");
    reply.header("content-type", content_type)
}

/// Every second character beyond ASCII as an escape, with surrogates where it needs two.
fn half_escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() * 2);
    let mut is_turn = false;
    for character in json.chars() {
        if !character.is_ascii() {
            is_turn = !is_turn;
        }
        if character.is_ascii() || !is_turn {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.extend(format!("\\u{unit:04x}").chars());
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_the_same() {
        let text = "a😀😀éé";
        let escaped = half_escaped(&serde_json::to_string(text).unwrap());
        assert_eq!(escaped, "\"a\\ud83d\\ude00😀\\u00e9é\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
