//! Reads what providers say about their models: one page, and where the next one is. No IO.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use mynah_dialect::handle::Handle;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::node_table::read_table;
use crate::discovered::Listed;
use crate::known::Discovery;
use crate::prices::{PerMillion, PerUnit, Price};

/// The longest id that is taken for one, in bytes.
const MAX_ID: usize = 512;

/// One page of a list.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// Its models, each id once.
    pub models: Vec<Listed>,
    /// What the query needs for the next page, such as `pageToken=…`; `None` on the last one.
    pub next: Option<String>,
}

/// Reads a page; `None` when the text is something else. Entries that make no sense are passed over, and no more than
/// `limit` are read.
pub fn read_page(shape: Discovery, text: &[u8], limit: usize) -> Option<Page> {
    if shape == Discovery::Ocf {
        let models = read_table(text, limit)?;
        return Some(Page { models, next: None });
    }
    let (envelope, entries) = if let Ok(entries) = serde_json::from_slice(text) {
        (Envelope::default(), entries)
    } else {
        let envelope: Envelope = serde_json::from_slice(text).ok()?;
        let entries = envelope.data.or(envelope.models)?;
        (envelope, serde_json::from_str::<Vec<&RawValue>>(entries.get()).ok()?)
    };
    let listed = entries.into_iter().filter_map(|entry| read_entry(shape, entry));
    Some(Page {
        models: each_once(listed.take(limit)),
        next: envelope.next(shape),
    })
}

/// What stands around the entries. They are kept as text, so that a long list needs no more memory than it has bytes.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    models: Option<&'a RawValue>,
    #[serde(default)]
    has_more: Value,
    #[serde(default)]
    last_id: Value,
    #[serde(default, alias = "nextPageToken")]
    next_page_token: Value,
}

impl Envelope<'_> {
    /// Anthropic: <https://docs.claude.com/en/api/models-list>; Gemini: <https://ai.google.dev/api/models>; Cohere:
    /// <https://docs.cohere.com/reference/list-models>. The others have one page.
    fn next(&self, shape: Discovery) -> Option<String> {
        let (name, token) = match shape {
            Discovery::Anthropic if self.has_more == true => ("after_id", &self.last_id),
            Discovery::Gemini => ("pageToken", &self.next_page_token),
            Discovery::Cohere => ("page_token", &self.next_page_token),
            _ => return None,
        };
        let token = token.as_str().filter(|token| !token.is_empty())?;
        Some(format!("{name}={}", utf8_percent_encode(token, NON_ALPHANUMERIC)))
    }
}

fn read_entry(shape: Discovery, entry: &RawValue) -> Option<Listed> {
    let entry: Value = serde_json::from_str(entry.get()).ok()?;
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    let id = ["id", "model_version", "model", "name"].into_iter().find_map(text)?;
    if id.len() > MAX_ID {
        return None;
    }
    let family = text("model_family");
    let handle = match shape {
        Discovery::ModelList => Some(read_handle(text("handle")?, family)?),
        _ => None,
    };
    let id = match shape {
        Discovery::Gemini => id.strip_prefix("models/").unwrap_or(id),
        _ => id,
    };
    Some(Listed {
        id: id.to_owned(),
        created: entry["created"].as_u64().or_else(|| seconds(text("created_at")?)),
        owner: text("owned_by")
            .or_else(|| handle.as_ref().and_then(Handle::owner))
            .or(family)
            .map(str::to_owned),
        family: family.map(str::to_owned),
        context: CONTEXT.into_iter().find_map(|key| entry[key].as_u64()),
        handle: handle.map(Arc::new),
        price: for_a_thousand(&entry)
            .or_else(|| for_a_token(&entry["pricing"]))
            .map(Arc::new),
        ..Listed::default()
    })
}

/// A list says `unavailable` of a model that nobody serves now.
fn read_handle(text: &str, family: Option<&str>) -> Option<Handle> {
    Handle::read(text, family.unwrap_or_default()).filter(|_| text != "unavailable")
}

/// Remote lists of models: USD for a thousand tokens.
fn for_a_thousand(entry: &Value) -> Option<Price> {
    let price = |key: &str| PerMillion::usd(entry[key].as_f64()?, 1e3);
    Some(Price {
        input: Some(price("prompt_price_1k")?),
        output: Some(price("completion_price_1k")?),
        ..Price::default()
    })
}

