//! Rows on their way to the thread that writes them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::Batch;
use super::content::Capture;
use super::record::Record;

/// As many rows do not wait for others any longer.
const ENOUGH: usize = 2_000;

/// The rows that wait. Those for which there is no room are counted.
#[derive(Debug)]
pub(super) struct Queue {
    pending: Mutex<Pending>,
    /// The most rows that wait.
    most: usize,
    /// The most bytes of prompts and answers that wait with them.
    most_bytes: usize,
    /// Rings for the thread that writes.
    work: Condvar,
    /// Rings when everything is written.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    rows: Batch,
    dropped: u64,
    without_content: u64,
    /// The bytes of prompts and answers in the rows.
    bytes: usize,
    /// Those of the rows that were taken out.
    taken_bytes: usize,
    /// The rows are not to wait for others.
    is_urgent: bool,
    /// So many rows were taken out and are not written yet.
    taken: usize,
}

impl Pending {
    fn len(&self) -> usize {
        self.rows.len() + self.taken
    }
}

impl Queue {
    pub(super) fn new(most: usize, bytes_per_row: usize) -> Self {
        Self {
            pending: Mutex::default(),
            most,
            most_bytes: most.saturating_mul(bytes_per_row),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// Takes a row, and what was said.
    pub(super) fn push(&self, row: &Record<'_>, mut capture: Option<Box<Capture>>) {
        let mut pending = self.lock();
        if pending.len() >= self.most {
            pending.dropped += 1;
            return;
        }
        let bytes = capture.as_ref().map_or(0, |capture| capture.size());
        if pending.bytes + pending.taken_bytes + bytes <= self.most_bytes {
            pending.bytes += bytes;
        } else if capture.take().is_some() {
            pending.without_content += 1;
        }
        pending.rows.push(row, capture);
        let count = pending.rows.len();
        // To ring takes a system call: once for the first row, and once more when the rows should wait no longer.
        let enough = ENOUGH.min(self.most.div_ceil(2));
        let hurries = count >= enough && !pending.is_urgent;
        pending.is_urgent |= hurries;
        drop(pending);
        if count == 1 || hurries {
            self.work.notify_one();
        }
    }

    /// Waits until everything is written, unless that takes too long. Returns whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let mut pending = self.lock();
        pending.is_urgent = true;
        self.work.notify_one();
        let waited = self
            .done
            .wait_timeout_while(pending, patience, |pending| pending.len() > 0);
        let (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        pending.len() == 0
    }

    /// Moves rows to `rows`, which are none, once there are some and they have waited for others as long as the `window`
    /// is. Nothing comes when there was nothing for as long as `patience`.
    pub(super) fn take(&self, rows: &mut Batch, window: Duration, patience: Duration) {
        let pending = self.lock();
        let waited = self
            .work
            .wait_timeout_while(pending, patience, |pending| pending.rows.is_empty());
        let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if pending.rows.is_empty() {
            return;
        }
        if !window.is_zero() {
            let waited = self
                .work
                .wait_timeout_while(pending, window, |pending| !pending.is_urgent);
            (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut pending.rows, rows);
        (pending.is_urgent, pending.taken) = (false, rows.len());
        pending.taken_bytes = std::mem::take(&mut pending.bytes);
    }

    /// Says that what was taken is written.
    pub(super) fn written(&self) {
        let mut pending = self.lock();
        (pending.taken, pending.taken_bytes) = (0, 0);
        if pending.len() == 0 {
            self.done.notify_all();
        }
    }

    /// Waits for a while, or until it is urgent.
    pub(super) fn pause(&self, patience: Duration) {
        let pending = self.lock();
        let waited = self
            .work
            .wait_timeout_while(pending, patience, |pending| !pending.is_urgent);
        let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        pending.is_urgent = false;
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How many rows there was no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// How many rows there was only room for without their prompts and answers.
    pub(super) fn without_content(&self) -> u64 {
        self.lock().without_content
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::content::Blackening;
    use crate::ledger::ids::Ids;
    use crate::ledger::rows::Rows as _;

    const NOW: Duration = Duration::ZERO;

    fn push(queue: &Queue, capture: Option<Box<Capture>>) {
        queue.push(&Record::default(), capture);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let queue = Queue::new(3, 0);
        let mut taken = Batch::default();
        push(&queue, None);
        queue.take(&mut taken, NOW, NOW);
        for _ in 0..4 {
            push(&queue, None);
        }
        assert_eq!(
            (taken.len(), queue.len(), queue.dropped()),
            (1, 3, 2),
            "what is being written counts"
        );
        queue.written();
        assert!(!queue.flush(NOW));
        taken.clear();
        queue.take(&mut taken, NOW, NOW);
        queue.written();
        assert!(queue.flush(NOW) && taken.len() == 2);
    }

    #[test]
    fn prompts_that_do_not_fit_are_left_out() {
        let queue = Queue::new(3, 1000);
        let said = || {
            let mut capture = Capture::new(10_000);
            capture.asked(&[b'x'; 1000]);
            Some(Box::new(capture))
        };
        let mut taken = Batch::default();
        push(&queue, said());
        queue.take(&mut taken, NOW, NOW);
        for _ in 0..2 {
            push(&queue, said());
        }
        push(&queue, said());
        assert_eq!((queue.len(), queue.dropped(), queue.without_content()), (3, 1, 0));
        queue.written();
        let queue = Queue::new(3, 500);
        for _ in 0..3 {
            push(&queue, said());
        }
        taken.clear();
        queue.take(&mut taken, NOW, NOW);
        taken.finish(&mut Ids::new(1), 1, &Blackening::default());
        let mut kept = Vec::new();
        let _ = taken.try_each(|row, _| {
            kept.push(row.content.is_some());
            Ok::<_, ()>(())
        });
        assert_eq!((kept, queue.without_content()), (vec![true, false, false], 2));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let mut taken = Batch::default();
        Queue::new(1, 0).take(&mut taken, Duration::from_secs(1000), NOW);
        assert!(taken.is_empty());
    }
}
