//! Virtual time: requests arrive, each runs its course, targets say what they say when they say it.
//!
//! What is decided, the gateway's own code decides: [`Course`] with the routes that the catalog makes of a configuration.
//! This does what `attempt.rs` does around it, with a queue of events in place of a runtime.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use mynah::caller::Caller;
use mynah::catalog::Catalog;
use mynah::condition::{Conditions, Pending};
use mynah::config::env::Env;
use mynah::course::{Course, Fit, Limits, Outcome, Step, Turn};
use mynah::keys::Reason;
use mynah::route::Route;
use tokio::time::Instant;

use crate::world::Actor;

/// All that is to happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A configuration with a model `m`.
    pub config: String,
    pub actors: Vec<Actor>,
    pub arrivals: Vec<Arrival>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    pub at: Duration,
    pub timeout: Option<Duration>,
    pub conversation: Option<u64>,
    /// The actors that do not suit it otherwise than as a native, by their numbers.
    pub fits: Vec<(usize, Fit)>,
}

/// All that has happened.
#[derive(Debug, Default)]
pub struct Log {
    pub attempts: Vec<Attempt>,
    /// By the number of the arrival.
    pub requests: Vec<Request>,
}

/// Somebody was asked.
#[derive(Debug)]
pub struct Attempt {
    pub request: usize,
    pub actor: usize,
    pub key: Option<usize>,
    pub at: Duration,
    /// Beside another one.
    pub hedges: bool,
    /// `None` when it was hung up on.
    pub outcome: Option<Outcome>,
    /// When it was settled.
    pub ended: Duration,
    /// When the last of its answer came.
    pub over: Duration,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Request {
    pub arrived: Duration,
    /// When it was answered or given up.
    pub ended: Duration,
    pub end: End,
    pub attempts: u32,
    pub waits: u32,
    /// Actors and their keys that the gateway might have asked when the request arrived, in its own view.
    pub open: Vec<(usize, Option<usize>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Answered by this actor; also with a word on the caller's fault.
    By(usize),
    /// Given up, and how long keys still rested, if they did.
    GivenUp(Option<Duration>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    GoesOn(usize),
    /// The time after which a second target is asked beside this attempt is over.
    IsLate(usize),
    /// An attempt has its reply.
    Replies(usize),
    /// An answer is over.
    Ends(usize),
}

/// A request on its way. As in `Search::race`, one or two attempts are under way at a time.
struct Running<'r> {
    course: Course<'r>,
    deadline: Option<Instant>,
    flights: Vec<Flight<'r>>,
}

struct Flight<'r> {
    /// The number of the attempt in the log.
    attempt: usize,
    turn: Turn<'r>,
    outcome: Outcome,
    rest: Duration,
}

/// The routes of a configuration, with the conditions of their targets.
pub struct World {
    pub route: Arc<Route>,
    /// For each actor, where it is in the route.
    places: Vec<(usize, usize)>,
}

struct Simulation<'r> {
    scenario: &'r Scenario,
    world: &'r World,
    origin: Instant,
    now: Instant,
    queue: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    scheduled: u64,
    random: Rng,
    running: Vec<Option<Running<'r>>>,
    answering: Vec<Option<Pending>>,
    log: Log,
}

impl World {
    /// What the gateway would make of this configuration, with nothing known yet.
    pub fn new(scenario: &Scenario) -> Self {
        Self::with(scenario, Arc::default())
    }

    /// The same with what is known.
    pub fn with(scenario: &Scenario, conditions: Arc<Conditions>) -> Self {
        let loaded = mynah::config::load("simulation", &scenario.config, &Env::default(), None);
        let (_, mut loaded) = loaded.unwrap_or_else(|problems| panic!("{problems:?}\n{}", scenario.config));
        let catalog = Catalog::new(&mut loaded.config, Arc::default(), conditions);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let route = runtime
            .block_on(catalog.resolve("m", None, &Caller::operator()))
            .unwrap();
        let place = |actor: &Actor| {
            let mut tiers = route.tiers.iter().enumerate();
            let place = tiers.find_map(|(tier, targets)| {
                let place = targets.targets.iter().position(|target| target.name == actor.name)?;
                Some((tier, place))
            });
            place.unwrap_or_else(|| panic!("{} is no target", actor.name))
        };
        let places = scenario.actors.iter().map(place).collect();
        Self { route, places }
    }

    pub fn target(&self, actor: usize) -> &mynah::route::Target {
        let (tier, place) = self.places[actor];
        &self.route.tiers[tier].targets[place]
    }
}

