//! A connection of a client: one request after the other, each answered before the next is read.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response, Version};
use bytes::Bytes;
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::answer_head::{Asked, Extent};
use super::body::Incoming;
use super::head::{Head, HeadReader, Refused};
use super::wire::{Wire, lock};
use super::writing::{Broken, SMALL, Writing};
use crate::alarm::{Alarm, after};

/// Up to this size, the rest of a body that nobody wanted is read for the sake of the next request.
const UNWANTED: u64 = 64 * 1024;

/// How long a connection that is given up is still read, so that the client comes to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the rest of a head that has begun.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
}

/// Why a connection ended otherwise than in peace.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The client went away before it was answered.
    #[error("the client went away")]
    Gone,
    /// The next request, or the rest of its head, did not come in time.
    #[error("no request came in time")]
    Late,
    /// What came is no request.
    #[error("a request was refused: {0}")]
    Refused(#[from] Refused),
    /// The answer could not be written whole.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The head of the next request with what follows it; `None` when there is none.
type Next = Result<Option<(Head, Bytes)>, Ended>;

/// A connection.
struct Connection<'a, T> {
    wire: Arc<Mutex<Wire<T>>>,
    limits: Limits,
    /// The gateway stops: no more requests.
    stopping: &'a AtomicBool,
    alarm: Alarm,
}

/// Serves a connection, on which `come` has come already, until its end. Once `stopping` is set, which has to wake the
/// task, it ends after the request that is under way. It also ends when something comes that is no request.
pub async fn serve<T, F>(
    io: T,
    come: Bytes,
    limits: Limits,
    stopping: &AtomicBool,
    answer: impl Fn(Box<Parts>, Incoming) -> F,
    refuse: impl Fn(Refused) -> Response<Body>,
) -> Result<(), Ended>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = Response<Body>>,
{
    let mut connection = Connection {
        wire: Arc::new(Mutex::new(Wire::new(io, come))),
        limits,
        stopping,
        alarm: Alarm::default(),
    };
    loop {
        let (head, rest) = match poll_fn(connection.next_head()).await {
            Ok(Some(next)) => next,
            Ok(None) => return connection.close().await,
            Err(Ended::Refused(refused)) => {
                connection.refuse(refuse(refused)).await?;
                return Err(refused.into());
            }
            Err(ended) => return Err(ended),
        };
        let mut asked = Asked {
            method: head.parts.method.clone(),
            version: head.parts.version,
            keeps_connection: head.keeps_connection,
        };
        let response = {
            let body = connection.begin(&head, rest);
            let mut answering = pin!(answer(head.parts, body));
            poll_fn(|cx| connection.poll_answered(answering.as_mut(), cx)).await?
        };
        asked.keeps_connection &= connection.can_be_kept();
        {
            let mut writing = writing(response, &mut asked);
            poll_fn(|cx| connection.poll_written(&mut writing, cx)).await?;
        }
        if !connection.is_ready_again(asked.keeps_connection).await {
            return connection.close().await;
        }
    }
}

/// Why there is no request, where only the beginning of one has come.
fn unfinished(reader: &mut HeadReader, otherwise: Ended) -> Ended {
    reader.end().map_or_else(Ended::from, |()| otherwise)
}

fn writing(response: Response<Body>, asked: &mut Asked) -> Writing {
    let (parts, body) = response.into_parts();
    let length = body.size_hint().exact();
    let extent = asked.extent(parts.status, &parts.headers, length);
    asked.keeps_connection &= extent != Extent::UntilClose;
    // A small body goes out with its head.
    let more = length.unwrap_or(0).min(SMALL as u64);
    let head = asked.write(&parts, length, extent, usize::try_from(more).unwrap_or(0));
    Writing::new(head, extent, body)
}

