//! `countTokens`, in both directions.

use super::read_request;
use super::spelling::{count, member};
use super::write_request::Draft;
use crate::codec::{Address, Malformed, Outgoing, Target};
use crate::gemini_address;
use crate::ir::Request;
use crate::loss::{Losses, Unsayable};
use crate::tree::Node;
use crate::writer;

/// Reads a client's `countTokens`: the `contents` alone, or a whole `generateContentRequest`.
pub(super) fn read_count_request(body: &[u8], address: &Address<'_>) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    match member(&node, "generateContentRequest") {
        absent if absent.is_null() => read_request::read_node(&node, address),
        request => read_request::read_node(request, address),
    }
}

/// Writes the `countTokens` of a request for a provider.
pub(super) fn write_count_request(
    request: &Request,
    target: &Target<'_>,
    lost: &mut Losses,
) -> Result<Outgoing, Unsayable> {
    let draft = Draft::of(request, target, lost)?;
    let mut body = Vec::new();
    writer::object(&mut body, |it| {
        it.object("generateContentRequest", |it| {
            it.text("model", &gemini_address::resource(target.model));
            draft.write(it);
        });
    });
    Ok(Outgoing {
        path: gemini_address::method(target.model, "countTokens"),
        headers: Vec::new(),
        body,
        memo: draft.into_memo(),
    })
}

/// Reads a provider's answer to `countTokens`.
pub(super) fn read_count(body: &[u8]) -> Option<u64> {
    count(member(&Node::parse(body).ok()?, "totalTokens"))
}

/// Writes the answer to a client's `countTokens`.
pub(super) fn write_count(tokens: u64) -> Vec<u8> {
    let mut body = Vec::new();
    writer::object(&mut body, |it| it.number("totalTokens", tokens));
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use crate::quirks::Quirks;

    #[test]
    fn both_forms_are_read_and_one_is_written() {
        let address = Address {
            model: Some("gemini-2.5-flash"),
            ..Address::default()
        };
        let target = Target {
            provider: "google",
            model: "gemini-2.5-flash",
            quirks: &Quirks::default(),
        };
        for body in [
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            r#"{"generate_content_request":{"model":"models/x","contents":[{"role":"user","parts":[{"text":"hi"}]}]}}"#,
        ] {
            let request = read_count_request(body.as_bytes(), &address).unwrap();
            let outgoing = write_count_request(&request, &target, &mut Losses::new(Protocol::Gemini)).unwrap();
            assert_eq!(outgoing.path, "/models/gemini-2.5-flash:countTokens");
            assert_eq!(
                String::from_utf8(outgoing.body).unwrap(),
                r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"hi"}]}]}}"#
            );
        }
    }

    #[test]
    fn the_answer() {
        assert_eq!(write_count(7), br#"{"totalTokens":7}"#);
        assert_eq!(read_count(br#"{"totalTokens":7,"cachedContentTokenCount":1}"#), Some(7));
        assert_eq!(read_count(b"nothing"), None);
    }
}
