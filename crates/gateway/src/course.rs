//! The course of one request: who is asked next, when, and when to give up. Pure: time and chance come from outside.
//!
//! A round goes through the tiers in order, and through each tier in the order that its strategy gives. Who is known to
//! fail is passed over; only when nobody else has answered are they asked too, since one of them may have recovered.
//! Then, while the request has time, there is another round for those worth asking again.

mod turn;

use std::time::Duration;

use tokio::time::Instant;

use self::turn::Fate;
pub use self::turn::Turn;
use crate::balance::{Candidate, order};
use crate::breaker::Admission;
use crate::condition::Pending;
use crate::keys::{AllResting, Lease, Reason, UsedKeys};
use crate::route::{Route, Target};

/// No request is tried more often than this, however many targets and keys there are.
pub const MAX_ATTEMPTS: u32 = 16;

/// What one request allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nobody is asked after this.
    pub deadline: Option<Instant>,
    /// Nobody is waited for beyond this.
    pub wait_until: Instant,
    /// What an affinity holds to.
    pub conversation: Option<u64>,
}

/// How a target suits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It speaks the caller's dialect.
    Native,
    /// The request has to be translated for it.
    Translated,
    /// It did not answer when it was last looked at.
    Down,
    /// It cannot be asked this.
    Unfit,
}

/// What to do next.
#[derive(Debug)]
pub enum Step<'r> {
    /// Ask this target, and settle the turn.
    Ask(Turn<'r>),
    /// Wait until then, and ask for the next step again.
    Wait(Instant),
    /// Give up.
    Over,
}

/// How asking a target went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its first content came, after this long.
    Answered(Duration),
    /// It failed. `again`: it may do better in a moment.
    Faulty {
        /// Whether it is worth asking again.
        again: bool,
    },
    /// It does not want this key now, for as long as it says.
    Resting(Reason, Option<Duration>),
    /// It works, but not for this: it does not have the model, or not enough room. Another target may.
    Unsuited,
    /// The request is at fault: nobody else would answer it better.
    CallersFault,
    /// It tells nothing: the request could not be put to it, or was given no time.
    Unasked,
}

/// What would become of a target's turn now.
#[derive(Clone, Copy, Debug)]
pub struct Prospect<'r> {
    /// Who.
    pub target: &'r Target,
    /// How it suits the request.
    pub fit: Fit,
    /// Why it would be passed over, as long as there is somebody else.
    pub obstacle: Option<Obstacle>,
}

/// Why a target that suits a request is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It failed too often, and is left alone until then.
    Failing(Instant),
    /// Its keys rest.
    Resting(AllResting),
}

/// One target of the route, as it stands for this request.
#[derive(Debug)]
struct Place<'r> {
    target: &'r Target,
    tier: usize,
    fit: Fit,
    fate: Fate,
    /// With which keys it was asked in this round, in vain.
    used: UsedKeys,
}

/// What remains of a course whose answer was cut, for the course of its continuation.
#[derive(Clone, Debug)]
pub struct Past {
    fates: Vec<Fate>,
    /// The place that answered.
    answered: Option<usize>,
    asked: u32,
}

/// The course of one request.
#[derive(Debug)]
pub struct Course<'r> {
    route: &'r Route,
    limits: Limits,
    /// The request cannot be sent once more.
    is_spent: bool,
    places: Vec<Place<'r>>,
    /// The next part of the round: a tier, then those who were passed over.
    stage: usize,
    /// Places still to be visited in this part, the next one last.
    queue: Vec<usize>,
    /// A place whose other keys come next.
    same: Option<usize>,
    /// A place that is asked last, when nobody else has answered.
    avoided: Option<usize>,
    /// The place that answered last.
    answered: Option<usize>,
    round: u32,
    asked: u32,
    asked_in_round: u32,
    resting: Option<AllResting>,
}

impl Past {
    /// How many times somebody was asked.
    pub fn asked(&self) -> u32 {
        self.asked
    }
}

impl<'r> Course<'r> {
    /// The beginning. `fit` tells how a target suits the request.
    pub fn new(route: &'r Route, limits: Limits, mut fit: impl FnMut(&Target) -> Fit) -> Self {
        let places = route
            .tiers
            .iter()
            .enumerate()
            .flat_map(|(tier, targets)| targets.targets.iter().map(move |target| (tier, target)));
        let places = places.map(|(tier, target)| Place {
            target,
            tier,
            fit: fit(target),
            fate: Fate::Unasked,
            used: UsedKeys::default(),
        });
        Self {
            route,
            limits,
            is_spent: false,
            places: places.collect(),
            stage: 0,
            queue: Vec::new(),
            same: None,
            avoided: None,
            answered: None,
            round: 0,
            asked: 0,
            asked_in_round: 0,
            resting: None,
        }
    }

