//! What comes of it.

use std::time::Duration;

use serde::Serialize;

use super::processes::Usage;
use super::tally::Tally;

/// What was measured. Times are in milliseconds unless their name says otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that ended while it was measured, the failed ones included.
    pub requests: u64,
    /// How many of them failed, for whatever reason.
    pub errors: u64,
    /// Those with a status other than 2xx.
    pub errors_status: u64,
    /// Those whose connection failed.
    pub errors_io: u64,
    /// Requests that were due but could not be sent before the end, as all connections were busy.
    pub unsent: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Requests per second that went well.
    pub throughput: f64,
    /// Latency, up to the end of the response, of those that went well.
    pub latency_ms: Latency,
    /// Time from the request to the first event of its stream.
    pub first_event_ms: Latency,
    /// Events of streams.
    pub events: u64,
    /// Events per second.
    pub event_throughput: f64,
    /// Processor time of the processes that were watched.
    pub cpu_seconds: f64,
    /// Microseconds of processor time per request.
    pub cpu_us_per_request: Option<f64>,
    /// Microseconds of processor time per event.
    pub cpu_us_per_event: Option<f64>,
    /// Memory that these processes held at the end, in kilobytes.
    pub rss_kb: u64,
}

/// How latency is spread.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of them took no longer than this.
    pub p50: f64,
    /// 90 % of them took no longer than this.
    pub p90: f64,
    /// 99 % of them took no longer than this.
    pub p99: f64,
    /// None took longer than this.
    pub max: f64,
}

impl Report {
    pub(super) fn new(duration: Duration, tally: &Tally, before: &Usage, after: &Usage) -> Self {
        let seconds = duration.as_secs_f64();
        let processor = after.processor.saturating_sub(before.processor);
        let errors = tally.bad_statuses + tally.io_errors;
        Self {
            requests: tally.requests,
            errors,
            errors_status: tally.bad_statuses,
            errors_io: tally.io_errors,
            unsent: tally.unsent,
            seconds,
            throughput: rounded(float(tally.requests - errors) / seconds),
            latency_ms: Latency::new(&tally.latency),
            first_event_ms: Latency::new(&tally.first_event),
            events: tally.events,
            event_throughput: rounded(float(tally.events) / seconds),
            cpu_seconds: rounded(processor.as_secs_f64()),
            cpu_us_per_request: each(processor, tally.requests),
            cpu_us_per_event: each(processor, tally.events),
            rss_kb: after.resident,
        }
    }
}

impl Latency {
    pub(crate) fn new(histogram: &super::histogram::Histogram) -> Self {
        let millis = |duration: Duration| rounded(duration.as_secs_f64() * 1e3);
        Self {
            p50: millis(histogram.per_mille(500)),
            p90: millis(histogram.per_mille(900)),
            p99: millis(histogram.per_mille(990)),
            max: millis(histogram.longest()),
        }
    }
}

/// Microseconds for each of so many; `None` if nothing was used, or there is none.
fn each(processor: Duration, count: u64) -> Option<f64> {
    (count > 0 && !processor.is_zero()).then(|| rounded(processor.as_secs_f64() * 1e6 / float(count)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of less than 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

/// With three digits after the point: more than that is noise.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
