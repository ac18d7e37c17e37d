//! What the body of an error complains about, in whichever dialect it is.
//!
//! Codes are a provider's own. Messages may repeat what a caller wrote, so where a conclusion rests a key or a target, and
//! the status is one that callers can provoke (400), it rests on codes or on how the message begins.

use crate::tree::Node;

/// More of a message is not looked at.
const MAX_MESSAGE: usize = 4 * 1024;

/// What a body says.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    /// Codes and types, in lower case.
    codes: Vec<String>,
    /// The message, in lower case.
    message: String,
    /// The names of Google's quotas that are used up.
    quotas: Vec<String>,
    /// A moderator refused what the caller wrote (OpenRouter).
    is_flagged: bool,
}

/// Members that hold a code.
const CODES: [&str; 6] = ["code", "type", "status", "error_code", "error_type", "reason"];

impl Complaint {
    /// Reads a body, whatever it is.
    pub(crate) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let Ok(root) = Node::parse_text(&text) else {
            return Self::of_text(&text);
        };
        let root = root.items().first().unwrap_or(&root);
        let error = match root.get("error") {
            inner if inner.is_object() || inner.is_text() => inner,
            _ => root,
        };
        // FastAPI's member, as an object.
        let nodes = [error, root, root.get("detail")];
        let mut complaint = Self::default();
        for node in nodes {
            complaint
                .codes
                .extend(CODES.iter().filter_map(|name| code(node.get(name))));
            for detail in node.get("details").items() {
                complaint.codes.extend(code(detail.get("reason")));
                let violations = detail.get("violations").items().iter();
                let quotas = violations.filter_map(|violation| violation.any(&["quotaId", "quota_id"]).string());
                complaint.quotas.extend(quotas);
            }
        }
        let messages = nodes
            .iter()
            .flat_map(|node| [node, node.get("message"), node.get("detail"), node.get("msg")]);
        complaint.say(
            messages
                .filter_map(|node| node.text())
                .find(|text| !text.trim().is_empty()),
        );
        // OpenRouter repeats what the provider said to it.
        complaint.say(error.get("metadata").get("raw").text());
        complaint.is_flagged = !error.get("metadata").get("flagged_input").is_null();
        complaint
    }

    fn of_text(text: &str) -> Self {
        let mut complaint = Self::default();
        let is_page = text.trim_start().starts_with('<');
        complaint.say((!is_page).then_some(text));
        complaint
    }

    fn say(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        let letters = text.trim().chars().take(MAX_MESSAGE);
        self.message.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }

    /// Whether a quota or a credit is used up, so that waiting for a minute does not help.
    pub(crate) fn is_about_credit(&self, status: u16) -> bool {
        // Google says "You exceeded your current quota" of every limit; which one it was is in the details.
        if self.has_code(&["resource_exhausted"]) {
            let is_long = |quota: &String| quota.contains("PerDay") || quota.contains("PerMonth");
            return self.quotas.iter().any(is_long) || self.says(&["credits are depleted"]);
        }
        self.has_code(NO_CREDIT_CODES)
            || self.begins(NO_CREDIT_BEGINNINGS)
            || (matches!(status, 401 | 403 | 429) && self.says(NO_CREDIT_WORDS))
    }

    /// Whether the key is not accepted, where the status is that of a wrong request.
    pub(crate) fn is_about_the_key(&self) -> bool {
        self.has_code(&["api_key_invalid", "invalid_api_key", "authentication_error"])
            || self.begins(&["api key not valid", "api key expired", "incorrect api key provided"])
    }

    /// Whether the content was refused, where the status is that of a wrong key.
    pub(crate) fn is_about_content(&self) -> bool {
        self.is_flagged
            || self.has_code(&["content_policy_violation", "content_filter"])
            || self.begins(&["content violates usage guidelines"])
    }

    /// Whether the model does not exist, or not for this key.
    pub(crate) fn is_about_the_model(&self, status: u16) -> bool {
        if self.has_code(NO_MODEL_CODES) {
            return true;
        }
        match status {
            404 => self.says(&["model", "no endpoints found"]),
            503 => self.begins(NO_PROVIDER),
            400 | 403 => {
                self.begins(NO_MODEL_BEGINNINGS)
                    || self.message.ends_with("is not a valid model id")
                    || (self.begins(MODEL) && self.says(ABSENT))
            }
            _ => false,
        }
    }

    /// Whether the request is too long for the model.
    pub(crate) fn is_about_length(&self) -> bool {
        self.has_code(TOO_LONG_CODES)
            || self.says(TOO_LONG_WORDS)
            || (self.says(&["input token count", "prompt token count", "input tokens"]) && self.says(&["exceed"]))
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    fn begins(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.starts_with(phrase))
    }
}

