//! What is known of the items of an answer while it comes.

use super::OWN;
use super::read_stream::Reader;
use crate::assembly::Call;
use crate::ir::{Content, Part, ReasoningStyle};
use crate::media;
use crate::tree::{Halves, Node};

/// More items than this are not listened to.
const MAX_ITEMS: usize = 4096;

/// What is known of an item.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) call_id: String,
    pub(super) index: Option<u64>,
    pub(super) kind: Kind,
    /// Nothing more is told of it.
    pub(super) done: bool,
    pub(super) told: Vec<Told>,
    /// The text that is told now.
    pub(super) current: Option<(Channel, u64)>,
    /// Arguments that came with the item's beginning. Most servers send them again.
    pub(super) first_arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Function,
    Custom,
    Hosted,
}

impl Kind {
    /// Whether an event of an item of that kind can be about an item of this one.
    pub(super) fn takes(self, kind: Self) -> bool {
        self == kind || (self == Self::Custom && kind == Self::Function)
    }

    pub(super) fn of(item: &Node<'_>) -> Self {
        match item.get("type").text() {
            Some("message") => Self::Message,
            Some("reasoning") => Self::Reasoning,
            Some("function_call") => Self::Function,
            Some("custom_tool_call") => Self::Custom,
            None if !item.get("content").is_null() => Self::Message,
            _ => Self::Hosted,
        }
    }
}

/// The texts of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Text,
    Refusal,
    Summary,
    Thoughts,
    Input,
}

/// How much of a text was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) channel: Channel,
    pub(super) index: u64,
    /// Bytes.
    pub(super) length: usize,
    pub(super) halves: Halves,
    pub(super) annotations: usize,
    pub(super) logprobs: bool,
}

impl Item {
    pub(super) fn new(id: &str, index: Option<u64>, kind: Kind) -> Self {
        Self {
            id: id.to_owned(),
            call_id: String::new(),
            index,
            kind,
            done: false,
            told: Vec::new(),
            current: None,
            first_arguments: String::new(),
        }
    }

    /// Whether this is known to be another call.
    pub(super) fn contradicts(&self, call_id: &str) -> bool {
        !call_id.is_empty() && !self.call_id.is_empty() && self.call_id != call_id
    }

    pub(super) fn told(&mut self, channel: Channel, index: u64) -> &mut Told {
        let known = self
            .told
            .iter()
            .position(|told| told.channel == channel && told.index == index);
        let at = known.unwrap_or_else(|| {
            self.told.push(Told {
                channel,
                index,
                length: 0,
                halves: Halves::default(),
                annotations: 0,
                logprobs: false,
            });
            self.told.len() - 1
        });
        &mut self.told[at]
    }
}

impl Channel {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Text | Self::Refusal => Kind::Message,
            Self::Summary | Self::Thoughts => Kind::Reasoning,
            Self::Input => Kind::Function,
        }
    }

    /// The number of the text within its item.
    pub(super) fn index_in(self, event: &Node<'_>) -> u64 {
        let name = match self {
            Self::Text | Self::Refusal | Self::Thoughts => "content_index",
            Self::Summary => "summary_index",
            Self::Input => return 0,
        };
        event.get(name).u64().unwrap_or(0)
    }

    pub(super) fn style(self) -> ReasoningStyle {
        match self {
            Self::Thoughts => ReasoningStyle::Full,
            _ => ReasoningStyle::Summary,
        }
    }

    /// The channel that thoughts may come in as well; itself for everything else, where nothing is untold then.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Summary => Self::Thoughts,
            Self::Thoughts => Self::Summary,
            same => same,
        }
    }
}

