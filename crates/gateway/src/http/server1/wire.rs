//! A connection as those see it who share it: the one that serves it, and the body of the request on it.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::writing::Writing;
use crate::http1::Malformed;
use crate::http1::body::{Decoder, Framing, Step};
use crate::http1::reading::{Appetite, SMALL_READ, poll_read};

/// What a client is told that waits for a word before it sends the body of its request.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The connection. A lock that is never waited for: both who share it mostly belong to the same task.
pub type Shared<W> = Arc<Mutex<W>>;

/// Takes the lock.
pub fn lock<W: ?Sized>(wire: &Mutex<W>) -> MutexGuard<'_, W> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection.
pub struct Wire<T> {
    io: T,
    /// What has come, and was not taken yet.
    come: Bytes,
    /// Where the body of the request ends.
    decoder: Decoder,
    appetite: Appetite,
    /// What is to be said before the body is read.
    interim: &'static [u8],
    /// Which request of the connection it is.
    turn: u64,
    /// Who waits for the end of the body.
    waiting: Option<Waker>,
}

/// Where the body of a request comes from.
pub trait Source: Send {
    /// The next piece of the body; `None` at the end.
    fn poll_piece(&mut self, turn: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>>;

    /// Appends what comes next to what there is; `false` at the end.
    fn poll_into(&mut self, turn: u64, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>>;

    /// How many bytes are still to come, where that is known.
    fn left(&self, turn: u64) -> Option<u64>;
}

/// Why the rest of a request body does not come.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    /// It ended too early, or what came is no body.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request was answered without it.
    #[error("the request is over")]
    Over,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// A connection on which this has come already.
    pub fn new(io: T, come: Bytes) -> Self {
        Self {
            io,
            come,
            decoder: Decoder::new(Framing::Length(0)),
            appetite: Appetite::default(),
            interim: b"",
            turn: 0,
            waiting: None,
        }
    }

    /// What comes next, between two requests. Nothing means the end of the connection.
    pub fn poll_come(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.come.is_empty() {
            poll_read(&mut self.io, SMALL_READ, cx)
        } else {
            Poll::Ready(Ok(std::mem::take(&mut self.come)))
        }
    }

    /// Begins with the body of a request, of which this has come already. All of it, if it is there, or else the turn in
    /// which the rest can be read.
    pub fn begin(&mut self, framing: Framing, expects_continue: bool, mut come: Bytes) -> Result<Bytes, u64> {
        self.turn += 1;
        if let Framing::Length(length) = framing
            && length <= come.len() as u64
        {
            let whole = if length == come.len() as u64 {
                come
            } else {
                let whole = come.split_to(usize::try_from(length).unwrap_or(0));
                self.come = come;
                whole
            };
            return Ok(whole);
        }
        if expects_continue && come.is_empty() {
            self.interim = CONTINUE;
        }
        self.come = come;
        self.decoder = Decoder::new(framing);
        Err(self.turn)
    }

    /// Ready when the client has gone. It can be told only after the body of the request, and as long as nothing comes
    /// behind that.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_at_end() {
            match &mut self.waiting {
                Some(waker) => waker.clone_from(cx.waker()),
                waiting @ None => *waiting = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if !self.come.is_empty() {
            return Poll::Pending;
        }
        match ready!(poll_read(&mut self.io, SMALL_READ, cx)) {
            Ok(piece) if !piece.is_empty() => {
                self.come = piece;
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Whether so little is left of the body that it is worth reading for the sake of the next request.
    pub fn can_be_kept(&self, most: u64) -> bool {
        let waits = self.interim == CONTINUE;
        self.decoder.is_at_end() || (!waits && !self.decoder.is_broken() && self.decoder.left().unwrap_or(0) <= most)
    }

    /// Whether the body was read to its end.
    pub fn is_between_requests(&self) -> bool {
        self.decoder.is_at_end()
    }

    /// Whether nothing has come behind the body, which was read to its end.
    pub fn is_quiet(&self) -> bool {
        self.is_between_requests() && self.come.is_empty()
    }

    /// Ends the turn: nobody else reads from now on.
    pub fn end(&mut self) {
        self.turn += 1;
        self.waiting = None;
        self.interim = b"";
        self.appetite = Appetite::default();
    }

    /// Reads more of a body that nobody wants; how much that was. Nothing means that there is no more.
    pub fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        let piece = ready!(self.poll_next(cx)).transpose()?;
        Poll::Ready(Ok(piece.map_or(0, |piece| piece.len())))
    }

    /// Reads what a client still sends on a connection that is given up. Ready when it has nothing more to say.
    pub fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.come.clear();
        while let Ok(piece) = ready!(poll_read(&mut self.io, SMALL_READ, cx)) {
            if piece.is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Ready when what was collected of an answer is written.
    pub fn poll_write(&mut self, writing: &mut Writing, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.len() < CONTINUE.len() {
            ready!(self.poll_interim(cx))?;
        } else {
            // What was not begun need not be said any more.
            self.interim = b"";
        }
        writing.poll_write(&mut self.io, cx)
    }

    /// Says that nothing more will be said.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let step = self.decoder.next(&mut self.come);
            if self.come.is_empty() {
                // Also what is empty would hold the memory.
                self.come = Bytes::new();
            }
            match step {
                Err(malformed) => return Poll::Ready(Some(Err(malformed.into()))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::Data(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(Step::Wanting) => {}
            }
            ready!(self.poll_interim(cx))?;
            let most = self.appetite.most(self.decoder.next_bytes());
            let piece = ready!(poll_read(&mut self.io, most, cx))?;
            if piece.is_empty() {
                self.decoder.close()?;
            }
            self.appetite.adapt(piece.len());
            self.come = piece;
        }
    }

    /// Reads what has a length straight to where it belongs.
    fn poll_next_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        let counted = self.decoder.left().and_then(|left| usize::try_from(left).ok());
        let Some(left) = counted.filter(|left| *left > 0 && self.come.is_empty()) else {
            let Some(piece) = ready!(self.poll_next(cx)).transpose()? else {
                return Poll::Ready(Ok(false));
            };
            whole.extend_from_slice(&piece);
            return Poll::Ready(Ok(true));
        };
        ready!(self.poll_interim(cx))?;
        let mut space = whole.limit(left);
        let read = ready!(pin!(self.io.read_buf(&mut space)).poll(cx))?;
        if read == 0 {
            self.decoder.close()?;
        }
        self.decoder.skip(read as u64);
        Poll::Ready(Ok(true))
    }

    /// Wakes who waits for the end of the body, unless that is the task that read it.
    fn told<R>(&mut self, read: Poll<R>, cx: &Context<'_>) -> Poll<R> {
        if read.is_ready()
            && self.decoder.is_at_end()
            && let Some(waker) = self.waiting.take()
            && !waker.will_wake(cx.waker())
        {
            waker.wake();
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Source for Wire<T> {
    fn poll_piece(&mut self, turn: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if turn != self.turn {
            return Poll::Ready(Some(Err(Broken::Over)));
        }
        let piece = self.poll_next(cx);
        self.told(piece, cx)
    }

    fn poll_into(&mut self, turn: u64, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        if turn != self.turn {
            return Poll::Ready(Err(Broken::Over));
        }
        let read = self.poll_next_into(whole, cx);
        self.told(read, cx)
    }

    fn left(&self, turn: u64) -> Option<u64> {
        self.decoder.left().filter(|_| turn == self.turn)
    }
}

impl<T> fmt::Debug for Wire<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Wire")
            .field("decoder", &self.decoder)
            .finish_non_exhaustive()
    }
}
