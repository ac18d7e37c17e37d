//! `POST /v2/rerank`.

use serde_json::{Value, json};

use super::check::known_at;
use super::errors::ApiError;
use crate::persona::fields::{list, text};
use crate::received::Received;
use crate::reply::Reply;

const FIELDS: [&str; 6] = ["model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"];

pub(super) fn answer(received: &Received, body: &Value) -> Result<Reply, ApiError> {
    known_at("", body, &FIELDS)?;
    for name in ["model", "query"] {
        if text(&body[name]).is_empty() {
            return Err(ApiError::invalid(format!("{name} is required")));
        }
    }
    let documents = list(&body["documents"]);
    if documents.is_empty() {
        return Err(ApiError::invalid("list of documents must not be empty"));
    }
    if !documents.iter().all(Value::is_string) {
        return Err(ApiError::unprocessable("documents must be strings."));
    }
    let results: Vec<Value> = ranked(documents.len(), &body["top_n"])
        .map(|(index, score)| json!({"index": index, "relevance_score": score}))
        .collect();
    Ok(Reply::json(&json!({
        "id": format!("understudy{}", received.number), "results": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    })))
}

/// The last document first, as the most relevant one: so that a mixed-up order shows.
pub(in crate::persona) fn ranked(count: usize, most: &Value) -> impl Iterator<Item = (usize, f64)> {
    let most = most
        .as_u64()
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(count);
    let scores = std::iter::successors(Some(0.9), |score| Some(score / 2.0));
    (0..count).rev().zip(scores).take(most)
}
