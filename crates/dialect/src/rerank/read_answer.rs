//! Answers of providers.

use super::{Answer, Ranked, Request};
use crate::codec::Malformed;
use crate::tree::Node;

/// Reads the answer of any provider.
pub(super) fn read(request: &Request, body: &[u8]) -> Result<Answer, Malformed> {
    let node = Node::parse(body)?;
    let list = if node.is_array() {
        &node
    } else {
        node.any(&["results", "data"])
    };
    if !list.is_array() {
        return Err(Malformed::field("results", "must be an array"));
    }
    let mut results: Vec<Ranked> = Vec::with_capacity(list.items().len());
    let mut told = vec![false; request.documents.len()];
    for (at, item) in list.items().iter().enumerate() {
        let ranked =
            ranked(item).ok_or_else(|| Malformed::field(format!("results[{at}]"), "must have index and score"))?;
        match told.get_mut(ranked.index) {
            Some(is_told @ false) => {
                *is_told = true;
                results.push(ranked);
            }
            Some(true) => {}
            None => {
                return Err(Malformed::field(
                    format!("results[{at}].index"),
                    "must be the number of a document",
                ));
            }
        }
    }
    results.sort_by(|one, other| other.score.total_cmp(&one.score));
    if let Some(top) = request.top_n {
        results.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    }
    let units = node.get("meta").get("billed_units");
    let tokens = node.get("usage").any(&["total_tokens", "prompt_tokens"]);
    Ok(Answer {
        id: node.get("id").text_or_empty().to_owned(),
        results,
        tokens: tokens
            .u64()
            .or_else(|| node.get("meta").get("tokens").get("input_tokens").u64()),
        search_units: units.get("search_units").u64(),
    })
}

/// One result. Some servers number documents in strings.
fn ranked(item: &Node<'_>) -> Option<Ranked> {
    let index = item.get("index");
    let number = index.u64().or_else(|| index.text()?.parse().ok())?;
    Some(Ranked {
        index: usize::try_from(number).ok()?,
        score: item.any(&["relevance_score", "score"]).f64()?,
    })
}
