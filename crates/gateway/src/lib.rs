//! Mynah, an LLM inference gateway. ARCHITECTURE.md shows the way of a request through these modules.

pub mod alarm;
pub mod answer;
pub mod app;
pub mod ask;
pub mod attempt;
pub mod caller;
pub mod catalog;
pub mod cli;
pub mod completing;
pub mod config;
pub mod echo;
pub mod exchange;
pub mod explain;
pub mod failure;
pub mod http;
pub mod keys;
pub mod known;
pub mod line;
pub mod operation;
pub mod pipeline;
pub mod provider;
pub mod serve;
pub mod telemetry;
pub mod translated;
pub mod translation;
pub mod upstream;
