//! What a request needs of a target, as far as targets are told apart by it.

use axum::http::HeaderName;
use memchr::memmem;
use mynah_dialect::estimate;
use mynah_dialect::ir::{Content, Effort, Format, Part, Request, Role};

use crate::ask::{Ask, AskBody};
use crate::balance::{Strategy, fingerprint};
use crate::config::models::Ability;
use crate::failure::Failure;
use crate::operation::Kind;
use crate::route::{Route, Target};
use crate::translation::Conversation;

/// The header that names the session to which an affinity holds.
pub static SESSION: HeaderName = HeaderName::from_static("x-mynah-session");

/// The header with the tags that a target must have.
pub static TAGS: HeaderName = HeaderName::from_static("x-mynah-tags");

/// What a request needs. Nothing is looked for that no target of the route is told apart by.
#[derive(Debug, Default)]
pub struct Needs {
    /// Room for so many tokens; 0 when everybody has room.
    tokens: u64,
    abilities: Vec<Ability>,
    tags: Vec<String>,
    /// What is asked for.
    kind: Option<Kind>,
    /// What an affinity holds to.
    pub conversation: Option<u64>,
}

/// Why a target does not suit a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// It has no room for so many tokens.
    Context {
        /// What the request needs.
        needed: u64,
        /// What the target can hold.
        has: u64,
    },
    /// It cannot do this.
    Ability(Ability),
    /// It does not have this tag.
    Tag(String),
    /// It is asked for other things.
    Route,
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Context { needed, has } => {
                write!(formatter, "the request needs about {needed} tokens, it holds {has}")
            }
            Self::Ability(ability) => write!(formatter, "it is not one for {}", ability.name()),
            Self::Tag(tag) => write!(formatter, "it does not have the tag `{tag}`"),
            Self::Route => formatter.write_str("it is for other routes"),
        }
    }
}

impl Ability {
    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Tools => "tools",
            Self::JsonSchema => "json-schema",
            Self::Reasoning => "reasoning",
            Self::Audio => "audio",
        }
    }
}

impl Needs {
    /// What a request needs of the targets of a route.
    pub fn of(route: &Route, ask: &Ask<'_>) -> Self {
        let is_divided = route.targets().any(|target| target.routes.is_some());
        let mut needs = Self {
            tags: tags(ask),
            kind: is_divided.then(|| Kind::of(ask.path)).flatten(),
            ..Self::default()
        };
        let smallest = route.targets().filter_map(|target| target.context).min();
        let is_choosy = route.targets().any(|target| target.abilities.is_some());
        let holds = route
            .tiers
            .iter()
            .any(|tier| tier.strategy == Strategy::Affinity && tier.targets.len() > 1);
        let length = length(ask);
        // A token is at least one byte.
        let is_large = smallest.is_some_and(|smallest| length > smallest);
        if holds {
            needs.conversation = session(ask);
        }
        let may_be_large = is_large || smallest.is_some() && may_limit_its_answer(ask);
        if !may_be_large && !is_choosy && (!holds || needs.conversation.is_some()) {
            return needs;
        }
        let conversation = ask.conversation().ok().flatten();
        let Some(request) = conversation.map(Conversation::request) else {
            needs.tokens = if is_large { length / 4 } else { 0 };
            return needs;
        };
        if is_large
            || request
                .max_tokens
                .zip(smallest)
                .is_some_and(|(most, smallest)| length.saturating_add(most) > smallest)
        {
            needs.tokens = estimate::input_tokens(request).saturating_add(request.max_tokens.unwrap_or(0));
        }
        if is_choosy {
            needs.abilities = abilities(request);
        }
        if holds {
            needs.conversation = needs.conversation.or_else(|| Some(beginning(request)));
        }
        needs
    }

