//! How many tokens a prompt will have, roughly, where nobody can be asked.
//!
//! Without the model's tokenizer this is an estimate and must be called one. It is meant to be a little too high rather
//! than too low: callers use it to stay below a limit.

use crate::ir::{Content, Media, Message, Part, Request, Tool, ToolInput};

/// Tokens of a picture whose size is not known: what the large models charge for one of about a megapixel.
const IMAGE: u64 = 1600;

/// Bytes of base64 that amount to one token of a document or a sound.
const ENCODED_BYTES_PER_TOKEN: u64 = 64;

/// A string without a space in so many bytes is no text.
const LONGEST_WORD: usize = 1024;

/// How encoded pictures begin: as a data URI, or PNG, JPEG and GIF in base64.
const PICTURES: [&[u8]; 4] = [b"data:image/", b"iVBOR", b"/9j/", b"R0lGOD"];

/// Tokens by which a message, a tool or a part is framed.
const FRAME: u64 = 4;

/// The tokens of the prompt of a request.
pub fn input_tokens(request: &Request) -> u64 {
    let system: u64 = request.system.iter().map(part).sum();
    let messages: u64 = request.messages.iter().map(message).sum();
    let tools: u64 = request.tools.iter().map(tool).sum();
    (system + messages + tools).max(1)
}

/// The tokens of a prompt in a body that is not read: of all its strings, names included, since those of tools count too and
/// those of messages stand for what frames them. Long strings without a space are taken for pictures or other files.
pub fn body_tokens(body: &[u8]) -> u64 {
    let (mut letters, mut files) = (Letters::default(), 0_u64);
    let mut rest = body;
    while let Some(start) = memchr::memchr(b'"', rest) {
        let (_, string) = rest.split_at(start + 1);
        let (string, after) = string.split_at(string_end(string));
        if is_file(string) {
            files = files.saturating_add(file_tokens(string));
        } else {
            letters = letters + Letters::of(string);
        }
        rest = after.get(1..).unwrap_or_default();
    }
    letters.tokens().saturating_add(files).max(1)
}

/// The length of the string that begins here, without its closing quote. Line breaks are escaped more often than quotes, so
/// quotes are what is looked for.
fn string_end(string: &[u8]) -> usize {
    let is_escaped = |quote: usize| {
        let before = string.iter().take(quote).rev();
        before.take_while(|byte| **byte == b'\\').count() % 2 == 1
    };
    let mut quotes = memchr::memchr_iter(b'"', string);
    quotes.find(|quote| !is_escaped(*quote)).unwrap_or(string.len())
}

/// Whether a string is an encoded file: nobody writes that much without a space.
fn is_file(string: &[u8]) -> bool {
    string.len() > LONGEST_WORD && !string.iter().take(LONGEST_WORD).any(u8::is_ascii_whitespace) && string.is_ascii()
}

fn file_tokens(string: &[u8]) -> u64 {
    let is_picture = PICTURES.iter().any(|beginning| string.starts_with(beginning));
    if is_picture {
        IMAGE
    } else {
        (string.len() as u64).div_ceil(ENCODED_BYTES_PER_TOKEN)
    }
}

/// The tokens of a text: about four Latin letters, or one letter of another script.
pub fn text_tokens(text: &str) -> u64 {
    Letters::of(text.as_bytes()).tokens()
}

/// The letters of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters {
    ascii: u64,
    others: u64,
}

impl Letters {
    /// Those of a text in UTF-8.
    pub(crate) fn of(text: &[u8]) -> Self {
        if text.is_ascii() {
            return Self {
                ascii: text.len() as u64,
                others: 0,
            };
        }
        Self {
            ascii: text.iter().filter(|byte| byte.is_ascii()).count() as u64,
            // The first byte of each.
            others: text.iter().filter(|byte| **byte >= 0xC0).count() as u64,
        }
    }

    /// 3.5 letters of ASCII to a token, and one of the others.
    pub(crate) fn tokens(self) -> u64 {
        self.ascii.saturating_mul(2).div_ceil(7).saturating_add(self.others)
    }
}

