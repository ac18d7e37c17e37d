//! A reply as the very bytes of HTTP/1.1, and the waits between them.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::{After, BodyEnd, BodyStep, Framing, Reply, Stop, StopManner, StopPlace};

/// What is to be done, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}

/// One step of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait(Duration),
    Write(Bytes),
    Hang,
}

/// What becomes of the connection after the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Keep,
    Close,
    Reset,
    DropNext,
}

/// What a plan needs to know of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) is_head: bool,
    /// HTTP/1.0 knows no chunks.
    pub(crate) knows_chunks: bool,
}

impl Request {
    /// Any but `HEAD`, with HTTP/1.1.
    pub(crate) const USUAL: Self = Self {
        is_head: false,
        knows_chunks: true,
    };
}

impl Plan {
    /// The plan of `reply`.
    pub(crate) fn new(reply: &Reply, request: Request) -> Self {
        let mut composer = Composer {
            steps: Vec::new(),
            open: BytesMut::new(),
            ending: Ending::Keep,
        };
        composer.wait(reply.before_head);
        if let Some(raw) = &reply.raw {
            composer.open.put_slice(raw);
            composer.ending = Ending::Close;
        } else {
            composer.response(reply, request);
        }
        composer.flush();
        if let Some(Stop {
            place: StopPlace::Whole(bytes),
            manner,
        }) = reply.stop
        {
            composer.truncate(bytes);
            composer.stop(manner);
        }
        Self {
            steps: composer.steps,
            ending: composer.ending,
        }
    }
}

/// Puts a plan together.
struct Composer {
    steps: Vec<Step>,
    /// Bytes that go out together with what comes next.
    open: BytesMut,
    ending: Ending,
}

impl Composer {
    fn response(&mut self, reply: &Reply, request: Request) {
        let framing = framing(reply, request);
        self.ending = match reply.after {
            Some(After::Close | After::CloseIdle) => Ending::Close,
            Some(After::DropNext) => Ending::DropNext,
            None if framing == Some(Framing::UntilClose) => Ending::Close,
            None => Ending::Keep,
        };
        put_head(&mut self.open, reply, framing);
        if request.is_head || !reply.may_have_body() {
            return;
        }
        let (steps, end) = reply.body_steps();
        for step in steps {
            match step {
                BodyStep::Wait(delay) => self.wait(Some(delay)),
                BodyStep::Data(data) => {
                    if reply.split.is_some() {
                        self.flush();
                    }
                    put_data(&mut self.open, &data, framing);
                }
            }
        }
        match end {
            BodyEnd::Stopped(manner) => self.stop(manner),
            BodyEnd::Complete if framing == Some(Framing::Chunked) => self.open.put_slice(b"0\r\n\r\n"),
            BodyEnd::Complete => {}
        }
    }

    fn wait(&mut self, delay: Option<Duration>) {
        if let Some(delay) = delay.filter(|delay| !delay.is_zero()) {
            self.flush();
            self.steps.push(Step::Wait(delay));
        }
    }

    fn flush(&mut self) {
        if !self.open.is_empty() {
            self.steps.push(Step::Write(self.open.split().freeze()));
        }
    }

    /// Leaves out everything after so many bytes.
    fn truncate(&mut self, mut room: usize) {
        let mut is_full = false;
        self.steps.retain_mut(|step| match step {
            Step::Write(bytes) => {
                bytes.truncate(room);
                room -= bytes.len();
                is_full |= room == 0;
                !bytes.is_empty()
            }
            Step::Wait(_) | Step::Hang => !is_full,
        });
    }

    fn stop(&mut self, manner: StopManner) {
        self.flush();
        match manner {
            StopManner::Close => self.ending = Ending::Close,
            StopManner::Reset => self.ending = Ending::Reset,
            StopManner::Hang => self.steps.push(Step::Hang),
        }
    }
}

/// The framing that the understudy adds; none if the reply brings its own.
fn framing(reply: &Reply, request: Request) -> Option<Framing> {
    let brings_its_own = reply.headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
    });
    if brings_its_own || !reply.may_have_body() {
        return None;
    }
    match reply.framing {
        Some(Framing::Chunked) if !request.knows_chunks => Some(Framing::UntilClose),
        chosen => Some(chosen.unwrap_or(Framing::Length)),
    }
}

