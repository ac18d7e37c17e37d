//! One candidate's parts, in order.

use std::collections::VecDeque;

use super::Call;
use super::progress::Progress;
use crate::codec::Memo;
use crate::ir::{
    Citation, Content, Delta, Event, Finish, FinishReason, Opened, Part, ReasoningStyle, Signature, TokenLogprob,
};
use crate::tree::Node;

/// Something that a provider says of a candidate.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Refusal(String),
    Reasoning(ReasoningStyle, String),
    Signature(Signature),
    Citation(Citation),
    Logprobs(Vec<TokenLogprob>),
    PartEnd,
    Whole(Box<Part>),
    Call(u64, Box<Call>),
    Arguments(u64, String),
    CallEnd(u64),
}

impl Piece {
    fn call_key(&self) -> Option<u64> {
        match self {
            Self::Call(key, _) | Self::Arguments(key, _) | Self::CallEnd(key) => Some(*key),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::Reasoning(_, text) | Self::Arguments(_, text) => {
                text.len() + 32
            }
            _ => 256,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::Reasoning(_, text) | Self::Arguments(_, text) => {
                text.is_empty()
            }
            _ => false,
        }
    }
}

/// The part that is open.
#[derive(Debug)]
enum Open {
    Text,
    Refusal,
    Reasoning { style: ReasoningStyle, signed: bool },
    Call(Box<OpenCall>),
}

/// A call that is open.
#[derive(Debug)]
struct OpenCall {
    key: u64,
    call: Call,
    /// Its part has begun, which takes its name.
    announced: Announced,
    /// Arguments that cannot be told yet.
    held: String,
    progress: Progress,
    /// Something was told of its arguments.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    NotYet,
    AsCall,
    /// As a call of a tool with free text, whose wrapping has to be taken off as a whole.
    AsCustom,
    /// As text: its arguments are the answer.
    AsAnswer,
}

/// A candidate.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) index: u32,
    pub(super) finish: Option<Finish>,
    parts: u32,
    open: Option<Open>,
    waiting: VecDeque<Piece>,
    waiting_size: usize,
    /// Keys of calls that were begun.
    keys: Vec<u64>,
    ids: Vec<String>,
    called: bool,
    refused: bool,
    unnamed: bool,
}

/// What a speaker needs to say something.
struct Stage<'a> {
    memo: &'a Memo,
    seed: &'a str,
    events: &'a mut Vec<Event>,
}

