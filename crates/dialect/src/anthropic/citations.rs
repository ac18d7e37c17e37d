//! Citations, both ways.

use crate::ir::Citation;
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer::{Array, Object};

/// Reads a citation of any kind; it is kept as it is spelled, too.
pub(super) fn read(node: &Node<'_>) -> Citation {
    let source = node.get("source");
    let is_address = source.text().is_some_and(|source| source.starts_with("http"));
    let url = node.get("url").string();
    Citation {
        url: url.or_else(|| source.string().filter(|_| is_address)),
        title: node.any(&["title", "document_title"]).string(),
        cited: node.get("cited_text").string(),
        start: None,
        end: None,
        raw: Some((Protocol::Anthropic, node.to_raw())),
    }
}

/// Whether the protocol has a word for it: its own, or a page.
pub(super) fn can_be_written(citation: &Citation) -> bool {
    matches!(citation.raw, Some((Protocol::Anthropic, _))) || citation.url.is_some()
}

/// Writes citations as elements of an array; those that have no word are passed over.
pub(super) fn write_all(it: &mut Array<'_>, citations: &[Citation]) {
    for citation in citations {
        match &citation.raw {
            Some((Protocol::Anthropic, raw)) => it.raw(raw),
            _ if can_be_written(citation) => it.object(|it| write_page(it, citation)),
            _ => {}
        }
    }
}

/// Writes a citation that can be written as a member.
pub(super) fn write(it: &mut Object<'_>, key: &str, citation: &Citation) {
    match &citation.raw {
        Some((Protocol::Anthropic, raw)) => it.raw(key, raw),
        _ => it.object(key, |it| write_page(it, citation)),
    }
}

fn write_page(it: &mut Object<'_>, citation: &Citation) {
    it.text("type", "web_search_result_location");
    it.text("cited_text", citation.cited.as_deref().unwrap_or_default());
    // Only the provider that searched could make it.
    it.text("encrypted_index", "");
    it.text_or_null("title", citation.title.as_deref());
    it.text("url", citation.url.as_deref().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_citations_are_kept_and_pages_can_be_told() {
        let raw = r#"{"type":"page_location","cited_text":"c","document_index":0,"document_title":"T","start_page_number":1}"#;
        let citation = read(&Node::parse_text(raw).unwrap());
        assert_eq!(
            (citation.title.as_deref(), citation.cited.as_deref()),
            (Some("T"), Some("c"))
        );
        let page = Citation {
            url: Some("https://a".into()),
            ..Citation::default()
        };
        let all = [citation, page, Citation::default()];
        let written = crate::writer::raw_array(|it| write_all(it, &all));
        assert_eq!(
            written.as_str(),
            format!(
                "[{raw},{}]",
                r#"{"type":"web_search_result_location","cited_text":"","encrypted_index":"","title":null,"url":"https://a"}"#
            )
        );
        assert!(!can_be_written(&Citation::default()));
    }
}
