use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::Protocol;
use crate::ir::Class;

const IMAGEN: &str = "imagen-4.0-generate-001";
const PAINTER: &str = "gemini-2.5-flash-image";

fn asked(name: &str) -> Request {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images");
    read_request(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

fn planned(request: &Request, model: &str) -> (Plan, Vec<String>) {
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let plan = plan(request, Form::Gemini, model, &mut lost).unwrap();
    let lost = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    (plan, lost.collect())
}

/// Asks in a form whose answer is a list: the body, and what was lost.
fn listed(request: &Request, form: Form) -> (Plan, String, Vec<String>) {
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let plan = plan(request, form, "m", &mut lost).unwrap();
    let lost = lost.listed().iter().map(|loss| loss.field.clone()).collect();
    let body = bodies(&plan).concat();
    (plan, body, lost)
}

fn bodies(plan: &Plan) -> Vec<String> {
    plan.calls
        .iter()
        .map(|call| String::from_utf8(call.body.clone()).unwrap())
        .collect()
}

#[test]
fn imagen_predicts() {
    let (plan, lost) = planned(&asked("plain"), IMAGEN);
    assert_eq!(plan.calls[0].path, "/models/imagen-4.0-generate-001:predict");
    assert_eq!(
        bodies(&plan),
        [r#"{"instances":[{"prompt":"a red \"fox\""}],"parameters":{"sampleCount":1,"includeRaiReason":true}}"#]
    );
    assert!(lost.is_empty());
    let (plan, lost) = planned(&asked("all-fields"), IMAGEN);
    assert_eq!(
        bodies(&plan),
        [
            r#"{"instances":[{"prompt":"a fox"}],"parameters":{"sampleCount":4,"aspectRatio":"16:9","includeRaiReason":true,"outputOptions":{"mimeType":"image/jpeg","compressionQuality":80}}}"#,
            r#"{"instances":[{"prompt":"a fox"}],"parameters":{"sampleCount":2,"aspectRatio":"16:9","includeRaiReason":true,"outputOptions":{"mimeType":"image/jpeg","compressionQuality":80}}}"#
        ]
    );
    assert_eq!(
        lost,
        [
            "style: no counterpart",
            "moderation: no counterpart",
            "size: sent as the nearest aspect ratio",
            "quality: not supported",
            "response_format: answered as b64_json",
            "user: not supported"
        ]
    );
}

#[test]
fn other_models_paint_in_a_conversation() {
    let (plan, _) = planned(&asked("plain"), PAINTER);
    assert_eq!(plan.calls[0].path, "/models/gemini-2.5-flash-image:generateContent");
    assert_eq!(
        bodies(&plan),
        [
            r#"{"contents":[{"role":"user","parts":[{"text":"a red \"fox\""}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}"#
        ]
    );
    let (plan, lost) = planned(&asked("all-fields"), PAINTER);
    assert_eq!(plan.calls.len(), 6);
    assert!(bodies(&plan)[5].ends_with(r#""imageConfig":{"aspectRatio":"16:9"}}}"#));
    assert!(lost.contains(&"output_format: not supported".to_owned()));
    assert!(lost.contains(&"output_compression: not supported".to_owned()));
}

#[test]
fn a_transparent_background_is_refused() {
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let refused = plan(&asked("transparent"), Form::Gemini, IMAGEN, &mut lost).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`background`: the provider paints no transparent pictures"
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, "`prompt` is missing"),
        (r#"{"model":"m","prompt":" "}"#, "`prompt` must not be empty"),
        (r#"{"model":"m","prompt":["a"]}"#, "`prompt` must be a string"),
        (r#"{"model":"m","prompt":"a","n":11}"#, "`n` must be from 1 to 10"),
        (
            r#"{"model":"m","prompt":"a","size":"big"}"#,
            "`size` must be `auto` or a size such as `1024x1024`",
        ),
        (
            r#"{"model":"m","prompt":"a","response_format":"png"}"#,
            "`response_format` must be `url` or `b64_json`",
        ),
        (
            r#"{"model":"m","prompt":"a","stream":true}"#,
            "`stream` must be false: the provider paints without previews",
        ),
        ("\"a\"", "`body` must be an object"),
    ] {
        assert_eq!(read_request(body.as_bytes()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn ideogram_is_asked_for_an_aspect_ratio() {
    for (asking, body, lost) in [
        (
            asked("plain"),
            r#"{"image_request":{"prompt":"a red \"fox\"","aspect_ratio":"ASPECT_1_1","style":"natural","n":1}}"#,
            &[] as &[&str],
        ),
        (
            asked("all-fields"),
            r#"{"image_request":{"prompt":"a fox","aspect_ratio":"ASPECT_16_9","style":"enhance","n":6,"response_format":"url"}}"#,
            &[
                "moderation",
                "size",
                "quality",
                "output_format",
                "output_compression",
                "user",
            ],
        ),
    ] {
        let (plan, written, noted) = listed(&asking, Form::IdeogramAtHandle);
        assert_eq!((written.as_str(), plan.calls[0].path.as_str()), (body, "/generate"));
        assert_eq!(noted, lost);
    }
    for (size, ratio) in [
        ("512x512", "ASPECT_1_1"),
        ("1024x1792", "ASPECT_9_16"),
        ("1536x1024", "ASPECT_3_2"),
        ("1000x3000", "ASPECT_1_3"),
    ] {
        let request = Request {
            size: Size::parse(size),
            ..asked("plain")
        };
        assert!(listed(&request, Form::IdeogramAtHandle).1.contains(ratio), "{size}");
    }
    let natural = Request {
        style: Some("natural".to_owned()),
        ..asked("plain")
    };
    assert!(
        listed(&natural, Form::IdeogramAtHandle)
            .1
            .contains(r#""style":"natural""#)
    );
}

#[test]
fn ideograms_own_words_are_others() {
    for (asking, body, lost) in [
        (
            asked("plain"),
            r#"{"image_request":{"prompt":"a red \"fox\"","model":"m","aspect_ratio":"ASPECT_1_1","num_images":1}}"#,
            &[] as &[&str],
        ),
        (
            asked("all-fields"),
            r#"{"image_request":{"prompt":"a fox","model":"m","aspect_ratio":"ASPECT_16_9","style_type":"GENERAL","num_images":6}}"#,
            &[
                "moderation",
                "size",
                "quality",
                "output_format",
                "output_compression",
                "user",
            ],
        ),
        (
            asked("ideogram"),
            r#"{"image_request":{"prompt":"a fox","model":"m","aspect_ratio":"ASPECT_1_1","style_type":"DESIGN","num_images":1,"seed":7,"negative_prompt":"dogs","magic_prompt_option":"OFF"}}"#,
            &["response_format"],
        ),
    ] {
        let (_, written, noted) = listed(&asking, Form::Ideogram);
        assert_eq!(written, body);
        assert_eq!(noted, lost);
    }
}

#[test]
fn recraft_is_asked_for_width_and_height() {
    let (plan, body, lost) = listed(&asked("plain"), Form::RecraftAtHandle);
    assert_eq!(
        body,
        r#"{"prompt":"a red \"fox\"","width":1024,"height":1024,"num_images":1}"#
    );
    assert_eq!((plan.calls.len(), lost), (1, vec![]));
    let (_, body, lost) = listed(&asked("all-fields"), Form::RecraftAtHandle);
    assert_eq!(
        body,
        r#"{"prompt":"a fox","width":1792,"height":1024,"num_images":6,"quality":"high"}"#
    );
    let expected = [
        "moderation",
        "style",
        "response_format",
        "output_format",
        "output_compression",
        "user",
    ];
    assert_eq!(lost, expected);
}

#[test]
fn lists_of_pictures_are_read_under_every_name() {
    let (plan, ..) = listed(&asked("all-fields"), Form::IdeogramAtHandle);
    for (body, expected) in [
        (
            r#"{"created":5,"data":[{"url":"https://h/1"},{"b64_json":"AAAA"},{"base64":"_-8"}]}"#,
            r#"{"created":5,"data":[{"url":"https://h/1"},{"b64_json":"AAAA"},{"b64_json":"/+8="}]}"#,
        ),
        (
            r#"{"images":[{"image_url":"https://h/1","prompt":"a red fox"},{"path":"https://h/2"}]}"#,
            r#"{"created":7,"data":[{"url":"https://h/1","revised_prompt":"a red fox"},{"url":"https://h/2"}]}"#,
        ),
        (
            r#"{"created":"2026-01-01T00:00:00Z","results":["https://h/1","https://h/2"]}"#,
            r#"{"created":7,"data":[{"url":"https://h/1"},{"url":"https://h/2"}]}"#,
        ),
        (
            r#"{"url":"https://h/1"}"#,
            r#"{"created":7,"data":[{"url":"https://h/1"}]}"#,
        ),
        (
            r#"{"data":{"url":"https://h/1"}}"#,
            r#"{"created":7,"data":[{"url":"https://h/1"}]}"#,
        ),
        (r#"["https://h/1"]"#, r#"{"created":7,"data":[{"url":"https://h/1"}]}"#),
    ] {
        let answer = plan.read(&[body]).unwrap();
        assert_eq!(String::from_utf8(answer.write(7)).unwrap(), expected, "{body}");
    }
    let held_back = r#"{"data":[{"url":null,"is_image_safe":false}]}"#;
    assert_eq!(plan.read(&[held_back]).unwrap_err().class, Class::BadRequest);
    for body in ["{}", r#"{"data":[]}"#, r#"{"data":[{"url":""}]}"#, "7"] {
        assert_eq!(plan.read(&[body]).unwrap_err().class, Class::Server, "{body}");
    }
}

#[test]
fn predictions_are_pictures() {
    let (plan, _) = planned(&asked("all-fields"), IMAGEN);
    let first = r#"{"predictions":[{"mimeType":"image/jpeg","bytesBase64Encoded":"_-8","prompt":"a very red fox"},{"raiFilteredReason":"no"}]}"#;
    let second = r#"{"predictions":[{"mimeType":"image/jpeg","bytesBase64Encoded":"AAAA"}]}"#;
    let answer = plan.read(&[first, second]).unwrap();
    assert_eq!(
        String::from_utf8(answer.write(7)).unwrap(),
        r#"{"created":7,"data":[{"b64_json":"/+8=","revised_prompt":"a very red fox"},{"b64_json":"AAAA"}],"output_format":"jpeg"}"#
    );
}

#[test]
fn pictures_are_found_among_the_parts() {
    let mut request = asked("plain");
    request.n = 2;
    let (plan, _) = planned(&request, PAINTER);
    let body = r#"{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"c2tldGNo"},"thought":true},{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1290,"thoughtsTokenCount":10,"totalTokenCount":1305}}"#;
    let answer = plan.read(&[body, body]).unwrap();
    assert_eq!(
        String::from_utf8(answer.write(7)).unwrap(),
        r#"{"created":7,"data":[{"b64_json":"AAAA"},{"b64_json":"AAAA"}],"output_format":"png","usage":{"input_tokens":10,"input_tokens_details":{"text_tokens":10,"image_tokens":0},"output_tokens":2600,"total_tokens":2610}}"#
    );
}

#[test]
fn a_filter_is_a_violation_of_the_content_policy() {
    let request = asked("plain");
    for (model, body, words) in [
        (
            IMAGEN,
            r#"{"predictions":[{"raiFilteredReason":"Unsafe."}]}"#,
            "Unsafe.",
        ),
        (IMAGEN, "{}", "The provider's safety filter held all pictures back."),
        (
            PAINTER,
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#,
            "The provider's safety filter refused the prompt (PROHIBITED_CONTENT).",
        ),
        (
            PAINTER,
            r#"{"candidates":[{"finishReason":"IMAGE_SAFETY","finishMessage":"Unable to show."}]}"#,
            "Unable to show.",
        ),
    ] {
        let error = planned(&request, model).0.read(&[body]).unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (Class::BadRequest, words));
        assert_eq!(error.code.as_deref(), Some("content_policy_violation"));
    }
}

#[test]
fn an_answer_without_pictures_is_an_error() {
    let plan = planned(&asked("plain"), PAINTER).0;
    let said = r#"{"candidates":[{"content":{"parts":[{"text":"What kind of fox?"}]},"finishReason":"STOP"}]}"#;
    let error = plan.read(&[said]).unwrap_err();
    assert_eq!(error.class, Class::Unprocessable);
    assert_eq!(error.message, "The model made no picture, but said: What kind of fox?");
    assert_eq!(plan.read(&["{}"]).unwrap_err().class, Class::Server);
    assert_eq!(plan.read(&["<html>"]).unwrap_err().class, Class::Server);
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(json in crate::embeddings::tests::any_json()) {
        let _ = read_request(json.as_bytes());
        for model in [IMAGEN, PAINTER] {
            let _ = planned(&asked("plain"), model).0.read(&[json.as_bytes()]);
        }
        let _ = listed(&asked("plain"), Form::RecraftAtHandle).0.read(&[json.as_bytes()]);
    }

    #[test]
    fn every_picture_is_asked_for_once(n in 1..11_u32) {
        let request = Request { n, ..asked("plain") };
        let plan = planned(&request, IMAGEN).0;
        let counts = bodies(&plan).iter().map(|body| crate::tree::Node::parse_text(body).unwrap().get("parameters").get("sampleCount").u64().unwrap()).sum::<u64>();
        prop_assert_eq!(counts, u64::from(n));
        prop_assert_eq!(planned(&request, PAINTER).0.calls.len(), n as usize);
    }
}