impl Reader {
    /// The item that an event is about. Ids come first; but some servers have a new one in every event, so that only the
    /// place tells.
    pub(super) fn item_of(&mut self, event: &Node<'_>, kind: Kind) -> Option<usize> {
        let (id, index) = (event.get("item_id").text_or_empty(), event.get("output_index").u64());
        let by_id = || self.items.iter().rposition(|item| !id.is_empty() && item.id == id);
        let is_here = |item: &Item| index.is_some() && item.index == index && item.kind.takes(kind);
        let by_index = || {
            let open = self.items.iter().rposition(|item| is_here(item) && !item.done);
            open.or_else(|| self.items.iter().rposition(is_here))
        };
        let last = || {
            let fits = |item: &&Item| id.is_empty() && index.is_none() && item.kind.takes(kind) && !item.done;
            self.items.last().filter(fits).map(|_| self.items.len() - 1)
        };
        let known = by_id().or_else(by_index).or_else(last);
        known.or_else(|| self.push(Item::new(id, index, kind)))
    }

    fn push(&mut self, item: Item) -> Option<usize> {
        if self.items.len() >= MAX_ITEMS {
            return None;
        }
        self.items.push(item);
        Some(self.items.len() - 1)
    }

    /// A new item; `None` when there are too many.
    pub(super) fn add(&mut self, node: &Node<'_>, index: Option<u64>) -> Option<usize> {
        let mut item = Item::new(node.get("id").text_or_empty(), index, Kind::of(node));
        node.get("call_id").text_or_empty().clone_into(&mut item.call_id);
        self.push(item)
    }

    /// Which known item each item of the last event is: by its ids; then by its place, or as the next of its kind, since
    /// some servers give new ids there.
    pub(super) fn matches(&self, output: &[Node<'_>]) -> Vec<Option<usize>> {
        let mut taken = vec![false; self.items.len()];
        let mut take = |kind: Kind, fits: &dyn Fn(&Item) -> bool| {
            let mut free = self.items.iter().zip(&taken).map(|(item, taken)| (item, !taken));
            let at = free.position(|(item, is_free)| is_free && item.kind == kind && fits(item))?;
            taken[at] = true;
            Some(at)
        };
        let mut matches: Vec<Option<usize>> = Vec::with_capacity(output.len());
        for node in output {
            let (id, call_id) = (node.get("id").text_or_empty(), node.get("call_id").text_or_empty());
            matches.push(take(Kind::of(node), &|item| {
                (!id.is_empty() && item.id == id) || (!call_id.is_empty() && item.call_id == call_id)
            }));
        }
        for (position, (node, found)) in output.iter().zip(&mut matches).enumerate() {
            let (kind, call_id) = (Kind::of(node), node.get("call_id").text_or_empty());
            if found.is_none() {
                let here = |item: &Item| item.index == Some(position as u64) && !item.contradicts(call_id);
                *found = take(kind, &here).or_else(|| take(kind, &|item| !item.contradicts(call_id)));
            }
        }
        matches
    }
}

pub(super) fn call_of(node: &Node<'_>) -> Call {
    Call {
        id: node.any(&["call_id", "id"]).text_or_empty().to_owned(),
        name: node.get("name").text_or_empty().to_owned(),
        signature: None,
        free_text: Kind::of(node) == Kind::Custom,
        namespace: node.get("namespace").string(),
    }
}

pub(super) fn arguments_of(node: &Node<'_>) -> String {
    let given = node.any(&["arguments", "input"]);
    match given.text() {
        Some(text) => text.to_owned(),
        None if given.is_null() => String::new(),
        // Some servers send the arguments as an object.
        None => given.raw().to_owned(),
    }
}

/// An item that only this protocol knows; a picture is one that all know.
pub(super) fn hosted(node: &Node<'_>) -> Part {
    let kind = node.get("type").text_or_empty();
    if kind == "image_generation_call"
        && let Some(data) = node.get("result").text()
    {
        let format = node.get("output_format").text().unwrap_or("png");
        if let Some(source) = media::data_of(Some(format!("image/{format}")), data, None) {
            return Content::Image { source, detail: None }.into();
        }
    }
    Content::Foreign {
        protocol: OWN,
        kind: kind.to_owned(),
        raw: node.to_raw(),
    }
    .into()
}
