//! OpenAI Chat Completions, and the error shape that all of OpenAI's API shares.

pub mod error;