    /// The course of a request whose answer was cut. Who was cut is only asked when nobody else goes on.
    pub fn again(route: &'r Route, limits: Limits, fit: impl FnMut(&Target) -> Fit, past: &Past) -> Self {
        let mut course = Self::new(route, limits, fit);
        for (place, fate) in course.places.iter_mut().zip(&past.fates) {
            place.fate = *fate;
        }
        if let Some(place) = past.answered.and_then(|cut| course.places.get_mut(cut)) {
            place.fate = Fate::Unasked;
        }
        (course.avoided, course.asked) = (past.answered, past.asked);
        course
    }

    /// What remains of this course.
    pub fn past(&self) -> Past {
        Past {
            fates: self.places.iter().map(|place| place.fate).collect(),
            answered: self.answered,
            asked: self.asked,
        }
    }

    /// How many times somebody was asked.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Whether somebody could be asked at all.
    pub fn has_fitting(&self) -> bool {
        self.places.iter().any(|place| place.fit != Fit::Unfit)
    }

    /// That keys rest, where it was the reason for passing somebody over in the last round: the one that ends first.
    pub fn resting(&self) -> Option<AllResting> {
        self.resting
    }

    /// What would happen now: the targets of each tier in the order in which they would be asked.
    pub fn outlook(&mut self, now: Instant, roll: u64) -> Vec<Vec<Prospect<'r>>> {
        let mut tiers = Vec::with_capacity(self.route.tiers.len());
        for tier in 0..self.route.tiers.len() {
            self.stage = tier;
            let fitting = self.ordered(now, roll).into_iter().rev();
            let unfit = |(_, place): &(usize, &Place<'_>)| place.tier == tier && place.fit == Fit::Unfit;
            let unfit = self.places.iter().enumerate().filter(unfit).map(|(index, _)| index);
            let all = fitting.chain(unfit).filter_map(|index| self.places.get(index));
            tiers.push(all.map(|place| place.prospect(now)).collect());
        }
        self.stage = 0;
        tiers
    }

