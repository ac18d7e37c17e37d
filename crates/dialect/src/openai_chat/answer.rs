//! What a `message` or a `delta` of an answer says, reported step by step.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::details;
use crate::Protocol;
use crate::assembly::{Assembly, Call};
use crate::ir::{Citation, Class, Content, Error, Media, Part, ReasoningStyle, Signature};
use crate::media;
use crate::signature::PLAIN;
use crate::tree::{Halves, Node, Value};

/// The most bytes of sound that are collected.
const MAX_SOUND: usize = 64 * 1024 * 1024;

/// The key of the one call that `function_call` makes.
const LEGACY_KEY: u64 = u64::MAX;

/// The names under which thoughts are told.
pub(super) const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Listens to one choice.
#[derive(Debug, Default)]
pub(super) struct Speech {
    pub(super) candidate: u32,
    provider: String,
    content: Halves,
    thoughts: Halves,
    /// The name under which thoughts were told in the clear, for which there is no proof yet.
    unproved: Option<&'static str>,
    refusal: Halves,
    legacy: Halves,
    calls: Vec<KnownCall>,
    sound: Option<Sound>,
}

/// A call that was begun.
#[derive(Debug)]
struct KnownCall {
    index: Option<u64>,
    id: String,
    arguments: Halves,
}

/// Sound that comes in pieces.
#[derive(Debug, Default)]
struct Sound {
    id: Option<String>,
    bytes: Vec<u8>,
    transcript: String,
}

impl Speech {
    pub(super) fn new(candidate: u32, provider: &str) -> Self {
        Self {
            candidate,
            provider: provider.to_owned(),
            ..Self::default()
        }
    }

    /// Reports what a message or a delta says.
    pub(super) fn hear(&mut self, said: &Node<'_>, assembly: &mut Assembly) {
        self.think(said, assembly);
        if says_more(said) {
            self.stop_thinking(assembly);
        }
        self.hear_content(said.get("content"), assembly);
        if let Some(text) = self.refusal.text(said.get("refusal")) {
            assembly.refusal(self.candidate, text);
        }
        for annotation in said.get("annotations").items() {
            assembly.citation(self.candidate, citation(annotation));
        }
        // OpenRouter's place for pictures.
        for picture in said.get("images").items() {
            self.show(picture, assembly);
        }
        self.hear_sound(said.get("audio"), assembly);
        for call in said.get("tool_calls").items() {
            if assembly.is_over() {
                return;
            }
            self.hear_call(call, assembly);
        }
        self.hear_legacy_call(said.get("function_call"), assembly);
    }

    /// The choice is over: what was collected is told.
    pub(super) fn end(&mut self, assembly: &mut Assembly) {
        self.stop_thinking(assembly);
        if let Some(sound) = self.sound.take() {
            assembly.whole(self.candidate, sound.into_part());
        }
    }

    /// Thoughts. Servers that say them under two names say the same under both, so the first that is there counts.
    fn think(&mut self, said: &Node<'_>, assembly: &mut Assembly) {
        let told = THOUGHTS
            .into_iter()
            .find(|key| said.get(key).text().is_some_and(|text| !text.is_empty()));
        if let Some(text) = told.and_then(|key| self.thoughts.text(said.get(key))) {
            assembly.reasoning(self.candidate, ReasoningStyle::Full, text);
            self.unproved = told;
        }
        for detail in said.any(&["reasoning_details", "thinking_blocks"]).items() {
            let text = self.thoughts.text(details::text_in(detail)).filter(|_| told.is_none());
            let detail = details::read_made(detail, &self.provider);
            self.unproved = None;
            if let Some(text) = text {
                assembly.reasoning(self.candidate, detail.style, text);
            }
            if let Some(signature) = detail.signature {
                assembly.signature(self.candidate, signature);
            }
        }
    }

    /// Thoughts that were told in the clear are over. Who told them may want them back.
    fn stop_thinking(&mut self, assembly: &mut Assembly) {
        if let Some(name) = self.unproved.take() {
            let proof = Signature {
                item: Some(PLAIN.to_owned()),
                ..self.proof(name.to_owned())
            };
            assembly.signature(self.candidate, proof);
        }
    }

    fn proof(&self, data: String) -> Signature {
        Signature::made_by(Protocol::OpenaiChat, &self.provider, data)
    }

    /// A text, or parts as Mistral sends them.
    fn hear_content(&mut self, content: &Node<'_>, assembly: &mut Assembly) {
        if let Some(text) = self.content.text(content) {
            assembly.text(self.candidate, text);
        }
        for part in content.items() {
            match part.get("type").text_or_empty() {
                "thinking" | "reasoning" => self.think_aloud(part, assembly),
                "refusal" => assembly.refusal(self.candidate, part.get("refusal").text_or_empty()),
                "image_url" => self.show(part, assembly),
                _ => {
                    let text = if part.is_text() { part } else { part.get("text") };
                    if let Some(text) = self.content.text(text) {
                        assembly.text(self.candidate, text);
                    }
                }
            }
        }
    }

    fn think_aloud(&mut self, part: &Node<'_>, assembly: &mut Assembly) {
        let thoughts = part.any(&["thinking", "reasoning", "text"]);
        let whole = std::slice::from_ref(thoughts);
        let pieces = if thoughts.is_array() { thoughts.items() } else { whole };
        for piece in pieces {
            let text = if piece.is_text() { piece } else { piece.get("text") };
            if let Some(text) = self.thoughts.text(text) {
                assembly.reasoning(self.candidate, ReasoningStyle::Full, text);
            }
        }
        if let Some(signature) = part.get("signature").string() {
            assembly.signature(self.candidate, self.proof(signature));
        }
    }

