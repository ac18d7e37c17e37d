//! A content in chunks.

use serde_json::{Value, json};

use super::Content;
use crate::persona::act::{Ending, pieces};
use crate::persona::delivery::Stream;
use crate::persona::openai::events;
use crate::persona::scenario::Scenario;

/// An event; here they have no names.
pub(super) fn event(value: &Value) -> String {
    events::data(value)
}

impl Content<'_> {
    /// The content in server-sent events.
    pub(super) fn events(&self) -> Stream {
        let (middle, ending) = self.chunks();
        Stream {
            opening: Vec::new(),
            middle: middle.iter().map(event).collect(),
            ending: ending.iter().map(event).collect(),
        }
    }

    /// The content in an array whose elements come one by one.
    pub(super) fn array(&self) -> Stream {
        let (middle, ending) = self.chunks();
        let count = middle.len();
        let all = middle.iter().chain(&ending).enumerate();
        let mut elements = all.map(|(index, chunk)| format!("{}{chunk}", if index == 0 { "[" } else { "\n,\n" }));
        let middle = elements.by_ref().take(count).collect();
        Stream {
            opening: Vec::new(),
            middle,
            ending: elements.chain(["\n]".to_owned()]).collect(),
        }
    }

    /// The chunks with content, and the one that says why it ends.
    fn chunks(&self) -> (Vec<Value>, Vec<Value>) {
        if self.act.ending == Ending::Filtered {
            return (Vec::new(), vec![self.blocked()]);
        }
        let parts: Vec<Value> = self.parts().iter().flat_map(split).collect();
        let mut middle = Vec::new();
        for index in 0..self.count() {
            for part in &parts {
                let candidate = self.candidate(index, std::slice::from_ref(part), false);
                middle.push(self.chunk(&[candidate], false));
            }
        }
        let last: Vec<Value> = (0..self.count())
            .map(|index| self.candidate(index, &[json!({"text": ""})], true))
            .collect();
        (middle, vec![self.chunk(&last, true)])
    }

    fn chunk(&self, candidates: &[Value], is_last: bool) -> Value {
        let numbers = self.act.numbers;
        let usage = if is_last {
            self.usage()
        } else {
            json!({"promptTokenCount": numbers.input, "totalTokenCount": numbers.input})
        };
        let mut chunk = self.envelope(candidates, &usage);
        if let Some(chunk) = chunk
            .as_object_mut()
            .filter(|_| !is_last && self.act.is(Scenario::LateUsage))
        {
            chunk.remove("usageMetadata");
        }
        chunk
    }
}

/// A part in pieces; its signature comes last, in a part without words.
fn split(part: &Value) -> Vec<Value> {
    let Some(text) = part["text"].as_str() else {
        return vec![part.clone()];
    };
    let piece = |text: &str| {
        let mut piece = json!({"text": text});
        if part["thought"] == true {
            piece["thought"] = json!(true);
        }
        piece
    };
    let mut split: Vec<Value> = pieces(text).map(piece).collect();
    if let Some(signature) = part.get("thoughtSignature") {
        split.push(json!({"text": "", "thoughtSignature": signature}));
    }
    split
}
