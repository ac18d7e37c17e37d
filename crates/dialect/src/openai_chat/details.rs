//! Proofs of reasoning as `reasoning_details` (OpenRouter) and `thinking_blocks` (LiteLLM) carry them.
//!
//! A detail that has a proof is kept as the proof's data without its text: its other members, such as `format` and `id`,
//! are wanted back together with it.

use crate::Protocol;
use crate::ir::{Content, Part, ReasoningStyle, Signature};
use crate::raw::Raw;
use crate::signature::REDACTED;
use crate::tree::Node;
use crate::writer::{self, Array, Object};

/// One detail.
pub(super) struct Detail {
    pub(super) style: ReasoningStyle,
    pub(super) text: String,
    pub(super) signature: Option<Signature>,
}

/// Reads a detail as a client sends it back.
pub(super) fn read(node: &Node<'_>) -> Detail {
    let opened = proof_in(node).map(|proof| Signature::open(Protocol::OpenaiChat, proof));
    let is_own =
        |signature: &Signature| Some(signature.data.as_str()) == proof_in(node) && signature.provider.is_none();
    let signature = opened.map(|signature| {
        if is_own(&signature) {
            let data = without_text(node).as_str().to_owned();
            Signature { data, ..signature }
        } else {
            signature
        }
    });
    Detail {
        signature,
        ..unproved(node)
    }
}

/// Reads a detail as the provider of that name made it.
pub(super) fn read_made(node: &Node<'_>, provider: &str) -> Detail {
    let signed = proof_in(node).is_some();
    let data = || without_text(node).as_str().to_owned();
    Detail {
        signature: signed.then(|| Signature::made_by(Protocol::OpenaiChat, provider, data())),
        ..unproved(node)
    }
}

/// The text of a detail, as it is spelled.
pub(super) fn text_in<'n, 'a>(node: &'n Node<'a>) -> &'n Node<'a> {
    node.any(&["text", "summary", "thinking"])
}

fn proof_in<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    node.any(&["signature", "data"])
        .text()
        .filter(|proof| !proof.is_empty())
}

fn unproved(node: &Node<'_>) -> Detail {
    let is_summary = node.get("type").text_or_empty().contains("summary");
    Detail {
        style: if is_summary {
            ReasoningStyle::Summary
        } else {
            ReasoningStyle::Full
        },
        text: text_in(node).text_or_empty().to_owned(),
        signature: None,
    }
}

fn without_text(node: &Node<'_>) -> Raw {
    writer::raw_object(|it| {
        for (name, value) in node.members() {
            if !matches!(name.as_ref(), "text" | "summary" | "thinking") {
                it.raw(name, &value.to_raw());
            }
        }
    })
}

impl Detail {
    /// The detail as a part of a message; `None` when there is nothing in it.
    pub(super) fn into_part(self) -> Option<Part> {
        if self.text.is_empty() && self.signature.is_none() {
            return None;
        }
        let redacted = self
            .signature
            .as_ref()
            .filter(|signature| signature.item.as_deref() == Some(REDACTED))
            .map(|signature| signature.data.clone());
        let content = Content::Reasoning {
            text: self.text,
            style: self.style,
            redacted: redacted.clone(),
        };
        Some(Part {
            signature: self.signature.filter(|_| redacted.is_none()),
            ..Part::from(content)
        })
    }
}

/// Writes a detail for the provider that proved it.
pub(super) fn write_back(items: &mut Array<'_>, text: &str, signature: &Signature) {
    let node = Node::parse_text(&signature.data).unwrap_or_default();
    items.object(|it| {
        if !node.is_object() {
            it.text("type", "reasoning.text");
            it.text("text", text);
            it.text("signature", &signature.data);
            return;
        }
        let kind = node.get("type").text_or_empty();
        let key = match kind {
            "thinking" => "thinking",
            kind if kind.contains("summary") => "summary",
            _ => "text",
        };
        for (name, value) in node.members() {
            it.raw(name, &value.to_raw());
            if name == "type" && !text.is_empty() {
                it.text(key, text);
            }
        }
    });
}

/// Whether the proof was brought as one of LiteLLM's `thinking_blocks`.
pub(super) fn is_thinking_block(signature: &Signature) -> bool {
    let node = Node::parse_text(&signature.data).unwrap_or_default();
    matches!(node.get("type").text(), Some("thinking" | "redacted_thinking"))
}

/// Writes a piece of a detail for a client: its text, its proof, or both. `hidden` thoughts have no text at all.
pub(super) fn write(it: &mut Object<'_>, index: u32, text: Option<&str>, signature: Option<&Signature>, hidden: bool) {
    it.number("index", index);
    if hidden {
        it.text("type", "reasoning.encrypted");
        it.some_text("data", enclosed(signature).as_deref());
    } else {
        it.text("type", "reasoning.text");
        it.some_text("text", text);
        it.some_text("signature", enclosed(signature).as_deref());
    }
}

fn enclosed(signature: Option<&Signature>) -> Option<String> {
    signature.map(|signature| signature.enclose(Protocol::OpenaiChat))
}

/// The proof of a part: its own, or its redacted thoughts in the form of one.
pub(super) fn proof_of(part: &Part) -> Option<Signature> {
    let Content::Reasoning {
        redacted: Some(data), ..
    } = &part.content
    else {
        return part.signature.clone();
    };
    let maker = part.signature.as_ref();
    Some(Signature {
        protocol: maker.map_or(Protocol::Anthropic, |maker| maker.protocol),
        provider: maker.and_then(|maker| maker.provider.clone()),
        data: data.clone(),
        item: Some(REDACTED.to_owned()),
        for_call: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        read(&Node::parse_text(text).unwrap()).into_part().unwrap()
    }

    #[test]
    fn a_detail_comes_back_as_it_was() {
        let cases = [
            r#"{"type":"reasoning.text","text":"hm","signature":"abc","format":"anthropic-claude-v1","index":0}"#,
            r#"{"type":"reasoning.encrypted","data":"abc","id":"rs_1"}"#,
            r#"{"type":"thinking","thinking":"hm","signature":"abc"}"#,
        ];
        for case in cases {
            let part = part(case);
            let Content::Reasoning { text, .. } = &part.content else {
                panic!("{part:?}")
            };
            let back = writer::raw_array(|items| write_back(items, text, part.signature.as_ref().unwrap()));
            assert_eq!(back.as_str(), format!("[{case}]"));
        }
    }

    #[test]
    fn what_is_handed_out_is_understood_again() {
        let proof = Signature::made_by(Protocol::Anthropic, "claude", "sig");
        let written = writer::raw_object(|it| write(it, 0, Some("hm"), Some(&proof), false));
        let back = part(written.as_str());
        assert_eq!(back.signature, Some(proof));
        let redacted = Part::from(Content::Reasoning {
            text: String::new(),
            style: ReasoningStyle::Full,
            redacted: Some("blob".into()),
        });
        let written = writer::raw_object(|it| write(it, 0, None, proof_of(&redacted).as_ref(), true));
        assert_eq!(part(written.as_str()), redacted);
    }
}
