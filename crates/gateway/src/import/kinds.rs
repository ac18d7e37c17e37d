//! What LiteLLM calls providers, and what they are called here.

/// LiteLLM's prefix of a model, and the row of the catalog.
const KINDS: [(&str, &str); 62] = [
    ("openai", "openai"),
    ("text-completion-openai", "openai"),
    ("custom_openai", "openai"),
    ("openai_like", "openai"),
    ("llamafile", "openai"),
    ("infinity", "openai"),
    ("azure", "azure"),
    ("azure_text", "azure"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("aiml", "aimlapi"),
    ("baseten", "baseten"),
    ("cerebras", "cerebras"),
    ("dashscope", "dashscope"),
    ("deepinfra", "deepinfra"),
    ("deepseek", "deepseek"),
    ("docker_model_runner", "docker"),
    ("featherless_ai", "featherless"),
    ("fireworks_ai", "fireworks"),
    ("friendliai", "friendli"),
    ("github", "github"),
    ("groq", "groq"),
    ("hosted_vllm", "vllm"),
    ("vllm", "vllm"),
    ("huggingface", "huggingface"),
    ("hyperbolic", "hyperbolic"),
    ("jina_ai", "jina"),
    ("litellm_proxy", "litellm"),
    ("lm_studio", "lmstudio"),
    ("meta_llama", "meta"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshot", "moonshot"),
    ("morph", "morph"),
    ("nebius", "nebius"),
    ("novita", "novita"),
    ("nscale", "nscale"),
    ("nvidia_nim", "nvidia"),
    ("ollama", "ollama"),
    ("ollama_chat", "ollama"),
    ("openrouter", "openrouter"),
    ("ovhcloud", "ovhcloud"),
    ("perplexity", "perplexity"),
    ("poe", "poe"),
    ("recraft", "recraft"),
    ("sambanova", "sambanova"),
    ("siliconflow", "siliconflow"),
    ("synthetic", "synthetic"),
    ("together_ai", "together"),
    ("v0", "vercel"),
    ("vercel_ai_gateway", "vercel"),
    ("venice", "venice"),
    ("volcengine", "volcengine"),
    ("voyage", "voyage"),
    ("wandb", "wandb"),
    ("xai", "xai"),
    ("xiaomi_mimo", "xiaomi"),
    ("xinference", "xinference"),
    ("zai", "zai"),
    ("zhipuai", "zhipu"),
];

/// Prefixes of providers that cannot be asked from here, and why.
const ABSENT: [(&str, &str); 12] = [
    ("bedrock", "requests to AWS are signed, which is not done here"),
    ("bedrock_converse", "requests to AWS are signed, which is not done here"),
    ("sagemaker", "requests to AWS are signed, which is not done here"),
    ("sagemaker_chat", "requests to AWS are signed, which is not done here"),
    (
        "vertex_ai",
        "tokens of Google Cloud are not fetched here; `gemini` takes a key",
    ),
    (
        "vertex_ai_beta",
        "tokens of Google Cloud are not fetched here; `gemini` takes a key",
    ),
    ("watsonx", "tokens of IBM Cloud are not fetched here"),
    ("oci", "requests to Oracle Cloud are signed, which is not done here"),
    ("sap", "tokens of SAP are not fetched here"),
    ("github_copilot", "there is no key for it, but a login"),
    ("replicate", "its API is not spoken here"),
    ("petals", "its API is not spoken here"),
];

/// How models are called that LiteLLM knows without a prefix, and the row of the catalog.
const BARE: [(&str, &str); 12] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("dall-e", "openai"),
    ("whisper", "openai"),
    ("tts-", "openai"),
    ("omni-moderation", "openai"),
    ("claude", "anthropic"),
    ("command", "cohere"),
];

/// Where a model of LiteLLM's is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'m> {
    /// At a provider of this row, under this name.
    Known(&'static str, &'m str),
    /// Under this name at an address that most likely speaks OpenAI's API.
    Guessed(&'m str),
    /// It cannot be asked from here: the reason.
    Absent(String),
    /// All models of all providers.
    Everything,
}

/// Where a model is. `stated` is the provider where it is named on its own; `addressed` says that there is an address.
pub(super) fn kind<'m>(model: &'m str, stated: Option<&str>, addressed: bool) -> Kind<'m> {
    if model == "*" && stated.is_none() {
        return Kind::Everything;
    }
    let split = model.split_once('/');
    let (prefix, name) = match (stated, split) {
        (Some(stated), Some((prefix, name))) if prefix == stated => (stated, name),
        (Some(stated), _) => (stated, model),
        (None, Some((prefix, name))) if row(prefix).is_some() || absence(prefix).is_some() => (prefix, name),
        (None, _) => return bare(model, addressed),
    };
    if let Some(reason) = absence(prefix) {
        return Kind::Absent(format!("`{prefix}` has no counterpart: {reason}"));
    }
    match row(prefix) {
        Some(kind) => Kind::Known(kind, shortened(kind, name)),
        None if addressed => Kind::Guessed(name),
        None => Kind::Absent(format!("the provider `{prefix}` is not known here")),
    }
}

