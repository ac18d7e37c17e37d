//! Reranking: which of some documents answer a question best.
//!
//! There are several forms of the same thing, none of which is a standard. [`read_request`] takes them all; the caller
//! is answered in the form that it is likely to read, its [`Shape`].

mod read_answer;
mod read_request;
mod write_answer;
mod write_request;

#[cfg(test)]
mod tests;

use crate::codec::Malformed;
use crate::ir::Extra;
use crate::loss::{Losses, Unsayable};
use crate::raw::Raw;

/// The form of an answer. It follows from the path and, where one path serves several, from the fields that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Cohere version 2, `/v2/rerank`: results without documents.
    CohereV2,
    /// Cohere version 1: as version 2, with documents when asked for. For callers who send `rank_fields` or
    /// `max_chunks_per_doc`.
    CohereV1,
    /// Jina, and vLLM which follows it: results, the model and tokens. For all others.
    Jina,
    /// Voyage: a list named `data`. For callers who send `top_k` or `truncation`.
    Voyage,
    /// Text Embeddings Inference: a bare list of scores. For callers who send `texts`.
    Tei,
}

/// What a provider of reranking speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Cohere version 2.
    Cohere,
    /// Jina, vLLM and the many alike.
    Jina,
    /// Voyage.
    Voyage,
}

/// A request to rank documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The form in which the answer is expected.
    pub shape: Shape,
    /// The model as the caller named it.
    pub model: String,
    /// The question.
    pub query: String,
    /// The documents; never empty.
    pub documents: Vec<Document>,
    /// How many of the best to tell; all when `None`.
    pub top_n: Option<u64>,
    /// Whether to repeat the documents in the answer.
    pub return_documents: bool,
    /// How many tokens of each document to look at.
    pub max_tokens_per_doc: Option<u64>,
    /// Whether documents that are too long are cut (Voyage, TEI).
    pub truncation: Option<bool>,
    /// What only the caller's form knows.
    pub extra: Extra,
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A text.
    Text(String),
    /// An object, such as `{"text": …}` or `{"image": …}`.
    Object(Raw),
}

impl Document {
    /// The document as an object, for answers.
    fn write(&self, it: &mut crate::writer::Object<'_>) {
        match self {
            Self::Text(text) => it.object("document", |it| it.text("text", text)),
            Self::Object(raw) => it.raw("document", raw),
        }
    }
}

/// A request as it goes to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The path below the version segment.
    pub path: &'static str,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// A ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The documents that were told, best first.
    pub results: Vec<Ranked>,
    /// The tokens, where the provider counts them.
    pub tokens: Option<u64>,
    /// Cohere's unit of account.
    pub search_units: Option<u64>,
}

/// One document's place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Its number among the documents of the request.
    pub index: usize,
    /// How well it answers.
    pub score: f64,
}

/// Reads a request in any form. `is_v2`: it came to `/v2/rerank`.
pub fn read_request(body: &[u8], is_v2: bool) -> Result<Request, Malformed> {
    read_request::read(body, is_v2)
}

/// Writes the request for a provider, with the model as it names it.
pub fn write_request(
    request: &Request,
    provider: Provider,
    model: &str,
    lost: &mut Losses,
) -> Result<Outgoing, Unsayable> {
    write_request::write(request, provider, model, lost)
}

/// Reads the answer of any provider to the request.
pub fn read_answer(request: &Request, body: &[u8]) -> Result<Answer, Malformed> {
    read_answer::read(request, body)
}

impl Answer {
    /// Writes the answer in the form of the request.
    pub fn write(&self, request: &Request) -> Vec<u8> {
        write_answer::write(self, request)
    }
}
