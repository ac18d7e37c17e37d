//! Counting the tokens of a request, `POST /v1/messages/count_tokens`.

use super::write_request::{Draft, headers};
use crate::codec::{Outgoing, Target};
use crate::ir::Request;
use crate::loss::{Losses, Unsayable};
use crate::tree::Node;
use crate::writer;

/// A request for the count of a request's tokens: the request without what says how to answer.
pub(super) fn write_count_request(
    request: &Request,
    target: &Target<'_>,
    lost: &mut Losses,
) -> Result<Outgoing, Unsayable> {
    let draft = Draft::of(request, target, lost)?;
    Ok(Outgoing {
        path: "/messages/count_tokens".to_owned(),
        headers: headers(),
        body: draft.body(false),
        memo: draft.memo,
    })
}

/// Reads a provider's count.
pub(super) fn read_count(body: &[u8]) -> Option<u64> {
    Node::parse(body).ok()?.get("input_tokens").u64()
}

/// The answer to a request for a count.
pub(super) fn write_count(tokens: u64) -> Vec<u8> {
    let mut body = Vec::new();
    writer::object(&mut body, |it| it.number("input_tokens", tokens));
    body
}
