//! Probabilities of tokens: `logprobsResult`.

use super::spelling::member;
use crate::ir::{TokenChance, TokenLogprob};
use crate::tree::Node;
use crate::writer::Object;

/// Reads a `logprobsResult`.
pub(super) fn read_logprobs(node: &Node<'_>) -> Vec<TokenLogprob> {
    let top = member(node, "topCandidates").items();
    let chosen = member(node, "chosenCandidates").items().iter().enumerate();
    let read = |(index, chosen): (usize, &Node<'_>)| {
        let others = top.get(index).map(|top| member(top, "candidates").items());
        TokenLogprob {
            chosen: chance(chosen),
            top: others.unwrap_or_default().iter().map(chance).collect(),
        }
    };
    chosen.map(read).collect()
}

fn chance(node: &Node<'_>) -> TokenChance {
    TokenChance {
        token: member(node, "token").text_or_empty().to_owned(),
        logprob: member(node, "logProbability").f64().unwrap_or(0.0),
        bytes: None,
    }
}

/// Writes a `logprobsResult`; nothing when there is none.
pub(super) fn write_logprobs(it: &mut Object<'_>, logprobs: &[TokenLogprob]) {
    if logprobs.is_empty() {
        return;
    }
    it.object("logprobsResult", |it| {
        it.array("topCandidates", |it| {
            for token in logprobs {
                it.object(|it| {
                    it.array("candidates", |it| {
                        token
                            .top
                            .iter()
                            .for_each(|chance| it.object(|it| write_chance(it, chance)));
                    });
                });
            }
        });
        it.array("chosenCandidates", |it| {
            for token in logprobs {
                it.object(|it| write_chance(it, &token.chosen));
            }
        });
    });
}

fn write_chance(it: &mut Object<'_>, chance: &TokenChance) {
    it.text("token", &chance.token);
    it.float("logProbability", chance.logprob);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let json = r#"{"logprobsResult":{"topCandidates":[{"candidates":[{"token":"a","logProbability":-0.1},{"token":"b","logProbability":-2.5}]}],"chosenCandidates":[{"token":"a","logProbability":-0.1}]}}"#;
        let node = Node::parse(json.as_bytes()).unwrap();
        let logprobs = read_logprobs(node.get("logprobsResult"));
        assert_eq!(logprobs[0].top.len(), 2);
        let raw = crate::writer::raw_object(|it| write_logprobs(it, &logprobs));
        assert_eq!(raw.as_str(), json);
    }
}
