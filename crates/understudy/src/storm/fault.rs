//! What targets do wrong in a storm.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::protocol::Protocol;
use super::speech::Speech;
use crate::reply::Reply;

/// What a target does wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody listens, and what was being said is broken off.
    Killed,
    /// Killed and started again, several times in a second.
    Flapping,
    /// No answer comes.
    Hanging,
    /// The answer stops before its first content, or before it is whole where it is no stream; the connection stays.
    Stalling,
    /// 429 that says when to come back.
    ThrottledFor,
    /// 429 that does not.
    Throttled,
    /// The key is refused.
    Refusing,
    /// 500, 502, 503, 529.
    Failing,
    /// A web page, with 200 or 502.
    Page,
    /// What is no HTTP, or no event, or no JSON.
    Garbage,
    /// 200 and nothing in it, or no content.
    Empty,
    /// 200, and an error where the answer should be.
    ErrorInside,
    /// The connection is reset or closed instead of an answer, or in its head.
    Reset,
    /// The answer is cut before its first content, or before it is whole where it is no stream.
    CutBefore,
    /// The stream is cut, or stalls, after its first content. What is no stream is cut before it is whole.
    CutAfter,
    /// Good answers that take their time.
    Slow,
    /// Good answers over connections that break afterwards.
    Stale,
    /// Any of those above, each call another one.
    Mixed,
}

/// One call, and what there would be to say.
pub(super) struct Part<'a> {
    pub(super) speech: &'a Speech,
    pub(super) protocol: Protocol,
    pub(super) streams: bool,
    /// Slowly, so that there is somebody to hang up on.
    pub(super) slowly: bool,
}

impl Fault {
    /// All of them, in the order of the report.
    pub(super) const ALL: [Self; 18] = [
        Self::Killed,
        Self::Flapping,
        Self::Hanging,
        Self::Stalling,
        Self::ThrottledFor,
        Self::Throttled,
        Self::Refusing,
        Self::Failing,
        Self::Page,
        Self::Garbage,
        Self::Empty,
        Self::ErrorInside,
        Self::Reset,
        Self::CutBefore,
        Self::CutAfter,
        Self::Slow,
        Self::Stale,
        Self::Mixed,
    ];

    /// Those that one call can show by itself and that lose nothing that was said.
    const SINGLE: [Self; 14] = [
        Self::Hanging,
        Self::Stalling,
        Self::ThrottledFor,
        Self::Throttled,
        Self::Refusing,
        Self::Failing,
        Self::Page,
        Self::Garbage,
        Self::Empty,
        Self::ErrorInside,
        Self::Reset,
        Self::CutBefore,
        Self::Slow,
        Self::Stale,
    ];

    /// In the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Flapping => "killed and started again, up to 10 times a second",
            Self::Hanging => "hangs",
            Self::Stalling => "hangs before the first content",
            Self::ThrottledFor => "429 with `retry-after`",
            Self::Throttled => "429 without",
            Self::Refusing => "401",
            Self::Failing => "500, 502, 503, 529",
            Self::Page => "a web page, with 200 or 502",
            Self::Garbage => "no HTTP, no event, no JSON",
            Self::Empty => "200 without content",
            Self::ErrorInside => "200 with an error inside",
            Self::Reset => "resets or closes the connection",
            Self::CutBefore => "cut before the first content",
            Self::CutAfter => "cut or stalled after the first content",
            Self::Slow => "slow",
            Self::Stale => "breaks the connection after a good answer",
            Self::Mixed => "any of these but the kills and the cut after content, by chance",
        }
    }

    /// What this call gets if the fault is made of several.
    pub(super) fn for_call(self, roll: &mut Rng) -> Self {
        match self {
            Self::Mixed => roll.choice(Self::SINGLE).unwrap_or(Self::Failing),
            other => other,
        }
    }

    /// Whether this call loses something that was said.
    pub(super) fn breaks(self, part: &Part<'_>) -> bool {
        self == Self::CutAfter && part.streams
    }

    /// How a call goes wrong.
    pub(super) fn reply(self, part: &Part<'_>, roll: &mut Rng) -> Reply {
        match self {
            Self::Hanging => Reply::hang(),
            Self::Stalling => {
                let place = roll.usize(0..=part.before_content());
                part.good(roll).hang_after(place)
            }
            Self::ThrottledFor => error(429, "rate_limit_error").header("retry-after", "1"),
            Self::Throttled => error(429, "rate_limit_error"),
            Self::Refusing => error(401, "authentication_error"),
            Self::Failing => error(roll.choice([500, 502, 503, 529]).unwrap_or(500), "server_error"),
            Self::Page => Reply::status(roll.choice([200, 502]).unwrap_or(200))
                .header("content-type", "text/html")
                .body("<!doctype html><title>Sorry</title><p>We are down for maintenance."),
            Self::Garbage => garbage(part, roll),
            Self::Empty => empty(part, roll),
            Self::ErrorInside => part.error_inside(),
            Self::Reset => match roll.u8(0..4) {
                0 => Reply::reset(),
                1 => Reply::hang_up(),
                2 => part.good(roll).reset_head_at(roll.usize(1..60)),
                _ => part.good(roll).cut_head_at(roll.usize(1..60)),
            },
            Self::CutBefore => {
                let place = roll.usize(0..=part.before_content());
                cut(part.good(roll), place, roll.u8(0..2))
            }
            Self::CutAfter if part.streams => {
                let told = part.speech.told(part.protocol);
                let place = roll.usize(told.after_content()..told.before_ending());
                if roll.u8(0..4) > 0 {
                    return cut(part.good(roll), place, roll.u8(0..3));
                }
                // What HTTP calls complete, between two events.
                let events = told.events();
                let kept = roll.usize(2..events.len() - 1);
                Reply::stream(events.into_iter().take(kept))
            }
            Self::CutAfter => Self::CutBefore.reply(part, roll),
            Self::Slow => part.good(roll).first_after(Duration::from_millis(roll.u64(300..900))),
            Self::Stale if roll.bool() => part.good(roll).then_close_idle(),
            Self::Stale => part.good(roll).then_drop_next(),
            Self::Killed | Self::Flapping | Self::Mixed => part.good(roll),
        }
    }
}

