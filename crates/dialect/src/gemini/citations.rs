//! What an answer rests on: `citationMetadata` and `groundingMetadata`.
//!
//! Gemini counts places in the answer's text in bytes, the vocabulary in characters.

use super::spelling::{count, member};
use crate::ir::Citation;
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer::Object;

/// Reads a `citationMetadata`; its list has another name on Vertex AI. `text` is the answer so far.
pub(super) fn read_citations(node: &Node<'_>, text: &str) -> Vec<Citation> {
    let list = match member(node, "citationSources") {
        absent if absent.is_null() => member(node, "citations"),
        list => list,
    };
    let read = |source: &Node<'_>| {
        let (start, end) = places(source, text);
        Citation {
            url: member(source, "uri").string(),
            title: member(source, "title").string(),
            cited: None,
            start,
            end,
            raw: Some((Protocol::Gemini, source.to_raw())),
        }
    };
    list.items().iter().map(read).collect()
}

/// Reads a `groundingMetadata`: which passage rests on which page, or the pages alone.
pub(super) fn read_grounding(node: &Node<'_>, text: &str) -> Vec<Citation> {
    let pages = member(node, "groundingChunks").items();
    let supports = member(node, "groundingSupports").items();
    let mut citations = Vec::new();
    for support in supports {
        let (start, end) = places(member(support, "segment"), text);
        for index in member(support, "groundingChunkIndices").items() {
            let page = index.u64().and_then(|index| pages.get(usize::try_from(index).ok()?));
            citations.extend(page.map(|page| Citation {
                start,
                end,
                ..page_of(page)
            }));
        }
    }
    if supports.is_empty() {
        citations.extend(pages.iter().map(page_of));
    }
    citations
}

fn page_of(chunk: &Node<'_>) -> Citation {
    let page = ["web", "retrievedContext", "maps"]
        .iter()
        .map(|kind| member(chunk, kind))
        .find(|page| !page.is_null())
        .unwrap_or(chunk);
    Citation {
        url: member(page, "uri").string(),
        title: member(page, "title").string(),
        ..Citation::default()
    }
}

/// Where a passage begins and ends, in characters. The API leaves a zero out.
fn places(node: &Node<'_>, text: &str) -> (Option<u64>, Option<u64>) {
    let end = place(member(node, "endIndex"), text);
    let start = place(member(node, "startIndex"), text);
    (start.or(end.map(|_| 0)), end)
}

/// A place in bytes as one in characters.
fn place(node: &Node<'_>, text: &str) -> Option<u64> {
    let bytes = usize::try_from(count(node)?).ok()?;
    let characters = text.char_indices().take_while(|(at, _)| *at < bytes).count();
    // What lies behind the text that was told is counted as if it were of one byte each.
    u64::try_from(characters + bytes.saturating_sub(text.len())).ok()
}

/// A place in characters as one in bytes.
fn byte(place: Option<u64>, text: &str) -> Option<u64> {
    let place = usize::try_from(place?).ok()?;
    let at = text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    u64::try_from(at).ok()
}

/// Writes a `citationMetadata`; nothing when there are no citations.
pub(super) fn write_citations<'c>(it: &mut Object<'_>, citations: impl Iterator<Item = &'c Citation>, text: &str) {
    let mut citations = citations.peekable();
    if citations.peek().is_none() {
        return;
    }
    it.object("citationMetadata", |it| {
        it.array("citationSources", |it| {
            for citation in citations {
                if let Some((Protocol::Gemini, raw)) = &citation.raw {
                    it.raw(raw);
                    continue;
                }
                it.object(|it| {
                    it.some_number("startIndex", byte(citation.start, text));
                    it.some_number("endIndex", byte(citation.end, text));
                    it.some_text("uri", citation.url.as_deref());
                    it.some_text("title", citation.title.as_deref());
                });
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let node = Node::parse(
            r#"{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"web":{"uri":"https://b"}}],
            "groundingSupports":[{"segment":{"endIndex":3,"text":"äb"},"groundingChunkIndices":[0,1,9]}]}"#
                .as_bytes(),
        )
        .unwrap();
        let citations = read_grounding(&node, "äbc");
        assert_eq!(citations.len(), 2);
        assert_eq!((citations[0].start, citations[0].end), (Some(0), Some(2)));
        let raw = crate::writer::raw_object(|it| write_citations(it, citations[..1].iter(), "äbc"));
        assert_eq!(
            raw.as_str(),
            r#"{"citationMetadata":{"citationSources":[{"startIndex":0,"endIndex":3,"uri":"https://a","title":"A"}]}}"#
        );
    }

    #[test]
    fn sources_keep_their_form() {
        let node = Node::parse(br#"{"citations":[{"startIndex":1,"endIndex":2,"uri":"u","license":"mit"}]}"#).unwrap();
        let citations = read_citations(&node, "abc");
        assert_eq!((citations[0].start, citations[0].end), (Some(1), Some(2)));
        let raw = crate::writer::raw_object(|it| write_citations(it, citations.iter(), "abc"));
        assert!(raw.as_str().contains("mit"));
    }
}