/// OpenRouter (<https://openrouter.ai/docs/api-reference/list-available-models>) and Vercel
/// (<https://vercel.com/docs/ai-gateway>): USD for a token, as a text. Numbers are left alone: there it is others' unit.
fn for_a_token(pricing: &Value) -> Option<Price> {
    let price = |keys: [&str; 2]| {
        let text = keys.into_iter().find_map(|key| pricing[key].as_str())?;
        PerMillion::usd(text.parse().ok()?, 1.0)
    };
    Some(Price {
        input: Some(price(["prompt", "input"])?),
        output: Some(price(["completion", "output"])?),
        cached: price(["input_cache_read", "cache_read"]),
        cache_write: price(["input_cache_write", "cache_write"]),
        reasoning: price(["internal_reasoning", "reasoning"]).filter(|price| *price > PerMillion::ZERO),
        request: pricing["request"]
            .as_str()
            .and_then(|text| PerUnit::usd(text.parse().ok()?)),
        ..Price::default()
    })
}

/// What servers call the number of tokens that a model takes: vLLM, Groq, LM Studio, OpenRouter and Cohere, Gemini,
/// Anthropic.
const CONTEXT: [&str; 6] = [
    "max_model_len",
    "context_window",
    "max_context_length",
    "context_length",
    "inputTokenLimit",
    "max_input_tokens",
];

fn seconds(date: &str) -> Option<u64> {
    let date: Timestamp = date.parse().ok()?;
    u64::try_from(date.as_second()).ok()
}

