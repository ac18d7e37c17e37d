//! Chat completions, as OpenAI's SDKs read them.

use serde_json::Value;

use super::{Ending, Heard, Malformed, text};

/// Reads the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    is_done: bool,
}

impl Reader {
    pub(super) fn read(&mut self, heard: &mut Heard, chunk: &Value) -> Result<(), Malformed> {
        if self.is_done {
            return Err("an event after [DONE]".to_owned());
        }
        if !chunk["error"].is_null() {
            return heard.fail(&chunk["error"]);
        }
        if chunk["object"] != "chat.completion.chunk" {
            return Err(format!("no chunk: {chunk}"));
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            read_message(heard, &choice["delta"]);
            if let Some(reason) = choice["finish_reason"].as_str() {
                heard.finish(reason)?;
            }
        }
        Ok(())
    }

    pub(super) fn done(&mut self, heard: &Heard) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.is_done, true) || heard.ending == Ending::Open {
            return Err("[DONE] out of place".to_owned());
        }
        Ok(())
    }
}

/// Reads an answer that is no stream.
pub(super) fn read_whole(heard: &mut Heard, answer: &Value) -> Result<(), Malformed> {
    read_message(heard, &answer["choices"][0]["message"]);
    heard.finish(text(answer, "/choices/0/finish_reason")?)
}

fn read_message(heard: &mut Heard, message: &Value) {
    heard.text.push_str(message["content"].as_str().unwrap_or_default());
    heard
        .reasoning
        .push_str(message["reasoning_content"].as_str().unwrap_or_default());
    for (place, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let place = call["index"].as_u64().unwrap_or(place as u64);
        let said = heard.calls.entry(place).or_default();
        if let Some(name) = call["function"]["name"].as_str() {
            said.push_str(name);
            said.push(' ');
        }
        said.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
}