/// The one time that is read from a clock: all others are counted from it.
pub fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// Plays a scenario from the beginning to the end.
pub fn play(scenario: &Scenario, seed: u64) -> Log {
    play_in(&World::new(scenario), scenario, seed)
}

/// The same in a world that is looked at afterwards.
pub fn play_in(world: &World, scenario: &Scenario, seed: u64) -> Log {
    let mut simulation = Simulation {
        scenario,
        world,
        origin: origin(),
        now: origin(),
        queue: BinaryHeap::new(),
        scheduled: 0,
        random: Rng::with_seed(seed),
        running: Vec::new(),
        answering: Vec::new(),
        log: Log::default(),
    };
    for (number, arrival) in scenario.arrivals.iter().enumerate() {
        simulation.running.push(None);
        simulation.schedule(simulation.origin + arrival.at, Event::Arrives(number));
    }
    while let Some(Reverse((at, _, event))) = simulation.queue.pop() {
        simulation.now = at;
        simulation.happens(event);
    }
    simulation.log
}

impl<'r> Simulation<'r> {
    fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    fn elapsed(&self) -> Duration {
        self.now - self.origin
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrives(number) => self.arrives(number),
            Event::GoesOn(number) => self.go_on(number),
            Event::IsLate(attempt) => self.hedge(attempt),
            Event::Replies(attempt) => self.replied(attempt),
            Event::Ends(place) => self.answering[place] = None,
        }
    }

    fn arrives(&mut self, number: usize) {
        let arrival = &self.scenario.arrivals[number];
        let (world, rules) = (self.world, &self.world.route.rules);
        let fit = |actor: usize| {
            let fit = arrival.fits.iter().find(|(other, _)| *other == actor);
            fit.map_or(Fit::Native, |(_, fit)| *fit)
        };
        let deadline = arrival.timeout.or(rules.timeout).map(|timeout| self.now + timeout);
        let limits = Limits {
            deadline,
            wait_until: self.now + rules.max_wait,
            conversation: arrival.conversation,
        };
        let course = Course::new(&world.route, limits, |target| {
            let mut actors = self.scenario.actors.iter();
            fit(actors.position(|actor| actor.name == target.name).unwrap())
        });
        if let Some(hedge) = &rules.hedge {
            hedge.earn();
        }
        let actors = 0..self.scenario.actors.len();
        let usable = actors.filter(|actor| fit(*actor) != Fit::Unfit);
        self.log.requests.push(Request {
            arrived: self.elapsed(),
            ended: Duration::ZERO,
            end: End::GivenUp(None),
            attempts: 0,
            waits: 0,
            open: usable.flat_map(|actor| self.open_keys(actor)).collect(),
        });
        self.running[number] = Some(Running {
            course,
            deadline,
            flights: Vec::new(),
        });
        self.go_on(number);
    }

    /// The keys of an actor that do not rest. An only key that is rejected is asked with all the same.
    fn open_keys(&self, actor: usize) -> Vec<(usize, Option<usize>)> {
        let rests = self.world.target(actor).provider.keys.rests(self.now);
        let are_keys = !self.scenario.actors[actor].keys.is_empty();
        let is_only = rests.len() == 1;
        let open = rests.iter().enumerate().filter(|(_, rests)| {
            let mut rests = rests.iter();
            rests.all(|rest| is_only && rest.reason == Reason::Rejected)
        });
        open.map(|(key, _)| (actor, are_keys.then_some(key))).collect()
    }

    /// As `Search::run`.
    fn go_on(&mut self, number: usize) {
        let roll = self.random.u64(..);
        let running = self.running[number].as_mut().unwrap();
        match running.course.next(self.now, roll) {
            Step::Ask(turn) => {
                let percentile = turn.target.condition.percentile_95();
                let attempt = self.ask(number, turn, false);
                let hedge = self.world.route.rules.hedge.as_ref();
                if let Some(patience) = hedge.and_then(|hedge| hedge.patience(percentile)) {
                    self.schedule(self.now + patience, Event::IsLate(attempt));
                }
            }
            Step::Wait(until) => {
                self.log.requests[number].waits += 1;
                assert!(self.log.requests[number].waits < 1000, "a request waits in a circle");
                self.schedule(until.max(self.now), Event::GoesOn(number));
            }
            Step::Over => {
                let resting = running.course.resting();
                let left = resting.map(|resting| resting.until.saturating_duration_since(self.now));
                self.end(number, End::GivenUp(left));
            }
        }
    }

    fn ask(&mut self, number: usize, turn: Turn<'r>, hedges: bool) -> usize {
        let mut actors = self.scenario.actors.iter();
        let actor = actors.position(|actor| actor.name == turn.target.name).unwrap();
        let reply = self.scenario.actors[actor].reply(turn.key(), self.elapsed(), &mut self.random);
        let rules = &self.world.route.rules;
        let mut patience = rules.patience.with(turn.target.provider.timeouts).first_token;
        let running = self.running[number].as_mut().unwrap();
        if let Some(deadline) = running.deadline {
            patience = patience.min(deadline - self.now);
        }
        let attempt = self.log.attempts.len();
        self.log.attempts.push(Attempt {
            request: number,
            actor,
            key: turn.key(),
            at: self.now - self.origin,
            hedges,
            outcome: None,
            ended: Duration::ZERO,
            over: Duration::ZERO,
        });
        let late = Outcome::Faulty { again: false };
        running.flights.push(Flight {
            attempt,
            turn,
            outcome: reply.outcome.filter(|_| reply.taken < patience).unwrap_or(late),
            rest: reply.rest,
        });
        self.schedule(self.now + reply.taken.min(patience), Event::Replies(attempt));
        attempt
    }

    fn hedge(&mut self, attempt: usize) {
        let (roll, number) = (self.random.u64(..), self.log.attempts[attempt].request);
        let Some(running) = &mut self.running[number] else {
            return;
        };
        let is_under_way = |flight: &Flight<'_>| flight.attempt == attempt;
        let hedge = self.world.route.rules.hedge.as_ref();
        if let Some(hedge) = hedge.filter(|_| running.flights.iter().any(is_under_way))
            && let Some(turn) = running.course.alongside(self.now, roll, || hedge.spend())
        {
            self.ask(number, turn, true);
        }
    }

    /// As `Search::race` and `Search::settle`.
    fn replied(&mut self, attempt: usize) {
        let (roll, number, elapsed) = (self.random.u64(..), self.log.attempts[attempt].request, self.elapsed());
        let Some(running) = &mut self.running[number] else {
            return;
        };
        let is_this = |flight: &Flight<'_>| flight.attempt == attempt;
        let Some(place) = running.flights.iter().position(is_this) else {
            return;
        };
        let flight = running.flights.remove(place);
        let is_heard = matches!(flight.outcome, Outcome::Answered(_) | Outcome::CallersFault);
        if is_heard {
            for loser in running.flights.drain(..) {
                let attempt = &mut self.log.attempts[loser.attempt];
                (attempt.ended, attempt.over) = (elapsed, elapsed);
                if !attempt.hedges {
                    loser.turn.outrun(self.origin + attempt.at, self.now);
                }
            }
        }
        let pending = running.course.settle(flight.turn, flight.outcome, self.now, roll);
        let settled = &mut self.log.attempts[attempt];
        (settled.outcome, settled.ended) = (Some(flight.outcome), elapsed);
        settled.over = elapsed + flight.rest;
        let actor = settled.actor;
        if is_heard {
            self.answering.push(pending);
            self.schedule(self.now + flight.rest, Event::Ends(self.answering.len() - 1));
            self.end(number, End::By(actor));
        } else if self.running[number].as_ref().unwrap().flights.is_empty() {
            self.go_on(number);
        }
    }

    fn end(&mut self, number: usize, end: End) {
        let (running, elapsed) = (self.running[number].take().unwrap(), self.elapsed());
        let request = &mut self.log.requests[number];
        (request.ended, request.end, request.attempts) = (elapsed, end, running.course.asked());
    }
}

impl Log {
    /// How many requests were answered by each actor, of those that arrived between these times.
    pub fn answered(&self, actors: usize, from: Duration, to: Duration) -> Vec<f64> {
        let mut answered = vec![0.0; actors];
        for request in self.between(from, to) {
            if let End::By(actor) = request.end {
                answered[actor] += 1.0;
            }
        }
        answered
    }

    pub fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Request> {
        let is_between = move |request: &&Request| request.arrived >= from && request.arrived < to;
        self.requests.iter().filter(is_between)
    }

    /// How often an actor was asked between these times.
    pub fn asked(&self, actor: usize, from: Duration, to: Duration) -> usize {
        let is_it = |attempt: &&Attempt| attempt.actor == actor && attempt.at >= from && attempt.at < to;
        self.attempts.iter().filter(is_it).count()
    }

    pub fn given_up(&self) -> usize {
        let is_given_up = |request: &&Request| matches!(request.end, End::GivenUp(_));
        self.requests.iter().filter(is_given_up).count()
    }
}
