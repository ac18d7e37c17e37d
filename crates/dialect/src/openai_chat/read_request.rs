//! Reads requests.

use super::{read_message, read_tools};
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{Audio, Effort, Extra, Format, Logprobs, Reasoning, Request, Show};
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer;

/// The member of [`Request::extra`] that notes a caller from before there were tools: it is answered with `function_call`.
pub(super) const LEGACY: &str = "functions";

/// Reads a request.
pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let model = member(&node, "model", Node::string, "must be a string")?;
    let model = model.ok_or_else(|| Malformed::field("model", "is missing"))?;
    let mut request = Request::new(Protocol::OpenaiChat, model);
    read_message::read_all(node.get("messages"), &mut request)?;
    read_plain(&node, &mut request)?;
    read_sampling(&node, &mut request)?;
    read_stream(&node, &mut request)?;
    read_format(node.get("response_format"), &mut request)?;
    read_audio(&node, &mut request)?;
    read_reasoning(&node, &mut request)?;
    read_tools::read(&node, &mut request)?;
    keep_rest(&node, &mut request.extra);
    Ok(request)
}

/// The members that are read; every other one is kept as it is.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "seed",
    "stream",
    "stream_options",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "include_reasoning",
    "thinking",
    "verbosity",
    "modalities",
    "audio",
    "metadata",
    "store",
    "safety_identifier",
    "user",
    "prompt_cache_key",
    "service_tier",
];

fn keep_rest(node: &Node<'_>, extra: &mut Extra) {
    for (name, value) in node.members() {
        if !value.is_null() && !KNOWN.contains(&name.as_ref()) {
            extra.keep(name, value.to_raw());
        }
    }
}

/// Members of an object that are not among those known, as an object; `None` if there are none.
pub(super) fn remainder(node: &Node<'_>, known: &[&str]) -> Option<Raw> {
    let is_unknown = |name: &str, value: &Node<'_>| !value.is_null() && !known.contains(&name);
    let any = node.members().iter().any(|(name, value)| is_unknown(name, value));
    any.then(|| {
        writer::raw_object(|it| {
            for (name, value) in node.members() {
                if is_unknown(name, value) {
                    it.raw(name, &value.to_raw());
                }
            }
        })
    })
}

fn keep_remainder(name: &str, node: &Node<'_>, known: &[&str], extra: &mut Extra) {
    if let Some(rest) = remainder(node, known) {
        extra.keep(name, rest);
    }
}

/// A member of that kind; `None` when it is absent.
fn member<'n, 'a, T>(
    node: &'n Node<'a>,
    name: &str,
    read: impl FnOnce(&'n Node<'a>) -> Option<T>,
    reason: &'static str,
) -> Result<Option<T>, Malformed> {
    let value = node.get(name);
    if value.is_null() {
        return Ok(None);
    }
    read(value).map(Some).ok_or_else(|| Malformed::field(name, reason))
}

fn text(node: &Node<'_>, name: &str) -> Result<Option<String>, Malformed> {
    member(node, name, Node::string, "must be a string")
}

fn flag(node: &Node<'_>, name: &str) -> Result<Option<bool>, Malformed> {
    member(node, name, Node::bool, "must be true or false")
}

fn number(node: &Node<'_>, name: &str) -> Result<Option<f64>, Malformed> {
    member(node, name, Node::f64, "must be a number")
}

fn small(node: &Node<'_>, name: &str) -> Result<Option<u32>, Malformed> {
    let as_small = |node: &Node<'_>| node.u64().and_then(|number| u32::try_from(number).ok());
    member(node, name, as_small, "must be an integer of at least 0")
}

fn object(node: &Node<'_>, name: &str) -> Result<Option<Raw>, Malformed> {
    let as_raw = |node: &Node<'_>| node.is_object().then(|| node.to_raw());
    member(node, name, as_raw, "must be an object")
}

fn read_plain(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    request.parallel_tools = flag(node, "parallel_tool_calls")?;
    request.max_tokens = match limit(node, "max_completion_tokens")? {
        None => limit(node, "max_tokens")?,
        limit => limit,
    };
    request.candidates = small(node, "n")?;
    request.stop = read_stop(node.get("stop"))?;
    request.verbosity = text(node, "verbosity")?;
    request.metadata = object(node, "metadata")?;
    request.store = flag(node, "store")?;
    let user = text(node, "user")?;
    request.user = text(node, "safety_identifier")?.or(user);
    request.cache_key = text(node, "prompt_cache_key")?;
    request.service_tier = text(node, "service_tier")?;
    let top = small(node, "top_logprobs")?;
    if flag(node, "logprobs")?.unwrap_or(top.is_some()) {
        request.logprobs = Some(Logprobs { top });
    }
    Ok(())
}

/// The limit on the answer's length. A negative one means none to llama.cpp and LM Studio, whose clients send it.
fn limit(node: &Node<'_>, name: &str) -> Result<Option<u64>, Malformed> {
    let limit = member(node, name, Node::i64, "must be an integer")?;
    Ok(limit.and_then(|limit| u64::try_from(limit).ok()))
}

fn read_stop(node: &Node<'_>) -> Result<Vec<String>, Malformed> {
    const REASON: &str = "must be a string or a list of strings";
    if let Some(text) = node.string() {
        return Ok(vec![text]);
    }
    if !node.is_null() && !node.is_array() {
        return Err(Malformed::field("stop", REASON));
    }
    let texts = node.items().iter().map(Node::string);
    texts
        .map(|text| text.ok_or_else(|| Malformed::field("stop", REASON)))
        .collect()
}

