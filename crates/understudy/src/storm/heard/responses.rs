//! OpenAI's Responses, as its SDKs read them.

use serde_json::Value;

use super::{Ending, Heard, Malformed, text};

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_begun: bool,
    next_number: u64,
}

impl Reader {
    pub(super) fn read(&mut self, heard: &mut Heard, event: &Value) -> Result<(), Malformed> {
        let kind = event["type"].as_str().unwrap_or_default();
        if kind == "error" {
            // The fields stand in the event itself (OpenAI, "Streaming events: error").
            return heard.fail(event);
        }
        if kind == "response.failed" {
            return heard.fail(&event["response"]["error"]);
        }
        if !self.has_begun && kind != "response.created" {
            return Err(format!("begins with {kind}"));
        }
        self.has_begun = true;
        if event["sequence_number"] != self.next_number {
            return Err(format!("number {} is missing at {event}", self.next_number));
        }
        self.next_number += 1;
        if matches!(heard.ending, Ending::Finished(_)) {
            return Err(format!("{kind} after the end"));
        }
        let place = event["output_index"].as_u64().unwrap_or_default();
        match kind {
            "response.output_text.delta" => heard.text.push_str(text(event, "/delta")?),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                heard.reasoning.push_str(text(event, "/delta")?);
            }
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                heard.calls.insert(place, text(event, "/item/name")?.to_owned() + " ");
            }
            "response.function_call_arguments.delta" => {
                let call = heard.calls.get_mut(&place).ok_or("arguments of no call")?;
                call.push_str(text(event, "/delta")?);
            }
            "response.completed" | "response.incomplete" => finish(heard, &event["response"])?,
            _ => {}
        }
        Ok(())
    }
}

/// The end repeats all that was said.
fn finish(heard: &mut Heard, response: &Value) -> Result<(), Malformed> {
    let mut repeated = Heard::default();
    read_output(&mut repeated, response)?;
    if repeated.text != heard.text || repeated.calls != heard.calls {
        return Err(format!("the end repeats {repeated:?} where {heard:?} was said"));
    }
    heard.finish(text(response, "/status")?)
}

/// Reads an answer that is no stream.
pub(super) fn read_whole(heard: &mut Heard, response: &Value) -> Result<(), Malformed> {
    read_output(heard, response)?;
    heard.finish(text(response, "/status")?)
}

fn read_output(heard: &mut Heard, response: &Value) -> Result<(), Malformed> {
    let items = response["output"].as_array().ok_or("no output")?;
    for (place, item) in items.iter().enumerate() {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten() {
                    heard.text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
            Some("function_call") => {
                let call = format!("{} {}", text(item, "/name")?, text(item, "/arguments")?);
                heard.calls.insert(place as u64, call);
            }
            _ => {}
        }
    }
    Ok(())
}
