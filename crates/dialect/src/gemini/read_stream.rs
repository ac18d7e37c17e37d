//! Reads a streamed answer.

use super::read_response::Hearer;
use crate::assembly::Assembly;
use crate::codec::{EventReader, Memo};
use crate::frame::Frame;
use crate::tree::Node;

/// Understands one stream: each event is an answer in part. Its end is the connection's.
#[derive(Debug)]
pub(super) struct Reader {
    hearer: Hearer,
}

impl Reader {
    pub(super) fn new(memo: &Memo) -> Self {
        Self {
            hearer: Hearer::new(memo),
        }
    }
}

impl EventReader for Reader {
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly) {
        let node = frame.data.as_deref().and_then(|data| Node::parse(data).ok());
        if let Some(node) = node {
            self.hearer.hear(&node, assembly);
        }
    }
}
