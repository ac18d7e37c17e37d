//! Embeddings: vectors of numbers for texts.
//!
//! A request of OpenAI, Gemini or Cohere is read into a [`Request`]. A [`Plan`] is what it becomes for a provider: one
//! call or, where the provider takes fewer inputs at once, several, whose answers are joined in the order of the inputs.

mod read_answer;
mod read_request;
mod vector;
mod write_answer;
mod write_request;

#[cfg(test)]
pub(crate) mod tests;

use crate::Protocol;
use crate::codec::Malformed;
use crate::dialect::Dialect;
use crate::ir::{Extra, Media};
use crate::loss::{Losses, Unsayable};

pub use vector::Vector;

/// The form of a request, and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OpenAI `POST /v1/embeddings`.
    OpenAi,
    /// Gemini `:embedContent`: one input.
    GeminiOne,
    /// Gemini `:batchEmbedContents`.
    GeminiBatch,
    /// Cohere `POST /v2/embed`.
    Cohere,
}

impl Shape {
    /// The protocol in whose words losses are told.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::OpenAi => Protocol::OpenaiChat,
            Self::GeminiOne | Self::GeminiBatch => Protocol::Gemini,
            Self::Cohere => Protocol::Cohere,
        }
    }

    /// The dialect that it belongs to.
    pub fn dialect(self) -> Dialect {
        self.protocol().dialect()
    }
}

/// A request for embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The form that it came in.
    pub shape: Shape,
    /// The model as the caller named it.
    pub model: String,
    /// What to embed; never empty.
    pub inputs: Vec<Input>,
    /// How many numbers a vector shall have.
    pub dimensions: Option<u64>,
    /// How the numbers shall be written; never empty, and only Cohere's callers can want several.
    pub encodings: Vec<Encoding>,
    /// What the vectors are for.
    pub task: Option<Task>,
    /// What to do with inputs that are too long.
    pub truncate: Option<Truncate>,
    /// Who the end user is, as an opaque id.
    pub user: Option<String>,
    /// What only the caller's protocol knows.
    pub extra: Extra,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// It.
    pub content: Content,
    /// Its title (Gemini).
    pub title: Option<String>,
}

/// What is embedded.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text.
    Text(String),
    /// A text as tokens of the caller's model (OpenAI).
    Tokens(Vec<u64>),
    /// Texts and pictures that get one vector together.
    Mixed(Vec<Piece>),
}

/// A piece of mixed content.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A text.
    Text(String),
    /// A picture.
    Image(Media),
}

/// How the numbers of a vector are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As a list.
    Float,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

/// What vectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Questions that look for documents.
    Query,
    /// Documents that are to be found.
    Document,
    /// Input of a classifier.
    Classification,
    /// Finding groups.
    Clustering,
    /// Telling how alike texts are.
    Similarity,
    /// Questions that look for answers.
    QuestionAnswering,
    /// Statements that look for evidence.
    FactVerification,
    /// Questions that look for code.
    CodeQuery,
    /// Pictures (Cohere).
    Image,
}

impl Task {
    /// Cohere's word for it.
    fn cohere(self) -> &'static str {
        match self {
            Self::Query | Self::QuestionAnswering | Self::FactVerification | Self::CodeQuery => "search_query",
            Self::Document => "search_document",
            Self::Classification => "classification",
            Self::Clustering | Self::Similarity => "clustering",
            Self::Image => "image",
        }
    }

    /// Gemini's word for it.
    fn gemini(self) -> Option<&'static str> {
        Some(match self {
            Self::Query => "RETRIEVAL_QUERY",
            Self::Document => "RETRIEVAL_DOCUMENT",
            Self::Classification => "CLASSIFICATION",
            Self::Clustering => "CLUSTERING",
            Self::Similarity => "SEMANTIC_SIMILARITY",
            Self::QuestionAnswering => "QUESTION_ANSWERING",
            Self::FactVerification => "FACT_VERIFICATION",
            Self::CodeQuery => "CODE_RETRIEVAL_QUERY",
            Self::Image => return None,
        })
    }

    /// Whether Cohere's word says less than was meant.
    fn is_coarser_for_cohere(self) -> bool {
        matches!(
            self,
            Self::Similarity | Self::QuestionAnswering | Self::FactVerification | Self::CodeQuery
        )
    }
}

/// What to do with inputs that are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncate {
    /// Refuse them.
    Nothing,
    /// Cut their beginning.
    Start,
    /// Cut their end.
    End,
}

impl Truncate {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "NONE",
            Self::Start => "START",
            Self::End => "END",
        }
    }
}

/// What a request becomes for a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The calls, for the inputs in their order.
    pub calls: Vec<Call>,
    dialect: Dialect,
    normalise: bool,
    /// An estimate of the tokens, for providers that do not tell.
    estimate: u64,
}

/// One call of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The path below the version segment.
    pub path: String,
    /// The JSON body.
    pub body: Vec<u8>,
    /// How many inputs it is for.
    pub inputs: usize,
}

/// The vectors of all inputs, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The vectors.
    pub vectors: Vec<Vector>,
    /// The tokens of the inputs.
    pub tokens: u64,
    /// The provider did not tell the tokens.
    pub estimated: bool,
}

/// Reads a request. `model` is what the address says (Gemini). What the vocabulary has no word for is kept.
pub fn read_request(shape: Shape, body: &[u8], model: Option<&str>) -> Result<Request, Malformed> {
    read_request::read(shape, body, model)
}

/// Plans the calls for a provider of a dialect, with the model as it names it. `lost` is for a caller who speaks
/// [`Shape::protocol`].
pub fn plan(request: &Request, dialect: Dialect, model: &str, lost: &mut Losses) -> Result<Plan, Unsayable> {
    write_request::plan(request, dialect, model, lost)
}

impl Plan {
    /// Reads the answers of all calls, in the order of the calls.
    pub fn read<B: AsRef<[u8]>>(&self, bodies: &[B]) -> Result<Answer, Malformed> {
        read_answer::read(self, bodies)
    }
}

impl Answer {
    /// Writes the answer in the form of the request.
    pub fn write(&self, request: &Request) -> Vec<u8> {
        write_answer::write(self, request)
    }
}
