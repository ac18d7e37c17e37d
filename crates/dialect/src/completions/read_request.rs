//! Requests of callers.

use super::Completion;
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{Extra, Message, Part, Request, Role, Sampling};
use crate::loss::Losses;
use crate::tree::Node;

/// The length of an answer when the caller does not say; OpenAI's default.
const DEFAULT_MAX_TOKENS: u64 = 16;

/// More prompts than this are not taken: each is a request of its own.
const MAX_PROMPTS: usize = 128;

/// The most answers for each prompt.
const MAX_N: u64 = 128;

/// The members that are read.
const KNOWN: [&str; 22] = [
    "model",
    "prompt",
    "suffix",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "logprobs",
    "echo",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "seed",
    "user",
    "metadata",
];

/// Reads a request.
pub(super) fn read(body: &[u8], lost: &mut Losses) -> Result<Completion, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let prompts = prompts(node.get("prompt"))?;
    let n = match integer(&node, "n")? {
        None => 1,
        Some(count @ 1..=MAX_N) => u32::try_from(count).unwrap_or(1),
        Some(_) => return Err(Malformed::field("n", "must be from 1 to 128")),
    };
    check(&node, n, lost)?;
    let mut template = template(&node)?;
    template.candidates = (n > 1).then_some(n);
    let requests = prompts.iter().map(|prompt| {
        let mut request = template.clone();
        request.messages = vec![Message::new(Role::User, vec![Part::text(prompt.as_str())])];
        request
    });
    Ok(Completion {
        model: template.model.clone(),
        requests: requests.collect(),
        echo: flag(&node, "echo")?,
        n,
        stream: template.stream,
        include_usage: template.include_usage,
        prompts,
    })
}

fn prompts(node: &Node<'_>) -> Result<Vec<String>, Malformed> {
    let items = if node.is_array() {
        node.items()
    } else {
        std::slice::from_ref(node)
    };
    if node.is_null() {
        return Err(Malformed::field("prompt", "is missing"));
    }
    if items.is_empty() || items.iter().any(|item| item.text() == Some("")) {
        return Err(Malformed::field("prompt", "must not be empty"));
    }
    if items.len() > MAX_PROMPTS {
        return Err(Malformed::field("prompt", "must have at most 128 prompts"));
    }
    if node.is_array() && items.iter().all(|item| item.u64().is_some() || item.is_array()) {
        return Err(Malformed::field(
            "prompt",
            "must be text: the provider does not take tokens",
        ));
    }
    let text = |item: &Node<'_>| {
        let kind = "must be a string or an array of strings";
        item.string().ok_or_else(|| Malformed::field("prompt", kind))
    };
    items.iter().map(text).collect()
}

/// What a model that chats cannot do.
fn check(node: &Node<'_>, n: u32, lost: &mut Losses) -> Result<(), Malformed> {
    if node.get("suffix").text().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Malformed::field(
            "suffix",
            "needs a model that fills in the middle; this one chats",
        ));
    }
    match integer(node, "best_of")? {
        Some(best_of) if best_of < u64::from(n) => {
            return Err(Malformed::field("best_of", "must not be less than `n`"));
        }
        Some(best_of) if best_of > u64::from(n) => lost.note_named("best_of", "not supported"),
        _ => {}
    }
    if !node.get("logprobs").is_null() {
        lost.note_named("logprobs", "not supported");
    }
    Ok(())
}

/// The request without its prompt.
fn template(node: &Node<'_>) -> Result<Request, Malformed> {
    let model = node.get("model").string();
    let mut request = Request::new(
        Protocol::OpenaiChat,
        model.ok_or_else(|| Malformed::field("model", "must be a string"))?,
    );
    request.stream = flag(node, "stream")?;
    request.include_usage = request.stream && flag(node.get("stream_options"), "include_usage")?;
    request.max_tokens = Some(integer(node, "max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS));
    request.sampling = sampling(node)?;
    request.stop = stops(node.get("stop"))?;
    request.user = node.get("user").string();
    let metadata = node.get("metadata");
    request.metadata = metadata.is_object().then(|| metadata.to_raw());
    request.extra = rest(node);
    Ok(request)
}

fn sampling(node: &Node<'_>) -> Result<Sampling, Malformed> {
    let bias = node.get("logit_bias");
    Ok(Sampling {
        temperature: number(node, "temperature")?,
        top_p: number(node, "top_p")?,
        top_k: integer(node, "top_k").ok().flatten(),
        min_p: number(node, "min_p")?,
        frequency_penalty: number(node, "frequency_penalty")?,
        presence_penalty: number(node, "presence_penalty")?,
        repetition_penalty: number(node, "repetition_penalty")?,
        seed: node.get("seed").i64(),
        logit_bias: bias.is_object().then(|| bias.to_raw()),
    })
}

fn stops(node: &Node<'_>) -> Result<Vec<String>, Malformed> {
    let items = match node {
        node if node.is_null() => &[],
        node if node.is_array() => node.items(),
        node => std::slice::from_ref(node),
    };
    let text = |item: &Node<'_>| {
        let kind = "must be a string or an array of strings";
        item.string().ok_or_else(|| Malformed::field("stop", kind))
    };
    items.iter().map(text).collect()
}

fn integer(node: &Node<'_>, name: &str) -> Result<Option<u64>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => {
            let number = node
                .u64()
                .ok_or_else(|| Malformed::field(name, "must be a non-negative integer"));
            number.map(Some)
        }
    }
}

fn number(node: &Node<'_>, name: &str) -> Result<Option<f64>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => node
            .f64()
            .map(Some)
            .ok_or_else(|| Malformed::field(name, "must be a number")),
    }
}

fn flag(node: &Node<'_>, name: &str) -> Result<bool, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(false),
        node => node.bool().ok_or_else(|| Malformed::field(name, "must be a boolean")),
    }
}

fn rest(node: &Node<'_>) -> Extra {
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        if !KNOWN.contains(&name.as_ref()) && !value.is_null() {
            extra.keep(name, value.to_raw());
        }
    }
    extra
}
