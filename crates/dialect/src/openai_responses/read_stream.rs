//! Reads streams.
//!
//! Content is taken from the deltas as they come. What an item or the whole response says at its end is then compared
//! with what was told already: what is missing is told, and nothing is told twice. So a server that sends only the ends
//! of items, or only the last event, is understood too.

use super::read_content::read_citation;
use super::read_items::{Channel, Item, Kind, Told, arguments_of, call_of, hosted};
use super::read_response::read_logprobs;
use super::words::finish_of;
use super::{OWN, error, usage};
use crate::assembly::Assembly;
use crate::codec::{EventReader, Memo};
use crate::frame::Frame;
use crate::ir::{Class, Error, Signature, Start};
use crate::tree::Node;

/// Understands one stream.
#[derive(Debug)]
pub(super) struct Reader {
    provider: String,
    pub(super) items: Vec<Item>,
    /// The stream said that it goes on.
    in_progress: bool,
}

impl EventReader for Reader {
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly) {
        let Some(data) = &frame.data else {
            return;
        };
        let Ok(event) = Node::parse(data) else {
            return;
        };
        let named = std::str::from_utf8(frame.event).unwrap_or_default();
        let kind = event.get("type").text().unwrap_or(named);
        if kind == "error" || (kind.is_empty() && !event.get("error").is_null()) {
            return assembly.error(told_error(&event));
        }
        self.event(kind, &event, assembly);
    }
}

impl Reader {
    /// A reader for one answer.
    pub(super) fn new(memo: &Memo) -> Self {
        Self {
            provider: memo.provider.clone(),
            items: Vec::new(),
            in_progress: false,
        }
    }

    fn event(&mut self, kind: &str, event: &Node<'_>, assembly: &mut Assembly) {
        match kind {
            "response.output_text.delta" => self.delta(Channel::Text, event, assembly),
            "response.refusal.delta" => self.delta(Channel::Refusal, event, assembly),
            "response.reasoning_summary_text.delta" => self.delta(Channel::Summary, event, assembly),
            "response.reasoning_text.delta" => self.delta(Channel::Thoughts, event, assembly),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.delta(Channel::Input, event, assembly);
            }
            "response.output_text.done" => self.text_done(Channel::Text, "text", event, assembly),
            "response.refusal.done" => self.text_done(Channel::Refusal, "refusal", event, assembly),
            "response.reasoning_summary_text.done" => self.text_done(Channel::Summary, "text", event, assembly),
            "response.reasoning_text.done" => self.text_done(Channel::Thoughts, "text", event, assembly),
            "response.function_call_arguments.done" => self.text_done(Channel::Input, "arguments", event, assembly),
            "response.custom_tool_call_input.done" => self.text_done(Channel::Input, "input", event, assembly),
            "response.output_text.annotation.added" => self.annotation(event, assembly),
            "response.content_part.done" => self.content_part_done(event, assembly),
            "response.output_item.added" => self.item_added(event, assembly),
            "response.output_item.done" => self.item_done(event, assembly),
            "response.created" => begin(event.get("response"), assembly),
            "response.in_progress" | "response.queued" => {
                begin(event.get("response"), assembly);
                if std::mem::replace(&mut self.in_progress, true) {
                    assembly.ping();
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let status = kind.strip_prefix("response.");
                self.conclude(event.get("response"), status, assembly);
                assembly.close();
            }
            // Hosted tools tell how they come along.
            _ if kind.starts_with("response.") && kind.ends_with("ing") => assembly.ping(),
            _ => {}
        }
    }

    /// The answer is over: tells what was not told yet, the counts, and why it ended.
    pub(super) fn conclude(&mut self, response: &Node<'_>, status: Option<&str>, assembly: &mut Assembly) {
        begin(response, assembly);
        let known = self.items.len();
        let output = response.get("output").items();
        for (item, at) in output.iter().zip(self.matches(output)) {
            if let Some(at) = at.or_else(|| self.add(item, None)) {
                self.complete(at, item, assembly);
            }
        }
        for at in 0..known {
            self.abandon(at, assembly);
        }
        if let Some(usage) = usage::read(response.get("usage")) {
            assembly.usage(&usage);
        }
        let reason = response.get("incomplete_details").get("reason");
        match finish_of(status, reason.text()) {
            Some(finish) => assembly.finish(0, finish),
            None => assembly.error(failure(response, status)),
        }
    }

    fn item_added(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        let (node, index) = (event.get("item"), event.get("output_index").u64());
        let id = node.get("id").text_or_empty();
        if self.items.iter().any(|item| !id.is_empty() && item.id == id) {
            return;
        }
        let Some(at) = self.add(node, index) else {
            return;
        };
        assembly.part_end(0);
        let item = &mut self.items[at];
        if matches!(item.kind, Kind::Function | Kind::Custom) {
            item.first_arguments = arguments_of(node);
            assembly.call(0, at as u64, call_of(node));
        }
    }

