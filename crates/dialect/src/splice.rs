//! Edits spans of a body and leaves every other byte as it was received.

use std::ops::Range;

use bytes::Bytes;

/// One edit: the bytes of `span` become `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where in the original body.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub text: Bytes,
}

/// The edited body as pieces to be sent one after the other. Nothing is copied: the pieces between the edits share the
/// memory of `body`. Without edits the only piece is `body` itself.
///
/// Spans must lie within the body and must not overlap; an edit that does not fit is left out.
pub fn splice(body: &Bytes, mut edits: Vec<Edit>) -> Vec<Bytes> {
    if edits.is_empty() {
        return vec![body.clone()];
    }
    edits.sort_by_key(|edit| edit.span.start);
    let mut end = 0;
    edits.retain(|Edit { span, .. }| {
        let fits = span.start >= end && span.end >= span.start && span.end <= body.len();
        end = if fits { span.end } else { end };
        fits
    });
    let mut pieces = Vec::with_capacity(edits.len() * 2 + 1);
    let mut at = 0;
    for edit in edits {
        pieces.push(body.slice(at..edit.span.start));
        pieces.push(edit.text);
        at = edit.span.end;
    }
    pieces.push(body.slice(at..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Range<usize>, text: &'static str) -> Edit {
        Edit {
            span,
            text: Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn edits_apply_in_any_order() {
        let body = Bytes::from_static(b"0123456789");
        let pieces = splice(&body, vec![edit(7..8, "seven"), edit(2..2, "+"), edit(0..1, "zero")]);
        assert_eq!(pieces.concat(), b"zero1+23456seven89");
    }

    #[test]
    fn an_edit_that_does_not_fit_is_left_out() {
        let body = Bytes::from_static(b"0123456789");
        assert_eq!(
            splice(&body, vec![edit(2..5, "x"), edit(4..6, "y"), edit(9..11, "z")]).concat(),
            b"01x56789"
        );
    }

    #[test]
    fn a_body_is_not_copied() {
        let body = Bytes::from(vec![b'a'; 100]);
        let pieces = splice(&body, vec![edit(10..11, "b")]);
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[2].as_ptr(), body[11..].as_ptr());
    }

    #[test]
    fn no_edit_is_the_same_memory() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(splice(&body, Vec::new())[0].as_ptr(), body.as_ptr());
    }
}
