//! Whatever a caller sends: every provider's protocol gets JSON of bounded size or a reason why not, and so does the caller.

use mynah_dialect::codec::{Address, Asked, Target, client_side, upstream_side};
use mynah_dialect::transcode::translate_whole;
use mynah_dialect::{Protocol, loss::Losses, quirks::Quirks, repair::repair, tree::Node};

/// Names that decide how a request is written.
const MODELS: [&str; 4] = ["gpt-5", "claude-3-7", "claude-opus-4-6", "gemini-3"];

/// An answer of Anthropic's.
const ANSWER: &str = r#"{"content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"So."},
    {"type":"tool_use","id":"toolu_1","name":"NAME","input":{"input":"x"}}],"stop_reason":"tool_use"}"#;

/// The first byte chooses the caller's protocol and the second the model, from the digit 0 on; the rest is the body.
pub(crate) fn check(input: &[u8]) {
    let [client, model, body @ ..] = input else { return };
    let [client, model] = [client, model].map(|byte| usize::from(byte.wrapping_sub(b'0') % 4));
    let (client, quirks) = (client_side(Protocol::ALL[client]).unwrap(), Quirks::default());
    let check_written = |text: &[u8]| {
        assert!(text.len() <= 64 * input.len() + 64 * 1024, "{} bytes", text.len());
        assert!(Node::parse(text).is_ok(), "{}", String::from_utf8_lossy(text));
    };
    for protocol in Protocol::ALL {
        let error = upstream_side(protocol).read_error(400, body);
        check_written(&client.write_error(&error, "req_fuzz").1);
    }
    let address = Address {
        model: Some("asked"),
        ..Address::default()
    };
    let read = client.read_request(body, &address);
    let Ok(request) = read else { return };
    let (mut mended, mut lost) = (request.clone(), Losses::new(request.from));
    repair(&mut mended, &mut lost);
    let target = Target {
        provider: "maker",
        model: MODELS[model],
        quirks: &quirks,
    };
    let asked = Asked {
        request: mended.clone(),
        events: true,
        id: "fuzz".to_owned(),
        now: 0,
    };
    for protocol in Protocol::ALL {
        let request = if protocol == request.from { &request } else { &mended };
        let written = upstream_side(protocol).write_request(request, &target, &mut lost);
        let Ok(outgoing) = written else { continue };
        check_written(&outgoing.body);
        // The answer calls a tool whose name was changed, if there is one.
        let name = outgoing.memo.tools.keys().min().map_or("tool", |name| name);
        let (answer, anthropic) = (ANSWER.replace("NAME", name), upstream_side(Protocol::Anthropic));
        let told = translate_whole(anthropic, client, answer.as_bytes(), outgoing.memo, &asked, &mut lost);
        check_written(&told.unwrap().1);
    }
}
