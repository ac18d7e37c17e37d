//! Tells parts that come as a whole, and proofs that need an item of their own.

use super::OWN;
use super::items::{self, ItemKind, item_id};
use super::write_items::{Teller, emit, place};
use crate::ir::{Content, Media, Opened, Part, Signature, ToolInput};
use crate::protocol::Protocol;
use crate::signature::REDACTED;

impl Teller {
    /// A whole part, for answers that come as a whole.
    pub(super) fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let opened = match &part.content {
            Content::Text { .. } => Opened::Text,
            Content::Refusal { .. } => Opened::Refusal,
            Content::Reasoning {
                redacted: None, style, ..
            } => Opened::Reasoning { style: *style },
            Content::Reasoning {
                redacted: Some(data), ..
            } => return self.redacted(data, part.signature.as_ref(), out),
            Content::ToolCall {
                id,
                name,
                namespace,
                input,
            } => Opened::ToolCall {
                id: id.clone(),
                name: name.clone(),
                namespace: namespace.clone(),
                custom: matches!(input, ToolInput::Text(_)),
                signature: part.signature.clone(),
            },
            _ => return self.object(part, out),
        };
        self.part_start(&opened, out);
        self.whole_deltas(part, out);
        self.part_end(out);
    }

    /// A call has no place for a proof, so an item without thoughts carries it.
    pub(super) fn carry(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        if !self.seals {
            return;
        }
        let mut signature = signature.clone();
        signature.for_call = true;
        self.open_reasoning(Some(signature.enclose(OWN)), out);
        self.close("completed", out);
    }

    /// Thoughts that only the provider can read travel as a proof that says so.
    fn redacted(&mut self, data: &str, signature: Option<&Signature>, out: &mut Vec<u8>) {
        if !self.seals {
            return;
        }
        let sealed = Signature {
            protocol: Protocol::Anthropic,
            provider: signature.and_then(|signature| signature.provider.clone()),
            data: data.to_owned(),
            item: Some(REDACTED.to_owned()),
            for_call: false,
        };
        self.open_reasoning(Some(sealed.enclose(OWN)), out);
        self.close("completed", out);
    }

    /// A part that is neither words, thoughts nor a call. What clients have no item for is left out.
    fn object(&mut self, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Image {
                source: Media::Data { data, .. },
                ..
            } => self.image(data, out),
            Content::Image {
                source: Media::Url { url, .. },
                ..
            } => self.words(&format!("![image]({url})"), out),
            Content::Audio {
                transcript: Some(words),
                ..
            } => self.words(words, out),
            Content::Foreign { protocol, raw, .. } if *protocol == OWN => {
                self.close("completed", out);
                self.tell_item("response.output_item.added", raw, out);
                self.tell_item("response.output_item.done", raw, out);
                self.output.push(raw.clone());
            }
            _ => {}
        }
    }

    fn words(&mut self, words: &str, out: &mut Vec<u8>) {
        self.open_text(false, out);
        self.add_text(words, out);
        self.end_text(out);
    }

    fn image(&mut self, data: &str, out: &mut Vec<u8>) {
        self.close("completed", out);
        let index = self.output.len();
        let id = item_id(ItemKind::Image, &self.seed, index);
        let item = items::image(&id, "completed", Some(data));
        let first = items::image(&id, "in_progress", None);
        self.tell_item("response.output_item.added", &first, out);
        emit(
            &mut self.sequence,
            out,
            "response.image_generation_call.completed",
            |it| place(it, &id, index),
        );
        self.tell_item("response.output_item.done", &item, out);
        self.output.push(item);
    }
}
