//! What routing promises, shown in thousands of random scenarios without a network or a clock.
//!
//! The gateway's own policy is driven here: configurations are read by `mynah::config`, routes are made by its catalog, and
//! each request runs a `Course`. Only the targets are made up ([`world`]), and time passes in a queue of events ([`engine`]).
//! Everything follows from a seed; a failure names it, and prints the scenario.
#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unchecked_time_subtraction,
    unreachable_pub,
    reason = "a failing helper is a failing test, counts are small, and figures are printed for those who ask"
)]

mod affinity;
mod breakers;
mod engine;
mod generate;
mod hedging;
mod outage;
mod quickest;
mod rests;
mod spread;
mod unbroken;
mod world;
