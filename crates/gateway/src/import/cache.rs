//! `cache` and `cache_params`: how long answers are kept.

use super::deployments::milliseconds;
use super::yaml::Node;
use super::{Fields, Notes};

/// How long LiteLLM keeps answers, in seconds, where nothing is said.
const CACHED: f64 = 600.0;

/// The kinds of calls that are conversations, as LiteLLM names them.
const CONVERSATIONS: [&str; 5] = [
    "completion",
    "acompletion",
    "responses",
    "aresponses",
    "anthropic_messages",
];

/// How long all models keep answers, in milliseconds; `None` where they do not, with a note if some did.
pub(super) fn read(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<u64> {
    let (cache, params) = (fields.take("cache"), fields.take("cache_params"));
    let cache = cache.filter(|cache| cache.is_true())?;
    let path = fields.path("cache");
    let mut params = params.map(|params| Fields::of(params, &fields.path("cache_params")));
    let mut take = |name: &str| params.as_mut()?.take(name);
    let (mode, kind, ttl) = (take("mode"), take("type"), take("ttl"));
    if mode.and_then(Node::text) == Some("default_off") {
        let message = "left out: here models keep answers, not requests. Add `cache` to those that should";
        notes.add(cache, &path, message);
        return None;
    }
    if let Some(calls) = take("supported_call_types") {
        let mut kinds = calls.items().iter().filter_map(Node::text);
        let keeps = kinds.any(|kind| CONVERSATIONS.contains(&kind));
        let message = if keeps {
            "no counterpart: a model that keeps answers keeps all of them, whatever was asked"
        } else {
            "the cache is left out: here a model would keep its conversations too. Add `cache` to the models that should keep answers"
        };
        notes.add(calls, &fields.path("cache_params.supported_call_types"), message);
        if !keeps {
            return None;
        }
    }
    let message = match kind.and_then(Node::text) {
        None | Some("local") => "answers are kept for all clients, as before; leave `shared` out to keep them apart",
        Some(_) => {
            "answers are kept in the memory of one process, in Redis too with a table [cluster], and for exactly equal requests only; \
             for all clients, as before: leave `shared` out to keep them apart"
        }
    };
    notes.add(cache, &path, message);
    if let Some(params) = params {
        params.rest(&[], notes);
    }
    Some(milliseconds(ttl.and_then(Node::number).unwrap_or(CACHED)))
}