impl Speaker {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            finish: None,
            parts: 0,
            open: None,
            waiting: VecDeque::new(),
            waiting_size: 0,
            keys: Vec::new(),
            ids: Vec::new(),
            called: false,
            refused: false,
            unnamed: false,
        }
    }

    /// Bytes that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_size + self.open_call().map_or(0, |call| call.held.len())
    }

    /// Calls that were begun.
    pub(super) fn calls(&self) -> usize {
        self.keys.len()
    }

    /// A call ended without a name.
    pub(super) fn has_unnamed_call(&self) -> bool {
        self.unnamed
    }

    /// Takes a piece, or puts it aside while a call that it does not belong to is incomplete.
    pub(super) fn hear(&mut self, piece: Piece, memo: &Memo, seed: &str, events: &mut Vec<Event>) {
        if piece.is_empty() {
            return;
        }
        let mut stage = Stage { memo, seed, events };
        if self.must_wait(&piece) {
            self.put_aside(piece);
        } else {
            self.apply(piece, &mut stage);
            self.catch_up(&mut stage);
        }
    }

    /// Everything has been said.
    pub(super) fn close(&mut self, memo: &Memo, seed: &str, events: &mut Vec<Event>) {
        let mut stage = Stage { memo, seed, events };
        self.end_open(&mut stage);
        while let Some(piece) = self.waiting.pop_front() {
            self.waiting_size -= piece.size();
            if self.must_wait(&piece) {
                // No more can come for the call that is open, so that it need not be waited for; what else there is of
                // it stands further behind.
                self.finish_call_from_waiting(&mut stage);
            }
            self.apply(piece, &mut stage);
        }
        self.end_open(&mut stage);
    }

    /// Why the candidate ends, in view of all that it said.
    pub(super) fn conclusion(&self) -> Finish {
        let mut finish = self.finish.clone().unwrap_or_else(|| FinishReason::Other.into());
        finish.reason = match finish.reason {
            FinishReason::Stop | FinishReason::Other if self.called => FinishReason::ToolCalls,
            FinishReason::ToolCalls if !self.called => FinishReason::Stop,
            FinishReason::Stop if self.refused => FinishReason::Refusal,
            reason => reason,
        };
        finish
    }

    fn open_call(&self) -> Option<&OpenCall> {
        match &self.open {
            Some(Open::Call(call)) => Some(call),
            _ => None,
        }
    }

    fn must_wait(&self, piece: &Piece) -> bool {
        let Some(call) = self.open_call() else {
            return false;
        };
        let others = piece.call_key() != Some(call.key);
        others && !(call.progress.is_complete() && self.waiting.is_empty())
    }

    fn put_aside(&mut self, piece: Piece) {
        self.waiting_size += piece.size();
        if let (Piece::Arguments(key, text), Some(Piece::Arguments(last, before))) = (&piece, self.waiting.back_mut())
            && key == last
        {
            self.waiting_size -= 32;
            before.push_str(text);
            return;
        }
        self.waiting.push_back(piece);
    }

    /// Says what waits, as far as it can be said.
    fn catch_up(&mut self, stage: &mut Stage<'_>) {
        loop {
            let blocked = self.open_call().is_some_and(|call| !call.progress.is_complete());
            if blocked || self.waiting.is_empty() {
                return;
            }
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting_size = 0;
            let before = waiting.len();
            for piece in waiting {
                // What waits again keeps its place before what came after it, even if the call that it waits for ends.
                let is_open = self.open_call().is_some_and(|call| piece.call_key() == Some(call.key));
                let is_next = is_open || self.waiting.is_empty();
                if self.must_wait(&piece) || !is_next {
                    self.put_aside(piece);
                } else {
                    self.apply(piece, stage);
                }
            }
            if self.waiting.len() == before {
                return;
            }
        }
    }

    /// Takes what waits for the open call out of the queue and ends the call.
    fn finish_call_from_waiting(&mut self, stage: &mut Stage<'_>) {
        let Some(key) = self.open_call().map(|call| call.key) else {
            return;
        };
        let waiting = std::mem::take(&mut self.waiting);
        let (own, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|piece| piece.call_key() == Some(key));
        self.waiting = others.into();
        self.waiting_size = self.waiting.iter().map(Piece::size).sum();
        for piece in own {
            self.apply(piece, stage);
        }
        self.end_open(stage);
    }

    fn apply(&mut self, piece: Piece, stage: &mut Stage<'_>) {
        match piece {
            Piece::Text(text) => {
                self.open_text(stage);
                self.delta(Delta::Text(text), stage);
            }
            Piece::Refusal(text) => {
                if !matches!(self.open, Some(Open::Refusal)) {
                    self.begin(Open::Refusal, Opened::Refusal, stage);
                    self.refused = true;
                }
                self.delta(Delta::Text(text), stage);
            }
            Piece::Reasoning(style, text) => {
                self.open_reasoning(style, stage);
                self.delta(Delta::Text(text), stage);
            }
            Piece::Signature(signature) => self.sign(signature, stage),
            Piece::Citation(citation) => {
                self.open_text(stage);
                self.delta(Delta::Citation(citation), stage);
            }
            Piece::Logprobs(logprobs) => {
                if !matches!(self.open, Some(Open::Text | Open::Refusal)) {
                    self.open_text(stage);
                }
                self.delta(Delta::Logprobs(logprobs), stage);
            }
            Piece::PartEnd => {
                if self.open_call().is_none() {
                    self.end_open(stage);
                }
            }
            Piece::Whole(part) => {
                self.refused |= matches!(part.content, Content::Refusal { .. });
                self.begin_part(Opened::Whole(*part), stage);
                self.end_part(stage);
            }
            Piece::Call(key, call) => self.begin_call(key, *call, stage),
            Piece::Arguments(key, text) => self.add_arguments(key, &text, stage),
            Piece::CallEnd(key) => {
                if self.open_call().is_some_and(|call| call.key == key) {
                    self.end_open(stage);
                }
            }
        }
    }

    fn open_text(&mut self, stage: &mut Stage<'_>) {
        if !matches!(self.open, Some(Open::Text)) {
            self.begin(Open::Text, Opened::Text, stage);
        }
    }

    fn open_reasoning(&mut self, style: ReasoningStyle, stage: &mut Stage<'_>) {
        let goes_on = matches!(self.open, Some(Open::Reasoning { style: open, signed: false }) if open == style);
        if !goes_on {
            self.begin(
                Open::Reasoning { style, signed: false },
                Opened::Reasoning { style },
                stage,
            );
        }
    }

    fn sign(&mut self, signature: Signature, stage: &mut Stage<'_>) {
        if !matches!(self.open, Some(Open::Reasoning { signed: false, .. })) {
            self.open_reasoning(ReasoningStyle::Full, stage);
        }
        if let Some(Open::Reasoning { signed, .. }) = &mut self.open {
            *signed = true;
        }
        self.delta(Delta::Signature(signature), stage);
    }

    fn begin_call(&mut self, key: u64, call: Call, stage: &mut Stage<'_>) {
        match &mut self.open {
            Some(Open::Call(open)) if open.key == key => open.learn(call),
            // Some providers repeat the beginning of a call that is over.
            _ if self.keys.contains(&key) => return,
            _ => {
                self.end_open(stage);
                self.keys.push(key);
                self.open = Some(Open::Call(Box::new(OpenCall::new(key, call))));
            }
        }
        self.announce(stage);
    }

    fn add_arguments(&mut self, key: u64, text: &str, stage: &mut Stage<'_>) {
        if !self.keys.contains(&key) {
            self.begin_call(key, Call::default(), stage);
        }
        let Some(Open::Call(open)) = &mut self.open else {
            return;
        };
        if open.key != key {
            return;
        }
        open.progress.push(text);
        match open.announced {
            Announced::AsCall => {
                open.told = true;
                self.delta(Delta::Arguments(text.to_owned()), stage);
            }
            Announced::AsAnswer => self.delta(Delta::Text(text.to_owned()), stage),
            Announced::NotYet | Announced::AsCustom => open.held.push_str(text),
        }
    }

    /// Begins the part of the open call once its name is known.
    fn announce(&mut self, stage: &mut Stage<'_>) {
        let number = self.ids.len();
        let Some(Open::Call(open)) = &mut self.open else {
            return;
        };
        if open.announced != Announced::NotYet || open.call.name.is_empty() {
            return;
        }
        let held = std::mem::take(&mut open.held);
        if stage.memo.answer_tool.as_ref() == Some(&open.call.name) {
            open.announced = Announced::AsAnswer;
            self.begin_part(Opened::Text, stage);
            if !held.is_empty() {
                self.delta(Delta::Text(held), stage);
            }
            return;
        }
        let known = stage.memo.tools.get(&open.call.name);
        let wrapped = known.is_some_and(|tool| tool.custom) && !open.call.free_text;
        if open.call.id.is_empty() || self.ids.contains(&open.call.id) {
            open.call.id = format!("call_{}{}n{number}", stage.seed, self.index);
        }
        let opened = Opened::ToolCall {
            id: open.call.id.clone(),
            name: known.map_or_else(|| open.call.name.clone(), |tool| tool.name.clone()),
            namespace: known
                .and_then(|tool| tool.namespace.clone())
                .or_else(|| open.call.namespace.clone()),
            custom: wrapped || open.call.free_text,
            signature: open.call.signature.take(),
        };
        open.announced = if wrapped {
            Announced::AsCustom
        } else {
            Announced::AsCall
        };
        if wrapped {
            open.held.clone_from(&held);
        } else {
            open.told = !held.is_empty();
        }
        self.ids.push(open.call.id.clone());
        self.called = true;
        self.begin_part(opened, stage);
        if !wrapped && !held.is_empty() {
            self.delta(Delta::Arguments(held), stage);
        }
    }

    fn begin(&mut self, open: Open, opened: Opened, stage: &mut Stage<'_>) {
        self.end_open(stage);
        self.open = Some(open);
        self.begin_part(opened, stage);
    }

    fn end_open(&mut self, stage: &mut Stage<'_>) {
        match self.open.take() {
            None => {}
            Some(Open::Call(call)) => self.end_call(&call, stage),
            Some(_) => self.end_part(stage),
        }
    }

    fn end_call(&mut self, call: &OpenCall, stage: &mut Stage<'_>) {
        match call.announced {
            Announced::NotYet => {
                self.unnamed = true;
                return;
            }
            Announced::AsCustom => self.delta(Delta::Arguments(unwrapped(&call.held)), stage),
            Announced::AsCall if !call.told && !call.call.free_text => {
                self.delta(Delta::Arguments("{}".to_owned()), stage);
            }
            Announced::AsCall | Announced::AsAnswer => {}
        }
        self.end_part(stage);
    }

    fn begin_part(&mut self, opened: Opened, stage: &mut Stage<'_>) {
        if matches!(opened, Opened::Whole(_)) {
            self.end_open(stage);
        }
        stage.events.push(Event::PartStart {
            candidate: self.index,
            part: self.parts,
            opened,
        });
    }

    fn end_part(&mut self, stage: &mut Stage<'_>) {
        stage.events.push(Event::PartEnd {
            candidate: self.index,
            part: self.parts,
        });
        self.parts += 1;
    }

    fn delta(&self, delta: Delta, stage: &mut Stage<'_>) {
        stage.events.push(Event::Delta {
            candidate: self.index,
            part: self.parts,
            delta,
        });
    }
}

impl OpenCall {
    fn new(key: u64, call: Call) -> Self {
        Self {
            key,
            call,
            announced: Announced::NotYet,
            held: String::new(),
            progress: Progress::default(),
            told: false,
        }
    }

    /// Fills in what was not known.
    fn learn(&mut self, call: Call) {
        if self.announced != Announced::NotYet {
            return;
        }
        if self.call.id.is_empty() {
            self.call.id = call.id;
        }
        if self.call.name.is_empty() {
            self.call.name = call.name;
        }
        self.call.signature = self.call.signature.take().or(call.signature);
        self.call.namespace = self.call.namespace.take().or(call.namespace);
        self.call.free_text |= call.free_text;
    }
}

/// The text in the one argument of a custom tool that was offered as a function.
fn unwrapped(arguments: &str) -> String {
    Node::parse_text(arguments)
        .ok()
        .and_then(|node| node.get("input").string())
        .unwrap_or_else(|| arguments.to_owned())
}
