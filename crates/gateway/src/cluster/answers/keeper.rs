//! Finds Redis for the answers that are kept, writes what is to be kept, and finds Redis again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Answers, Kept, count};
use crate::cluster::connection::{Connection, Error, PATIENCE};
use crate::cluster::keeper::{AGAIN, AT_THE_EDGES, BEAT, LONG, LONGEST_AGAIN};
use crate::cluster::resp::Command;

/// Answers take no more than this part of what Redis may have: limits are in the rest, and must not be evicted, nor refused.
const PART: u64 = 2;

/// What one node writes until it looks again takes no more than this part of what is free: others write too.
const SHARE: u64 = 8;

/// Looks for Redis once answers are wanted. Then it is looked after for as long as the process lives.
pub async fn start(answers: Arc<Answers>) {
    let mut met = None;
    if *answers.wanted.borrow() {
        let opened = timeout(AT_THE_EDGES, answers.open()).await;
        match opened.unwrap_or(Err(Error::Late(AT_THE_EDGES))) {
            Ok(connection) => met = Some(answers.found(connection)),
            Err(error) => answers.is_away(error),
        }
    }
    tokio::spawn(keep(answers, met));
}

async fn keep(answers: Arc<Answers>, mut met: Option<Arc<Connection>>) {
    // The sender is as old as the answers.
    let _ = answers.wanted.subscribe().wait_for(|wanted| *wanted).await;
    let mut again = AGAIN;
    loop {
        if let Some(connection) = met.take() {
            let found = Instant::now();
            let Err(error) = answers.look_after(&connection).await;
            answers.lose(&connection, error);
            if found.elapsed() < LONG {
                sleep(again).await;
                again = (again * 2).min(LONGEST_AGAIN);
            } else {
                again = AGAIN;
            }
        }
        match answers.open().await {
            Ok(connection) => met = Some(answers.found(connection)),
            Err(error) => {
                answers.is_away(error);
                sleep(AGAIN).await;
            }
        }
    }
}

impl Answers {
    /// Connects. Whom requests would have to wait for too long is as good as away.
    async fn open(&self) -> Result<Connection, Error> {
        let connection = Connection::open(&self.config.redis).await?;
        self.free(&connection, self.config.timeout).await?;
        Ok(connection)
    }

    /// Writes what is kept, and sees to it that Redis is there and has room, until something goes wrong.
    async fn look_after(&self, connection: &Connection) -> Result<Infallible, Error> {
        let mut queued = self.queued.lock().await;
        let mut free = 0;
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.lost.notified() => {
                    if self.connection.load().is_none() {
                        return Err(Error::Lost);
                    }
                }
                _ = beats.tick() => free = self.free(connection, PATIENCE).await? / SHARE,
                Some(kept) = queued.recv() => self.write(connection, kept, &mut free).await?,
            }
        }
    }

    /// How many bytes there are for further answers.
    async fn free(&self, connection: &Connection, timeout: Duration) -> Result<u64, Error> {
        let free = match connection.ask(&Command::of(&["INFO", "memory"]), timeout).await {
            Ok(told) => free(told.text().unwrap_or_default()),
            // It may be that it tells this to nobody.
            Err(Error::Refused(_)) => u64::MAX,
            Err(error) => return Err(error),
        };
        self.full.store(free == 0, Ordering::Relaxed);
        Ok(free)
    }

    async fn write(&self, connection: &Connection, kept: Kept, free: &mut u64) -> Result<(), Error> {
        let left = kept.until.saturating_duration_since(Instant::now()).as_millis();
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let size = (kept.key.len() + kept.bytes.len()) as u64;
        if left == 0 || size > *free {
            count(&self.counts.left_out);
            return Ok(());
        }
        *free -= size;
        let mut command = Command::of(&["SET"]).word(&kept.key).word(&kept.bytes).word("PX");
        command.number(left);
        match connection.ask(&command, PATIENCE).await {
            Ok(_) => count(&self.counts.kept),
            Err(Error::Refused(_)) => count(&self.counts.left_out),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// How many bytes there are for further answers, by what Redis says of its memory
/// (<https://redis.io/docs/latest/commands/info/>).
fn free(memory: &str) -> u64 {
    let number = |name: &str| {
        let mut lines = memory.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    match number("maxmemory") {
        // What has no bound does not say how large it may become.
        None | Some(0) => u64::MAX,
        Some(most) => (most / PART).saturating_sub(number("used_memory").unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_a_part_of_what_there_is() {
        for (memory, expected) in [
            ("", u64::MAX),
            ("used_memory:5\r\nmaxmemory:0\r\n", u64::MAX),
            (
                "# Memory\r\nused_memory:30\r\nused_memory_rss:99\r\nmaxmemory:100\r\nmaxmemory_human:1\r\n",
                20,
            ),
            ("used_memory:51\r\nmaxmemory:100\r\n", 0),
            ("used_memory:x\r\nmaxmemory:-1\r\n", u64::MAX),
        ] {
            assert_eq!(free(memory), expected, "{memory}");
        }
    }
}