fn code(node: &Node<'_>) -> Option<String> {
    let number = || node.i64().map(|number| number.to_string());
    node.text().map(str::to_ascii_lowercase).or_else(number)
}

const NO_CREDIT_CODES: &[&str] = &[
    // OpenAI
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    // Anthropic
    "billing_error",
    // Google
    "billing_disabled",
    // Moonshot
    "exceeded_current_quota_error",
    // DashScope
    "arrearage",
    "allocationquota.freetieronly",
    // xAI
    "personal-team-blocked:spending-limit",
    "insufficient_balance",
    "insufficient_credits",
    // Zhipu
    "1113",
];

const NO_CREDIT_BEGINNINGS: &[&str] = &[
    // Anthropic, with status 400
    "your credit balance is too low",
    "billing hard limit has been reached",
    "insufficient balance",
    "insufficient credit",
];

const NO_CREDIT_WORDS: &[&str] = &[
    "exceeded your current quota",
    "check your plan and billing",
    "credit balance is too low",
    "insufficient balance",
    "balance is insufficient",
    "insufficient credit",
    "insufficient funds",
    "insufficient_quota",
    "requires more credits",
    "used all available credits",
    "out of credits",
    "spending limit",
    "monthly limit",
    "monthly included credits",
    // OpenRouter
    "key limit exceeded",
    // Cohere's trial keys
    "/ month",
    // Bedrock
    "too many tokens per day",
];

const NO_MODEL_CODES: &[&str] = &[
    // OpenAI, Groq, DashScope
    "model_not_found",
    // Mistral
    "invalid_model",
    // Together
    "model_not_available",
    // Hugging Face
    "model_not_supported",
    // Groq
    "model_decommissioned",
    // GitHub
    "unknown_model",
    // Azure
    "deploymentnotfound",
    // DashScope
    "model.accessdenied",
    // LM Studio
    "model_not_loaded",
];

const NO_MODEL_BEGINNINGS: &[&str] = &[
    "invalid model",
    "unknown model",
    "no access to model",
    "no models loaded",
    // Bedrock
    "the provided model identifier is invalid",
    "you don't have access to the model",
    // Together
    "unable to access model",
    // DashScope
    "model access denied",
    "no endpoints found",
    // OCF, of a service that nobody offers
    "no providers found",
];

/// OCF, of a model that nobody serves who offers the service.
const NO_PROVIDER: &[&str] = &["no provider found for the requested service"];

/// How a message about the model begins.
const MODEL: &[&str] = &[
    "model",
    "the model",
    "the requested model",
    "publisher model",
    "project `",
];

const ABSENT: &[&str] = &[
    "not found",
    "does not exist",
    "doesn't exist",
    "not exist",
    "not have access to model",
    "decommissioned",
    "no longer available",
    "no longer supported",
    "not supported by any provider",
];

const TOO_LONG_CODES: &[&str] = &[
    "context_length_exceeded",
    "context_too_long",
    "string_above_max_length",
    "exceed_context_size_error",
    "model_max_prompt_tokens_exceeded",
];

const TOO_LONG_WORDS: &[&str] = &[
    "context length",
    "context window",
    "context_length",
    "context limit",
    // llama.cpp
    "context size",
    "maximum context",
    "prompt is too long",
    // Ollama
    "prompt too long",
    // Bedrock, Vertex
    "input is too long",
    "input context is too long",
    // Google
    "exceeds the maximum number of tokens",
    "reduce the length of the messages",
    // Groq
    "reduce your message size",
    // Cohere
    "too many tokens",
    "too many input tokens",
    "longer than the model's",
    // vLLM
    "longer than the maximum model length",
    // xAI
    "maximum prompt length",
    // Moonshot
    "exceeded model token limit",
    // DashScope
    "range of input length",
    // Text Generation Inference
    "`inputs` tokens + `max_new_tokens` must be",
];
