//! A storm: many clients, and providers that fail in every way, against the real gateway. Each answer is looked at.

mod board;
mod client;
mod crowd;
mod cuts;
mod fault;
mod gateway;
mod heard;
mod protocol;
mod question;
mod report;
mod speech;
mod target;
mod verdict;
mod weather;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use self::board::{Board, Departures};
use self::crowd::{Count, Crowd};
use self::fault::Fault;
use self::gateway::{Configuration, Gateway};
use self::protocol::Protocol;
use self::report::{grouped, milliseconds};
use self::target::{NAMES, Target};
use self::verdict::Promise;
use crate::load::{Histogram, Latency};

pub use cuts::{Cuts, cuts};
pub use report::Report;

/// So much the gateway may grow from a third of the storm to its end, beside a tenth of what it has.
const GROWTH_KILOBYTES: u64 = 4 * 1024;

/// Memory is judged only in a storm that is at least so long.
const LONG: Duration = Duration::from_mins(1);

/// A storm.
#[derive(Clone, Debug)]
pub struct Storm {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// The level of its log, which goes to standard error.
    pub log: String,
    /// How long it lasts.
    pub duration: Duration,
    /// How many clients ask at the same time.
    pub clients: u64,
    /// What everything that is left to chance comes from.
    pub seed: u64,
    /// How long a fault lasts.
    pub spell: Duration,
    /// A call may outlive its client by no more than this.
    pub cancelled_within: Duration,
}

/// The memory of the gateway, in kilobytes.
struct Memory {
    start: u64,
    third: u64,
    end: u64,
}

/// Runs a storm, and reports.
pub async fn storm(storm: &Storm) -> io::Result<Report> {
    let board = Arc::new(Board::default());
    let limit = storm.cancelled_within;
    let targets = [
        Target::start(0, storm.seed, &board, limit).await?,
        Target::start(1, storm.seed, &board, limit).await?,
        Target::start(2, storm.seed, &board, limit).await?,
    ];
    let configuration = configuration(&targets);
    let mut gateway = Gateway::start(&storm.binary, configuration.text(), &storm.log)?;
    let start = gateway.resident();
    let begun = Instant::now();
    let end = begun + storm.duration;
    let crowd = Arc::new(Crowd {
        gateway: gateway.address,
        models: configuration.models().to_vec(),
        seed: storm.seed,
        board: Arc::clone(&board),
        end,
        count: Mutex::default(),
    });
    let clients = crowd.gather(storm.clients);
    let third = async {
        sleep_until(begun + storm.duration / 3).await;
        gateway.resident()
    };
    let (spells, third) = tokio::join!(weather::blow(&targets, storm.seed, storm.spell, end), third);
    let spells = spells?;
    clients.join_all().await;
    // The last who hung up did so just now.
    sleep(limit * 2).await;
    let memory = Memory {
        start,
        third,
        end: gateway.resident(),
    };
    let count = crowd.count.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let departures = board.departures(limit);
    let mut report = Report::default();
    of_clients(&mut report, &count, &targets);
    of_departures(&mut report, &departures, limit);
    of_latency(&mut report, &count.whole_latency, &departures.cancelled);
    of_faults(&mut report, &targets, &spells);
    of_memory(&mut report, &memory, storm.duration);
    report.check("the gateway is still running", gateway.is_running());
    Ok(report)
}

/// The gateway's configuration: models whose targets speak the same protocol, and others, with each strategy.
fn configuration(targets: &[Target; NAMES.len()]) -> Configuration {
    let addresses: Vec<_> = targets.iter().map(Target::address).collect();
    // Rests are short: who fails is asked often, and who is healthy again counts as healthy soon.
    let mut configuration = Configuration::with_providers(
        &addresses,
        "cooldown = '1s'\nbreaker = { rest = '300ms', max_rest = '1s', slow_start = '1s' }\n\
         timeouts = { connect = '1500ms', first_token = '1500ms', idle = '1500ms' }",
    );
    let strategies = ["ordered", "weighted", "least-pending", "lowest-latency", "affinity"];
    for (number, strategy) in strategies.into_iter().enumerate() {
        let name = |step: usize| NAMES[(number + step) % NAMES.len()];
        let protocol = |step: usize| Protocol::ALL[(number + step) % Protocol::ALL.len()].name();
        let same = [0, 1, 2].map(|step| format!("{}-{}", name(step), protocol(0)));
        let mixed = [0, 1, 2].map(|step| format!("{}-{}", name(step), protocol(step)));
        let more = format!("strategy = '{strategy}'");
        configuration.model(format!("same-{number}"), &same, &more);
        configuration.model(format!("mixed-{number}"), &mixed, &more);
    }
    let fallback = "fallback = ['beta-anthropic/m', 'gamma-gemini/m']";
    configuration.model("tiers", &["alpha-chat".to_owned()], fallback);
    configuration
}

