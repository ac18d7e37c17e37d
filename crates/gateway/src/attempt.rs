//! Asks one target after the other until one answers. Who comes next, and when, is decided by [`Course`]; this is where
//! it is done, for every route.

use std::pin::pin;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use mynah_dialect::Protocol;
use mynah_dialect::continuation::takes_prefill;
use mynah_dialect::verdict::Verdict;
use tokio::time::{Instant, sleep, sleep_until};

use crate::alarm::after;
use crate::answer::Answer;
use crate::app::App;
use crate::ask::{Ask, Way};
use crate::config::models::HandOver;
use crate::course::{Course, Fit, Limits, Outcome, Past, Step, Turn};
use crate::failure::Failure;
use crate::hedge::Hedge;
use crate::ledger::account::{self, Begun};
use crate::ledger::attempts::Attempts;
use crate::line::{Asked, Line};
use crate::needs::Needs;
use crate::operation::Speech;
use crate::route::{Route, Target};

/// A caller that gives less time than this in all has not learnt anything about a target when it is over.
const HURRY: Duration = Duration::from_secs(10);

/// Asks the targets of a route until one answers, or nobody is left who might.
/// Those who were asked are noted in `attempts`.
pub async fn first_success<'a>(
    app: &App,
    route: &'a Route,
    ask: &mut Ask<'_>,
    attempts: Option<&mut Attempts>,
) -> Asked<'a> {
    ask.until = ask
        .timeout
        .or(route.rules.timeout)
        .map(|timeout| after(ask.begun, timeout));
    ask.heed(&route.rules);
    let (needs, started) = (Needs::of(route, ask), Instant::now());
    let limits = limits(route, ask, &needs, started);
    let mut search = Search {
        app,
        route,
        course: Course::new(route, limits, |target| fit(app, target, &needs, ask)),
        refusals: Refusals::default(),
        attempts,
        settled: started,
    };
    if !search.course.has_fitting() {
        return Err(held(app, route).unwrap_or_else(|| needs.unmet(route, ask)));
    }
    let outcome = search.run(ask, started).await;
    ask.attempts = search.course.asked();
    outcome.map(|mut answer| {
        answer.attempts = ask.attempts;
        (answer.ours, answer.waited) = (started - ask.begun, search.settled - started);
        if ask.operation.is_some() {
            answer.say_in_json(ask.dialect, ask.id);
        }
        answer.past = ask.goes_on().then(|| Box::new(search.course.past()));
        answer
    })
}

/// Asks for the rest of an answer that was cut: those first who have not been asked yet.
pub async fn rest_of<'a>(
    app: &App,
    route: &'a Route,
    ask: &mut Ask<'_>,
    past: &mut Past,
    attempts: Option<&mut Attempts>,
) -> Option<Box<Answer<'a>>> {
    let (needs, now) = (Needs::of(route, ask), Instant::now());
    let limits = limits(route, ask, &needs, now);
    let fit = |target: &Target| match ask.way_to(target) {
        Some(Way::Translate(_, protocol)) if takes_prefill(protocol, &target.provider.quirks) => {
            fit(app, target, &needs, ask)
        }
        _ => Fit::Unfit,
    };
    let mut search = Search {
        app,
        route,
        course: Course::again(route, limits, fit, past),
        refusals: Refusals::default(),
        attempts,
        settled: now,
    };
    let answer = search.run(ask, now).await.ok();
    *past = search.course.past();
    // What nobody wanted to go on with ends in the error that it was cut by.
    answer.filter(|answer| answer.body.sequel.is_some())
}

fn limits(route: &Route, ask: &Ask<'_>, needs: &Needs, now: Instant) -> Limits {
    Limits {
        deadline: ask.until,
        wait_until: after(now, route.rules.max_wait),
        conversation: needs.conversation,
    }
}

/// How a target suits what is asked.
pub fn fit(app: &App, target: &Target, needs: &Needs, ask: &Ask<'_>) -> Fit {
    let holds = &app.process.holds;
    if needs.unmet_by(target).is_some() || holds.are_any() && holds.over(target, Instant::now()).is_some() {
        return Fit::Unfit;
    }
    if target.provider.is_built_in() {
        return Fit::Native;
    }
    match ask.way_to(target) {
        None => Fit::Unfit,
        Some(_) if app.process.discovered.is_down(&target.provider.name) => Fit::Down,
        Some(Way::Relay(_)) => Fit::Native,
        Some(Way::Translate(_, protocol)) if ask.is_in(protocol) => Fit::Native,
        Some(Way::Translate(..)) => Fit::Translated,
    }
}

/// The failure of a request for which nobody is left but those that the operator has taken out of the rotation.
fn held(app: &App, route: &Route) -> Option<Failure> {
    let now = Instant::now();
    let is_held =
        |target: &Target| app.process.holds.over(target, now).is_some() || target.provider.keys.are_all_held(now);
    route.targets().any(is_held).then(|| Failure::all_held(&route.name))
}

