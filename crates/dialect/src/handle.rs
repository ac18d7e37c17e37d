//! Handles: the paths at which the models of one list are called, each at its own, and what they tell about how.
//!
//! A list of many makers' models says of each which path below one host answers for it, such as `/anthropic/v1/messages` or
//! `/google/v1beta/models/gemini-2.5-pro:generateContent`. What is spoken there follows from the path, and for pictures from
//! the model's family too.

use crate::images::Form;
use crate::{Dialect, Protocol};

/// The longest handle that is taken for one, in bytes.
const MAX_LENGTH: usize = 2048;

/// Where a model is called, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The path from the root of the host, with a leading slash.
    path: String,
    /// The query that belongs to it, without its question mark.
    query: String,
    /// The scheme and host, in lower case, of a handle that is a URL.
    pub origin: Option<String>,
    /// What can be asked there.
    pub service: Service,
}

/// What can be asked at a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The next message of a conversation.
    Conversation(Protocol),
    /// The vectors of texts, as in this dialect.
    Embeddings(Dialect),
    /// Pictures, as in OpenAI's API.
    Images,
    /// Pictures, in another form.
    ImagesIn(Form),
    /// The path does not tell. What is asked in OpenAI's dialect is passed on.
    Untold,
}

impl Handle {
    /// Reads a handle: a path, or a URL. `family` is the model's. `None` for what is no path.
    pub fn read(text: &str, family: &str) -> Option<Self> {
        let text = text.trim();
        let origin = origin(text);
        let below = text.get(origin.map_or(0, str::len)..)?;
        let is_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'#');
        if below.is_empty() || below.len() > MAX_LENGTH || !below.bytes().all(is_path) {
            return None;
        }
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        let path = ["/", path.trim_start_matches('/')].concat();
        Some(Self {
            service: service(&path.to_ascii_lowercase(), &family.to_ascii_lowercase()),
            path,
            query: query.to_owned(),
            origin: origin.map(str::to_ascii_lowercase),
        })
    }

    /// The path from the root of the host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path is that of an operation of OpenAI's API, which ends in `below`, such as `/audio/speech`.
    pub fn is_at(&self, below: &str) -> bool {
        self.path.ends_with(below)
    }

    /// The path and query of a call that would be made to the path `below` the version, with the query `asked`, at a
    /// provider with one address. Gemini's verbs, and what hangs below Anthropic's messages, stay as they were planned.
    pub fn call(&self, below: &str, asked: &str) -> (String, String) {
        let path = match self.service {
            Service::Conversation(Protocol::Gemini)
            | Service::Embeddings(Dialect::Gemini)
            | Service::ImagesIn(Form::Gemini) => match (verb(&self.path), verb(below)) {
                (Some((model, _)), Some((_, verb))) => format!("{model}:{verb}"),
                _ => self.path.clone(),
            },
            Service::Conversation(Protocol::Anthropic) if self.path.ends_with("/messages") => {
                let beneath = below.strip_prefix("/messages").unwrap_or_default();
                [&self.path, beneath].concat()
            }
            _ => self.path.clone(),
        };
        let separator = if self.query.is_empty() || asked.is_empty() {
            ""
        } else {
            "&"
        };
        (path, [&self.query, separator, asked].concat())
    }

    /// The model's name as it is sent. At OpenAI's pictures it ends at a colon: what follows, as in `dall-e-3:hd`, is the
    /// list's own.
    pub fn model<'m>(&self, listed: &'m str) -> &'m str {
        match self.service {
            Service::Images => listed.split(':').next().unwrap_or(listed),
            _ => listed,
        }
    }

    /// Whose model it is, as the path says.
    pub fn owner(&self) -> Option<&'static str> {
        const OWNERS: [(&str, &str); 4] = [
            ("openai", "openai"),
            ("anthropic", "anthropic"),
            ("fireworks", "fireworks"),
            ("gemini", "google"),
        ];
        let path = self.path.to_ascii_lowercase();
        let owner = OWNERS.into_iter().find(|(word, _)| path.contains(word));
        owner.map(|(_, owner)| owner)
    }
}

/// The scheme and host of a handle that is a URL.
fn origin(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    text.get(..scheme.len() + 3 + host)
}

