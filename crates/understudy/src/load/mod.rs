//! Putting load on a server, and measuring how it bears it.

mod closed;
mod connection;
mod histogram;
mod open;
mod processes;
mod report;
mod request;
mod streams;
mod tally;
mod target;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use self::tally::Tally;

pub(crate) use histogram::Histogram;
pub(crate) use processes::Usage;
pub use report::{Latency, Report};
pub use request::body;
pub use target::{Target, TargetError};

/// What load to put on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// So many connections, each with one request after another.
    Closed {
        /// How many.
        connections: usize,
    },
    /// So many requests per second, due at fixed times whether or not earlier ones have returned.
    Open {
        /// How many requests per second.
        rate: f64,
        /// Over how many connections; while all of them are busy, requests that are due wait, and that counts as latency.
        connections: usize,
    },
    /// So many streams open at the same time.
    Streams {
        /// How many.
        streams: usize,
    },
}

/// How long to put it on, and whose processor time to measure meanwhile.
#[derive(Clone, Debug)]
pub struct Course {
    /// How long to run before anything is measured.
    pub warmup: Duration,
    /// How long to measure.
    pub duration: Duration,
    /// The processes whose use of the processor is measured, together with their descendants.
    pub processes: Vec<u32>,
}

/// The time in which is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Instant,
    end: Instant,
}

/// Puts the load on, and reports.
pub async fn run(kind: Kind, target: &Target, course: &Course) -> Report {
    let start = Instant::now();
    let begin = start + course.warmup;
    let window = Window {
        begin,
        end: begin + course.duration,
    };
    let mut tasks = JoinSet::new();
    match kind {
        Kind::Closed { connections } => closed::start(&mut tasks, connections, target, window),
        Kind::Open { rate, connections } => open::start(&mut tasks, rate, connections, target, start, window),
        Kind::Streams { streams } => streams::start(&mut tasks, streams, target, window),
    }
    tokio::time::sleep_until(window.begin).await;
    let before = Usage::of(&course.processes);
    tokio::time::sleep_until(window.end).await;
    let after = Usage::of(&course.processes);
    let mut tally = Tally::default();
    while let Some(finished) = tasks.join_next().await {
        tally.add(&finished.unwrap_or_default());
    }
    Report::new(course.duration, &tally, &before, &after)
}

impl Window {
    fn contains(&self, instant: Instant) -> bool {
        (self.begin..self.end).contains(&instant)
    }
}
