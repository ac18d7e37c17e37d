//! Knowing when bytes have left: a reset throws away what is still queued on its stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::sync::Notify;

/// How many bytes were written to a connection.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: AtomicU64,
    changed: Notify,
}

/// A writer that keeps count.
#[derive(Debug)]
pub(super) struct Counted<W> {
    writer: W,
    written: Arc<Written>,
}

impl Written {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Resolves once so many bytes were written.
    pub(super) async fn reaches(self: Arc<Self>, bytes: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.bytes() >= bytes {
                return;
            }
            changed.await;
        }
    }
}

impl<W> Counted<W> {
    pub(super) fn new(writer: W, written: Arc<Written>) -> Self {
        Self { writer, written }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.writer).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &poll {
            self.written.bytes.fetch_add(*count as u64, Ordering::Release);
            self.written.changed.notify_waiters();
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}
