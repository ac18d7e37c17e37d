//! The clients of a storm: each asks one question after the other and looks at every answer; some hang up.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::board::Board;
use super::client::{Answer, Client};
use super::protocol::Caller;
use super::question::Question;
use super::verdict::{Promise, Verdict, judge};
use crate::load::Histogram;

/// No client waits longer than this: then there is no answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two questions is chance, up to this.
const PAUSE: Duration = Duration::from_millis(500);

/// One of so many questions is asked by a client that hangs up.
const DEPARTING: u32 = 20;

/// A client that hangs up does so within this time.
const DEPARTURE: Duration = Duration::from_millis(900);

/// So many breaches are shown.
const SHOWN: usize = 5;

/// What the clients counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// Questions that were asked, those of departed clients aside.
    pub(super) asked: u64,
    /// How many of them asked for a stream.
    pub(super) streams: u64,
    /// Whole answers.
    pub(super) whole: u64,
    /// Answers that broke off after their first content, and said so.
    pub(super) broken_off: u64,
    /// Broken promises, by their places in [`Promise::ALL`].
    pub(super) breaches: [u64; Promise::ALL.len()],
    /// How many times the gateway asked somebody, for all answers.
    pub(super) attempts: u64,
    /// The most that it asked for one.
    pub(super) most_attempts: u64,
    /// Answers for which more than one attempt was made.
    pub(super) repeated: u64,
    /// How long whole answers took.
    pub(super) whole_latency: Histogram,
    /// The first breaches, for people.
    pub(super) shown: Vec<String>,
}

/// What the clients share.
pub(super) struct Crowd {
    pub(super) gateway: SocketAddr,
    pub(super) models: Vec<String>,
    pub(super) seed: u64,
    pub(super) board: Arc<Board>,
    pub(super) end: Instant,
    pub(super) count: Mutex<Count>,
}

impl Crowd {
    /// Starts so many clients, who ask until the end.
    pub(super) fn gather(self: &Arc<Self>, clients: u64) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for number in 1..=clients {
            tasks.spawn(Arc::clone(self).client(number));
        }
        tasks
    }

    async fn client(self: Arc<Self>, number: u64) {
        let mut roll = Rng::with_seed(self.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let mut client = Client::new(self.gateway);
        let mut nonce = number << 32;
        loop {
            sleep(PAUSE.mul_f64(roll.f64())).await;
            if Instant::now() >= self.end {
                return;
            }
            nonce += 1;
            let departs = roll.u32(0..DEPARTING) == 0;
            let question = Question {
                caller: roll.choice(Caller::ALL).unwrap_or(Caller::Chat),
                model: roll.choice(&self.models).cloned().unwrap_or_default(),
                streams: roll.bool(),
                nonce,
                slowly: departs,
            };
            if departs {
                let delay = DEPARTURE.mul_f64(roll.f64());
                self.ask_and_leave(&mut client, &question, delay).await;
            } else {
                self.ask(&mut client, &question).await;
            }
        }
    }

    async fn ask(&self, client: &mut Client, question: &Question) {
        let begun = Instant::now();
        let answer = timeout(PATIENCE, client.ask(&question.bytes())).await;
        let taken = begun.elapsed();
        let answer = answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let answer = answer.as_ref();
        let attempts = answer.map_or(0, Answer::attempts);
        let verdict = match answer {
            Ok(answer) => judge(question, Ok(answer), self.board.was_broken(question.nonce)),
            Err(error) => judge(question, Err(error.kind().into()), false),
        };
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.asked += 1;
        count.streams += u64::from(question.streams);
        count.attempts += attempts;
        count.most_attempts = count.most_attempts.max(attempts);
        count.repeated += u64::from(attempts > 1);
        match verdict {
            Verdict::Whole => {
                count.whole += 1;
                count.whole_latency.record(taken);
            }
            Verdict::BrokenOff => count.broken_off += 1,
            Verdict::Broken(promise, reason) => count.breach(promise, question, taken, &reason),
        }
    }

    /// Hangs up after the delay, unless the answer is there before.
    async fn ask_and_leave(&self, client: &mut Client, question: &Question, delay: Duration) {
        let request = question.bytes();
        let mut asking = pin!(client.ask(&request));
        tokio::select! {
            _ = &mut asking => {}
            // Noted before the connection is closed, which happens when `asking` is dropped.
            () = sleep(delay) => self.board.departs(question.nonce),
        }
    }
}

impl Count {
    /// How often this promise was broken.
    pub(super) fn breaches_of(&self, promise: Promise) -> u64 {
        let place = Promise::ALL.iter().position(|other| *other == promise);
        place
            .and_then(|place| self.breaches.get(place))
            .copied()
            .unwrap_or_default()
    }

    fn breach(&mut self, promise: Promise, question: &Question, taken: Duration, reason: &str) {
        let place = Promise::ALL.iter().position(|other| *other == promise);
        if let Some(count) = place.and_then(|place| self.breaches.get_mut(place)) {
            *count += 1;
        }
        if self.shown.len() < SHOWN {
            let text = format!("{} after {taken:?}: {question:?}\n{reason}", promise.breach());
            self.shown.push(text);
        }
    }
}
