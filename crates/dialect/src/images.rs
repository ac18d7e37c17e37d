//! Pictures from texts: OpenAI's `POST /v1/images/generations` for Gemini's models.
//!
//! Gemini has two kinds of models that paint: those named `imagen…`, with a method of their own, and models that answer a
//! conversation with pictures. A [`Plan`] is what a request becomes for either: one call or, where the model makes fewer
//! pictures at once, several.

mod read_answer;
mod read_request;
mod size;
mod write_answer;
mod write_request;

#[cfg(test)]
mod tests;

use crate::codec::Malformed;
use crate::ir::{Error, Extra};
use crate::loss::{Losses, Unsayable};
use crate::usage::Usage;

pub use size::Size;

/// A request for pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model as the caller named it.
    pub model: String,
    /// What to paint.
    pub prompt: String,
    /// How many pictures.
    pub n: u32,
    /// How large; `None` when the model may choose.
    pub size: Option<Size>,
    /// How well: `low`, `medium`, `high`, `standard`, `hd`, …
    pub quality: Option<String>,
    /// The pictures are wanted as addresses, not as data.
    pub as_url: bool,
    /// The format, such as `png`.
    pub output_format: Option<String>,
    /// How much quality to keep when compressing, in percent.
    pub output_compression: Option<u64>,
    /// Who the end user is, as an opaque id.
    pub user: Option<String>,
    /// What only OpenAI knows.
    pub extra: Extra,
}

/// What a request becomes for a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The calls. They may be made at once.
    pub calls: Vec<Call>,
    kind: Kind,
    n: u32,
}

/// One call of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The path below the version segment.
    pub path: String,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// How a model is asked for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `:predict`.
    Imagen,
    /// `:generateContent`.
    Conversation,
}

/// Pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// They.
    pub pictures: Vec<Picture>,
    /// The tokens, where the provider counts them.
    pub usage: Option<Usage>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its bytes in standard base64.
    pub data: String,
    /// Its media type.
    pub mime: Option<String>,
    /// The prompt as the provider rewrote it.
    pub revised_prompt: Option<String>,
}

/// Reads a request.
pub fn read_request(body: &[u8]) -> Result<Request, Malformed> {
    read_request::read(body)
}

/// Plans the calls for Gemini, with the model as it names it. `lost` is for a caller who speaks OpenAI's API.
pub fn plan(request: &Request, model: &str, lost: &mut Losses) -> Result<Plan, Unsayable> {
    write_request::plan(request, model, lost)
}

impl Plan {
    /// Reads the answers of all calls. Pictures that were made are told even if others were held back; when there are
    /// none, the error says why.
    pub fn read<B: AsRef<[u8]>>(&self, bodies: &[B]) -> Result<Answer, Error> {
        read_answer::read(self, bodies)
    }
}

impl Answer {
    /// Writes the answer. `created` is the time in seconds since 1970.
    pub fn write(&self, created: u64) -> Vec<u8> {
        write_answer::write(self, created)
    }
}
