//! Reads a request.

use super::spelling::Fields;
use super::{read_config, read_content, read_tools, words};
use crate::codec::{Address, Malformed};
use crate::ir::Request;
use crate::protocol::Protocol;
use crate::tree::Node;

/// Reads the body of `generateContent` or `streamGenerateContent`.
pub(super) fn read_request(body: &[u8], address: &Address<'_>) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    read_node(&node, address)
}

/// Reads a request that was parsed already.
pub(super) fn read_node(node: &Node<'_>, address: &Address<'_>) -> Result<Request, Malformed> {
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let mut fields = Fields::of(node);
    let named = fields.take("model");
    let model = match address.model {
        Some(model) => model,
        None => named.text().ok_or_else(|| Malformed::field("model", "is missing"))?,
    };
    let mut request = Request::new(Protocol::Gemini, model.strip_prefix("models/").unwrap_or(model));
    let stream = fields.take("stream").bool();
    request.stream = address.stream.or(stream).unwrap_or(false);
    request.system = read_content::read_system(fields.take("systemInstruction"), &mut request.extra)?;
    let contents = fields.take("contents");
    if contents.is_null() && request.system.is_empty() {
        return Err(Malformed::field("contents", "is missing"));
    }
    if !contents.is_null() {
        request.messages = read_content::read_contents(contents)?;
    }
    if request.messages.is_empty() && request.system.is_empty() {
        return Err(Malformed::field("contents", "must not be empty"));
    }
    request.tools = read_tools::read_tools(fields.take("tools"))?;
    request.tool_choice = read_tools::read_tool_config(fields.take("toolConfig"), &mut request.extra)?;
    read_config::read(fields.take("generationConfig"), &mut request)?;
    let tier = fields.take("serviceTier");
    request.service_tier = tier.text().map(words::tier_from_gemini);
    request.store = fields.take("store").bool();
    fields.keep_rest("", &mut request.extra);
    Ok(request)
}
