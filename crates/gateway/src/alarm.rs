//! A timer that is set for one wait after the other and hardly ever rings.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What is meant when a limit lies beyond what a clock can show.
const FAR: Duration = Duration::from_hours(24 * 365);

/// The timer. To set, move or drop a timer of the runtime takes a lock; this one is moved only when it rings too early,
/// or has to ring earlier. It is therefore worth keeping from one request to the next.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when the deadline has passed; otherwise the task is woken when it does.
    pub fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// The end of a wait, also of one that is longer than any clock can show.
pub fn after(since: Instant, limit: Duration) -> Instant {
    since.checked_add(limit).unwrap_or_else(|| since + FAR)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_deadline_that_was_asked_for() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        for seconds in [9, 5, 20] {
            let deadline = after(begun, Duration::from_secs(seconds));
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(deadline, cx))).await.is_pending());
        }
        let deadline = after(begun, Duration::from_secs(30));
        poll_fn(|cx| alarm.poll(deadline, cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_used_again() {
        let mut alarm = Alarm::default();
        for _ in 0..3 {
            let begun = Instant::now();
            let deadline = after(begun, Duration::from_secs(7));
            poll_fn(|cx| alarm.poll(deadline, cx)).await;
            assert_eq!(begun.elapsed().as_secs(), 7);
        }
        assert!(after(Instant::now(), Duration::MAX) > Instant::now());
    }
}
