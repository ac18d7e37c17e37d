//! What an answer rests on, and how likely its tokens were.

use crate::Protocol;
use crate::ir::{Citation, TokenChance, TokenLogprob};
use crate::tree::Node;

/// Reads one citation: one for each of its sources. Those of thoughts are not told, since no protocol has a place for
/// them.
pub(super) fn read(node: &Node<'_>) -> Vec<Citation> {
    if !node.is_object() || node.get("type").text() == Some("THINKING_CONTENT") {
        return Vec::new();
    }
    let mut citations: Vec<Citation> = node.get("sources").items().iter().map(source).collect();
    if citations.is_empty() {
        citations.push(Citation::default());
    }
    for citation in &mut citations {
        citation.start = node.get("start").u64();
        citation.end = node.get("end").u64();
    }
    // The first one stands for the whole.
    if let Some(first) = citations.first_mut() {
        first.raw = Some((Protocol::Cohere, node.to_raw()));
    }
    citations
}

/// Whether a citation is one of the plan before calls.
pub(super) fn is_of_plan(node: &Node<'_>) -> bool {
    node.get("type").text() == Some("PLAN")
}

/// Reads a source: a document, or the output of a tool.
fn source(node: &Node<'_>) -> Citation {
    let content = node.any(&["document", "tool_output"]);
    Citation {
        url: content.any(&["url", "uri", "link"]).string(),
        title: content
            .any(&["title", "name"])
            .string()
            .or_else(|| node.get("id").string()),
        cited: content.any(&["snippet", "text"]).string(),
        ..Citation::default()
    }
}

/// Reads `logprobs`: a list in whole answers, one entry in streams. An entry can be of several tokens, of which only the
/// text of all is known.
pub(super) fn logprobs(node: &Node<'_>) -> Vec<TokenLogprob> {
    let entry = |node: &Node<'_>| {
        let text = node.get("text").string()?;
        let logprob = node.get("logprobs").items().iter().filter_map(Node::f64).sum();
        Some(TokenLogprob {
            chosen: TokenChance {
                token: text,
                logprob,
                bytes: None,
            },
            top: Vec::new(),
        })
    };
    if node.is_object() {
        entry(node).into_iter().collect()
    } else {
        node.items().iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_told() {
        let json = r#"{"start":2,"end":5,"text":"abc","type":"TEXT_CONTENT","sources":[
            {"type":"document","id":"doc:0","document":{"title":"T","url":"https://t","snippet":"s"}},
            {"type":"tool","id":"f_1:0","tool_output":{"x":1}}]}"#;
        let read = read(&Node::parse_text(json).unwrap());
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].url.as_deref(), read[0].title.as_deref()),
            (Some("https://t"), Some("T"))
        );
        assert_eq!(
            (read[0].cited.as_deref(), read[0].start, read[0].end),
            (Some("s"), Some(2), Some(5))
        );
        assert_eq!((read[1].title.as_deref(), read[1].end), (Some("f_1:0"), Some(5)));
        assert!(read[0].raw.is_some() && read[1].raw.is_none());
    }

    #[test]
    fn citations_of_thoughts_are_not_told() {
        assert!(read(&Node::parse_text(r#"{"start":0,"end":1,"type":"THINKING_CONTENT"}"#).unwrap()).is_empty());
        assert!(read(&Node::parse_text("[]").unwrap()).is_empty());
        assert_eq!(read(&Node::parse_text(r#"{"start":0,"end":1}"#).unwrap()).len(), 1);
    }

    #[test]
    fn logprobs_come_as_a_list_or_alone() {
        let list =
            Node::parse_text(r#"[{"text":"a","token_ids":[1],"logprobs":[-0.5]},{"text":"bc","logprobs":[-1,-2]},7]"#)
                .unwrap();
        let read: Vec<_> = logprobs(&list)
            .into_iter()
            .map(|it| (it.chosen.token, it.chosen.logprob))
            .collect();
        assert_eq!(read, [("a".to_owned(), -0.5), ("bc".to_owned(), -3.0)]);
        assert_eq!(logprobs(&list.items()[0]).len(), 1);
        assert!(logprobs(&Node::default()).is_empty());
    }
}