fn read_sampling(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let sampling = &mut request.sampling;
    sampling.temperature = number(node, "temperature")?;
    sampling.top_p = number(node, "top_p")?;
    // Below one it means "all" to vLLM, whose clients send -1.
    let top_k = member(node, "top_k", Node::i64, "must be an integer")?;
    sampling.top_k = top_k.and_then(|top_k| u64::try_from(top_k).ok());
    sampling.min_p = number(node, "min_p")?;
    sampling.frequency_penalty = number(node, "frequency_penalty")?;
    sampling.presence_penalty = number(node, "presence_penalty")?;
    sampling.repetition_penalty = number(node, "repetition_penalty")?;
    sampling.seed = member(node, "seed", Node::i64, "must be an integer")?;
    sampling.logit_bias = object(node, "logit_bias")?;
    Ok(())
}

fn read_stream(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    request.stream = flag(node, "stream")?.unwrap_or(false);
    object(node, "stream_options")?;
    let options = node.get("stream_options");
    request.include_usage = options.get("include_usage").bool().unwrap_or(false);
    keep_remainder("stream_options", options, &["include_usage"], &mut request.extra);
    Ok(())
}

fn read_format(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if node.is_null() {
        return Ok(());
    }
    if !node.is_object() {
        return Err(Malformed::field("response_format", "must be an object"));
    }
    let nested = node.get("json_schema");
    // Together and llama.cpp put the schema beside the type.
    let beside = node.get("schema");
    match node.get("type").text() {
        Some("text") => {}
        Some("json_object" | "json_schema") if beside.is_object() && !nested.is_object() => {
            request.format = schema_format(node, beside.to_raw());
        }
        Some("json_object") => request.format = Format::JsonObject,
        Some("json_schema") => {
            let schema = nested.get("schema");
            if !nested.is_object() || !(schema.is_object() || schema.is_null()) {
                return Err(Malformed::field("response_format.json_schema", "must be an object"));
            }
            let schema = if schema.is_null() {
                Raw::of_valid("{}")
            } else {
                schema.to_raw()
            };
            request.format = schema_format(nested, schema);
        }
        Some(_) => request.extra.keep("response_format", node.to_raw()),
        None => return Err(Malformed::field("response_format.type", "is missing")),
    }
    Ok(())
}

fn schema_format(node: &Node<'_>, schema: Raw) -> Format {
    Format::JsonSchema {
        name: node.get("name").string(),
        description: node.get("description").string(),
        schema,
        strict: node.get("strict").bool(),
    }
}

/// Sound beside text. What else may be asked for there, such as pictures (OpenRouter), is kept as it is.
fn read_audio(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let modalities = node.get("modalities");
    if !modalities.is_null() && !modalities.is_array() {
        return Err(Malformed::field("modalities", "must be a list of strings"));
    }
    let named = |name: &str| modalities.items().iter().any(|item| item.text() == Some(name));
    let others = modalities
        .items()
        .iter()
        .any(|item| !matches!(item.text(), Some("text" | "audio")));
    let audio = node.get("audio");
    if others {
        request.extra.keep("modalities", modalities.to_raw());
    }
    if named("audio") && !others {
        let voice = audio.get("voice");
        request.audio = Some(Audio {
            voice: (!voice.is_null()).then(|| voice.to_raw()),
            format: audio.get("format").string(),
        });
        keep_remainder("audio", audio, &["voice", "format"], &mut request.extra);
    } else if !audio.is_null() {
        request.extra.keep("audio", audio.to_raw());
    }
    Ok(())
}

/// The three ways to ask for thoughts: OpenAI's word, OpenRouter's object, and the object of Anthropic, DeepSeek and Zhipu.
fn read_reasoning(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut wanted = Reasoning::default();
    if let Some(word) = text(node, "reasoning_effort")? {
        wanted.effort = Effort::parse(&word);
        if wanted.effort.is_none() {
            request
                .extra
                .keep("reasoning_effort", node.get("reasoning_effort").to_raw());
        }
    }
    let thinking = node.get("thinking");
    if thinking.is_object() {
        match thinking.get("type").text() {
            Some("enabled") => wanted.enabled = Some(true),
            Some("disabled") => wanted.enabled = Some(false),
            Some("adaptive" | "auto") => wanted.adaptive = true,
            Some(_) => request.extra.keep("thinking", thinking.to_raw()),
            None => {}
        }
        wanted.budget = thinking.get("budget_tokens").u64();
        if wanted.enabled.is_some() || wanted.adaptive || wanted.budget.is_some() {
            keep_remainder("thinking", thinking, &["type", "budget_tokens"], &mut request.extra);
        }
    } else if !thinking.is_null() {
        request.extra.keep("thinking", thinking.to_raw());
    }
    object(node, "reasoning")?;
    let reasoning = node.get("reasoning");
    if reasoning.is_object() {
        // Who knows this object knows `reasoning_details` too.
        wanted.encrypted = true;
        wanted.enabled = reasoning.get("enabled").bool().or(wanted.enabled);
        wanted.effort = reasoning.get("effort").text().and_then(Effort::parse).or(wanted.effort);
        wanted.budget = reasoning.get("max_tokens").u64().or(wanted.budget);
        if reasoning.get("exclude").bool() == Some(true) {
            wanted.show = Show::Nothing;
        }
        let effort_is_read = reasoning.get("effort").text().and_then(Effort::parse).is_some();
        let effort = if effort_is_read { "effort" } else { "enabled" };
        let known = ["enabled", "max_tokens", "exclude", effort];
        keep_remainder("reasoning", reasoning, &known, &mut request.extra);
    }
    if let Some(include) = flag(node, "include_reasoning")? {
        wanted.encrypted = true;
        wanted.show = if include { Show::Everything } else { Show::Nothing };
    }
    if wanted != Reasoning::default() {
        request.reasoning = Some(wanted);
    }
    Ok(())
}
