//! Reads a `generationConfig`.

use super::openapi;
use super::spelling::{Fields, count, integer, is_named, member};
use super::thinking;
use crate::codec::Malformed;
use crate::ir::{Audio, Format, Logprobs, Request};
use crate::tree::Node;

/// Where it stands in a request.
const PLACE: &str = "generationConfig";

/// Reads a `generationConfig` into the request.
pub(super) fn read(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if node.is_null() {
        return Ok(());
    }
    if !node.is_object() {
        return Err(Malformed::field(PLACE, "must be an object"));
    }
    let mut fields = Fields::of(node);
    let sampling = &mut request.sampling;
    sampling.temperature = float(&mut fields, "temperature")?;
    sampling.top_p = float(&mut fields, "topP")?;
    sampling.top_k = top_k(&mut fields)?;
    sampling.presence_penalty = float(&mut fields, "presencePenalty")?;
    sampling.frequency_penalty = float(&mut fields, "frequencyPenalty")?;
    sampling.seed = number(&mut fields, "seed", integer)?;
    request.max_tokens = number(&mut fields, "maxOutputTokens", count)?;
    let small = |node: &Node<'_>| count(node).and_then(|number| u32::try_from(number).ok());
    request.candidates = number(&mut fields, "candidateCount", small)?;
    request.stop = stop(fields.take("stopSequences"))?;
    let top = number(&mut fields, "logprobs", small)?;
    let wanted = fields.take("responseLogprobs").bool();
    request.logprobs = (wanted == Some(true)).then_some(Logprobs { top });
    if wanted != Some(true) && top.is_some() {
        request
            .extra
            .keep("generationConfig.logprobs", member(node, "logprobs").to_raw());
    }
    request.reasoning = thinking::read(fields.take("thinkingConfig"), &mut request.extra)?;
    read_format(&mut fields, request);
    read_modalities(&mut fields, request);
    fields.keep_rest(PLACE, &mut request.extra);
    Ok(())
}

fn number<T>(
    fields: &mut Fields<'_, '_>,
    name: &'static str,
    read: impl Fn(&Node<'_>) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    let node = fields.take(name);
    if node.is_null() {
        return Ok(None);
    }
    let malformed = || Malformed::field(format!("{PLACE}.{name}"), "must be an integer that is not negative");
    read(node).map(Some).ok_or_else(malformed)
}

fn float(fields: &mut Fields<'_, '_>, name: &'static str) -> Result<Option<f64>, Malformed> {
    let node = fields.take(name);
    if node.is_null() {
        return Ok(None);
    }
    let malformed = || Malformed::field(format!("{PLACE}.{name}"), "must be a number");
    node.f64().map(Some).ok_or_else(malformed)
}

/// A count that the API spells as a float.
fn top_k(fields: &mut Fields<'_, '_>) -> Result<Option<u64>, Malformed> {
    let Some(number) = float(fields, "topK")? else {
        return Ok(None);
    };
    if !(0.0..1e9).contains(&number) {
        return Err(Malformed::field("generationConfig.topK", "must not be negative"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(Some(number.round() as u64))
}

fn stop(node: &Node<'_>) -> Result<Vec<String>, Malformed> {
    if let Some(text) = node.string() {
        return Ok(vec![text]);
    }
    let malformed = || Malformed::field("generationConfig.stopSequences", "must be strings");
    if !node.is_array() && !node.is_null() {
        return Err(malformed());
    }
    let texts = node.items().iter().map(|item| item.string().ok_or_else(malformed));
    texts.collect()
}

fn read_format(fields: &mut Fields<'_, '_>, request: &mut Request) {
    let mime = fields.take("responseMimeType");
    let schema = fields.take("responseSchema");
    let json_schema = fields.take("responseJsonSchema");
    let word = mime.text().unwrap_or_default();
    if !matches!(word, "" | "text/plain" | "application/json") {
        // `text/x.enum` and what else may come: no other protocol has it.
        for (name, node) in [
            ("responseMimeType", mime),
            ("responseSchema", schema),
            ("responseJsonSchema", json_schema),
        ] {
            if !node.is_null() {
                request.extra.keep(&format!("{PLACE}.{name}"), node.to_raw());
            }
        }
        return;
    }
    let schema = if !json_schema.is_null() {
        Some(json_schema.to_raw())
    } else if schema.is_null() {
        None
    } else {
        Some(openapi::to_json_schema(schema))
    };
    request.format = match schema {
        Some(schema) => Format::JsonSchema {
            name: None,
            description: None,
            schema,
            strict: None,
        },
        None if word == "application/json" => Format::JsonObject,
        None => Format::Text,
    };
}

fn read_modalities(fields: &mut Fields<'_, '_>, request: &mut Request) {
    let modalities = fields.take("responseModalities");
    let speech = fields.take("speechConfig");
    let words: Vec<String> = modalities
        .items()
        .iter()
        .map(|item| item.text_or_empty().to_ascii_uppercase())
        .collect();
    if words.iter().any(|word| word == "AUDIO") {
        request.audio = Some(Audio {
            voice: Some(speech).filter(|speech| !speech.is_null()).map(Node::to_raw),
            format: None,
        });
    } else if !speech.is_null() {
        request.extra.keep("generationConfig.speechConfig", speech.to_raw());
    }
    if !matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
        [] | ["TEXT" | "AUDIO"]
    ) {
        request
            .extra
            .keep("generationConfig.responseModalities", modalities.to_raw());
    }
}

/// Whether the member of that name, in either spelling, is among the extras of the `generationConfig`.
pub(super) fn kept(request: &Request, name: &str) -> bool {
    super::spelling::under(&request.extra, PLACE).any(|(found, _)| is_named(found, name))
}
