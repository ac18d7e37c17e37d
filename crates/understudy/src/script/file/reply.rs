//! A reply as a script writes it.

use serde::Deserialize;

use super::values::{Headers, Span};
use crate::reply::Reply;

/// A reply as a script writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
pub(super) struct ReplyFile {
    status: Option<u16>,
    reason: Option<String>,
    #[serde(default)]
    headers: Headers,
    body: Option<String>,
    json: Option<serde_json::Value>,
    stream: Option<Vec<String>>,
    raw: Option<String>,
    #[serde(default)]
    persona: bool,
    #[serde(default)]
    chunked: bool,
    pace: Option<Span>,
    first_after: Option<Span>,
    head_then_wait: Option<Span>,
    split: Option<Vec<usize>>,
    #[serde(default)]
    hang: bool,
    hang_after: Option<usize>,
    #[serde(default)]
    hang_up: bool,
    cut_at: Option<usize>,
    cut_head_at: Option<usize>,
    #[serde(default)]
    reset: bool,
    reset_at: Option<usize>,
    reset_head_at: Option<usize>,
    #[serde(default)]
    close: bool,
    #[serde(default)]
    then_close_idle: bool,
    #[serde(default)]
    then_drop_next: bool,
}

impl ReplyFile {
    pub(super) fn into_reply(mut self) -> Reply {
        let mut reply = self.said();
        if let Some(status) = self.status {
            reply = reply.with_status(status);
        }
        if let Some(reason) = self.reason.take() {
            reply = reply.reason(reason);
        }
        for (name, value) in &self.headers.0 {
            reply
                .headers
                .retain(|(present, _)| !present.eq_ignore_ascii_case(name.as_bytes()));
            reply = reply.header(name, value);
        }
        self.stopped(self.timed(reply))
    }

    fn said(&mut self) -> Reply {
        if self.persona {
            Reply::persona()
        } else if self.hang {
            Reply::hang()
        } else if self.hang_up {
            Reply::hang_up()
        } else if self.reset {
            Reply::reset()
        } else if let Some(raw) = self.raw.take() {
            Reply::raw(raw)
        } else if let Some(events) = self.stream.take() {
            Reply::stream(events.into_iter().map(with_blank_line))
        } else if let Some(value) = self.json.take() {
            Reply::json(&value)
        } else {
            body_reply(self.body.take().unwrap_or_default())
        }
    }

    fn timed(&self, mut reply: Reply) -> Reply {
        if let Some(Span(pace)) = self.pace {
            reply = reply.pace(pace);
        }
        if let Some(Span(delay)) = self.first_after {
            reply = reply.first_after(delay);
        }
        if let Some(Span(delay)) = self.head_then_wait {
            reply = reply.head_then_wait(delay);
        }
        if let Some(sizes) = &self.split {
            reply = reply.split(sizes.clone());
        }
        if self.chunked { reply.chunked() } else { reply }
    }

    fn stopped(&self, mut reply: Reply) -> Reply {
        type StopAt = fn(Reply, usize) -> Reply;
        let stops: [(_, StopAt); 5] = [
            (self.hang_after, Reply::hang_after),
            (self.cut_at, Reply::cut_at),
            (self.cut_head_at, Reply::cut_head_at),
            (self.reset_at, Reply::reset_at),
            (self.reset_head_at, Reply::reset_head_at),
        ];
        for (place, stop) in stops {
            if let Some(place) = place {
                reply = stop(reply, place);
            }
        }
        if self.close {
            reply = reply.close();
        }
        if self.then_close_idle {
            reply = reply.then_close_idle();
        }
        if self.then_drop_next {
            reply = reply.then_drop_next();
        }
        reply
    }
}

/// A body that is JSON is sent as such.
fn body_reply(body: String) -> Reply {
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&body).is_ok();
    let reply = Reply::bytes(body);
    if is_json {
        reply.header("content-type", "application/json")
    } else {
        reply
    }
}

fn with_blank_line(event: String) -> String {
    if event.ends_with("\n\n") || event.ends_with("\r\n\r\n") {
        event
    } else {
        event + "\n\n"
    }
}
