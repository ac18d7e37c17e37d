//! Lines of the log on their way to standard error, which one thread writes for all others.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long a line about a request may wait for others, with which it is written in one piece.
const PATIENCE: Duration = Duration::from_millis(200);

/// As many bytes do not wait any longer.
const ENOUGH: usize = 64 * 1024;

/// The most that is held when lines come faster than they can be written.
const MOST: usize = 1024 * 1024;

/// How long the end of the process may wait for the last lines.
const LAST: Duration = Duration::from_secs(1);

/// The lines. Those that do not fit are counted, and the count is logged when there is room again.
#[derive(Default)]
pub(super) struct Buffer {
    pending: Mutex<Pending>,
    /// Rings for the thread that writes.
    work: Condvar,
    /// Rings when everything is written.
    done: Condvar,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    dropped: u64,
    /// The lines are not to wait for others.
    is_urgent: bool,
    /// Some lines have been taken out, and are being written.
    is_writing: bool,
}

impl Pending {
    fn is_written(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0 && !self.is_writing
    }
}

impl Buffer {
    /// Starts the thread that writes.
    pub(super) fn start(&'static self) -> io::Result<()> {
        let run = || {
            let mut lines = Vec::new();
            loop {
                let dropped = self.take(&mut lines);
                // Where standard error is closed, there is nobody to tell.
                let _ = io::stderr().write_all(&lines);
                lines.clear();
                if dropped > 0 {
                    tracing::warn!(
                        dropped,
                        "lines of the log are missing: they came faster than they could be written"
                    );
                }
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(run).map(drop)
    }

    /// Waits until everything is written, unless that takes too long.
    pub(super) fn flush(&self) {
        let mut pending = self.lock();
        pending.is_urgent = true;
        self.work.notify_one();
        let waited = self
            .done
            .wait_timeout_while(pending, LAST, |pending| !pending.is_written());
        drop(waited);
    }

    /// Takes a line, which may wait for others unless it is urgent.
    pub(super) fn push(&self, line: &[u8], is_urgent: bool) {
        let mut pending = self.lock();
        let before = pending.lines.len();
        if before + line.len() > MOST {
            pending.dropped += 1;
            return;
        }
        pending.lines.extend_from_slice(line);
        // To ring takes a system call: once for the first line, and once more when the lines should wait no longer.
        let hurries = !pending.is_urgent && (is_urgent || pending.lines.len() >= ENOUGH);
        pending.is_urgent |= hurries;
        drop(pending);
        if before == 0 || hurries {
            self.work.notify_one();
        }
    }

    /// Moves the pending lines to `lines`, which is empty, once there are some and they have waited. Returns how many are
    /// missing.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut pending = self.lock();
        pending.is_writing = false;
        if pending.is_written() {
            self.done.notify_all();
        }
        let pending = self.work.wait_while(pending, |pending| pending.is_written());
        let pending = pending.unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .work
            .wait_timeout_while(pending, PATIENCE, |pending| !pending.is_urgent);
        let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut pending.lines, lines);
        (pending.is_urgent, pending.is_writing) = (false, true);
        std::mem::take(&mut pending.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a line that is not about a request.
pub(super) struct LineWriter(&'static Buffer);

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line, true);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for &'static Buffer {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        LineWriter(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let buffer = Buffer::default();
        let line = vec![b'x'; MOST / 2];
        for _ in 0..5 {
            buffer.push(&line, false);
        }
        let mut taken = Vec::new();
        assert_eq!(buffer.take(&mut taken), 3);
        assert_eq!(taken.len(), MOST);
        assert!(!buffer.lock().is_written(), "it is written when it is asked for more");
    }

    #[test]
    fn lines_stay_in_order_and_wait_for_each_other() {
        let buffer = Buffer::default();
        buffer.push(b"a request\n", false);
        buffer.push(b"a warning\n", true);
        let mut taken = Vec::new();
        buffer.take(&mut taken);
        assert_eq!(taken, b"a request\na warning\n");
    }
}