fn bare(model: &str, addressed: bool) -> Kind<'_> {
    let known = BARE.iter().find(|(begins, _)| model.starts_with(begins));
    match (known, model.split_once('/')) {
        (Some((_, kind)), None) => Kind::Known(kind, model),
        (_, split) if addressed => Kind::Guessed(split.map_or(model, |(_, name)| name)),
        (_, Some((prefix, _))) => Kind::Absent(format!("the provider `{prefix}` is not known here")),
        (None, None) => Kind::Absent(format!(
            "whose model `{model}` is, is not known; write `provider/{model}`"
        )),
    }
}

fn row(prefix: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == prefix).map(|(_, kind)| *kind)
}

fn absence(prefix: &str) -> Option<&'static str> {
    ABSENT
        .iter()
        .find(|(name, _)| *name == prefix)
        .map(|(_, reason)| *reason)
}

/// LiteLLM names the way beside the provider: `openai/responses/gpt-5`, `azure/o_series/name`.
fn shortened<'m>(kind: &str, name: &'m str) -> &'m str {
    let ways: &[&str] = match kind {
        "openai" => &["responses/"],
        "azure" => &["responses/", "o_series/", "gpt5_series/"],
        _ => &[],
    };
    ways.iter().find_map(|way| name.strip_prefix(way)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::KNOWN;

    #[test]
    fn every_kind_is_in_the_catalog() {
        for (prefix, kind) in KINDS.iter().chain(&BARE) {
            assert!(KNOWN.contains_key(*kind), "{prefix}: {kind}");
        }
    }

    #[test]
    fn models_are_found_by_prefix_by_name_and_by_address() {
        let known = |model| match kind(model, None, false) {
            Kind::Known(kind, name) => format!("{kind} {name}"),
            other => format!("{other:?}"),
        };
        assert_eq!(known("openai/gpt-4o"), "openai gpt-4o");
        assert_eq!(known("openrouter/anthropic/claude-3"), "openrouter anthropic/claude-3");
        assert_eq!(known("azure/o_series/my-o3"), "azure my-o3");
        assert_eq!(known("claude-sonnet-4-5"), "anthropic claude-sonnet-4-5");
        assert_eq!(kind("*", None, false), Kind::Everything);
        assert_eq!(kind("qwen3", None, true), Kind::Guessed("qwen3"));
        assert_eq!(kind("gpt-4o", Some("azure"), true), Kind::Known("azure", "gpt-4o"));
        for absent in ["bedrock/anthropic.claude-v2", "nobody/x", "qwen3"] {
            assert!(matches!(kind(absent, None, false), Kind::Absent(_)), "{absent}");
        }
    }
}
