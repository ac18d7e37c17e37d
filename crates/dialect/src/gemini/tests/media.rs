use super::*;
use crate::ir::{Message, Role};
use crate::raw::Raw;

#[test]
fn media_is_sent_or_refused() {
    let image = |source| {
        Part::from(Content::Image {
            source,
            detail: Some("low".into()),
        })
    };
    let url = |url: &str| Media::Url {
        url: url.into(),
        mime: None,
    };
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    request.messages = vec![Message::new(Role::User, vec![image(url("https://a/b.webp?x"))])];
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(
        body.contains(r#"{"fileData":{"mimeType":"image/webp","fileUri":"https://a/b.webp?x"}}"#),
        "{body}"
    );
    assert!(body.contains(r#""mediaResolution":"MEDIA_RESOLUTION_LOW""#));
    assert_eq!(losses.len(), 1);
    assert!(refused(&request, "gemini-2.0-flash").contains("send it as data"));
    request.messages = vec![Message::new(Role::User, vec![image(url("ftp://a/b"))])];
    assert!(refused(&request, "gemini-2.5-flash").contains("data"));
    let file = Media::File {
        protocol: Protocol::OpenaiChat,
        id: "file-1".into(),
    };
    request.messages = vec![Message::new(Role::User, vec![image(file)])];
    assert!(refused(&request, "gemini-2.5-flash").contains("store"));
    request.messages = vec![Message::new(
        Role::User,
        vec![image(Media::Data {
            mime: Some("image/png".into()),
            data: "AAAA".into(),
            filename: None,
        })],
    )];
    assert!(written(&request).contains(r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#));
}

#[test]
fn pictures_in_results_stand_where_the_model_sees_them() {
    let mut request = Request::new(Protocol::Anthropic, "m");
    let picture = Content::Image {
        source: Media::Data {
            mime: Some("image/png".into()),
            data: "AAAA".into(),
            filename: None,
        },
        detail: None,
    };
    let mut shown = result("a", "");
    if let Content::ToolResult { content, .. } = &mut shown.content {
        *content = vec![picture.into()];
    }
    request.messages = vec![
        Message::new(Role::User, vec![Part::text("go")]),
        Message::new(Role::Assistant, vec![call("a", "f")]),
        Message::new(Role::User, vec![shown]),
    ];
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(
        body.ends_with(r#"{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"The result follows."}}}]},{"role":"user","parts":[{"text":"The result of f:"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#),
        "{body}"
    );
    assert_eq!(losses.len(), 1);
    let (_, body, _, losses) = written_for(&request, "gemini-3-flash");
    assert!(
        body.contains(r#""response":{"output":""},"parts":[{"inlineData":"#) && losses.is_empty(),
        "{body}"
    );
}

#[test]
fn sound_as_an_answer() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    request.messages = vec![Message::new(Role::User, vec![Part::text("go")])];
    let voice = |name: &str| crate::ir::Audio {
        voice: Some(Raw::parse(&format!("\"{name}\"")).unwrap()),
        format: Some("wav".into()),
    };
    request.audio = Some(voice("Kore"));
    assert!(written(&request).ends_with(
        r#""generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Kore"}}}}}"#
    ));
    request.audio = Some(voice("alloy"));
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(!body.contains("alloy") && losses.len() == 2);
}