fn put_head(out: &mut BytesMut, reply: &Reply, framing: Option<Framing>) {
    let code = reply.code();
    let known = http::StatusCode::from_u16(code)
        .ok()
        .and_then(|status| status.canonical_reason());
    let reason = reply.reason.as_deref().or(known).unwrap_or_default();
    out.put_slice(format!("HTTP/1.1 {code} {reason}\r\n").as_bytes());
    for (name, value) in &reply.headers {
        out.put_slice(name);
        out.put_slice(b": ");
        out.put_slice(value);
        out.put_slice(b"\r\n");
    }
    match framing {
        Some(Framing::Length) => out.put_slice(format!("content-length: {}\r\n", reply.body_length()).as_bytes()),
        Some(Framing::Chunked) => out.put_slice(b"transfer-encoding: chunked\r\n"),
        Some(Framing::UntilClose) | None => {}
    }
    if reply.after == Some(After::Close) || framing == Some(Framing::UntilClose) {
        out.put_slice(b"connection: close\r\n");
    }
    out.put_slice(b"\r\n");
}

fn put_data(out: &mut BytesMut, data: &[u8], framing: Option<Framing>) {
    if framing == Some(Framing::Chunked) {
        out.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.put_slice(data);
        out.put_slice(b"\r\n");
    } else {
        out.put_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Request = Request::USUAL;

    fn written(reply: &Reply, request: Request) -> Vec<String> {
        let plan = Plan::new(reply, request);
        plan.steps
            .iter()
            .filter_map(|step| match step {
                Step::Write(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                Step::Wait(_) | Step::Hang => None,
            })
            .collect()
    }

    #[test]
    fn a_fixed_reply_is_one_write() {
        let reply = Reply::bytes("hello").header("X-Spelled", "As Is");
        assert_eq!(
            written(&reply, GET),
            ["HTTP/1.1 200 OK\r\nX-Spelled: As Is\r\ncontent-length: 5\r\n\r\nhello"]
        );
    }

    #[test]
    fn a_stream_has_one_chunk_per_event() {
        let written = written(&Reply::stream(["data: 1\n\n", "data: 2\n\n"]), GET).concat();
        assert!(
            written.ends_with("\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"),
            "{written}"
        );
    }

    #[test]
    fn a_cut_leaves_the_final_chunk_out() {
        let plan = Plan::new(&Reply::stream(["abc"]).cut_at(2), GET);
        assert!(matches!(&plan.steps[..], [Step::Write(bytes)] if bytes.ends_with(b"\r\n\r\n2\r\nab\r\n")));
        assert_eq!(plan.ending, Ending::Close);
    }

    #[test]
    fn a_cut_of_the_head_counts_all_bytes() {
        assert_eq!(written(&Reply::bytes("hello").cut_head_at(7), GET), ["HTTP/1."]);
    }

    #[test]
    fn framing_headers_of_the_reply_are_kept() {
        let reply = Reply::bytes("hello").header("Content-Length", "99");
        assert_eq!(
            written(&reply, GET),
            ["HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello"]
        );
    }

    #[test]
    fn http_1_0_gets_no_chunks() {
        let old = Request {
            knows_chunks: false,
            ..GET
        };
        let plan = Plan::new(&Reply::stream(["abc"]), old);
        assert!(matches!(&plan.steps[..], [Step::Write(bytes)] if bytes.ends_with(b"connection: close\r\n\r\nabc")));
        assert_eq!(plan.ending, Ending::Close);
    }

    #[test]
    fn head_requests_get_the_length_without_the_body() {
        let head = Request { is_head: true, ..GET };
        assert_eq!(
            written(&Reply::bytes("hello"), head),
            ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]
        );
    }

    #[test]
    fn a_hang_comes_after_what_is_said() {
        let plan = Plan::new(&Reply::bytes("hello").hang_after(2), GET);
        assert_eq!(plan.steps.last(), Some(&Step::Hang));
        assert_eq!(Plan::new(&Reply::hang(), GET).steps, [Step::Hang]);
    }
}