    /// Why a target does not suit the request, if it does not.
    pub fn unmet_by(&self, target: &Target) -> Option<Unmet> {
        if let Some(has) = target.context.filter(|has| self.tokens > *has) {
            return Some(Unmet::Context {
                needed: self.tokens,
                has,
            });
        }
        if let Some(tag) = self.tags.iter().find(|tag| !target.tags.contains(tag)) {
            return Some(Unmet::Tag(tag.clone()));
        }
        if let Some(routes) = &target.routes
            && !self.kind.is_some_and(|kind| routes.contains(&kind))
        {
            return Some(Unmet::Route);
        }
        let abilities = target.abilities.as_ref()?;
        let lacking = self.abilities.iter().find(|ability| !abilities.contains(ability));
        lacking.copied().map(Unmet::Ability)
    }

    /// The failure of a request that no target suits.
    pub fn unmet(&self, route: &Route, ask: &Ask<'_>) -> Failure {
        match route
            .targets()
            .find_map(|target| Some((target, self.unmet_by(target)?)))
        {
            Some((target, unmet)) => Failure::unmet(&route.name, &target.name, &unmet),
            None if route.targets().next().is_none() => Failure::no_targets(&route.name),
            None if route.targets().any(|target| target.handle.is_some()) => Failure::not_for(&route.name, ask.path),
            None if route.targets().any(|target| target.provider.has_handles()) => Failure::unlisted(&route.name),
            None => Failure::cannot_translate(&route.name, ask.path),
        }
    }
}

fn tags(ask: &Ask<'_>) -> Vec<String> {
    if !ask.has_tags {
        return Vec::new();
    }
    let values = ask
        .headers
        .get_all(&TAGS)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split(',')).map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn session(ask: &Ask<'_>) -> Option<u64> {
    let header = ask.headers.get(&SESSION)?;
    Some(fingerprint(&[header.as_bytes()]))
}

fn length(ask: &Ask<'_>) -> u64 {
    match &ask.body {
        AskBody::Json(bytes, _) | AskBody::Form(bytes, _) | AskBody::Opaque(bytes) => bytes.len() as u64,
        AskBody::Once(_) => 0,
    }
}

/// Whether the body may say how long its answer may be: in each protocol a field does whose name has this in it.
fn may_limit_its_answer(ask: &Ask<'_>) -> bool {
    matches!(&ask.body, AskBody::Json(bytes, _) if memmem::find(bytes, b"max").is_some())
}

/// What tells a conversation from others: the key that its client gave it, or how it begins. It stays the same while
/// the conversation grows.
fn beginning(request: &Request) -> u64 {
    if let Some(key) = &request.cache_key {
        return fingerprint(&[key.as_bytes()]);
    }
    let first = request.messages.iter().find(|message| message.role == Role::User);
    let parts = request
        .system
        .iter()
        .chain(first.into_iter().flat_map(|message| &message.parts));
    let texts: Vec<&[u8]> = parts
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_bytes()),
            _ => None,
        })
        .collect();
    fingerprint(&texts)
}

fn abilities(request: &Request) -> Vec<Ability> {
    let parts = || {
        request
            .system
            .iter()
            .chain(request.messages.iter().flat_map(|message| &message.parts))
    };
    let shows = |part: &Part| matches!(part.content, Content::Image { .. } | Content::Video { .. });
    let speaks = |part: &Part| matches!(part.content, Content::Audio { .. });
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| {
        reasoning.enabled.unwrap_or(true) && reasoning.effort != Some(Effort::None) && reasoning.budget != Some(0)
    });
    let needed = [
        (Ability::Vision, parts().any(|part| anywhere(part, &shows))),
        (Ability::Tools, !request.tools.is_empty()),
        (Ability::JsonSchema, matches!(request.format, Format::JsonSchema { .. })),
        (Ability::Reasoning, thinks),
        (
            Ability::Audio,
            request.audio.is_some() || parts().any(|part| anywhere(part, &speaks)),
        ),
    ];
    needed
        .into_iter()
        .filter(|(_, is_needed)| *is_needed)
        .map(|(ability, _)| ability)
        .collect()
}

/// Whether a part is such a one, or has one in it.
fn anywhere(part: &Part, is_one: &impl Fn(&Part) -> bool) -> bool {
    match &part.content {
        Content::ToolResult { content, .. } => content.iter().any(is_one),
        _ => is_one(part),
    }
}