/// Of several entries with the same id the last one counts, in the place of the first.
pub fn each_once(models: impl IntoIterator<Item = Listed>) -> Vec<Listed> {
    let by_id = models.into_iter().map(|listed| (listed.id.clone(), listed));
    by_id.collect::<IndexMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(shape: Discovery, text: &str) -> Option<Page> {
        read_page(shape, text.as_bytes(), 100)
    }

    fn price(text: &str) -> Price {
        toml::from_str(text).unwrap()
    }

    fn ids(shape: Discovery, text: &str) -> Option<String> {
        let models = page(shape, text)?.models;
        let ids: Vec<&str> = models.iter().map(|listed| listed.id.as_str()).collect();
        Some(ids.join(" "))
    }

    #[test]
    fn every_shape_of_list_is_read() {
        for (shape, text, expected) in [
            (
                Discovery::OpenAi,
                r#"{"object":"list","data":[{"id":"a","created":7},{"id":"org/b"},{"x":1},7,{"id":null}]}"#,
                "a org/b",
            ),
            (Discovery::OpenAi, r#"[{"id":"a"},{"id":"b"},{"id":"a"}]"#, "a b"),
            (Discovery::OpenAi, " []", ""),
            (
                Discovery::Anthropic,
                r#"{"data":[{"type":"model","id":"claude"}],"has_more":false}"#,
                "claude",
            ),
            (Discovery::Gemini, r#"{"models":[{"name":"models/gemini"}]}"#, "gemini"),
            (Discovery::Cohere, r#"{"models":[{"name":"command"}]}"#, "command"),
            (
                Discovery::Ollama,
                r#"{"models":[{"name":"l:8b","model":"l:8b"}]}"#,
                "l:8b",
            ),
            (
                Discovery::ModelList,
                r#"{"models":[{"model_version":"a","model_family":"f","handle":"/x"},{"model_version":"b","handle":"unavailable"}]}"#,
                "a",
            ),
            (
                Discovery::ModelList,
                r#"{"models":[{"model_version":"a"},{"model_version":7,"handle":"/x"},{"model_version":"c","handle":8},"d",
                   {"model_version":"e","model_family":null,"handle":"/x"},{"handle":"/x"},{"model_version":"f","handle":" "}]}"#,
                "e",
            ),
            (
                Discovery::ModelList,
                r#"[{"model_version":"accounts/a/b","handle":"/x"}]"#,
                "accounts/a/b",
            ),
        ] {
            assert_eq!(ids(shape, text).as_deref(), Some(expected), "{shape:?}: {text}");
        }
    }

    #[test]
    fn what_is_told_about_a_model_is_kept() {
        let models = |shape, text: &str| page(shape, text).unwrap().models;
        let listed = models(
            Discovery::ModelList,
            r#"[{"model_version":"m","model_family":"gpt-4","handle":"/openai/v1/chat/completions",
                 "prompt_price_1k":0.0025,"completion_price_1k":0.01}]"#,
        );
        let expected = Listed {
            id: "m".into(),
            created: None,
            owner: Some("openai".into()),
            family: Some("gpt-4".into()),
            context: None,
            handle: Handle::read("/openai/v1/chat/completions", "gpt-4").map(Arc::new),
            price: Some(Arc::new(price("input = 2.5\noutput = 10"))),
            ..Listed::default()
        };
        assert_eq!(listed, [expected]);
        let listed = models(
            Discovery::OpenAi,
            r#"{"data":[{"id":"a/b","pricing":{"prompt":"0.000003","completion":"0.000015","request":"0","internal_reasoning":"0",
                 "input_cache_read":"0.0000003","input_cache_write":"0.00000375"}},
                {"id":"auto","pricing":{"prompt":"-1","completion":"-1"}},{"id":"other","pricing":{"input":0.2,"output":0.2}}]}"#,
        );
        let text = "input = 3\noutput = 15\ncached = 0.3\ncache_write = 3.75\nrequest = 0";
        assert_eq!(listed[0].price.as_deref(), Some(&price(text)));
        assert_eq!((&listed[1].price, &listed[2].price), (&None, &None));
        let claude = r#"{"data":[{"id":"c","created_at":"2025-11-01T00:00:00Z"}]}"#;
        assert_eq!(models(Discovery::Anthropic, claude)[0].created, Some(1_761_955_200));
        let vllm = r#"{"data":[{"id":"m","owned_by":"vllm","created":7,"max_model_len":32768}]}"#;
        let listed = &models(Discovery::OpenAi, vllm)[0];
        assert_eq!(
            (listed.owner.as_deref(), listed.created, listed.context),
            (Some("vllm"), Some(7), Some(32_768))
        );
    }

    #[test]
    fn the_next_page_is_asked_for_as_each_provider_wants_it() {
        let next = |shape, text: &str| page(shape, text).unwrap().next;
        for (shape, text, expected) in [
            (
                Discovery::Anthropic,
                r#"{"data":[],"has_more":true,"last_id":"claude/1"}"#,
                Some("after_id=claude%2F1"),
            ),
            (
                Discovery::Anthropic,
                r#"{"data":[],"has_more":false,"last_id":"claude"}"#,
                None,
            ),
            (
                Discovery::Anthropic,
                r#"{"data":[],"has_more":true,"last_id":null}"#,
                None,
            ),
            (
                Discovery::Gemini,
                r#"{"models":[],"nextPageToken":"a=b"}"#,
                Some("pageToken=a%3Db"),
            ),
            (Discovery::Gemini, r#"{"models":[]}"#, None),
            (
                Discovery::Cohere,
                r#"{"models":[],"next_page_token":"t"}"#,
                Some("page_token=t"),
            ),
            (Discovery::Cohere, r#"{"models":[],"next_page_token":""}"#, None),
            (
                Discovery::OpenAi,
                r#"{"data":[],"has_more":true,"last_id":"x","next_page_token":"t"}"#,
                None,
            ),
        ] {
            assert_eq!(next(shape, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn something_else_is_no_list() {
        for text in ["", "<html>", "{}", "7", r#"{"data":{}}"#, r#"{"error":"x"}"#] {
            assert_eq!(ids(Discovery::OpenAi, text), None, "{text}");
        }
        for text in ["", "7", "ERROR: no peers"] {
            assert_eq!(ids(Discovery::Ocf, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in r#"[\[{]{0,2}("(data|models|/A)":)?[\[{]{0,2}("(id|name|service|last_seen|connected)":)?("m"|null|7|-1|1e99)?[\]}]{0,4}"#) {
            for shape in [Discovery::OpenAi, Discovery::Anthropic, Discovery::Gemini, Discovery::Cohere, Discovery::Ocf] {
                let read = page(shape, &text);
                prop_assert!(read.is_none() || serde_json::from_str::<Value>(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn a_list_is_bounded() {
        let entries: Vec<String> = (0..200).map(|number| format!(r#"{{"id":"m{number}"}}"#)).collect();
        let text = format!("[{}]", entries.join(","));
        assert_eq!(page(Discovery::OpenAi, &text).unwrap().models.len(), 100);
        let long = format!(r#"[{{"id":"{}"}},{{"id":"a"}}]"#, "x".repeat(MAX_ID + 1));
        assert_eq!(ids(Discovery::OpenAi, &long).as_deref(), Some("a"));
    }
}
