//! Requests that are due at fixed times, whether or not earlier ones have returned.
//!
//! Latency counts from the time a request was due. A server that stalls thus pays for all requests that it kept from being sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Window;
use super::closed::after_failure;
use super::connection::Connection;
use super::tally::Tally;
use super::target::Target;

/// The times at which requests are due.
#[derive(Debug)]
struct Timetable {
    start: Instant,
    rate: f64,
    /// One permit for each request that is due and not yet taken.
    due: Semaphore,
    taken: AtomicU64,
}

/// Starts so many connections, which share the requests.
pub(super) fn start(
    tasks: &mut JoinSet<Tally>,
    rate: f64,
    connections: usize,
    target: &Target,
    start: Instant,
    window: Window,
) {
    let timetable = Arc::new(Timetable {
        start,
        rate,
        due: Semaphore::new(0),
        taken: AtomicU64::new(0),
    });
    for _ in 0..connections {
        let (target, timetable) = (target.clone(), Arc::clone(&timetable));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            tokio::select! {
                () = requests(&target, &timetable, window, &mut tally) => {}
                () = tokio::time::sleep_until(window.end) => {}
            }
            tally
        });
    }
    let clock = Arc::clone(&timetable);
    // A thread of its own: the runtime's timer counts in milliseconds, which is longer than many a request takes.
    std::thread::spawn(move || clock.announce(window.end));
    tasks.spawn(async move {
        tokio::time::sleep_until(window.end).await;
        Tally {
            unsent: timetable.due.available_permits() as u64,
            ..Tally::default()
        }
    });
}

async fn requests(target: &Target, timetable: &Timetable, window: Window, tally: &mut Tally) {
    let mut connection = Connection::default();
    while let Ok(permit) = timetable.due.acquire().await {
        permit.forget();
        let due = timetable.due_at(timetable.taken.fetch_add(1, Ordering::Relaxed));
        let status = connection.exchange(target, |_| ()).await;
        let now = Instant::now();
        if window.contains(now) {
            tally.record(&status, now.saturating_duration_since(due));
        }
        after_failure(&status).await;
    }
}

impl Timetable {
    /// When the request with this number, counted from zero, is due.
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 requests")]
    fn due_at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Announces each request when it is due, until the end.
    fn announce(&self, end: Instant) {
        for number in 0.. {
            let due = self.due_at(number);
            if due >= end {
                return;
            }
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                #[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
                std::thread::sleep(early);
            }
            self.due.add_permits(1);
        }
    }
}