/// A request on its way from one target to the next.
struct Search<'a, 'p> {
    app: &'p App,
    route: &'a Route,
    course: Course<'a>,
    refusals: Refusals<'a>,
    /// What the ledger has of those who were asked.
    attempts: Option<&'p mut Attempts>,
    /// When the last of them had answered.
    settled: Instant,
}

impl<'a, 'p> Search<'a, 'p> {
    async fn run(&mut self, ask: &mut Ask<'_>, mut now: Instant) -> Asked<'a> {
        if let Some(hedge) = &self.route.rules.hedge {
            hedge.earn();
        }
        loop {
            let turn = match self.course.next(now, fastrand::u64(..)) {
                Step::Ask(turn) => turn,
                Step::Wait(until) => {
                    sleep_until(until).await;
                    now = Instant::now();
                    continue;
                }
                Step::Over => return self.give_up(ask),
            };
            let (turn, begun, mut asked) = match self.route.rules.hedge.as_ref() {
                // In boxes, as is all that few requests need: what a request carries with it has to stay small.
                Some(hedge) if ask.can_be_sent_again() => Box::pin(self.race(hedge, turn, ask)).await,
                _ => {
                    let (line, begun) = (self.line(&turn, now), self.begin(&turn, ask, now));
                    (turn, begun, line.ask(ask).await)
                }
            };
            if !ask.can_be_sent_again() {
                self.course.cannot_repeat();
            }
            if finds_another_way(&asked, turn.target, ask) {
                asked = Box::pin(self.line(&turn, Instant::now()).ask(ask)).await;
            }
            if let Some(answer) = self.settle(turn, begun, asked, ask) {
                return Ok(answer);
            }
            now = Instant::now();
        }
    }

    /// Asks a target, and when its first content takes too long, a second one too. The one that begins first is heard, the
    /// other is hung up on.
    async fn race(&mut self, hedge: &Hedge, first: Turn<'a>, ask: &Ask<'_>) -> (Turn<'a>, Begun, Asked<'a>) {
        let now = Instant::now();
        let begun = self.begin(&first, ask, now);
        let mut asking = pin!(self.line(&first, now).ask(ask));
        let Some(patience) = hedge.patience(first.target.condition.percentile_95()) else {
            return (first, begun, asking.await);
        };
        tokio::select! {
            asked = &mut asking => return (first, begun, asked),
            () = sleep(patience) => {}
        }
        let second = self
            .course
            .alongside(Instant::now(), fastrand::u64(..), || hedge.spend());
        let Some(second) = second else {
            return (first, begun, asking.await);
        };
        let hung_up = |loser: &Turn<'_>| {
            tracing::info!(
                model = loser.target.name,
                id = ask.id,
                "hung up, as another was quicker"
            );
        };
        let now = Instant::now();
        let begun_second = self.begin(&second, ask, now);
        let mut asking_second = pin!(self.line(&second, now).ask(ask));
        tokio::select! {
            asked = &mut asking => {
                if self.is_heard(&asked) {
                    hung_up(&second);
                    return (first, begun, asked);
                }
                self.settle(first, begun, asked, ask);
                (second, begun_second, asking_second.await)
            }
            asked = &mut asking_second => {
                if self.is_heard(&asked) {
                    hung_up(&first);
                    first.outrun(begun.at, Instant::now());
                    return (second, begun_second, asked);
                }
                self.settle(second, begun_second, asked, ask);
                (first, begun, asking.await)
            }
        }
    }

    fn begin(&mut self, turn: &Turn<'a>, ask: &Ask<'_>, now: Instant) -> Begun {
        account::begin(self.attempts.as_deref_mut(), turn, ask, now)
    }

    fn line(&self, turn: &Turn<'a>, now: Instant) -> Line<'a, 'p> {
        Line {
            app: self.app,
            target: turn.target,
            rules: &self.route.rules,
            key: turn.key(),
            begun: now,
        }
    }

    /// Notes how a target answered. Returns the answer that the caller gets.
    fn settle(&mut self, turn: Turn<'a>, begun: Begun, asked: Asked<'a>, ask: &Ask<'_>) -> Option<Box<Answer<'a>>> {
        let (now, target, id) = (Instant::now(), turn.target, ask.id);
        self.settled = now;
        let taken = now.duration_since(begun.at);
        let outcome = match &asked {
            // The caller's own request was answered before: what is refused is the beginning of the answer.
            Ok(answer) if ask.resumes() && answer.judgement.verdict == Verdict::CallersFault => Outcome::Unsuited,
            Ok(answer) => answer.judgement.outcome(taken),
            Err(_) if was_in_a_hurry(ask, now) => Outcome::Unasked,
            Err(failure) => failure.outcome(),
        };
        account::settle(self.attempts.as_deref_mut(), begun, taken, outcome, &asked);
        let key = turn.key();
        let pending = self.course.settle(turn, outcome, now, fastrand::u64(..));
        let milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
        match asked {
            Ok(mut answer) if self.is_for_caller(outcome) => {
                answer.pending = pending;
                Some(answer)
            }
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::warn!(model = target.name, key, status, ?outcome, milliseconds, id, "refused");
                self.refusals.refused(answer);
                None
            }
            Err(failure) => {
                tracing::warn!(
                    model = target.name,
                    key,
                    reason = &*failure.message,
                    milliseconds,
                    id,
                    "failed"
                );
                self.refusals.failed(failure);
                None
            }
        }
    }

