//! A connection whose other side follows a script.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the other side does next.
pub(crate) enum Cue {
    /// Sends this.
    Says(Bytes),
    /// Waits until it has got this many bytes.
    Hears(usize),
    /// Closes the connection.
    Closes,
    /// Fails.
    Fails(io::ErrorKind),
}

/// The connection.
#[derive(Default)]
pub(crate) struct Scripted {
    /// What it still does.
    pub(crate) cues: VecDeque<Cue>,
    /// Every write.
    pub(crate) writes: Vec<Vec<u8>>,
    /// How much it takes at once, where that is limited.
    pub(crate) takes: Option<usize>,
    /// How much it takes at all, and what happens then.
    pub(crate) room: Option<(usize, Option<io::ErrorKind>)>,
    /// How much it was asked for, each time that it said something.
    pub(crate) asked: Vec<usize>,
}

impl Scripted {
    pub(crate) fn new(cues: impl IntoIterator<Item = Cue>) -> Self {
        Self {
            cues: cues.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Says this, and nothing more.
    pub(crate) fn says(text: &str) -> Self {
        Self::new([Cue::Says(Bytes::copy_from_slice(text.as_bytes()))])
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.writes.concat()
    }
}

/// What becomes of something that is asked until nothing changes any more.
pub(crate) fn settled<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    (0..10).find_map(|_| match poll(&mut cx) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    })
}

impl AsyncRead for Scripted {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let heard = self.written().len();
        while let Some(Cue::Hears(count)) = self.cues.front() {
            if heard < *count {
                return Poll::Pending;
            }
            self.cues.pop_front();
        }
        let asked = buffer.remaining();
        match self.cues.pop_front() {
            None => return Poll::Pending,
            Some(Cue::Fails(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Cue::Says(mut text)) => {
                buffer.put_slice(&text.split_to(asked.min(text.len())));
                self.asked.push(asked);
                if !text.is_empty() {
                    self.cues.push_front(Cue::Says(text));
                }
            }
            Some(Cue::Closes | Cue::Hears(_)) => self.cues.push_front(Cue::Closes),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut takes = self.takes.unwrap_or(bytes.len()).min(bytes.len());
        if let Some((room, then)) = &mut self.room {
            match then {
                _ if *room > 0 => takes = takes.min(*room),
                Some(kind) => return Poll::Ready(Err((*kind).into())),
                None => return Poll::Pending,
            }
            *room -= takes;
        }
        self.writes.push(bytes[..takes].to_vec());
        Poll::Ready(Ok(takes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
