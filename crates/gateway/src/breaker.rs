//! When a target that fails is left alone, and how it comes back.

use std::time::Duration;

use tokio::time::Instant;

/// In how many parts the window is counted.
const PARTS: usize = 10;

/// A probe that has not been settled after this long is forgotten, so that another one can be made.
const PROBE_LIMIT: Duration = Duration::from_mins(2);

/// The share of its requests that a target gets right after it recovered.
const FIRST_SHARE: f64 = 0.1;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRules {
    /// It opens after so many failures without a success between them.
    pub failures: u32,
    /// It opens when this share of the requests in the window failed, between 0 and 1.
    pub rate: f64,
    /// The share counts only from so many requests in the window on.
    pub volume: u32,
    /// The time over which requests are counted.
    pub window: Duration,
    /// How long it stays open the first time; twice as long each time that it opens again without having recovered.
    pub rest: Duration,
    /// It never stays open for longer than this.
    pub max_rest: Duration,
    /// How long a target that recovered takes to get its whole share again.
    pub slow_start: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            failures: 5,
            rate: 0.5,
            volume: 20,
            window: Duration::from_secs(30),
            rest: Duration::from_secs(5),
            max_rest: Duration::from_mins(1),
            slow_start: Duration::from_secs(20),
        }
    }
}

/// Whether a target may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// One request may find out whether it has recovered.
    Probe,
    /// Not before this time.
    No(Instant),
}

/// What opened a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        /// When it recovered, while it is still getting used to its share.
        recovered: Option<Instant>,
    },
    Open {
        until: Instant,
        /// When the request began that finds out whether it has recovered.
        probing: Option<Instant>,
    },
}

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    state: State,
    /// Failures without a success between them.
    consecutive: u32,
    /// The same before the last answer, which may still break off.
    before_answer: u32,
    /// How many answers there were.
    answers: u64,
    /// How many times it opened without having recovered.
    openings: u32,
    counts: Counts,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            state: State::Closed { recovered: None },
            consecutive: 0,
            before_answer: 0,
            answers: 0,
            openings: 0,
            counts: Counts::default(),
        }
    }

    /// Goes on under other rules.
    pub fn set_rules(&mut self, rules: BreakerRules) {
        self.rules = rules;
    }

    /// Whether the target may be asked.
    pub fn admits(&self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Yes,
            State::Open { until, .. } if now < until => Admission::No(until),
            State::Open {
                probing: Some(since), ..
            } if now < since + PROBE_LIMIT => Admission::No(since + PROBE_LIMIT),
            State::Open { .. } => Admission::Probe,
        }
    }

    /// Notes that a request finds out whether the target has recovered.
    pub fn begin_probe(&mut self, now: Instant) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = Some(now);
        }
    }

    /// Notes that the probe ended without a result.
    pub fn abandon_probe(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = None;
        }
    }

    /// Has somebody find out now whether the target has recovered, if it is left alone.
    pub fn end_rest(&mut self, now: Instant) {
        if let State::Open { until, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Notes an answer. One answer is enough to close the breaker. Returns its number, by which it can be taken back.
    pub fn succeeded(&mut self, now: Instant) -> u64 {
        self.answers += 1;
        self.before_answer = std::mem::take(&mut self.consecutive);
        match self.state {
            State::Open { .. } => {
                self.counts = Counts::default();
                self.state = State::Closed { recovered: Some(now) };
            }
            State::Closed { recovered: Some(since) } if now >= since + self.rules.slow_start => {
                self.openings = 0;
                self.state = State::Closed { recovered: None };
            }
            State::Closed { .. } => {}
        }
        self.counts.add((0, 1), now, self.rules.window);
        self.answers
    }

    /// Notes a failure. Returns whether it opened the breaker. `roll` spreads the ends of several rests.
    pub fn failed(&mut self, now: Instant, roll: u64) -> bool {
        self.consecutive = self.consecutive.saturating_add(1);
        match self.state {
            // A request from before, or one that had nobody else to ask, tells nothing new.
            State::Open { probing: None, .. } => return false,
            State::Open { probing: Some(_), .. } => {}
            State::Closed { .. } => {
                self.counts.add((1, 1), now, self.rules.window);
                if !self.is_too_much(now) {
                    return false;
                }
            }
        }
        self.open(now, roll);
        true
    }

    /// Notes that an answer has broken off: what was noted as a success is a failure after all. Returns whether it opened
    /// the breaker.
    pub fn broke_off(&mut self, answer: u64, now: Instant, roll: u64) -> bool {
        if answer == self.answers {
            // No other answer has come since: it never interrupted the row of failures.
            self.consecutive = self.consecutive.saturating_add(std::mem::take(&mut self.before_answer));
        }
        self.consecutive = self.consecutive.saturating_add(1);
        if matches!(self.state, State::Open { .. }) {
            return false;
        }
        // Among the requests it was counted when it began.
        self.counts.add((1, 0), now, self.rules.window);
        let opens = self.is_too_much(now);
        if opens {
            self.open(now, roll);
        }
        opens
    }

    /// Whether enough has failed to open the breaker.
    fn is_too_much(&mut self, now: Instant) -> bool {
        let (failed, all) = self.counts.sum(now, self.rules.window);
        let many = all >= self.rules.volume && f64::from(failed) >= self.rules.rate * f64::from(all);
        many || self.consecutive >= self.rules.failures
    }

    fn open(&mut self, now: Instant, roll: u64) {
        let rest = self
            .rules
            .rest
            .saturating_mul(1 << self.openings.min(16))
            .min(self.rules.max_rest);
        let rest = rest.mul_f64(fastrand::Rng::with_seed(roll).f64().mul_add(0.2, 0.9));
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open {
            until: now + rest,
            probing: None,
        };
    }

    /// The share of its requests that the target should get: 1, but less for a while after it recovered.
    pub fn share(&self, now: Instant) -> f64 {
        let State::Closed { recovered: Some(since) } = self.state else {
            return 1.0;
        };
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let whole = self.rules.slow_start.as_secs_f64();
        if passed >= whole {
            return 1.0;
        }
        (passed / whole).mul_add(1.0 - FIRST_SHARE, FIRST_SHARE)
    }

    /// Failures without a success between them.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive
    }
}