    fn show(&self, picture: &Node<'_>, assembly: &mut Assembly) {
        let address = picture.get("image_url");
        let url = address.get("url").text().or(address.text()).unwrap_or_default();
        if let Some(source) = media::read_url(url).filter(|_| !url.is_empty()) {
            let content = Content::Image { source, detail: None };
            assembly.whole(self.candidate, content.into());
        }
    }

    fn hear_sound(&mut self, audio: &Node<'_>, assembly: &mut Assembly) {
        if !audio.is_object() {
            return;
        }
        let sound = self.sound.get_or_insert_default();
        sound.id = audio.get("id").string().or(sound.id.take());
        sound.transcript.push_str(audio.get("transcript").text_or_empty());
        // Each piece is base64 of its own.
        let piece = audio.get("data").text().and_then(media::decode_base64);
        sound.bytes.extend(piece.unwrap_or_default());
        if sound.bytes.len() > MAX_SOUND {
            assembly.error(Error::new(
                Class::Server,
                "The provider's answer holds more sound than can be held.",
            ));
        }
    }

    fn hear_call(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        let custom = node.get("custom");
        let function = if custom.is_object() {
            custom
        } else {
            node.get("function")
        };
        let name = function.get("name").text_or_empty();
        let id = node.get("id").text_or_empty();
        let key = self.key_of(node.get("index").u64(), id, !name.is_empty());
        let proof = node
            .get("extra_content")
            .get("google")
            .get("thought_signature")
            .string();
        let call = Call {
            id: id.to_owned(),
            name: name.to_owned(),
            signature: proof.map(|proof| self.proof(proof)),
            free_text: custom.is_object() || node.get("type").text() == Some("custom"),
            namespace: None,
        };
        let key_number = key as u64;
        assembly.call(self.candidate, key_number, call);
        let input = function.any(&["arguments", "input"]);
        if let Some(known) = self.calls.get_mut(key)
            && let Some(text) = spelled(&mut known.arguments, input)
        {
            assembly.arguments(self.candidate, key_number, text);
        }
    }

    /// Which call is meant. An index is trusted unless it begins a call with a new id and a name, since some servers
    /// give all calls the index 0; without one the id tells, then the name.
    fn key_of(&mut self, index: Option<u64>, id: &str, named: bool) -> usize {
        let last = self.calls.len().checked_sub(1);
        let same = |known: &KnownCall| known.index == index;
        let known = match index {
            Some(_) => self
                .calls
                .iter()
                .rposition(same)
                .filter(|at| !(named && is_other(&self.calls[*at].id, id))),
            None if !id.is_empty() => self.calls.iter().position(|known| known.id == id),
            None if named => None,
            None => last,
        };
        if let Some(at) = known {
            if self.calls[at].id.is_empty() {
                id.clone_into(&mut self.calls[at].id);
            }
            return at;
        }
        self.calls.push(KnownCall {
            index,
            id: id.to_owned(),
            arguments: Halves::default(),
        });
        self.calls.len() - 1
    }

    /// The one call that the API knew before there were tools.
    fn hear_legacy_call(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        if !node.is_object() {
            return;
        }
        let call = Call {
            name: node.get("name").text_or_empty().to_owned(),
            ..Call::default()
        };
        assembly.call(self.candidate, LEGACY_KEY, call);
        if let Some(text) = spelled(&mut self.legacy, node.get("arguments")) {
            assembly.arguments(self.candidate, LEGACY_KEY, text);
        }
    }
}

/// Whether there is more in it than thoughts.
fn says_more(said: &Node<'_>) -> bool {
    let has = |key| {
        let node = said.get(key);
        node.is_object() || !node.items().is_empty() || !node.text_or_empty().is_empty()
    };
    ["content", "refusal", "images", "audio", "tool_calls", "function_call"]
        .into_iter()
        .any(has)
}

fn is_other(known: &str, id: &str) -> bool {
    !known.is_empty() && !id.is_empty() && known != id
}

/// Arguments as text: some servers send them as an object.
fn spelled(halves: &mut Halves, arguments: &Node<'_>) -> Option<String> {
    match arguments.value() {
        Value::Null => None,
        Value::Text(_) => halves.text(arguments),
        _ => Some(compact(arguments)),
    }
}

/// A value as it is spelled, without the white space around its tokens.
pub(super) fn compact(node: &Node<'_>) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let is_kept = |letter: &char| {
        let kept = in_text || !letter.is_ascii_whitespace();
        if escaped {
            escaped = false;
        } else if *letter == '"' {
            in_text = !in_text;
        } else {
            escaped = in_text && *letter == '\\';
        }
        kept
    };
    node.raw().chars().filter(is_kept).collect()
}

/// What a text rests on, as an annotation says it.
pub(super) fn citation(node: &Node<'_>) -> Citation {
    let inner = node.get(node.get("type").text_or_empty());
    let inner = if inner.is_object() { inner } else { node };
    Citation {
        url: inner.get("url").string(),
        title: inner.get("title").string(),
        cited: inner.get("content").string(),
        start: inner.get("start_index").u64(),
        end: inner.get("end_index").u64(),
        raw: Some((Protocol::OpenaiChat, node.to_raw())),
    }
}

impl Sound {
    fn into_part(self) -> Part {
        let source = Media::Data {
            mime: None,
            data: STANDARD.encode(self.bytes),
            filename: None,
        };
        Content::Audio {
            source,
            format: None,
            transcript: (!self.transcript.is_empty()).then_some(self.transcript),
            id: self.id,
        }
        .into()
    }
}