    fn item_done(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        let (node, index) = (event.get("item"), event.get("output_index").u64());
        let (id, kind) = (node.get("id").text_or_empty(), Kind::of(node));
        let by_id = |item: &Item| !id.is_empty() && item.id == id;
        let by_index = |item: &Item| index.is_some() && item.index == index && item.kind == kind;
        let known = self
            .items
            .iter()
            .rposition(by_id)
            .or_else(|| self.items.iter().rposition(by_index));
        if let Some(at) = known.or_else(|| self.add(node, index)) {
            self.complete(at, node, assembly);
        }
    }

    fn delta(&mut self, channel: Channel, event: &Node<'_>, assembly: &mut Assembly) {
        let Some(at) = self.item_of(event, channel.kind()) else {
            return;
        };
        let item = &mut self.items[at];
        if item.done {
            return;
        }
        let index = channel.index_in(event);
        let told = item.told(channel, index);
        if let Some(text) = told.halves.text(event.get("delta")) {
            self.tell(at, channel, index, text, assembly);
        }
        let logprobs = read_logprobs(event.get("logprobs"));
        if !logprobs.is_empty() {
            self.items[at].told(channel, index).logprobs = true;
            assembly.logprobs(0, logprobs);
        }
    }

    fn text_done(&mut self, channel: Channel, name: &str, event: &Node<'_>, assembly: &mut Assembly) {
        let Some(at) = self.item_of(event, channel.kind()) else {
            return;
        };
        let index = channel.index_in(event);
        let full = event.get(name);
        let full = match full.text() {
            None if channel == Channel::Input && full.is_object() => full.raw(),
            text => text.unwrap_or_default(),
        };
        self.tell_rest(at, channel, index, full, assembly);
        self.tell_logprobs(at, index, event.get("logprobs"), assembly);
    }

    fn annotation(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        let Some(at) = self.item_of(event, Kind::Message) else {
            return;
        };
        let item = &mut self.items[at];
        if !item.done {
            item.told(Channel::Text, Channel::Text.index_in(event)).annotations += 1;
            assembly.citation(0, read_citation(event.get("annotation")));
        }
    }

    fn content_part_done(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        let is_thought = event.get("part").get("type").text() == Some("reasoning_text");
        let kind = if is_thought { Kind::Reasoning } else { Kind::Message };
        if let Some(at) = self.item_of(event, kind) {
            let index = Channel::Text.index_in(event);
            self.content_part(at, index, event.get("part"), assembly);
        }
    }

    /// Tells what is missing of a part of a message.
    fn content_part(&mut self, at: usize, index: u64, part: &Node<'_>, assembly: &mut Assembly) {
        if self.items[at].done {
            return;
        }
        match part.get("type").text() {
            Some("refusal") => {
                let text = part.get("refusal").text_or_empty();
                self.tell_rest(at, Channel::Refusal, index, text, assembly);
            }
            Some("reasoning_text") => {
                let text = part.get("text").text_or_empty();
                self.tell_rest(at, Channel::Thoughts, index, text, assembly);
            }
            _ => {
                let text = part.text().unwrap_or_else(|| part.get("text").text_or_empty());
                self.tell_rest(at, Channel::Text, index, text, assembly);
                let annotations = part.get("annotations").items();
                let told = self.items[at].told(Channel::Text, index);
                for annotation in annotations.iter().skip(told.annotations) {
                    told.annotations += 1;
                    assembly.citation(0, read_citation(annotation));
                }
                self.tell_logprobs(at, index, part.get("logprobs"), assembly);
            }
        }
    }

    fn tell_logprobs(&mut self, at: usize, index: u64, node: &Node<'_>, assembly: &mut Assembly) {
        let logprobs = read_logprobs(node);
        if logprobs.is_empty() || self.items[at].done {
            return;
        }
        let told = self.items[at].told(Channel::Text, index);
        if !std::mem::replace(&mut told.logprobs, true) {
            assembly.logprobs(0, logprobs);
        }
    }

    /// Tells what of a text was not told yet.
    fn tell_rest(&mut self, at: usize, channel: Channel, index: u64, full: &str, assembly: &mut Assembly) {
        let item = &mut self.items[at];
        if item.done {
            return;
        }
        // Some servers stream thoughts as one kind and then give them as the other.
        let is_other =
            |told: &Told| told.channel == channel.other() && told.index == index && told.length == full.len();
        if !full.is_empty() && item.told.iter().any(is_other) {
            return;
        }
        let length = item.told(channel, index).length;
        if let Some(rest) = full.get(length..).filter(|rest| !rest.is_empty()) {
            let rest = rest.to_owned();
            self.tell(at, channel, index, rest, assembly);
        }
    }

