//! A reranker in the manner of Jina: `POST /v1/rerank`.

use serde_json::{Value, json};

use super::cohere::rerank::ranked;
use super::fields::{list, stranger, text};
use super::key::{self, Key};
use crate::received::Received;
use crate::reply::Reply;

const FIELDS: [&str; 5] = ["model", "query", "documents", "top_n", "return_documents"];

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    match reranked(received, path) {
        Ok(reply) => reply,
        Err((status, detail)) => Reply::json(&json!({"detail": detail})).with_status(status),
    }
}

fn reranked(received: &Received, path: &str) -> Result<Reply, (u16, String)> {
    if received.method != "POST" || !path.ends_with("/rerank") {
        return Err((404, "Not Found".to_owned()));
    }
    if key::bearer(received) != Key::Good {
        return Err((401, "Unauthorized".to_owned()));
    }
    let body = received.json().ok_or((422, "JSON decode error".to_owned()))?;
    if let Some(name) = stranger(&body, &FIELDS) {
        return Err((422, format!("{name}: Extra inputs are not permitted")));
    }
    for name in ["model", "query"] {
        if text(&body[name]).is_empty() {
            return Err((422, format!("{name}: Field required")));
        }
    }
    let documents = list(&body["documents"]);
    if documents.is_empty() {
        return Err((422, "documents: Field required".to_owned()));
    }
    let is_told = body["return_documents"] != false;
    let results: Vec<Value> = ranked(documents.len(), &body["top_n"])
        .map(|(index, score)| {
            let mut result = json!({"index": index, "relevance_score": score});
            if is_told {
                result["document"] = document(&documents[index]);
            }
            result
        })
        .collect();
    Ok(Reply::json(&json!({
        "model": body["model"], "object": "list", "usage": {"total_tokens": 13, "prompt_tokens": 13}, "results": results,
    })))
}

fn document(document: &Value) -> Value {
    if document.is_string() {
        json!({"text": document})
    } else {
        document.clone()
    }
}
