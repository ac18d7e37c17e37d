//! Anthropic's messages, as its SDKs read them.

use serde_json::Value;

use super::{Heard, Malformed, text};

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_begun: bool,
    /// The block that has begun and not ended.
    open: Option<u64>,
    /// How many blocks have begun.
    blocks: u64,
    reason: Option<String>,
}

impl Reader {
    pub(super) fn read(&mut self, heard: &mut Heard, event: &Value) -> Result<(), Malformed> {
        let kind = event["type"].as_str().unwrap_or_default();
        let place = event["index"].as_u64();
        match kind {
            "error" => heard.fail(&event["error"])?,
            "ping" => {}
            "message_start" if !self.has_begun => self.has_begun = true,
            "content_block_start" if self.has_begun && self.open.is_none() && place == Some(self.blocks) => {
                self.open = place;
                self.blocks += 1;
                begin_block(heard, self.blocks - 1, &event["content_block"])?;
            }
            "content_block_delta" if place.is_some() && place == self.open => {
                read_delta(heard, self.blocks - 1, &event["delta"])?;
            }
            "content_block_stop" if place.is_some() && place == self.open => self.open = None,
            "message_delta" if self.open.is_none() && self.reason.is_none() => {
                self.reason = Some(text(event, "/delta/stop_reason")?.to_owned());
            }
            "message_stop" if self.open.is_none() => {
                heard.finish(self.reason.as_ref().ok_or("an end without a reason")?)?;
            }
            _ => return Err(format!("out of place: {event}")),
        }
        Ok(())
    }
}

fn begin_block(heard: &mut Heard, place: u64, block: &Value) -> Result<(), Malformed> {
    if block["type"] == "tool_use" {
        heard.calls.insert(place, text(block, "/name")?.to_owned() + " ");
    }
    Ok(())
}

fn read_delta(heard: &mut Heard, place: u64, delta: &Value) -> Result<(), Malformed> {
    match delta["type"].as_str() {
        Some("text_delta") => heard.text.push_str(text(delta, "/text")?),
        Some("thinking_delta") => heard.reasoning.push_str(text(delta, "/thinking")?),
        Some("input_json_delta") => {
            let call = heard.calls.get_mut(&place).ok_or("arguments of no call")?;
            call.push_str(text(delta, "/partial_json")?);
        }
        _ => {}
    }
    Ok(())
}

/// Reads an answer that is no stream.
pub(super) fn read_whole(heard: &mut Heard, message: &Value) -> Result<(), Malformed> {
    for (place, block) in message["content"].as_array().ok_or("no content")?.iter().enumerate() {
        match block["type"].as_str() {
            Some("text") => heard.text.push_str(text(block, "/text")?),
            Some("tool_use") => {
                let call = format!("{} {}", text(block, "/name")?, block["input"]);
                heard.calls.insert(place as u64, call);
            }
            _ => {}
        }
    }
    heard.finish(text(message, "/stop_reason")?)
}
