//! What the wire says, as pure functions over bytes.
//!
//! This crate does no IO: it has no runtime, no HTTP client, no clock and no randomness (its manifest is the proof),
//! so every rule here can be tested with bytes in and bytes out.
//!
//! In the order in which a request meets them: [`peek`] and [`multipart`] find which model a body asks for, [`splice`]
//! edits just those spans, [`verdict`] judges what the provider answered and [`delay`] how long it wants to be left
//! alone, [`opening`] says when a stream has begun to carry content and [`whole`] whether another body is an answer,
//! [`relay`] passes it on while [`gauge`] reads along ([`usage`] reads the token counts, [`generated`] counts the text), [`closing`]
//! says whether it came to its end.

mod complaint;
mod date;
mod json;
mod openai_models;
mod stream_error;

pub mod anthropic;
pub mod assembly;
pub mod closing;
pub mod codec;
pub mod cohere;
pub mod collect;
pub mod completions;
pub mod continuation;
pub mod defaults;
pub mod delay;
pub mod dialect;
pub mod embeddings;
pub mod envelope;
pub mod estimate;
pub mod field;
pub mod frame;
pub mod gauge;
pub mod gemini;
pub mod gemini_address;
pub mod gemini_names;
pub mod generated;
pub mod handle;
pub mod images;
pub mod ir;
pub mod loss;
pub mod media;
pub mod multipart;
pub mod openai_chat;
pub mod openai_responses;
pub mod opening;
pub mod page;
pub mod peek;
pub mod protocol;
pub mod quirks;
pub mod raw;
pub mod relay;
pub mod repair;
pub mod rerank;
pub mod signature;
pub mod splice;
pub mod stored;
pub mod tool_names;
pub mod transcode;
pub mod tree;
pub mod usage;
pub mod verdict;
pub mod whole;
pub mod writer;

pub use dialect::Dialect;
pub use protocol::Protocol;
