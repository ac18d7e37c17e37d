//! Streams of server-sent events, so many at the same time.

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Window;
use super::closed::after_failure;
use super::connection::Connection;
use super::tally::Tally;
use super::target::Target;

/// Starts so many streams; each begins anew when it ends.
pub(super) fn start(tasks: &mut JoinSet<Tally>, streams: usize, target: &Target, window: Window) {
    for _ in 0..streams {
        let target = target.clone();
        tasks.spawn(async move {
            let mut tally = Tally::default();
            tokio::select! {
                () = requests(&target, window, &mut tally) => {}
                () = tokio::time::sleep_until(window.end) => {}
            }
            tally
        });
    }
}

async fn requests(target: &Target, window: Window, tally: &mut Tally) {
    let mut connection = Connection::default();
    loop {
        let begin = Instant::now();
        let mut events = Events::default();
        let mut has_begun = false;
        let sink = |data: &[u8]| {
            let count = events.count(data);
            let now = Instant::now();
            if count > 0 && window.contains(now) {
                tally.events += count;
                if !has_begun {
                    tally.first_event.record(now - begin);
                }
            }
            has_begun |= count > 0;
        };
        let status = connection.exchange(target, sink).await;
        let now = Instant::now();
        if window.contains(now) {
            tally.record(&status, now - begin);
        }
        after_failure(&status).await;
    }
}

/// Counts events: blocks of lines that end in a blank line.
#[derive(Debug, Default)]
struct Events {
    /// Whether the line that has begun holds anything, and whether any line since the last event does.
    line_has_text: bool,
    block_has_text: bool,
}

impl Events {
    /// How many events end in these bytes.
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            match byte {
                b'\n' if !self.line_has_text => count += u64::from(std::mem::take(&mut self.block_has_text)),
                b'\n' => self.line_has_text = false,
                b'\r' => {}
                _ => (self.line_has_text, self.block_has_text) = (true, true),
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn events_may_be_split_anywhere() {
        let stream = b"\n\ndata: 1\n\nevent: x\r\ndata: 2\r\n\r\n: comment\n\ndata: unfinished\n";
        for step in 1..=stream.len() {
            let mut events = Events::default();
            assert_eq!(
                stream.chunks(step).map(|piece| events.count(piece)).sum::<u64>(),
                3,
                "{step}"
            );
        }
    }
}
