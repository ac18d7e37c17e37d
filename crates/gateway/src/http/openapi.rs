//! The description of the public routes.

use std::sync::LazyLock;

use axum::response::Response;
use mynah_dialect::{Dialect, Protocol};
use serde_json::{Value, json};

use super::routes::json_reply;
use crate::openapi::{Body, Described, document as described};
use crate::operation::{FAMILIES, OPERATIONS, Operation, Speech};

const ABOUT: &str = "One gateway for every model provider, in the dialects of OpenAI, Anthropic, Gemini and Cohere. Bodies are those of \
    the APIs whose paths these are; their fields are described by whose APIs they are. Errors of the gateway have the shape \
    of the caller's dialect, which is `Refusal` for OpenAI's.";

/// What is listed, and answered here.
const LISTS: [(&str, &str, &str); 9] = [
    ("/", "Name, version and a few routes", ""),
    ("/health", "Whether the gateway serves", ""),
    (
        "/health/detailed",
        "How everything behind it is",
        "As far as the caller may use it.",
    ),
    (
        "/v1/endpoints",
        "The providers and what they serve",
        "As far as the caller may use it.",
    ),
    (
        "/v1/models",
        "Every model that the caller may use",
        "In the shape of the SDK that asks.",
    ),
    (
        "/v1/models_detailed",
        "The same, with what they run on",
        "In OpenAI's shape, each with a `device`.",
    ),
    ("/v1/models/{id}", "One model", "In the shape of the SDK that asks."),
    (
        "/v1beta/models",
        "Every model that the caller may use",
        "In Gemini's shape.",
    ),
    ("/v1beta/models/{id}", "One model", "In Gemini's shape."),
];

/// Gemini's verbs, which stand behind the model in the path.
const VERBS: [&str; 6] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
    "predict",
];

const FORMS: [&str; 2] = ["application/json", "multipart/form-data"];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let key = |name: &str| json!({"type": "apiKey", "in": "header", "name": name});
    let security = json!({
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": key("x-api-key"), "api-key": key("api-key"), "x-goog-api-key": key("x-goog-api-key"),
    });
    let lists = LISTS.iter().map(|(path, summary, description)| Described {
        summary,
        description,
        is_open: matches!(*path, "/" | "/health"),
        ..named("get", path, "gateway")
    });
    let explain = Described {
        summary: "What would become of a request",
        description: "Where it would go, what exactly would be sent, and what would be lost. Nobody is asked.",
        body: Some(Body::Example(chat())),
        ..named("post", "/v1/explain", "gateway")
    };
    let operations = OPERATIONS.iter().map(operation);
    let verbs = VERBS.iter().filter_map(|verb| {
        let (operation, _) = Operation::at(&format!("/v1beta/models/m:{verb}"))?;
        Some(Described {
            body: Some(Body::Example(example(operation))),
            summary: summary(operation),
            ..named("post", &format!("/v1beta/models/{{model}}:{verb}"), "Gemini")
        })
    });
    let families = FAMILIES
        .iter()
        .flat_map(|family| passed(&format!("/v1{family}"), "OpenAI"));
    let batches = passed("/v1/messages/batches", "Anthropic");
    let routes = lists
        .chain([explain])
        .chain(operations)
        .chain(verbs)
        .chain(families)
        .chain(batches);
    described("Mynah", ABOUT, &security, routes)
});

/// `GET /openapi.json`, where it is switched on.
pub async fn document() -> Response {
    json_reply(&*DOCUMENT)
}

fn named<'a>(method: &str, path: &str, tag: &'a str) -> Described<'a> {
    Described {
        method: method.to_owned(),
        path: path.to_owned(),
        tag,
        ..Described::default()
    }
}

fn operation(operation: &Operation) -> Described<'static> {
    let tag = match operation.dialect() {
        Dialect::OpenAi => "OpenAI",
        Dialect::Anthropic => "Anthropic",
        Dialect::Gemini => "Gemini",
        Dialect::Cohere => "Cohere",
    };
    let body = match operation.speech {
        Speech::Plain(_) => Body::Any(&FORMS),
        _ => Body::Example(example(*operation)),
    };
    Described {
        summary: summary(*operation),
        body: Some(body),
        ..named("post", operation.path, tag)
    }
}

fn summary(operation: Operation) -> &'static str {
    match operation.speech {
        Speech::Conversation(_) => "The next message of a conversation",
        Speech::Count(_) => "The length of a conversation in tokens",
        Speech::Embeddings(_) => "The vectors of texts",
        Speech::Rerank { .. } => "The documents that answer a question best",
        Speech::Completions => "The continuation of texts",
        Speech::Images => "Pictures",
        Speech::Plain(_) => "Relayed to providers of this dialect",
    }
}

fn chat() -> Value {
    json!({"model": "mynah/echo", "messages": [{"role": "user", "content": "Hello!"}]})
}

fn example(operation: Operation) -> Value {
    match operation.speech {
        Speech::Conversation(Protocol::OpenaiResponses) | Speech::Embeddings(_) => {
            json!({"model": "mynah/echo", "input": "Hello!"})
        }
        Speech::Conversation(Protocol::Gemini) | Speech::Count(Protocol::Gemini) => {
            json!({"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}]})
        }
        Speech::Conversation(Protocol::Anthropic) => {
            json!({"model": "mynah/echo", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello!"}]})
        }
        Speech::Conversation(_) | Speech::Count(_) => chat(),
        Speech::Rerank { .. } => {
            json!({"model": "provider/model", "query": "birds", "documents": ["a mynah", "a stone"]})
        }
        Speech::Completions | Speech::Images => json!({"model": "mynah/echo", "prompt": "Hello!"}),
        Speech::Plain(_) => json!({}),
    }
}

/// A family of routes that are passed through, whatever lies below them.
fn passed<'a>(path: &str, tag: &'a str) -> Vec<Described<'a>> {
    let is_operation = |method: &str| method == "post" && Operation::at(path).is_some();
    let below = format!("{path}/{{below}}");
    let methods = ["get", "post", "delete"];
    let both = methods
        .iter()
        .flat_map(|method| [(*method, path), (*method, below.as_str())]);
    both.filter(|(method, at)| *at != path || *method != "delete" && !is_operation(method))
        .map(|(method, path)| Described {
            summary: "Passed through",
            description: "To the provider in the header `x-mynah-provider`, else to the default one.",
            body: (method == "post").then_some(Body::Any(&FORMS)),
            ..named(method, path, tag)
        })
        .collect()
}
