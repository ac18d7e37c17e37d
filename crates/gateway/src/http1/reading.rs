//! Reads what has come on a connection, into memory of its true size.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// Up to this size, what comes is read to the stack and copied, so that nothing is held for what has not come yet, and
/// nothing more than what has come.
pub const SMALL_READ: usize = 16 * 1024;

/// The most that is read at once.
pub const LARGE_READ: usize = 128 * 1024;

/// How much of a body is read at once: as much as came before.
#[derive(Clone, Copy, Debug)]
pub struct Appetite(usize);

impl Default for Appetite {
    fn default() -> Self {
        Self(SMALL_READ)
    }
}

impl Appetite {
    /// How much to read: what is certain to come, or else as much as came before. One byte more, so that what should not
    /// be there shows, and so that the connection is known to be empty.
    pub fn most(self, certain: u64) -> usize {
        let certain = usize::try_from(certain).unwrap_or(usize::MAX);
        self.0.max(certain.saturating_add(1)).min(LARGE_READ)
    }

    /// Notes how much came.
    pub fn adapt(&mut self, came: usize) {
        if came >= self.0 {
            self.0 = (self.0 * 2).min(LARGE_READ);
        } else if came < self.0 / 4 {
            self.0 = (self.0 / 2).max(SMALL_READ);
        }
    }
}

/// Reads what has come, up to `most`. Nothing means the end of the connection.
pub fn poll_read<T: AsyncRead + Unpin>(io: &mut T, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    if most <= SMALL_READ {
        return poll_read_small(io, cx);
    }
    let mut space = BytesMut::with_capacity(most);
    let length = ready!(pin!(io.read_buf(&mut space)).poll(cx))?;
    // A large piece of memory must not be held for a small piece of a body.
    Poll::Ready(Ok(if length < most / 4 {
        Bytes::copy_from_slice(&space)
    } else {
        space.freeze()
    }))
}

fn poll_read_small<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut space = [const { MaybeUninit::uninit() }; SMALL_READ];
    let mut come = ReadBuf::uninit(&mut space);
    ready!(Pin::new(io).poll_read(cx, &mut come))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(come.filled())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::script::{Cue, Scripted};

    #[test]
    fn what_is_read_is_as_large_as_what_came() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for (length, most) in [
            (10, SMALL_READ),
            (10, LARGE_READ),
            (LARGE_READ, LARGE_READ),
            (LARGE_READ * 2, LARGE_READ),
        ] {
            let mut io = Scripted::new([Cue::Says(Bytes::from(vec![b'x'; length]))]);
            let Poll::Ready(Ok(read)) = poll_read(&mut io, most, &mut cx) else {
                panic!("nothing was read");
            };
            assert_eq!(read.len(), length.min(most));
        }
        assert!(poll_read(&mut Scripted::default(), LARGE_READ, &mut cx).is_pending());
    }
}