    /// Whether an answer is one for the caller, so that nobody else is asked.
    fn is_for_caller(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered(_) => true,
            Outcome::CallersFault => self.route.rules.hand_over == HandOver::Faults,
            _ => false,
        }
    }

    /// Whether an answer is likely to be one for the caller, so that nobody else needs to be heard.
    fn is_heard(&self, asked: &Asked<'_>) -> bool {
        let any = self.route.rules.hand_over == HandOver::Any;
        asked.as_ref().is_ok_and(|answer| match answer.judgement.verdict {
            Verdict::CallersFault if any => false,
            _ => !answer.judgement.hands_over(),
        })
    }

    /// What the caller gets when nobody else can be asked.
    fn give_up(&mut self, ask: &Ask<'_>) -> Asked<'a> {
        let resting = self.course.resting();
        let now = Instant::now();
        self.settled = now;
        let left = resting.map(|resting| resting.until.saturating_duration_since(now));
        match std::mem::take(&mut self.refusals) {
            Refusals {
                worst: Some(mut answer),
                ..
            } => {
                if answer.status == StatusCode::TOO_MANY_REQUESTS
                    && let Some(left) = left
                {
                    answer
                        .headers
                        .entry(RETRY_AFTER)
                        .or_insert_with(|| whole_seconds(left).into());
                }
                Ok(answer)
            }
            Refusals {
                failure: Some(failure), ..
            } => Err(failure),
            _ if ask.until.is_some_and(|until| now >= until) => Err(Failure::timed_out(format!(
                "Nobody has answered for `{}` in time.",
                self.route.name
            ))),
            _ => match (resting, left) {
                (Some(resting), Some(left)) => Err(Failure::all_resting(
                    &self.route.name,
                    resting.reason.name(),
                    whole_seconds(left),
                )),
                _ => Err(held(self.app, self.route).unwrap_or_else(|| Failure::model_unknown(&self.route.name, ""))),
            },
        }
    }
}

/// A delay in whole seconds, so that who comes back then does not come too early.
fn whole_seconds(left: Duration) -> u32 {
    left.as_millis().div_ceil(1000).try_into().unwrap_or(u32::MAX).max(1)
}

/// Whether a request ran out of a time that its caller had made short: no target is to be judged by that.
fn was_in_a_hurry(ask: &Ask<'_>, now: Instant) -> bool {
    ask.timeout.is_some_and(|timeout| timeout < HURRY) && ask.until.is_some_and(|until| now >= until)
}

/// Whether an answer shows that there is a better way to ask the same target, which is taken from now on: around an
/// address that a provider does not have after all, or without the proofs of reasoning that it refuses (they are bound to
/// an account, or were altered on their way).
fn finds_another_way(asked: &Asked<'_>, target: &Target, ask: &mut Ask<'_>) -> bool {
    let Ok(answer) = asked else { return false };
    if let Some(Way::Translate(_, protocol)) = ask.way_to(target) {
        if answer.refuses_proofs() {
            return ask.leave_out_reasoning();
        }
        if !ask.is_in(protocol) {
            return false;
        }
    }
    // A handle is the only address that there is.
    if target.handle.is_some() || !answer.says_that_there_is_no_such_address() {
        return false;
    }
    let apis = &target.provider.apis;
    match ask.operation.map(|operation| operation.speech) {
        Some(Speech::Conversation(Protocol::OpenaiResponses)) => apis.note_no_responses(),
        Some(Speech::Completions) => apis.note_no_completions(),
        _ => false,
    }
}

/// What those who were asked so far had to say.
#[derive(Default)]
struct Refusals<'a> {
    worst: Option<Box<Answer<'a>>>,
    failure: Option<Failure>,
}

impl<'a> Refusals<'a> {
    fn refused(&mut self, answer: Box<Answer<'a>>) {
        let before = self.worst.as_ref().map(|before| says_more(before.judgement.verdict));
        if before.is_none_or(|before| says_more(answer.judgement.verdict) >= before) {
            self.worst = Some(answer);
        }
    }

    fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }
}

/// Of several refusals the caller gets the one that tells most about what to do: wait, try again, or nothing.
fn says_more(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Throttled => 3,
        Verdict::Exhausted => 2,
        Verdict::Faulty => 1,
        _ => 0,
    }
}
