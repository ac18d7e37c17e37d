//! What a request will probably come to, and what it came to.

use std::cell::LazyCell;

use mynah_dialect::estimate::body_tokens;

use super::Allowance;
use crate::ask::{Ask, AskBody};
use crate::discovered::Discovered;
use crate::operation::{Operation, Speech};
use crate::order::Order;
use crate::prices::Counts;
use crate::route::{Route, Target};

/// Nothing is larger than this. What says that it is lies, and must not overflow a sum.
const MOST: u64 = 1 << 40;

/// What a request will probably come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Tokens of the prompt and the answer.
    pub tokens: u64,
    /// In nano-dollars; 0 where no price is known.
    pub cost: u64,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of the prompt and the answer.
    pub tokens: u64,
    /// Of these, tokens of the answer, where it has been told.
    pub answer: Option<u64>,
    /// In nano-dollars; 0 where no price is known.
    pub cost: u64,
}

impl Demand {
    /// What a request will probably come to that goes along a route. Nothing is estimated that nobody limits.
    pub fn of(ask: &Ask<'_>, route: &Route, allowance: &Allowance, discovered: &Discovered) -> Self {
        let money = allowance.counts_money();
        if !money && !allowance.counts_tokens() {
            return Self::default();
        }
        let (prompt, answer) = tokens(ask, allowance.client.usual_answer());
        let counts = Counts {
            input: prompt,
            output: answer,
            requests: 1,
            ..Counts::default()
        };
        let makes_pictures = ask.operation.is_some_and(Operation::makes_pictures);
        let order = LazyCell::new(|| Order::of(ask));
        let cost = |target: &Target| {
            let price = target.price(discovered)?;
            if !price.is_by_the_piece() {
                return price.cost(&counts, None);
            }
            let counts = Counts {
                images: if makes_pictures { order.pictures } else { 0 },
                characters: order.characters,
                ..counts
            };
            price.cost(&counts, order.picture(&price))
        };
        // The dearest of those who may answer: what is not spent is given back.
        let dearest = || route.targets().filter_map(cost).max();
        Self::new(
            prompt.saturating_add(answer),
            money.then(dearest).flatten().unwrap_or(0),
        )
    }

    /// So many tokens, at so many nano-dollars.
    pub fn new(tokens: u64, cost: u64) -> Self {
        Self {
            tokens: tokens.min(MOST),
            cost: cost.min(MOST),
        }
    }
}

impl Used {
    /// So many tokens, of which so many of the answer, at so many nano-dollars.
    pub fn new(tokens: u64, answer: Option<u64>, cost: u64) -> Self {
        Self {
            tokens: tokens.min(MOST),
            answer: answer.map(|answer| answer.min(MOST)),
            cost,
        }
    }
}

/// The tokens of the prompt, and those that the answers may have: as many as the caller allows them, or as answers usually have.
fn tokens(ask: &Ask<'_>, usual: u64) -> (u64, u64) {
    let speech = ask.operation.map(|operation| operation.speech);
    let AskBody::Json(body, gist) = &ask.body else {
        // How many tokens are in other things is seen when they are counted.
        return (0, 0);
    };
    match speech {
        None | Some(Speech::Count(_)) => (0, 0),
        Some(Speech::Conversation(_) | Speech::Completions) => {
            let limit = gist.answer_limit(body);
            let answers = limit.tokens.unwrap_or(usual).saturating_mul(limit.answers);
            (body_tokens(body), answers)
        }
        Some(_) => (body.len() as u64 / 4, 0),
    }
}
