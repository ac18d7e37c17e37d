//! Answers of providers.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Answer, Plan, Vector};
use crate::codec::Malformed;
use crate::dialect::Dialect;

/// What one call gave.
struct Share {
    id: String,
    vectors: Vec<Vector>,
    tokens: Option<u64>,
}

/// Reads the answers of all calls.
pub(super) fn read<B: AsRef<[u8]>>(plan: &Plan, bodies: &[B]) -> Result<Answer, Malformed> {
    let mut answer = Answer {
        id: String::new(),
        vectors: Vec::with_capacity(plan.calls.iter().map(|call| call.inputs).sum()),
        tokens: 0,
        estimated: false,
    };
    if bodies.len() != plan.calls.len() {
        return Err(Malformed::field("data", "must be there for every call"));
    }
    for (call, body) in plan.calls.iter().zip(bodies) {
        let share = match plan.dialect {
            Dialect::OpenAi | Dialect::Anthropic => openai(body.as_ref())?,
            Dialect::Gemini => gemini(body.as_ref())?,
            Dialect::Cohere => cohere(body.as_ref())?,
        };
        if share.vectors.len() != call.inputs || share.vectors.iter().any(|vector| vector.0.is_empty()) {
            return Err(Malformed::field("data", "must hold one vector for every input"));
        }
        if answer.id.is_empty() {
            answer.id = share.id;
        }
        answer.vectors.extend(share.vectors);
        match share.tokens {
            Some(tokens) => answer.tokens = answer.tokens.saturating_add(tokens),
            None => answer.estimated = true,
        }
    }
    if answer.estimated {
        answer.tokens = answer.tokens.max(plan.estimate);
    }
    if plan.normalise {
        answer.vectors.iter_mut().for_each(Vector::normalise);
    }
    Ok(answer)
}

fn parsed<T: DeserializeOwned>(body: &[u8], field: &str) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|_| Malformed::field(field, "must be a list of vectors"))
}

fn openai(body: &[u8]) -> Result<Share, Malformed> {
    #[derive(Deserialize)]
    struct Body {
        id: Option<String>,
        data: Vec<Item>,
        usage: Option<Usage>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: Option<usize>,
        embedding: Vector,
    }
    #[derive(Deserialize)]
    struct Usage {
        prompt_tokens: Option<u64>,
        total_tokens: Option<u64>,
    }
    let body: Body = parsed(body, "data")?;
    let mut items = body.data;
    // Only when every item says where it belongs, its word counts.
    if items.iter().all(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
    }
    Ok(Share {
        id: body.id.unwrap_or_default(),
        vectors: items.into_iter().map(|item| item.embedding).collect(),
        tokens: body.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens)),
    })
}

fn gemini(body: &[u8]) -> Result<Share, Malformed> {
    #[derive(Deserialize)]
    struct Body {
        embeddings: Vec<Item>,
        #[serde(rename = "usageMetadata")]
        usage: Option<Usage>,
    }
    #[derive(Deserialize)]
    struct Item {
        values: Vector,
    }
    #[derive(Deserialize)]
    struct Usage {
        #[serde(rename = "promptTokenCount")]
        prompt: Option<u64>,
    }
    let body: Body = parsed(body, "embeddings")?;
    Ok(Share {
        id: String::new(),
        vectors: body.embeddings.into_iter().map(|item| item.values).collect(),
        tokens: body.usage.and_then(|usage| usage.prompt),
    })
}

fn cohere(body: &[u8]) -> Result<Share, Malformed> {
    #[derive(Deserialize)]
    struct Body {
        id: Option<String>,
        embeddings: Kinds,
        meta: Option<Meta>,
    }
    /// Version 1 gives a list when no types are asked for.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kinds {
        ByType { float: Vec<Vector> },
        Plain(Vec<Vector>),
    }
    #[derive(Deserialize)]
    struct Meta {
        billed_units: Option<Units>,
    }
    #[derive(Deserialize)]
    struct Units {
        input_tokens: Option<f64>,
        image_tokens: Option<f64>,
    }
    let body: Body = parsed(body, "embeddings.float")?;
    let units = body.meta.and_then(|meta| meta.billed_units);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest integer there is"
    )]
    let tokens = units
        .filter(|units| units.input_tokens.or(units.image_tokens).is_some())
        .map(|units| (units.input_tokens.unwrap_or(0.0) + units.image_tokens.unwrap_or(0.0)) as u64);
    Ok(Share {
        id: body.id.unwrap_or_default(),
        vectors: match body.embeddings {
            Kinds::ByType { float } | Kinds::Plain(float) => float,
        },
        tokens,
    })
}