impl<T> Connection<'_, T>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// Waits for the head of the next request.
    fn next_head(&mut self) -> impl FnMut(&mut Context<'_>) -> Poll<Next> {
        let mut reader = HeadReader::default();
        let mut since = None;
        move |cx| {
            loop {
                let come = lock(&self.wire).poll_come(cx);
                let had_begun = reader.has_begun();
                let Poll::Ready(piece) = come else {
                    if !had_begun && self.stopping.load(Ordering::Relaxed) {
                        return Poll::Ready(Ok(None));
                    }
                    let limit = if had_begun { self.limits.head } else { self.limits.idle };
                    let since = *since.get_or_insert_with(Instant::now);
                    let late = self.alarm.poll(after(since, limit), cx);
                    return late.map(|()| Err(unfinished(&mut reader, Ended::Late)));
                };
                let piece = match piece {
                    Ok(piece) if !piece.is_empty() => piece,
                    Ok(_) if !had_begun => return Poll::Ready(Ok(None)),
                    Ok(_) => return Poll::Ready(Err(unfinished(&mut reader, Ended::Gone))),
                    Err(error) => return Poll::Ready(Err(error.into())),
                };
                if let Some(next) = reader.push(piece)? {
                    return Poll::Ready(Ok(Some(next)));
                }
                if reader.has_begun() && !had_begun {
                    since = None;
                }
            }
        }
    }

    /// The body of a request, which is read from here.
    fn begin(&self, head: &Head, rest: Bytes) -> Incoming {
        match lock(&self.wire).begin(head.framing, head.expects_continue, rest) {
            Ok(whole) => Incoming::Whole(whole),
            Err(turn) => {
                let wire = self.wire.clone();
                Incoming::Coming { wire, turn }
            }
        }
    }

    /// Ready with the answer, unless the client goes away before.
    fn poll_answered<R>(
        &self,
        answering: Pin<&mut impl Future<Output = R>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R, Ended>> {
        match answering.poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => lock(&self.wire).poll_gone(cx).map(|()| Err(Ended::Gone)),
        }
    }

    /// Ready when the answer is written whole. What comes of it is asked for when what came before it is written.
    fn poll_written(&self, writing: &mut Writing, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            // The answer may still read the body of the request, and then needs the lock.
            let collected = writing.poll_collect(cx);
            let mut wire = lock(&self.wire);
            let written = wire.poll_write(writing, cx).map_err(Broken::from)?;
            if written.is_pending() || collected.is_pending() {
                return wire.poll_gone(cx).map(|()| Err(Ended::Gone));
            }
            if let Some(outcome) = writing.outcome() {
                return Poll::Ready(outcome.map_err(Ended::from));
            }
        }
    }

    fn can_be_kept(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && lock(&self.wire).can_be_kept(UNWANTED)
    }

    /// Gets rid of what is left of the request. Whether there can be another one.
    async fn is_ready_again(&mut self, keeps_connection: bool) -> bool {
        lock(&self.wire).end();
        if !keeps_connection {
            return false;
        }
        if lock(&self.wire).is_between_requests() {
            return true;
        }
        let deadline = after(Instant::now(), self.limits.head);
        let mut left = UNWANTED;
        poll_fn(|cx| {
            loop {
                let Poll::Ready(read) = lock(&self.wire).poll_unwanted(cx) else {
                    return self.alarm.poll(deadline, cx).map(|()| false);
                };
                match read {
                    Ok(0) => return Poll::Ready(true),
                    Ok(read) if read as u64 <= left => left -= read as u64,
                    _ => return Poll::Ready(false),
                }
            }
        })
        .await
    }

    /// Answers what is no request.
    async fn refuse(&mut self, response: Response<Body>) -> Result<(), Ended> {
        let mut asked = Asked {
            method: Method::GET,
            version: Version::HTTP_11,
            keeps_connection: false,
        };
        let mut writing = writing(response, &mut asked);
        poll_fn(|cx| self.poll_written(&mut writing, cx)).await?;
        self.part().await
    }

    /// Ends a connection on which everything is said.
    async fn close(&mut self) -> Result<(), Ended> {
        if lock(&self.wire).is_quiet() {
            return Ok(poll_fn(|cx| lock(&self.wire).poll_shutdown(cx)).await?);
        }
        self.part().await
    }

    /// Ends a connection on which the client may still have something to say. To close it would make the kernel forget
    /// what was said to the client.
    async fn part(&mut self) -> Result<(), Ended> {
        poll_fn(|cx| lock(&self.wire).poll_shutdown(cx)).await?;
        let deadline = after(Instant::now(), FAREWELL);
        poll_fn(|cx| {
            // First the time: a client that never stops sending would leave none for the clock.
            match self.alarm.poll(deadline, cx) {
                Poll::Pending => lock(&self.wire).poll_farewell(cx),
                late @ Poll::Ready(()) => late,
            }
        })
        .await;
        Ok(())
    }
}