    /// What to do next.
    pub fn next(&mut self, now: Instant, roll: u64) -> Step<'r> {
        let is_late = self.limits.deadline.is_some_and(|deadline| now >= deadline);
        if self.asked >= MAX_ATTEMPTS || self.is_spent || is_late {
            return Step::Over;
        }
        if let Some(turn) = self.same.take().and_then(|place| self.other_key(place, now)) {
            return Step::Ask(turn);
        }
        loop {
            while let Some(place) = self.queue.pop() {
                let is_last_resort = self.stage > self.route.tiers.len();
                let turn = if is_last_resort {
                    self.resort_to(place, now)
                } else {
                    self.visit(place, now)
                };
                if let Some(turn) = turn {
                    return Step::Ask(turn);
                }
            }
            if self.stage > self.route.tiers.len() {
                return self.another_round(now, roll);
            }
            self.queue = if self.stage < self.route.tiers.len() {
                self.ordered(now, roll)
            } else {
                self.passed_over()
            };
            self.stage += 1;
        }
    }

    /// Says that the request cannot be sent once more: its body is gone.
    pub fn cannot_repeat(&mut self) {
        self.is_spent = true;
    }

    /// A turn for somebody who was not asked yet, beside the one under way; `may` has the last word.
    pub fn alongside(&mut self, now: Instant, roll: u64, may: impl FnOnce() -> bool) -> Option<Turn<'r>> {
        if self.asked >= MAX_ATTEMPTS || self.is_spent || self.limits.deadline.is_some_and(|deadline| now >= deadline) {
            return None;
        }
        loop {
            while self.queue.is_empty() && self.stage < self.route.tiers.len() {
                self.queue = self.ordered(now, roll);
                self.stage += 1;
            }
            let place = self.places.get(*self.queue.last()?)?;
            if self.stage > self.route.tiers.len() || place.fate != Fate::Unasked {
                return None;
            }
            if place.prospect(now).obstacle.is_none() {
                let next = if may() { self.queue.pop() } else { None };
                return self.visit(next?, now);
            }
            // Who is passed over comes again as a last resort.
            self.queue.pop();
        }
    }

    /// Notes how a turn went. Returns the request's presence at the target, which lasts as long as its answer.
    pub fn settle(&mut self, mut turn: Turn<'r>, outcome: Outcome, now: Instant, roll: u64) -> Option<Pending> {
        let fate = turn.settle(outcome, now, roll);
        if let Some(place) = self.places.get_mut(turn.place) {
            place.fate = fate;
            place.used.note(turn.key());
        }
        let has_other_keys = fate == Fate::Failed && turn.target.provider.keys.rests_failed();
        if (fate == Fate::Resting || has_other_keys)
            && let Some(before) = self.same.replace(turn.place)
        {
            // Both of a hedge's two have other keys to try.
            self.queue.push(before);
        }
        if matches!(outcome, Outcome::Answered(_)) {
            self.answered = Some(turn.place);
        }
        turn.pending.take()
    }

    /// The places of the tier at hand, the first one last.
    fn ordered(&self, now: Instant, roll: u64) -> Vec<usize> {
        let tier = self.stage;
        let places = self.places.iter().enumerate();
        let mut here: Vec<usize> = places
            .filter(|(_, place)| place.tier == tier && place.fit != Fit::Unfit && place.fate != Fate::Done)
            .map(|(index, _)| index)
            .filter(|index| self.avoided != Some(*index))
            .collect();
        let Some(tier) = self.route.tiers.get(tier).filter(|_| here.len() > 1) else {
            return here;
        };
        let candidates: Vec<Candidate<'_>> = here
            .iter()
            .filter_map(|&index| self.places.get(index))
            .map(|place| place.candidate(now))
            .collect();
        let order = order(tier.strategy, &candidates, self.limits.conversation, roll);
        here = order.into_iter().filter_map(|index| here.get(index).copied()).collect();
        here.reverse();
        here
    }

    /// Those who were not asked because they are known to fail, or not with all of their keys, the first one last.
    fn passed_over(&self) -> Vec<usize> {
        let places = self.places.iter().enumerate().rev();
        let has_other_keys = |place: &Place<'_>| match place.fate {
            Fate::Resting => self.may_ask(place.fate),
            Fate::Failed => place.target.provider.keys.rests_failed() && self.may_ask(place.fate),
            Fate::Unasked | Fate::Done => false,
        };
        let mut passed_over: Vec<usize> = places
            .filter(|(_, place)| place.is_unasked() || has_other_keys(place))
            .map(|(index, _)| index)
            .collect();
        // False comes first, and is asked last.
        passed_over.sort_by_key(|index| self.avoided != Some(*index));
        passed_over
    }

    /// A turn at a place, unless there is a reason to pass it over.
    fn visit(&mut self, index: usize, now: Instant) -> Option<Turn<'r>> {
        let place = self.places.get(index)?;
        let (target, fate) = (place.target, place.fate);
        if !self.may_ask(fate) {
            return None;
        }
        let probes = match target.condition.admits(now) {
            Admission::Yes => false,
            Admission::Probe => true,
            Admission::No(_) => return None,
        };
        let mut lease = self.lease(index, now)?;
        let may =
            (fate != Fate::Failed || target.condition.spend_retry()) && (!probes || target.condition.begin_probe(now));
        if !may {
            lease.abandon(&target.model);
            return None;
        }
        Some(self.turn(index, lease, probes, now))
    }

    /// A turn at a place that is known to fail.
    fn resort_to(&mut self, index: usize, now: Instant) -> Option<Turn<'r>> {
        let place = self.places.get(index)?;
        let (target, fate, used) = (place.target, place.fate, place.used);
        let keys = &target.provider.keys;
        let lease = self.lease(index, now);
        let mut lease = match lease.or_else(|| keys.lease_failed(&target.model, used, now)) {
            Some(lease) => lease,
            None if fate != Fate::Unasked => return None,
            None => keys.lease_at_a_guess(&target.model, now)?,
        };
        if fate == Fate::Failed && !target.condition.spend_retry() {
            lease.abandon(&target.model);
            return None;
        }
        Some(self.turn(index, lease, false, now))
    }

    /// A turn at the same place with another key.
    fn other_key(&mut self, index: usize, now: Instant) -> Option<Turn<'r>> {
        self.places.get(index).filter(|_| self.has_room())?;
        let lease = self.lease(index, now)?;
        Some(self.turn(index, lease, false, now))
    }

    /// Whether somebody may be asked of whom this became. Another key is no repetition.
    fn may_ask(&self, fate: Fate) -> bool {
        match fate {
            Fate::Unasked => true,
            Fate::Resting => self.has_room(),
            Fate::Failed => self.may_repeat(),
            Fate::Done => false,
        }
    }

    /// Whether those who failed may be asked again.
    fn may_repeat(&self) -> bool {
        self.round <= self.route.rules.retries && self.has_room()
    }

    /// Whether somebody may be asked once more: enough attempts are left for all who were not asked yet.
    fn has_room(&self) -> bool {
        let unasked = self.places.iter().filter(|place| place.is_unasked()).count();
        (self.asked as usize).saturating_add(unasked) < MAX_ATTEMPTS as usize
    }

    fn lease(&mut self, index: usize, now: Instant) -> Option<Lease> {
        let place = self.places.get(index)?;
        let target = place.target;
        match target.provider.keys.lease(&target.model, place.used, now) {
            Ok(lease) => Some(lease),
            Err(resting) => {
                if resting.is_worth_waiting() && self.resting.is_none_or(|before| resting.until < before.until) {
                    self.resting = Some(resting);
                }
                None
            }
        }
    }

    fn turn(&mut self, index: usize, lease: Lease, probes: bool, now: Instant) -> Turn<'r> {
        let place = &self.places[index];
        let pending = place.target.condition.begin(place.fate != Fate::Unasked, now);
        self.asked += 1;
        self.asked_in_round += 1;
        Turn {
            target: place.target,
            tier: place.tier,
            place: index,
            lease,
            pending: Some(pending),
            probes,
        }
    }

    /// Another round, when there is somebody worth asking again and time for it.
    fn another_round(&mut self, now: Instant, roll: u64) -> Step<'r> {
        if self.asked_in_round > 0 {
            self.round += 1;
        }
        let may_repeat = self.may_repeat();
        let may_do_better =
            |place: &Place<'_>| may_repeat && place.fate == Fate::Failed && place.target.condition.has_retry();
        let pause = || now + self.route.rules.backoff.pause(self.round.saturating_sub(1), roll);
        let soon = self.places.iter().any(may_do_better).then(pause);
        // Who could not be asked at all for want of a key is waited for also when the rounds are used up, and so is a key
        // that somebody else is finding out about.
        let is_unasked = self.places.iter().any(Place::is_unasked);
        let resting = self
            .resting
            .filter(|resting| may_repeat || is_unasked || resting.is_probed);
        let next = match (soon, resting) {
            (Some(soon), Some(resting)) => soon.min(resting.until),
            (Some(time), None) => time,
            (None, Some(resting)) => resting.until,
            (None, None) => return Step::Over,
        };
        let limit = self
            .limits
            .deadline
            .map_or(self.limits.wait_until, |deadline| deadline.min(self.limits.wait_until));
        if next > limit {
            return Step::Over;
        }
        (self.stage, self.asked_in_round, self.resting, self.avoided) = (0, 0, None, None);
        for place in &mut self.places {
            place.used = UsedKeys::default();
        }
        Step::Wait(next)
    }
}

impl<'r> Place<'r> {
    /// Whether its turn is still to come.
    fn is_unasked(&self) -> bool {
        self.fit != Fit::Unfit && self.fate == Fate::Unasked
    }

    fn prospect(&self, now: Instant) -> Prospect<'r> {
        let target = self.target;
        let resting = || {
            target
                .provider
                .keys
                .looks(&target.model, now)
                .err()
                .map(Obstacle::Resting)
        };
        let obstacle = match target.condition.admits(now) {
            Admission::No(until) => Some(Obstacle::Failing(until)),
            Admission::Yes | Admission::Probe => resting(),
        };
        Prospect {
            target,
            fit: self.fit,
            obstacle,
        }
    }

    fn candidate(&self, now: Instant) -> Candidate<'_> {
        let (share, pending, latency) = self.target.condition.standing(now);
        let is_free = self.prospect(now).obstacle.is_none();
        Candidate {
            name: &self.target.name,
            weight: self.target.weight,
            share: if is_free { share } else { 0.0 },
            pending,
            latency,
            price: self.target.price,
            translated: self.fit == Fit::Translated,
            is_down: self.fit == Fit::Down,
        }
    }
}