fn of_clients(report: &mut Report, count: &Count, targets: &[Target]) {
    let mut rows = vec![
        ["requests".to_owned(), grouped(count.asked)],
        ["of them streams".to_owned(), grouped(count.streams)],
        ["answered whole".to_owned(), grouped(count.whole)],
        [
            "broken off after the first content, with an error that says so".to_owned(),
            grouped(count.broken_off),
        ],
    ];
    for promise in Promise::ALL {
        let breaches = count.breaches_of(promise);
        rows.push([
            format!("**{}**", promise.breach()),
            format!("**{}**", grouped(breaches)),
        ]);
        report.check(format!("{}: {breaches}", promise.breach()), breaches == 0);
    }
    let calls = targets.iter().map(Target::calls).sum();
    rows.extend([
        ["calls that reached a target".to_owned(), grouped(calls)],
        [
            "requests with more than one attempt".to_owned(),
            grouped(count.repeated),
        ],
        ["attempts per request".to_owned(), ratio(count.attempts, count.asked)],
        ["most attempts for one request".to_owned(), grouped(count.most_attempts)],
    ]);
    report.table(["clients", ""], &rows);
    report.check("somebody was answered", count.whole > 0);
    for shown in &count.shown {
        report.breach(shown.as_str());
    }
}

fn of_departures(report: &mut Report, departures: &Departures, limit: Duration) {
    let late = departures.late.len() as u64;
    let rows = [
        ["clients that hung up".to_owned(), grouped(departures.clients as u64)],
        [
            "of them with a call that was cancelled".to_owned(),
            grouped(departures.with_calls as u64),
        ],
        [
            format!("**calls that went on for more than {limit:?}**"),
            format!("**{}**", grouped(late)),
        ],
    ];
    report.table(["departed clients", ""], &rows);
    report.check(format!("calls that outlived their clients: {late}"), late == 0);
    report.check("calls of departed clients were cancelled", departures.with_calls > 0);
    for late in departures.late.iter().take(5) {
        report.breach(late.as_str());
    }
}

fn of_latency(report: &mut Report, whole: &Histogram, cancelled: &Histogram) {
    let row = |name: &str, histogram: &Histogram| {
        let latency = Latency::new(histogram);
        let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(milliseconds);
        [name.to_owned(), p50, p99, max]
    };
    let rows = [
        row("whole answers, to their end", whole),
        row("from the hang-up to the cancelled call", cancelled),
    ];
    report.table(["ms", "p50", "p99", "max"], &rows);
}

fn of_faults(report: &mut Report, targets: &[Target], spells: &[u64]) {
    let row = |(fault, spells): (&Fault, &u64)| {
        let met = targets.iter().map(|target| target.met(*fault)).sum();
        let met = match fault {
            Fault::Killed | Fault::Flapping => String::new(),
            _ => grouped(met),
        };
        [fault.name().to_owned(), grouped(*spells), met]
    };
    let rows: Vec<_> = Fault::ALL.iter().zip(spells).map(row).collect();
    report.table(["a target", "spells", "calls that met it"], &rows);
}

fn of_memory(report: &mut Report, memory: &Memory, duration: Duration) {
    let Memory { start, third, end } = *memory;
    let megabytes = |kilobytes: u64| ratio(kilobytes, 1024);
    let rows = [[start, third, end].map(megabytes)];
    report.table(["RSS MB at the start", "after a third", "at the end"], &rows);
    if duration >= LONG {
        let is_flat = end <= third + third / 10 + GROWTH_KILOBYTES;
        report.check(
            format!("memory: {third} KB after a third, {end} KB at the end"),
            is_flat,
        );
    }
}

/// With two digits after the point.
#[expect(clippy::cast_precision_loss, reason = "counts of less than 2^52")]
fn ratio(number: u64, of: u64) -> String {
    format!("{:.2}", number as f64 / of.max(1) as f64)
}
