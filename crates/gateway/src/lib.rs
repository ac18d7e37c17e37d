//! Mynah, an LLM inference gateway. ARCHITECTURE.md shows the way of a request through these modules.

pub mod app;
pub mod attempt;
pub mod caller;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod echo;
pub mod failure;
pub mod http;
pub mod keys;
pub mod known;
pub mod operation;
pub mod pipeline;
pub mod provider;
pub mod serve;
pub mod telemetry;
pub mod upstream;
