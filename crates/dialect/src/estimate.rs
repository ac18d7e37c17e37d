//! How many tokens a prompt will have, roughly, where nobody can be asked.
//!
//! Without the model's tokenizer this is an estimate and must be called one. It is meant to be a little too high rather
//! than too low: callers use it to stay below a limit.

use crate::ir::{Content, Media, Message, Part, Request, Tool, ToolInput};

/// Tokens of a picture whose size is not known: what the large models charge for one of about a megapixel.
const IMAGE: u64 = 1600;

/// Bytes of base64 that amount to one token of a document or a sound.
const ENCODED_BYTES_PER_TOKEN: u64 = 64;

/// Tokens by which a message, a tool or a part is framed.
const FRAME: u64 = 4;

/// The tokens of the prompt of a request.
pub fn input_tokens(request: &Request) -> u64 {
    let system: u64 = request.system.iter().map(part).sum();
    let messages: u64 = request.messages.iter().map(message).sum();
    let tools: u64 = request.tools.iter().map(tool).sum();
    (system + messages + tools).max(1)
}

/// The tokens of a text: about four Latin letters, or one letter of another script.
pub fn text_tokens(text: &str) -> u64 {
    let (mut ascii, mut others) = (0_u64, 0_u64);
    for letter in text.chars() {
        if letter.is_ascii() {
            ascii += 1;
        } else {
            others += 1;
        }
    }
    // 3.5 ASCII letters to a token.
    (ascii * 2).div_ceil(7) + others
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
