//! How a target is asked whose provider has a handle for each of its models.

use mynah_dialect::embeddings::Shape;
use mynah_dialect::handle::{Handle, Service};
use mynah_dialect::images::Form;
use mynah_dialect::{Dialect, Protocol};

use super::{Ask, Way};
use crate::operation::Speech;
use crate::provider::Provider;

impl Ask<'_> {
    /// How a provider is asked this at one of its handles; `None` where something else is answered there.
    pub(super) fn way_by<'p>(&self, handle: &Handle, provider: &'p Provider) -> Option<Way<'p>> {
        let operation = self.operation?;
        let relayed = |dialect| provider.endpoint(dialect).map(Way::Relay);
        let translated = |protocol: Protocol| {
            let endpoint = provider.endpoint(protocol.dialect())?;
            Some(Way::Translate(endpoint, protocol))
        };
        match (operation.speech, handle.service) {
            (Speech::Conversation(asked), Service::Conversation(spoken)) if asked == spoken => {
                let endpoint = provider.endpoint(spoken.dialect())?;
                Some(self.way_in(endpoint, spoken))
            }
            (Speech::Conversation(_) | Speech::Completions | Speech::Count(_), Service::Conversation(spoken)) => {
                translated(spoken)
            }
            (Speech::Embeddings(shape), Service::Embeddings(spoken)) if shape.dialect() == spoken => relayed(spoken),
            (Speech::Embeddings(_), Service::Embeddings(spoken)) => translated(protocol_of(spoken)),
            (Speech::Images, Service::ImagesIn(Form::Gemini)) => translated(Protocol::Gemini),
            (Speech::Images, Service::ImagesIn(_)) => translated(Protocol::OpenaiChat),
            (Speech::Images, Service::Images)
            | (Speech::Conversation(Protocol::OpenaiChat) | Speech::Embeddings(Shape::OpenAi), Service::Untold) => {
                relayed(Dialect::OpenAi)
            }
            (Speech::Images, _) => None,
            (Speech::Conversation(_) | Speech::Completions, Service::Untold) if !handle.is_at(operation.below) => {
                translated(Protocol::OpenaiChat)
            }
            _ => relayed(self.dialect).filter(|_| handle.is_at(operation.below)),
        }
    }
}

/// The protocol whose errors go with a dialect.
fn protocol_of(dialect: Dialect) -> Protocol {
    match dialect {
        Dialect::OpenAi => Protocol::OpenaiChat,
        Dialect::Anthropic => Protocol::Anthropic,
        Dialect::Gemini => Protocol::Gemini,
        Dialect::Cohere => Protocol::Cohere,
    }
}
