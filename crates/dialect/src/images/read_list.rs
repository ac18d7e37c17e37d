//! Answers that are a list of pictures, under whatever names.

use super::read_answer::Missing;
use super::{Answer, Content, Picture};
use crate::media::standard_base64;
use crate::tree::Node;

/// What lists of pictures are called.
const LISTS: [&str; 4] = ["data", "images", "results", "result"];

/// Reads the pictures of a list, of a list alone, or of an object that is one picture itself.
pub(super) fn read(node: &Node<'_>, answer: &mut Answer) -> Option<Missing> {
    answer.created = node.get("created").u64();
    let list = node.any(&LISTS);
    let one = std::slice::from_ref(if list.is_object() { list } else { node });
    let items = match () {
        () if list.is_array() => list.items(),
        () if node.is_array() => node.items(),
        () => one,
    };
    let mut missing = None;
    for item in items {
        match content(item) {
            Some(content) => answer.pictures.push(Picture {
                content,
                mime: None,
                revised_prompt: item.any(&["revised_prompt", "prompt"]).string(),
            }),
            None if item.get("is_image_safe").bool() == Some(false) => {
                let words = "The provider's safety filter held the picture back.".to_owned();
                missing = Some(Missing::Filtered(words));
            }
            None => {}
        }
    }
    missing
}

/// A picture: an object with an address or data, or an address alone.
fn content(item: &Node<'_>) -> Option<Content> {
    let said = |node: &Node<'_>| node.string().filter(|text| !text.is_empty());
    if item.is_text() {
        return said(item).map(Content::Address);
    }
    let address = ["url", "image_url", "path"]
        .iter()
        .find_map(|name| said(item.get(name)));
    let data = || {
        let text = ["b64_json", "base64"].iter().find_map(|name| said(item.get(name)))?;
        Some(standard_base64(&text).unwrap_or(text))
    };
    address.map(Content::Address).or_else(|| data().map(Content::Data))
}
