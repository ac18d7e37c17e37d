//! What a request used, and what that costs: as its provider says, or as far as it can be estimated.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use mynah_dialect::estimate::body_tokens;
use mynah_dialect::gauge::Seen;
use mynah_dialect::usage::{Body, Usage};

use crate::app::App;
use crate::ask::{Ask, AskBody};
use crate::ledger::Ledger;
use crate::ledger::attempts::UnderWay;
use crate::operation::{Operation, Speech};
use crate::order::Order;
use crate::prices::{Counts, Price};
use crate::route::Target;

/// A larger body is not kept until the end of a stream, which may be far, but counted when that begins.
const MAX_KEPT: usize = 64 * 1024;

/// Watches one request.
#[derive(Debug, Default)]
pub struct Meter {
    /// Knows the prices; `None` where nobody wants to know what it costs.
    app: Option<Arc<App>>,
    operation: Option<Operation>,
    asked: Asked,
    price: Option<Arc<Price>>,
    /// What providers had told who were cut, when another went on with their answer.
    before: Option<Box<Charge>>,
    /// It was another request that asked.
    shares: bool,
}

/// What is known of the prompt.
#[derive(Debug, Default)]
enum Asked {
    /// Nothing, or nothing more that matters.
    #[default]
    Unknown,
    /// The body.
    Body(Bytes),
    /// What a form orders, of which nothing else matters.
    Form(Order),
    /// Its tokens, estimated.
    Tokens(u64),
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// What was used; `None` when nobody knows, or nothing was.
    pub usage: Option<Usage>,
    /// In nano-dollars (10⁻⁹ USD); `None` when nobody knows.
    pub cost: Option<u64>,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// With this status, and what was seen of the answer.
    Answered(StatusCode, Option<&'a Seen>),
    /// The caller did not wait for an answer. Who was being asked, if somebody was.
    HungUp(Option<UnderWay<'a>>),
}

impl Meter {
    /// Notes that somebody wants to know what it costs.
    pub fn prices(&mut self, app: &Arc<App>) {
        self.app.get_or_insert_with(|| app.clone());
    }

    /// The ledger, if there is one, where somebody wants to know what it costs.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.app.as_ref()?.process.ledger.as_deref()
    }

    /// Notes what is asked.
    pub fn asks(&mut self, operation: Operation, ask: &Ask<'_>) {
        self.operation = Some(operation);
        self.asked = match &ask.body {
            AskBody::Form(..) if operation.makes_pictures() => Asked::Form(Order::of(ask)),
            AskBody::Json(body, _) | AskBody::Form(body, _) | AskBody::Opaque(body) => Asked::Body(Bytes::clone(body)),
            AskBody::Once(_) => Asked::Unknown,
        };
    }

    /// Notes who answers.
    pub fn is_paid_to(&mut self, target: &Target) {
        self.price = self.app.as_ref().and_then(|app| target.price(&app.process.discovered));
    }

    /// Notes whether the answer is a stream.
    pub fn answered(&mut self, is_stream: bool) {
        if let Asked::Body(body) = &self.asked
            && is_stream
            && body.len() > MAX_KEPT
        {
            self.asked = if self.counts_prompts() {
                Asked::Tokens(body_tokens(body))
            } else {
                Asked::Unknown
            };
        }
    }

    /// Notes that another target, with this price, goes on with an answer of which that much was seen.
    pub fn goes_on(&mut self, price: Option<Arc<Price>>, seen: Seen) {
        let charge = self.charge_of(&seen);
        self.before = Some(Box::new(charge.after(self.before.as_deref())));
        self.price = price;
    }

    /// Notes that another request has asked for the answer.
    pub fn shares(&mut self) {
        self.shares = true;
    }

    /// What the answer consists of; `None` where no model is asked. An answer that is fetched once more is not paid for again.
    pub fn body(&self) -> Option<Body> {
        let operation = self.operation?;
        Some(match (operation.speech, operation.below) {
            (Speech::Conversation(_) | Speech::Completions, _) => Body::Text,
            _ if operation.makes_pictures() => Body::Pictures,
            (_, "/audio/transcriptions" | "/audio/translations") => Body::Transcript,
            _ => Body::Data,
        })
    }

    /// What the request comes to.
    pub fn close(&self, ending: Ending<'_>) -> Charge {
        match ending {
            Ending::HungUp(Some(UnderWay { target, own_price })) if self.counts_prompts() => {
                let usage = Usage::estimated(None, self.prompt(), 0);
                let usual = || self.app.as_ref()?.catalog.price_of(target);
                let price = own_price.cloned().or_else(usual);
                Charge {
                    usage: Some(usage),
                    cost: price.and_then(|price| price.cost(&Counts::from(usage), None)),
                }
            }
            Ending::Answered(status, _) if status.is_success() && (self.shares || self.is_free()) => Charge {
                usage: None,
                cost: Some(0),
            },
            Ending::Answered(status, seen) if status.is_success() => self
                .charge_of(seen.unwrap_or(&Seen::default()))
                .after(self.before.as_deref()),
            Ending::Answered(..) | Ending::HungUp(_) => Charge::default(),
        }
    }

    fn charge_of(&self, seen: &Seen) -> Charge {
        let usage = if seen.told.is_some_and(|told| told.input > 0 && seen.generated == 0) {
            seen.told
        } else if self.body() == Some(Body::Text) || (self.counts_prompts() && seen.told.is_none()) {
            Some(Usage::estimated(seen.told, self.prompt(), seen.generated))
        } else {
            seen.told
        };
        let reported = usage.filter(|usage| !usage.estimated).and_then(|usage| usage.cost);
        Charge {
            usage,
            cost: reported.or_else(|| self.cost(usage)),
        }
    }

    /// What it costs by the price of its target.
    fn cost(&self, usage: Option<Usage>) -> Option<u64> {
        let price = self.price.as_ref().filter(|_| self.operation.is_some())?;
        let usage = usage.unwrap_or_default();
        let mut counts = Counts::from(usage);
        counts.input = counts.input.saturating_sub(usage.unbilled_input);
        counts.output = counts.output.saturating_sub(usage.unbilled_output);
        if !price.is_by_the_piece() {
            return price.cost(&counts, None);
        }
        let order = self.order();
        counts.characters = order.characters;
        price.cost(&counts, order.picture(price))
    }

    /// What was ordered by the piece.
    fn order(&self) -> Order {
        match &self.asked {
            Asked::Body(body) => Order::in_json(body),
            Asked::Form(order) => order.clone(),
            Asked::Unknown | Asked::Tokens(_) => Order::default(),
        }
    }

    /// The tokens of the prompt, estimated.
    fn prompt(&self) -> u64 {
        match &self.asked {
            Asked::Unknown | Asked::Form(_) => 0,
            Asked::Body(body) => body_tokens(body),
            Asked::Tokens(tokens) => *tokens,
        }
    }

    /// Whether the tokens of the prompt are paid for.
    fn counts_prompts(&self) -> bool {
        matches!(
            self.operation.map(|operation| operation.speech),
            Some(Speech::Conversation(_) | Speech::Completions | Speech::Embeddings(_) | Speech::Rerank { .. })
        )
    }

    /// Whether nobody takes money for it: to count tokens.
    fn is_free(&self) -> bool {
        self.operation.is_some_and(|operation| {
            matches!(operation.speech, Speech::Count(_)) || operation.below == "/responses/input_tokens"
        })
    }
}

impl Charge {
    /// This one, after another part of the same answer.
    fn after(self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self };
        let usage = match (before.usage, self.usage) {
            (Some(before), Some(usage)) => Some(before.and(usage)),
            (before, usage) => before.or(usage),
        };
        let cost = before.cost.zip(self.cost);
        Self {
            usage,
            cost: cost.map(|(before, cost)| before.saturating_add(cost)),
        }
    }
}