impl Part<'_> {
    /// A good answer.
    pub(super) fn good(&self, roll: &mut Rng) -> Reply {
        let millis = |roll: &mut Rng, range: std::ops::Range<u64>| Duration::from_millis(roll.u64(range));
        if self.streams {
            let (first, pace) = if self.slowly {
                (millis(roll, 0..400), millis(roll, 20..60))
            } else {
                (millis(roll, 0..30), millis(roll, 2..10))
            };
            return Reply::stream(self.speech.told(self.protocol).events())
                .first_after(first)
                .pace(pace);
        }
        let first = if self.slowly {
            millis(roll, 100..900)
        } else {
            millis(roll, 10..100)
        };
        Reply::json(&self.speech.whole(self.protocol)).first_after(first)
    }

    /// The last byte at which an answer may stop without anything having been said.
    fn before_content(&self) -> usize {
        if self.streams {
            self.speech.told(self.protocol).before_content()
        } else {
            self.speech.whole(self.protocol).to_string().len() - 1
        }
    }

    fn error_inside(&self) -> Reply {
        let error =
            json!({"error": {"message": "overloaded", "type": "server_error", "code": 503, "status": "UNAVAILABLE"}});
        let typed = json!({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}});
        let flat = json!({"type": "error", "code": "server_error", "message": "overloaded", "sequence_number": 4});
        let event = |value: &Value| match value["type"].as_str() {
            Some(kind) => format!("event: {kind}\ndata: {value}\n\n"),
            None => format!("data: {value}\n\n"),
        };
        if !self.streams {
            return Reply::json(if self.protocol == Protocol::Anthropic {
                &typed
            } else {
                &error
            });
        }
        let last = match self.protocol {
            Protocol::Responses => event(&flat),
            Protocol::Anthropic => event(&typed),
            Protocol::Cohere => event(&json!({"type": "message-end", "id": "1",
                "delta": {"finish_reason": "ERROR", "error": "overloaded"}})),
            Protocol::Chat | Protocol::Gemini => event(&error),
        };
        Reply::stream([self.speech.told(self.protocol).opening, last])
    }
}

fn error(status: u16, kind: &str) -> Reply {
    let error = json!({"error": {"message": "not now", "type": kind, "code": status}});
    Reply::json(&error).with_status(status)
}

fn cut(reply: Reply, place: usize, manner: u8) -> Reply {
    match manner {
        0 => reply.cut_at(place),
        1 => reply.reset_at(place),
        _ => reply.hang_after(place),
    }
}

fn garbage(part: &Part<'_>, roll: &mut Rng) -> Reply {
    let noise: Vec<u8> = std::iter::repeat_with(|| roll.u8(..)).take(200).collect();
    let kind = if part.streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    match roll.u8(0..3) {
        0 => Reply::raw(noise),
        1 => Reply::bytes("ERROR: out of memory").header("content-type", kind),
        _ => Reply::bytes("data: {\"choices\": [\n\n").header("content-type", kind),
    }
}

fn empty(part: &Part<'_>, roll: &mut Rng) -> Reply {
    if !part.streams {
        return Reply::bytes("").header("content-type", "application/json");
    }
    match roll.u8(0..3) {
        0 => Reply::stream([""; 0]),
        1 => Reply::stream([": good morning\n\n"]),
        _ => Reply::stream([part.speech.told(part.protocol).opening]),
    }
}
