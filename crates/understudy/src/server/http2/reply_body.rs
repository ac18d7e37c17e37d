//! The body of a reply as frames.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::written::Written;
use crate::received::Outcome;
use crate::reply::{BodyEnd, BodyStep, StopManner};
use crate::stage::Stage;

/// Notes how the exchange ended: as aborted, if it is dropped before anything else was said.
#[derive(Debug)]
pub(super) struct Guard {
    stage: Arc<Stage>,
    pub(super) number: u64,
    outcome: Option<Outcome>,
}

/// The stream is to be reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamReset;

/// The body of a reply.
pub(super) struct ReplyBody {
    steps: VecDeque<BodyStep>,
    end: BodyEnd,
    waits_for: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    guard: Guard,
    written: Arc<Written>,
    /// How far the count of written bytes has to come before a reset may follow.
    due: u64,
}

/// How long the head of a frame is.
const FRAME_HEAD: u64 = 9;

// === impl Guard ===

impl Guard {
    pub(super) fn new(stage: Arc<Stage>) -> Self {
        Self {
            stage,
            number: 0,
            outcome: None,
        }
    }

    pub(super) fn finish(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.stage.record.finish(self.number, outcome);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish(Outcome::Aborted);
    }
}

// === impl ReplyBody ===

impl ReplyBody {
    pub(super) fn new(steps: Vec<BodyStep>, end: BodyEnd, mut guard: Guard, written: Arc<Written>) -> Self {
        if steps.is_empty() && end == BodyEnd::Complete {
            // An empty body is never polled.
            guard.finish(Outcome::Completed);
        }
        let due = written.bytes() + FRAME_HEAD;
        Self {
            steps: steps.into(),
            end,
            waits_for: None,
            guard,
            written,
            due,
        }
    }
}

impl ReplyBody {
    fn frame(&mut self, data: Bytes) -> Frame<Bytes> {
        let length = data.len() as u64;
        self.due += FRAME_HEAD + length;
        self.guard.stage.record.count(|counters| counters.bytes_sent += length);
        if self.is_end_stream() {
            self.guard.finish(Outcome::Completed);
        }
        Frame::data(data)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = StreamReset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamReset>>> {
        loop {
            if let Some(event) = &mut self.waits_for {
                ready!(event.as_mut().poll(context));
                self.waits_for = None;
            }
            match self.steps.pop_front() {
                Some(BodyStep::Wait(delay)) => self.waits_for = Some(Box::pin(tokio::time::sleep(delay))),
                Some(BodyStep::Data(data)) => return Poll::Ready(Some(Ok(self.frame(data)))),
                None if self.end == BodyEnd::Complete => {
                    self.guard.finish(Outcome::Completed);
                    return Poll::Ready(None);
                }
                None if self.end == BodyEnd::Stopped(StopManner::Hang) => return Poll::Pending,
                None if self.written.bytes() < self.due => {
                    self.waits_for = Some(Box::pin(Arc::clone(&self.written).reaches(self.due)));
                }
                None => {
                    self.guard.finish(Outcome::Completed);
                    return Poll::Ready(Some(Err(StreamReset)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.end == BodyEnd::Complete && self.waits_for.is_none()
    }
}

// === impl StreamReset ===

impl fmt::Display for StreamReset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script has the stream reset")
    }
}

impl std::error::Error for StreamReset {}