/// Requests and failures, by parts of the window.
#[derive(Debug, Default)]
struct Counts {
    begun: Option<Instant>,
    /// The number of the part that was counted in last, from `begun` on.
    last: u64,
    /// Failures and requests. An answer that breaks off is a request when it begins, and a failure when it ends.
    parts: [(u32, u32); PARTS],
}

impl Counts {
    fn add(&mut self, (failed, all): (u32, u32), now: Instant, window: Duration) {
        self.turn(now, window);
        let part = &mut self.parts[place(self.last)];
        part.0 = part.0.saturating_add(failed);
        part.1 = part.1.saturating_add(all);
    }

    /// Failures, and all requests, in the window that ends now.
    fn sum(&mut self, now: Instant, window: Duration) -> (u32, u32) {
        self.turn(now, window);
        let add = |sum: (u32, u32), part: &(u32, u32)| (sum.0.saturating_add(part.0), sum.1.saturating_add(part.1));
        self.parts.iter().fold((0, 0), add)
    }

    /// Empties the parts that have left the window.
    fn turn(&mut self, now: Instant, window: Duration) {
        let begun = *self.begun.get_or_insert(now);
        let width = (window / 10).max(Duration::from_millis(1)).as_nanos();
        let current = now.saturating_duration_since(begun).as_nanos() / width;
        let current = u64::try_from(current).unwrap_or(u64::MAX).max(self.last);
        for number in (self.last + 1..=current).take(PARTS) {
            self.parts[place(number)] = (0, 0);
        }
        if current - self.last > PARTS as u64 {
            self.parts = Default::default();
        }
        self.last = current;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than the number of parts")]
fn place(number: u64) -> usize {
    (number % PARTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn opened(begun: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerRules::default());
        for _ in 0..4 {
            assert!(!breaker.failed(begun, 0));
        }
        assert!(breaker.failed(begun, 0));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let begun = Instant::now();
        let mut breaker = opened(begun);
        assert!(matches!(breaker.admits(begun), Admission::No(until) if until > begun));
        let later = begun + second(6);
        assert_eq!(breaker.admits(later), Admission::Probe);
        breaker.begin_probe(later);
        assert!(matches!(breaker.admits(later), Admission::No(_)), "one probe at a time");
        breaker.succeeded(later);
        assert_eq!(breaker.admits(later), Admission::Yes);
    }

    #[test]
    fn a_failed_probe_opens_it_for_longer() {
        let begun = Instant::now();
        let mut breaker = opened(begun);
        let mut now = begun;
        let mut rests = Vec::new();
        for _ in 0..6 {
            let Admission::No(until) = breaker.admits(now) else {
                panic!("open")
            };
            rests.push(until.duration_since(now).as_secs());
            now = until;
            breaker.begin_probe(now);
            assert!(breaker.failed(now, 0));
        }
        assert!(rests.windows(2).all(|pair| pair[0] <= pair[1]), "{rests:?}");
        assert!(rests[0] >= 4 && *rests.last().unwrap() <= 66, "{rests:?}");
    }

    #[test]
    fn a_probe_without_result_makes_room_for_the_next() {
        let begun = Instant::now();
        let mut breaker = opened(begun);
        let later = begun + second(6);
        breaker.begin_probe(later);
        breaker.abandon_probe();
        assert_eq!(breaker.admits(later), Admission::Probe);
        breaker.begin_probe(later);
        assert_eq!(
            breaker.admits(later + PROBE_LIMIT),
            Admission::Probe,
            "a lost one does not block for ever"
        );
    }

    #[test]
    fn a_high_rate_opens_it_only_with_enough_requests() {
        let begun = Instant::now();
        let mut breaker = Breaker::new(BreakerRules::default());
        let opened_at = (0..40).find(|number| {
            if number % 2 == 0 {
                breaker.succeeded(begun);
                false
            } else {
                breaker.failed(begun, 0)
            }
        });
        assert_eq!(opened_at, Some(19));
    }

    #[test]
    fn answers_that_break_off_one_after_the_other_open_it() {
        let begun = Instant::now();
        let mut breaker = Breaker::new(BreakerRules::default());
        let opened_at = |breaker: &mut Breaker| {
            (1..10).find(|_| {
                let answer = breaker.succeeded(begun);
                breaker.broke_off(answer, begun, 0)
            })
        };
        assert_eq!(opened_at(&mut breaker), Some(5));
        assert_eq!(breaker.consecutive_failures(), 5);
        // The beginning of the next one lets the others in, and its end shuts them out again.
        assert_eq!(opened_at(&mut breaker), Some(1));

        let mut mixed = Breaker::new(BreakerRules::default());
        for _ in 0..4 {
            mixed.failed(begun, 0);
        }
        let (broken, _whole) = (mixed.succeeded(begun), mixed.succeeded(begun));
        assert!(!mixed.broke_off(broken, begun, 0), "another one has answered since");
    }

    #[test]
    fn the_share_of_answers_that_break_off_opens_it() {
        let begun = Instant::now();
        for (whole, opens) in [(3, true), (10, true), (11, false), (16, false)] {
            let mut breaker = Breaker::new(BreakerRules {
                failures: 1000,
                ..BreakerRules::default()
            });
            let answers: Vec<u64> = (0..20).map(|_| breaker.succeeded(begun)).collect();
            let opened = answers[whole..]
                .iter()
                .any(|answer| breaker.broke_off(*answer, begun, 0));
            assert_eq!(opened, opens, "{whole} of 20 are whole");
        }
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let begun = Instant::now();
        let mut breaker = Breaker::new(BreakerRules {
            failures: 1000,
            ..BreakerRules::default()
        });
        for number in 0..200 {
            assert!(!breaker.failed(begun + second(number * 2), 0), "never 20 in 30 seconds");
        }
        let more = (1..10).find(|_| breaker.failed(begun + second(400), 0));
        assert!(more.is_some_and(|more| more > 3), "{more:?}");
    }

    #[test]
    fn a_recovered_target_gets_its_share_back_slowly() {
        let begun = Instant::now();
        let mut breaker = opened(begun);
        breaker.succeeded(begun);
        let shares: Vec<f64> = (0..=20).map(|number| breaker.share(begun + second(number))).collect();
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
        assert!((shares[0] - 0.1).abs() < 1e-9 && (shares[20] - 1.0).abs() < 1e-9);
    }
}