    fn tell(&mut self, at: usize, channel: Channel, index: u64, text: String, assembly: &mut Assembly) {
        if text.is_empty() {
            return;
        }
        let item = &mut self.items[at];
        let before = item.current.replace((channel, index));
        let told = item.told(channel, index);
        let begins = told.length == 0;
        told.length += text.len();
        let goes_on = before.is_none_or(|before| before == (channel, index));
        let is_next = !goes_on && begins && before.is_some_and(|(last, _)| last == channel);
        match channel {
            Channel::Text | Channel::Refusal => {
                if !goes_on {
                    assembly.part_end(0);
                }
                match channel {
                    Channel::Text => assembly.text(0, text),
                    _ => assembly.refusal(0, text),
                }
            }
            Channel::Summary | Channel::Thoughts => {
                let style = channel.style();
                if is_next {
                    assembly.reasoning(0, style, "\n\n");
                }
                assembly.reasoning(0, style, text);
            }
            Channel::Input => assembly.arguments(0, at as u64, text),
        }
    }

    /// Tells what was not told yet of an item that is whole.
    fn complete(&mut self, at: usize, node: &Node<'_>, assembly: &mut Assembly) {
        if self.items[at].done {
            return;
        }
        match Kind::of(node) {
            Kind::Message => {
                let content = node.get("content");
                let alone = std::slice::from_ref(content);
                let parts = if content.is_text() { alone } else { content.items() };
                for (index, part) in parts.iter().enumerate() {
                    self.content_part(at, index as u64, part, assembly);
                }
                assembly.part_end(0);
            }
            Kind::Reasoning => self.complete_reasoning(at, node, assembly),
            Kind::Function | Kind::Custom => {
                assembly.call(0, at as u64, call_of(node));
                node.get("call_id")
                    .text_or_empty()
                    .clone_into(&mut self.items[at].call_id);
                self.tell_rest(at, Channel::Input, 0, &arguments_of(node), assembly);
                let first = std::mem::take(&mut self.items[at].first_arguments);
                self.tell_rest(at, Channel::Input, 0, &first, assembly);
                assembly.call_end(0, at as u64);
            }
            Kind::Hosted => assembly.whole(0, hosted(node)),
        }
        self.items[at].done = true;
    }

    fn complete_reasoning(&mut self, at: usize, node: &Node<'_>, assembly: &mut Assembly) {
        for (channel, name) in [(Channel::Summary, "summary"), (Channel::Thoughts, "content")] {
            for (index, part) in node.get(name).items().iter().enumerate() {
                let text = part.get("text").text_or_empty();
                self.tell_rest(at, channel, index as u64, text, assembly);
            }
        }
        if let Some(sealed) = node.get("encrypted_content").text().filter(|sealed| !sealed.is_empty()) {
            assembly.signature(
                0,
                Signature {
                    item: node.get("id").string(),
                    ..Signature::made_by(OWN, &self.provider, sealed)
                },
            );
        }
        assembly.part_end(0);
    }

    /// The stream is over and said no more about this item.
    fn abandon(&mut self, at: usize, assembly: &mut Assembly) {
        let item = &mut self.items[at];
        if !item.done && matches!(item.kind, Kind::Function | Kind::Custom) {
            let first = std::mem::take(&mut item.first_arguments);
            self.tell_rest(at, Channel::Input, 0, &first, assembly);
            assembly.call_end(0, at as u64);
        }
        self.items[at].done = true;
    }
}

/// The answer begins, if it has not begun yet.
fn begin(response: &Node<'_>, assembly: &mut Assembly) {
    if !assembly.is_started() && response.is_object() {
        assembly.start(Start {
            id: response.get("id").text_or_empty().to_owned(),
            model: response.get("model").text_or_empty().to_owned(),
            created: response.get("created_at").u64(),
            usage: None,
            service_tier: response.get("service_tier").string(),
        });
    }
}

fn failure(response: &Node<'_>, status: Option<&str>) -> Error {
    if response.get("error").is_object() {
        return told_error(response);
    }
    let message = match status {
        Some("cancelled") => "The provider cancelled the answer.",
        Some("queued" | "in_progress") => "The provider has not finished the answer.",
        _ => "The provider could not finish the answer.",
    };
    Error::new(Class::Server, message)
}

fn told_error(node: &Node<'_>) -> Error {
    let mut error = error::read_node(node, Class::Server);
    if error.message.is_empty() {
        "The provider could not finish the answer.".clone_into(&mut error.message);
    }
    error
}
