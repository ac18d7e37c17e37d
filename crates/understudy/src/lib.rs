//! A scripted fake provider, for tests, benches and demonstrations.
//!
//! An [`Understudy`] listens on a port of its own, answers as its [`Script`] says, and keeps a byte-exact [record](Received)
//! of what came in. Where no rule of the script matches, a built-in [`Persona`] answers: by path, as OpenAI, Anthropic, Gemini or
//! Cohere would.
//!
//! ```
//! use mynah_understudy::{Reply, Rule, Script, Understudy};
//!
//! # async fn example() -> std::io::Result<()> {
//! let script = Script::new().rule(Rule::path("/v1/chat/completions").model("flaky").replies([
//!     Reply::status(503),
//!     Reply::persona(),
//! ]));
//! let understudy = Understudy::start(script).await?;
//! // ... let the code under test talk to understudy.url() ...
//! let received = understudy.wait_received(1).await;
//! assert_eq!(received[0].header("authorization"), Some(&b"Bearer sk-test"[..]));
//! # Ok(())
//! # }
//! ```

mod base64;
pub mod bench;
mod body_decoder;
mod control;
pub mod duration;
pub mod load;
mod multipart;
mod persona;
mod received;
mod record;
mod reply;
mod script;
mod server;
mod stage;
pub mod storm;
mod understudy;

pub use persona::Persona;
pub use received::{Outcome, Received};
pub use record::Counters;
pub use reply::Reply;
pub use script::{Reading, Rule, Script, ScriptError};
pub use understudy::{Builder, Understudy};
