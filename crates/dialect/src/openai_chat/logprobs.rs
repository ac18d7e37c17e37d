//! How likely tokens were, in both directions.

use crate::ir::{TokenChance, TokenLogprob};
use crate::tree::Node;
use crate::writer::{Array, Object};

/// Reads the `logprobs` of a choice: those of its content, then those of its refusal.
pub(super) fn read(node: &Node<'_>) -> Vec<TokenLogprob> {
    let lists = [node.get("content"), node.get("refusal")];
    let tokens = lists.iter().flat_map(|list| list.items());
    tokens
        .filter_map(|token| {
            Some(TokenLogprob {
                chosen: chance(token)?,
                top: token.get("top_logprobs").items().iter().filter_map(chance).collect(),
            })
        })
        .collect()
}

fn chance(node: &Node<'_>) -> Option<TokenChance> {
    let byte = |node: &Node<'_>| node.u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes = node.get("bytes");
    Some(TokenChance {
        token: node.get("token").string()?,
        // OpenAI's own number for a token that is as good as impossible.
        logprob: node.get("logprob").f64().unwrap_or(-9999.0),
        bytes: bytes
            .is_array()
            .then(|| bytes.items().iter().filter_map(byte).collect()),
    })
}

/// Writes the `logprobs` of a choice. Clients insist on both members and on `top_logprobs` of each token.
pub(super) fn write(it: &mut Object<'_>, tokens: &[TokenLogprob], of_refusal: bool) {
    let fill = |items: &mut Array<'_>| {
        for token in tokens {
            items.object(|it| {
                write_chance(it, &token.chosen);
                it.array("top_logprobs", |items| {
                    for chance in &token.top {
                        items.object(|it| write_chance(it, chance));
                    }
                });
            });
        }
    };
    if of_refusal {
        it.null("content");
        it.array("refusal", fill);
    } else {
        it.array("content", fill);
        it.null("refusal");
    }
}

fn write_chance(it: &mut Object<'_>, chance: &TokenChance) {
    it.text("token", &chance.token);
    it.float("logprob", chance.logprob);
    match &chance.bytes {
        Some(bytes) => it.array("bytes", |items| {
            for byte in bytes {
                items.number(*byte);
            }
        }),
        None => it.null("bytes"),
    }
}
