//! What the wire says, as pure functions over bytes.
//!
//! This crate does no IO: it has no runtime, no HTTP client, no clock and no randomness (its manifest is the proof),
//! so every rule here can be tested with bytes in and bytes out.
//!
//! In the order in which a request meets them: [`peek`] and [`multipart`] find which model a body asks for,
//! [`splice`] edits just those spans, [`verdict`] judges what the provider answered, [`opening`] says when a stream
//! has begun to carry content, [`relay`] passes it on while [`usage`] reads the token counts from it, [`closing`] says
//! whether it came to its end.

mod json;

pub mod closing;
pub mod dialect;
pub mod frame;
pub mod multipart;
pub mod openai_chat;
pub mod opening;
pub mod peek;
pub mod quirks;
pub mod relay;
pub mod splice;
pub mod usage;
pub mod verdict;

pub use dialect::Dialect;
