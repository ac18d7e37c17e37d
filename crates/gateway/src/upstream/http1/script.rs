//! What a client does on a connection that follows a script.

use axum::http::Method;
use bytes::BytesMut;

use super::exchange::{Answered, Exchange, NoAnswer};
use super::reading::{Incomplete, Reading};
use super::request::RequestHead;
use super::sending::Sending;
use crate::http1::script::settled;
pub(crate) use crate::http1::script::{Cue, Scripted};
use crate::upstream::base::BaseUrl;
use crate::upstream::call_body::CallBody;
use crate::upstream::call_headers::CallHeaders;

impl Scripted {
    /// Sends a request; `None` when it waits for ever.
    pub(crate) fn send(&mut self, method: &Method, mut body: CallBody) -> Option<Result<Answered, NoAnswer>> {
        let base = BaseUrl::parse("http://h", "").unwrap();
        let head = RequestHead {
            method,
            base: &base,
            path: "/",
            headers: &CallHeaders::default(),
            whole_url: false,
        };
        let mut exchange = Exchange::new(Sending::new(&head, &mut body), method);
        settled(|cx| exchange.poll(self, cx))
    }

    /// Reads a body as far as it comes. What it ends with is `None` when it waits for ever.
    pub(crate) fn read(&mut self, reading: &mut Reading) -> (Vec<u8>, Option<Result<(), Incomplete>>) {
        let mut body = Vec::new();
        loop {
            match settled(|cx| reading.poll(self, cx)) {
                None => return (body, None),
                Some(None) => return (body, Some(Ok(()))),
                Some(Some(Err(error))) => return (body, Some(Err(error))),
                Some(Some(Ok(piece))) => body.extend_from_slice(&piece),
            }
        }
    }

    /// The same, into one piece of memory.
    pub(crate) fn read_into(&mut self, reading: &mut Reading) -> (Vec<u8>, Option<Result<(), Incomplete>>) {
        let mut body = BytesMut::new();
        loop {
            let end = match settled(|cx| reading.poll_into(self, &mut body, cx)) {
                Some(Some(Ok(()))) => continue,
                Some(Some(Err(error))) => Some(Err(error)),
                Some(None) => Some(Ok(())),
                None => None,
            };
            return (body.to_vec(), end);
        }
    }
}
