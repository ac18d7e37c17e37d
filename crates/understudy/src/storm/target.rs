//! A target: an understudy that can be killed and started again at the same address, and do wrong for a while.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::board::{Board, Call};
use super::fault::{Fault, Part};
use super::protocol::Protocol;
use super::question::{SLOWLY, nonce_in};
use super::speech::Speech;
use crate::received::Received;
use crate::reply::Reply;
use crate::script::Rule;
use crate::understudy::Understudy;

/// Below the ports that connections are given: while a target is down, nobody else may get its port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The names of the targets.
pub(super) const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A target.
pub(super) struct Target {
    address: SocketAddr,
    stage: Arc<Stage>,
    understudy: Mutex<Option<Understudy>>,
}

/// What all lives of a target share.
struct Stage {
    index: usize,
    seed: u64,
    limit: Duration,
    board: Arc<Board>,
    fault: Mutex<Option<Fault>>,
    /// How often it was started.
    life: AtomicU64,
    calls: AtomicU64,
    /// How many calls met each fault, by its place in [`Fault::ALL`].
    met: [AtomicU64; Fault::ALL.len()],
}

impl Target {
    /// Starts the target with this number. A call that outlives its client by more than `limit` is noted.
    pub(super) async fn start(index: usize, seed: u64, board: &Arc<Board>, limit: Duration) -> io::Result<Self> {
        let stage = Stage {
            index,
            seed,
            limit,
            board: Arc::clone(board),
            fault: Mutex::new(None),
            life: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            met: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        let mut target = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            stage: Arc::new(stage),
            understudy: Mutex::new(None),
        };
        // Which ports are free has nothing to do with the seed.
        let mut tries = 0;
        loop {
            target.address.set_port(fastrand::u16(PORTS));
            match target.listen().await {
                Ok(()) => return Ok(target),
                Err(error) if tries == 100 => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many calls met this fault.
    pub(super) fn met(&self, fault: Fault) -> u64 {
        self.stage
            .counter(fault)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many calls came in.
    pub(super) fn calls(&self) -> u64 {
        self.stage.calls.load(Ordering::Relaxed)
    }

    /// Does wrong until then, and well afterwards.
    pub(super) async fn misbehave(&self, fault: Fault, until: Instant, roll: &mut Rng) -> io::Result<()> {
        match fault {
            Fault::Killed => {
                self.kill();
                sleep_until(until).await;
                self.revive().await
            }
            Fault::Flapping => {
                while Instant::now() < until {
                    self.kill();
                    sleep(Duration::from_millis(roll.u64(20..150))).await;
                    self.revive().await?;
                    sleep(Duration::from_millis(roll.u64(50..250))).await;
                }
                Ok(())
            }
            fault => {
                self.stage.set(Some(fault));
                sleep_until(until).await;
                self.stage.set(None);
                Ok(())
            }
        }
    }

    fn kill(&self) {
        let understudy = self.understudy.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.stage.life.fetch_add(1, Ordering::Relaxed);
        self.stage.board.breaks(self.stage.index);
        drop(understudy);
    }

    /// Starts it again. Its port may take a moment to be free.
    async fn revive(&self) -> io::Result<()> {
        let mut tries = 0;
        while let Err(error) = self.listen().await {
            tries += 1;
            if tries == 100 {
                return Err(error);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn listen(&self) -> io::Result<()> {
        let life = self.stage.life.fetch_add(1, Ordering::Relaxed) + 1;
        let (answering, ending) = (Arc::clone(&self.stage), Arc::clone(&self.stage));
        let understudy = Understudy::builder()
            .listen(self.address)
            .script(Rule::any().answer_with(move |received| answering.answer(received, life)))
            .observe_end(move |received, outcome| ending.board.ends(ending.call(received, life), outcome, ending.limit))
            .without_record()
            .start()
            .await?;
        *self.understudy.lock().unwrap_or_else(PoisonError::into_inner) = Some(understudy);
        Ok(())
    }
}

impl Stage {
    fn call(&self, received: &Received, life: u64) -> Call {
        Call {
            target: self.index,
            life,
            number: received.number,
        }
    }

    fn answer(&self, received: &Received, life: u64) -> Reply {
        let (Some(nonce), Some(protocol)) = (nonce_in(&received.body), Protocol::of_path(received.path())) else {
            return Reply::status(404);
        };
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut roll = Rng::with_seed(self.seed ^ nonce.rotate_left(20) ^ number.rotate_left(40));
        let speech = Speech {
            target: NAMES.get(self.index).copied().unwrap_or_default().to_owned(),
            nonce,
            call: number,
            words: roll.u64(5..40),
        };
        let part = Part {
            speech: &speech,
            protocol,
            streams: is_stream(received),
            slowly: memchr::memmem::find(&received.body, SLOWLY).is_some(),
        };
        if life == self.life.load(Ordering::Relaxed) {
            self.board.begins(self.call(received, life), nonce, self.limit);
        }
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fault) = fault else {
            return part.good(&mut roll);
        };
        if let Some(count) = self.counter(fault) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let fault = fault.for_call(&mut roll);
        if fault.breaks(&part) {
            self.board.will_break(nonce);
        }
        fault.reply(&part, &mut roll)
    }

    fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn counter(&self, fault: Fault) -> Option<&AtomicU64> {
        let place = Fault::ALL.iter().position(|other| *other == fault)?;
        self.met.get(place)
    }
}

/// Whether a provider is asked for a stream.
pub(super) fn is_stream(received: &Received) -> bool {
    received.path().ends_with(":streamGenerateContent")
        || memchr::memmem::find(&received.body, b"\"stream\":true").is_some()
}