/// A path that ends in a verb, such as `…/gemini-2.5-pro:generateContent`, in its two parts.
fn verb(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once(':').filter(|(_, verb)| !verb.contains('/'))
}

/// What can be asked at a path, both in lower case. What a path ends in says more than whose it is: makers also offer
/// OpenAI's API under their own names.
fn service(path: &str, family: &str) -> Service {
    let is_of = |maker: &str| family.starts_with(maker) || path.contains(&format!("/{maker}"));
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    let is_below = |name: &str| path.contains(&format!("/{name}/"));
    let verb = verb(path).map(|(_, verb)| verb);
    match () {
        () if is_of("ideogram") => Service::ImagesIn(Form::IdeogramAtHandle),
        () if is_of("recraft") => Service::ImagesIn(Form::RecraftAtHandle),
        () if verb == Some("predict") => Service::ImagesIn(Form::Gemini),
        () if matches!(verb, Some("generatecontent" | "streamgeneratecontent")) => {
            Service::Conversation(Protocol::Gemini)
        }
        () if matches!(verb, Some("embedcontent" | "batchembedcontents")) => Service::Embeddings(Dialect::Gemini),
        () if ends(&["/chat/completions"]) => Service::Conversation(Protocol::OpenaiChat),
        () if ends(&["/responses"]) => Service::Conversation(Protocol::OpenaiResponses),
        () if ends(&["/messages"]) => Service::Conversation(Protocol::Anthropic),
        () if ends(&["/images/generations"]) || family.starts_with("dall-e") => Service::Images,
        () if ends(&["/embeddings"]) => Service::Embeddings(Dialect::OpenAi),
        () if is_below("cohere") && ends(&["/embed"]) => Service::Embeddings(Dialect::Cohere),
        () if is_below("anthropic") => Service::Conversation(Protocol::Anthropic),
        () if is_below("google") || is_below("gemini") => Service::Conversation(Protocol::Gemini),
        () if is_below("cohere") => Service::Conversation(Protocol::Cohere),
        () => Service::Untold,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handle(text: &str, family: &str) -> Handle {
        Handle::read(text, family).unwrap()
    }

    #[test]
    fn what_is_asked_follows_from_the_path() {
        use Service::{Conversation, Embeddings, Images, ImagesIn, Untold};
        for (text, family, service) in [
            (
                "/openai/v1/chat/completions",
                "gpt-4",
                Conversation(Protocol::OpenaiChat),
            ),
            (
                "/fireworks/chat/completions",
                "fireworks",
                Conversation(Protocol::OpenaiChat),
            ),
            (
                "/gigachat/api/v1/chat/completions",
                "GigaChat",
                Conversation(Protocol::OpenaiChat),
            ),
            ("/openai/v1/responses", "gpt-5", Conversation(Protocol::OpenaiResponses)),
            ("/anthropic/v1/messages", "claude-3", Conversation(Protocol::Anthropic)),
            ("/Anthropic/v1/chat", "claude-3", Conversation(Protocol::Anthropic)),
            (
                "/anthropic/v1/chat/completions",
                "claude",
                Conversation(Protocol::OpenaiChat),
            ),
            (
                "/google/v1beta/models/gemini-2.5-pro:generateContent",
                "gemini",
                Conversation(Protocol::Gemini),
            ),
            ("/x/models/m:streamGenerateContent", "x", Conversation(Protocol::Gemini)),
            ("/gemini/generate", "gemini", Conversation(Protocol::Gemini)),
            ("/cohere/v2/chat", "command-r", Conversation(Protocol::Cohere)),
            ("/cohere/v2/embed", "embed-v4", Embeddings(Dialect::Cohere)),
            ("/openai/v1/embeddings", "ada", Embeddings(Dialect::OpenAi)),
            (
                "/google/v1/models/e:embedContent",
                "gemini",
                Embeddings(Dialect::Gemini),
            ),
            ("/openai/v1/images/generations", "dall-e-3", Images),
            ("/pictures/make", "DALL-E-3", Images),
            ("/ideogram/generate", "ideogram", ImagesIn(Form::IdeogramAtHandle)),
            (
                "/pictures/v1/images/generations",
                "Ideogram",
                ImagesIn(Form::IdeogramAtHandle),
            ),
            (
                "/recraft/v1/images/generations",
                "pictures",
                ImagesIn(Form::RecraftAtHandle),
            ),
            ("/google/v1/models/imagen-4:predict", "imagen", ImagesIn(Form::Gemini)),
            ("/yandex/foundation/completion", "yandexgpt", Untold),
        ] {
            assert_eq!(handle(text, family).service, service, "{text}");
        }
    }

    #[test]
    fn a_call_goes_to_the_handle() {
        for (text, planned, path, query) in [
            (
                "/openai/v1/chat/completions",
                "/chat/completions",
                "/openai/v1/chat/completions",
                "",
            ),
            (
                "/a/chat/completions?v=1",
                "/chat/completions?x=2",
                "/a/chat/completions",
                "v=1&x=2",
            ),
            (
                "/anthropic/v1/messages",
                "/messages?beta=true",
                "/anthropic/v1/messages",
                "beta=true",
            ),
            (
                "/anthropic/v1/messages",
                "/messages/count_tokens",
                "/anthropic/v1/messages/count_tokens",
                "",
            ),
            ("/cohere/v2/chat", "/chat", "/cohere/v2/chat", ""),
            (
                "/google/v1beta/models/g:generateContent",
                "/models/g:streamGenerateContent?alt=sse",
                "/google/v1beta/models/g:streamGenerateContent",
                "alt=sse",
            ),
            (
                "/google/v1beta/models/g:generateContent",
                "/models/g:countTokens",
                "/google/v1beta/models/g:countTokens",
                "",
            ),
            (
                "/gemini/generate",
                "/models/g:streamGenerateContent?alt=sse",
                "/gemini/generate",
                "alt=sse",
            ),
        ] {
            let (below, asked) = planned.split_once('?').unwrap_or((planned, ""));
            let called = handle(text, "").call(below, asked);
            assert_eq!(
                (called.0.as_str(), called.1.as_str()),
                (path, query),
                "{text} {planned}"
            );
        }
    }

    #[test]
    fn a_url_keeps_its_origin_and_nothing_else_becomes_a_host() {
        for (text, path) in [
            ("https://other.example/v1/messages", Some("/v1/messages")),
            ("openai/v1/chat/completions", Some("/openai/v1/chat/completions")),
            ("//evil.example/x", Some("/evil.example/x")),
            ("@evil.example/x", Some("/@evil.example/x")),
            ("https://other.example", None),
            ("", None),
            ("/a b", None),
            ("/a\r\nX: y", None),
        ] {
            let read = Handle::read(text, "");
            assert_eq!(read.as_ref().map(Handle::path), path, "{text:?}");
        }
        let origin = |text| Handle::read(text, "").unwrap().origin;
        assert_eq!(
            origin("HTTPS://Other.example:8/v1?x").as_deref(),
            Some("https://other.example:8")
        );
        assert_eq!(origin("/v1/https://h"), None);
    }

    #[test]
    fn names_and_owners() {
        let dalle = handle("/openai/v1/images/generations", "dall-e-3");
        assert_eq!(dalle.model("dall-e-3:hd"), "dall-e-3");
        assert_eq!(handle("/a/chat/completions", "x").model("llama3:8b"), "llama3:8b");
        for (text, owner) in [
            ("/OpenAI/v1/chat/completions", Some("openai")),
            ("/anthropic/v1/messages", Some("anthropic")),
            ("/fireworks/chat/completions", Some("fireworks")),
            ("/google/v1beta/models/gemini-2.5-pro:generateContent", Some("google")),
            ("/cohere/v2/chat", None),
        ] {
            assert_eq!(handle(text, "").owner(), owner, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_listed_becomes_a_path(text in "\\PC{0,40}", planned in "(/[a-z]{0,5}){0,3}(:[a-z]{0,4})?") {
            if let Some(handle) = Handle::read(&text, "") {
                prop_assert!(handle.call(&planned, "a=b").0.starts_with('/'));
                prop_assert!(!handle.path().starts_with("//"));
            }
        }
    }
}
