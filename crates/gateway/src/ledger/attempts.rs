//! Those who were asked, while a request is under way.

use std::sync::Arc;

use smallvec::SmallVec;

use super::record::Attempt;
use crate::prices::Price;

/// The outcome of an attempt that is never noted as settled.
pub const UNDER_WAY: &str = "hung_up";

/// Those who were asked, mostly one.
#[derive(Debug, Default)]
pub struct Attempts {
    rows: SmallVec<[Attempt<'static>; 1]>,
    /// What the last of them costs, where the operator says so for this target alone.
    own_price: Option<Arc<Price>>,
}

/// Who is being asked.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay<'a> {
    /// `provider/model`.
    pub target: &'a str,
    /// What it costs, where the operator says so for this target alone.
    pub own_price: Option<&'a Arc<Price>>,
}

impl Attempts {
    /// Notes that somebody is asked whose own price this is. Returns the place among the others.
    pub fn push(&mut self, attempt: Attempt<'static>, own_price: Option<Arc<Price>>) -> usize {
        self.rows.push(attempt);
        self.own_price = own_price;
        self.rows.len() - 1
    }

    /// The one at a place.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut Attempt<'static>> {
        self.rows.get_mut(place)
    }

    /// Adds those who were asked afterwards.
    pub fn append(&mut self, after: Self) {
        self.rows.extend(after.rows);
        self.own_price = after.own_price;
    }

    /// Who is being asked now.
    pub fn under_way(&self) -> Option<UnderWay<'_>> {
        let last = self.rows.last()?;
        (last.outcome == UNDER_WAY).then_some(UnderWay {
            target: &last.target,
            own_price: self.own_price.as_ref(),
        })
    }

    /// All of them.
    pub fn rows(&self) -> &[Attempt<'static>] {
        &self.rows
    }
}
