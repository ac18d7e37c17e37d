//! Pictures from texts: OpenAI's `POST /v1/images/generations` for models that are asked in another form.
//!
//! Gemini has two kinds of models that paint: those named `imagen…`, with a method of their own, and models that answer a
//! conversation with pictures. Ideogram and Recraft have a form each. A [`Plan`] is what a request becomes: one call or,
//! where the model makes fewer pictures at once, several.

mod ideogram;
mod read_answer;
mod read_list;
mod read_request;
mod recraft;
mod size;
mod write_answer;
mod write_request;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::codec::Malformed;
use crate::ir::{Error, Extra};
use crate::loss::{Losses, Unsayable};
use crate::usage::Usage;

pub use size::Size;

/// A request for pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to paint.
    pub prompt: String,
    /// How many pictures.
    pub n: u32,
    /// How large; `None` when the model may choose.
    pub size: Option<Size>,
    /// How well: `low`, `medium`, `high`, `standard`, `hd`, …
    pub quality: Option<String>,
    /// In which style: `vivid` or `natural`.
    pub style: Option<String>,
    /// How the pictures are wanted, where the caller says so.
    pub delivery: Option<Delivery>,
    /// The format, such as `png`.
    pub output_format: Option<String>,
    /// How much quality to keep when compressing, in percent.
    pub output_compression: Option<u64>,
    /// Who the end user is, as an opaque id.
    pub user: Option<String>,
    /// What only OpenAI knows.
    pub extra: Extra,
}

/// How pictures come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As addresses from which they can be fetched for a while.
    Address,
    /// As data.
    Data,
}

/// The forms, other than OpenAI's, in which pictures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Gemini's API.
    Gemini,
    /// Ideogram's API: `{"image_request": {"prompt", "model", "num_images", …}}`.
    Ideogram,
    /// The same as gateways ask for it at a handle: `{"image_request": {"prompt", "n", …}}`.
    IdeogramAtHandle,
    /// Recraft as gateways ask for it at a handle: `{"prompt", "width", "height", "num_images"}`.
    RecraftAtHandle,
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
    /// In a form whose answer is a list of pictures.
    List,
}

/// Pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// They.
    pub pictures: Vec<Picture>,
    /// The tokens, where the provider counts them.
    pub usage: Option<Usage>,
    /// When they were made, in seconds since 1970, where the provider says so.
    pub created: Option<u64>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// It.
    pub content: Content,
    /// Its media type.
    pub mime: Option<String>,
    /// The prompt as the provider rewrote it.
    pub revised_prompt: Option<String>,
}

/// What a picture comes as.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Its bytes in standard base64.
    Data(String),
    /// Where it is.
    Address(String),
}

/// Reads a request.
pub fn read_request(body: &[u8]) -> Result<Request, Malformed> {
    read_request::read(body)
}

/// Plans the calls in a form, with the model as its provider names it. `lost` is for a caller who speaks OpenAI's API.
pub fn plan(request: &Request, form: Form, model: &str, lost: &mut Losses) -> Result<Plan, Unsayable> {
    let call = match form {
        Form::Gemini => return write_request::plan(request, model, lost),
        Form::Ideogram => ideogram::call(request, model, lost),
        Form::IdeogramAtHandle => ideogram::call_at_handle(request, lost),
        Form::RecraftAtHandle => recraft::call(request, lost),
    };
    Ok(Plan {
        calls: vec![call],
        kind: Kind::List,
        n: request.n,
    })
}

impl Plan {
    /// Reads the answers of all calls. Pictures that were made are told even if others were held back; when there are
    /// none, the error says why.
    pub fn read<B: AsRef<[u8]>>(&self, bodies: &[B]) -> Result<Answer, Error> {
        read_answer::read(self, bodies)
    }
}

impl Answer {
    /// Writes the answer. `now` is the time in seconds since 1970.
    pub fn write(&self, now: u64) -> Vec<u8> {
        write_answer::write(self, now)
    }
}
