//! Answers of providers.

use super::{Answer, Content, Kind, Picture, Plan, read_list};
use crate::ir::{Class, Error};
use crate::media::standard_base64;
use crate::transcode::unreadable;
use crate::tree::Node;
use crate::usage::{Report, Usage};

/// Finish reasons with which a filter holds a picture back.
const FILTERED: [&str; 8] = [
    "SAFETY",
    "IMAGE_SAFETY",
    "PROHIBITED_CONTENT",
    "IMAGE_PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "RECITATION",
    "IMAGE_RECITATION",
];

/// Why there is no picture.
pub(super) enum Missing {
    /// A filter stepped in, with its words.
    Filtered(String),
    /// The model said something instead.
    Said(String),
}

/// Reads the answers of all calls.
pub(super) fn read<B: AsRef<[u8]>>(plan: &Plan, bodies: &[B]) -> Result<Answer, Error> {
    let mut answer = Answer::default();
    let mut missing = None;
    for body in bodies {
        let node = Node::parse(body.as_ref()).map_err(|fault| unreadable(&fault.into()))?;
        let found = match plan.kind {
            Kind::Imagen => predictions(&node, &mut answer),
            Kind::Conversation => candidates(&node, &mut answer),
            Kind::List => read_list::read(&node, &mut answer),
        };
        // A filter's word says more than the model's.
        if matches!(found, Some(Missing::Filtered(_))) || missing.is_none() {
            missing = found.or(missing);
        }
        count(node.any(&["usageMetadata", "usage_metadata"]), &mut answer);
    }
    if answer.pictures.is_empty() {
        return Err(error(missing));
    }
    answer.pictures.truncate(plan.n as usize);
    Ok(answer)
}

fn error(missing: Option<Missing>) -> Error {
    match missing {
        Some(Missing::Filtered(words)) => Error {
            code: Some("content_policy_violation".to_owned()),
            ..Error::new(Class::BadRequest, words)
        },
        Some(Missing::Said(words)) if !words.trim().is_empty() => Error::new(
            Class::Unprocessable,
            format!("The model made no picture, but said: {}", words.trim()),
        ),
        _ => Error::new(Class::Server, "The provider's answer has no picture."),
    }
}

/// Reads an answer of `:predict`.
fn predictions(node: &Node<'_>, answer: &mut Answer) -> Option<Missing> {
    let items = node.get("predictions").items();
    let mut missing = None;
    for item in items {
        let data = item.any(&["bytesBase64Encoded", "bytes_base64_encoded"]).text();
        if let Some(data) = data.and_then(standard_base64) {
            answer.pictures.push(Picture {
                content: Content::Data(data),
                mime: item.any(&["mimeType", "mime_type"]).string(),
                revised_prompt: item.get("prompt").string(),
            });
        } else {
            let reason = item.any(&["raiFilteredReason", "rai_filtered_reason"]).string();
            missing = reason.map(Missing::Filtered).or(missing);
        }
    }
    // With nothing to tell, an empty object is all there is: every picture was held back.
    if items.is_empty() && node.is_object() && node.get("error").is_null() {
        return Some(Missing::Filtered(
            "The provider's safety filter held all pictures back.".to_owned(),
        ));
    }
    missing
}

/// Reads an answer of `:generateContent`.
fn candidates(node: &Node<'_>, answer: &mut Answer) -> Option<Missing> {
    let feedback = node.any(&["promptFeedback", "prompt_feedback"]);
    let block = feedback.any(&["blockReason", "block_reason"]);
    if let Some(reason) = block.text() {
        let words = feedback.any(&["blockReasonMessage", "block_reason_message"]).string();
        return Some(Missing::Filtered(words.unwrap_or_else(|| {
            format!("The provider's safety filter refused the prompt ({reason}).")
        })));
    }
    let mut missing = None;
    for candidate in node.get("candidates").items() {
        let before = answer.pictures.len();
        let said = parts(candidate.get("content").get("parts").items(), answer);
        if answer.pictures.len() > before {
            continue;
        }
        let reason = candidate.any(&["finishReason", "finish_reason"]).text_or_empty();
        let words = candidate.any(&["finishMessage", "finish_message"]).string();
        missing = Some(if FILTERED.contains(&reason) {
            let words =
                words.unwrap_or_else(|| format!("The provider's safety filter held the picture back ({reason})."));
            Missing::Filtered(words)
        } else {
            Missing::Said(if said.is_empty() {
                words.unwrap_or_default()
            } else {
                said
            })
        });
    }
    missing
}

/// Takes the pictures out of parts; answers the text between them. Sketches among the thoughts are not the answer.
fn parts(parts: &[Node<'_>], answer: &mut Answer) -> String {
    let mut said = String::new();
    for part in parts.iter().filter(|part| part.get("thought").bool() != Some(true)) {
        said.push_str(part.get("text").text_or_empty());
        let data = part.any(&["inlineData", "inline_data"]);
        let mime = data.any(&["mimeType", "mime_type"]).string();
        let is_picture = mime.as_deref().is_none_or(|mime| mime.starts_with("image/"));
        if let Some(data) = data.get("data").text().filter(|_| is_picture).and_then(standard_base64) {
            answer.pictures.push(Picture {
                content: Content::Data(data),
                mime,
                revised_prompt: None,
            });
        }
    }
    said
}

fn count(node: &Node<'_>, answer: &mut Answer) {
    if !node.is_object() {
        return;
    }
    let counts = Report::of(node).map(|report| Usage::from(&report.counts()));
    let counts = counts.unwrap_or_default();
    answer.usage = Some(answer.usage.map_or(counts, |before| before.and(counts)));
}