impl std::ops::Add for Letters {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            ascii: self.ascii.saturating_add(more.ascii),
            others: self.others.saturating_add(more.others),
        }
    }
}

fn message(message: &Message) -> u64 {
    FRAME + message.parts.iter().map(part).sum::<u64>()
}

fn part(part: &Part) -> u64 {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } | Content::Reasoning { text, .. } => text_tokens(text),
        Content::Image { .. } => IMAGE,
        Content::Audio { source, .. } | Content::Video { source } | Content::Document { source, .. } => media(source),
        Content::ToolCall { name, input, .. } => {
            let (ToolInput::Json(input) | ToolInput::Text(input)) = input;
            FRAME + text_tokens(name) + text_tokens(input)
        }
        Content::ToolResult { content, .. } => FRAME + content.iter().map(self::part).sum::<u64>(),
        Content::Foreign { raw, .. } => text_tokens(raw.as_str()),
    }
}

fn media(source: &Media) -> u64 {
    match source {
        Media::Data { data, .. } => (data.len() as u64).div_ceil(ENCODED_BYTES_PER_TOKEN),
        Media::Text { text, .. } => text_tokens(text),
        Media::Url { .. } | Media::File { .. } => IMAGE,
    }
}

fn tool(tool: &Tool) -> u64 {
    match tool {
        Tool::Function(function) => {
            let description = function.description.as_deref().unwrap_or_default();
            let schema = function.schema.as_ref().map_or("", |schema| schema.as_str());
            FRAME + text_tokens(&function.name) + text_tokens(description) + text_tokens(schema)
        }
        Tool::Custom { name, description, .. } => {
            FRAME + text_tokens(name) + text_tokens(description.as_deref().unwrap_or_default())
        }
        Tool::Foreign { raw, .. } => text_tokens(raw.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::ir::Role;

    #[test]
    fn a_body_is_estimated_without_being_read() {
        let body = |content: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        let short = body_tokens(body(r#""Hi""#).as_bytes());
        assert_eq!(short, text_tokens("modelmmessagesroleusercontentHi"));
        let long = body_tokens(body(&format!(r#""{}""#, "word ".repeat(7_000))).as_bytes());
        assert!((10_000..10_020).contains(&long), "{long}");
        let picture = format!(
            r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
            "A".repeat(1 << 20)
        );
        let seen = body_tokens(body(&picture).as_bytes());
        assert!((IMAGE..IMAGE + 40).contains(&seen), "{seen}");
        let document = format!(r#"{{"data":"JVBERi{}"}}"#, "A".repeat(64_000));
        assert!(body_tokens(document.as_bytes()) >= 1_000);
        for odd in ["", "\"", "\"\\", "{\"a\\\""] {
            assert!(body_tokens(odd.as_bytes()) >= 1);
        }
    }

    #[test]
    fn strings_end_at_a_quote_that_is_not_escaped() {
        for (text, length) in [
            (r#"ab"c"#, 2),
            (r#"""#, 0),
            (r#"\"a""#, 3),
            (r#"\\"a""#, 2),
            (r#"a\n\\\"\n""#, 9),
            (r#"a\\\\" \""#, 5),
            (r"a\\", 3),
            (r#"a\""#, 3),
        ] {
            assert_eq!(string_end(text.as_bytes()), length, "{text}");
        }
    }

    #[test]
    fn every_part_of_a_prompt_counts() {
        let mut request = Request::new(Protocol::Anthropic, "m");
        assert_eq!(input_tokens(&request), 1);
        request.system.push(Part::text("Be brief."));
        let system = input_tokens(&request);
        assert_eq!(system, 3);
        let image = Content::Image {
            source: Media::Url {
                url: "https://a/b.png".into(),
                mime: None,
            },
            detail: None,
        };
        request
            .messages
            .push(Message::new(Role::User, vec![Part::text("日本語"), image.into()]));
        assert_eq!(input_tokens(&request), system + FRAME + 3 + IMAGE);
    }
}
