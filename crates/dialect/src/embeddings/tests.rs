use std::path::Path;

use proptest::prelude::*;

use super::*;

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/embeddings");
    std::fs::read(folder.join(format!("{name}.json"))).unwrap()
}

fn asked(shape: Shape, name: &str) -> Request {
    read_request(
        shape,
        &golden(name),
        Some("address").filter(|_| shape == Shape::GeminiOne),
    )
    .unwrap()
}

fn planned(request: &Request, dialect: Dialect) -> (Plan, Vec<String>) {
    let mut lost = Losses::new(request.shape.protocol());
    let plan = plan(request, dialect, "up-model", &mut lost).unwrap();
    let lost = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    (plan, lost.collect())
}

fn body(request: &Request, dialect: Dialect) -> String {
    let (plan, _) = planned(request, dialect);
    assert_eq!(plan.calls.len(), 1);
    String::from_utf8(plan.calls[0].body.clone()).unwrap()
}

fn refusal(request: &Request, dialect: Dialect) -> String {
    let mut lost = Losses::new(request.shape.protocol());
    plan(request, dialect, "m", &mut lost).unwrap_err().to_string()
}

fn of_texts(shape: Shape, texts: impl IntoIterator<Item = String>) -> Request {
    let mut request = asked(Shape::OpenAi, "openai-string");
    request.shape = shape;
    request.inputs = texts
        .into_iter()
        .map(|text| Input {
            content: Content::Text(text),
            title: None,
        })
        .collect();
    request
}

#[test]
fn openai_becomes_every_other() {
    let request = asked(Shape::OpenAi, "openai-strings");
    assert_eq!(
        body(&request, Dialect::OpenAi),
        r#"{"model":"up-model","input":["a","b"],"dimensions":256,"encoding_format":"float","user":"u-1"}"#
    );
    assert_eq!(
        body(&request, Dialect::Gemini),
        r#"{"requests":[{"model":"models/up-model","content":{"parts":[{"text":"a"}]},"outputDimensionality":256},{"model":"models/up-model","content":{"parts":[{"text":"b"}]},"outputDimensionality":256}]}"#
    );
    assert_eq!(
        body(&request, Dialect::Cohere),
        r#"{"model":"up-model","input_type":"search_document","texts":["a","b"],"embedding_types":["float"],"output_dimension":256}"#
    );
    let (plan, lost) = planned(&request, Dialect::Gemini);
    assert_eq!(plan.calls[0].path, "/models/up-model:batchEmbedContents");
    assert_eq!(lost, ["user: not supported"]);
}

#[test]
fn gemini_is_read_in_both_spellings() {
    let request = asked(Shape::GeminiOne, "gemini-one-snake-case");
    assert_eq!(
        (request.model.as_str(), request.task, request.dimensions),
        ("address", Some(Task::Query), Some(768))
    );
    assert_eq!(
        body(&request, Dialect::Cohere),
        r#"{"model":"up-model","input_type":"search_query","texts":["hello"],"embedding_types":["float"],"output_dimension":768}"#
    );
    let batch = asked(Shape::GeminiBatch, "gemini-batch");
    assert_eq!(batch.model, "gemini-embedding-001");
    assert_eq!(
        body(&batch, Dialect::Gemini),
        r#"{"requests":[{"model":"models/up-model","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_DOCUMENT","title":"A"},{"model":"models/up-model","content":{"parts":[{"text":"b"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]},"taskType":"RETRIEVAL_DOCUMENT"}]}"#
    );
    assert_eq!(
        refusal(&batch, Dialect::OpenAi),
        "`input`: the provider embeds texts only"
    );
    assert_eq!(planned(&batch, Dialect::Cohere).1, ["title: not supported"]);
}

#[test]
fn cohere_is_read_and_written() {
    let request = asked(Shape::Cohere, "cohere-texts");
    assert_eq!(request.encodings, [Encoding::Float, Encoding::Base64]);
    assert_eq!(
        body(&request, Dialect::Cohere),
        r#"{"model":"up-model","input_type":"search_query","texts":["a","b"],"embedding_types":["float"],"output_dimension":512,"truncate":"START"}"#
    );
    assert_eq!(
        body(&request, Dialect::OpenAi),
        r#"{"model":"up-model","input":["a","b"],"dimensions":512,"encoding_format":"base64"}"#
    );
    assert_eq!(
        planned(&request, Dialect::OpenAi).1,
        ["truncate: not supported", "input_type: not supported"]
    );
    let mixed = r#""inputs":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]"#;
    assert!(body(&asked(Shape::Cohere, "cohere-inputs"), Dialect::Cohere).contains(mixed));
    let pictures = asked(Shape::OpenAi, "openai-mixed");
    assert_eq!(pictures.task, Some(Task::Query));
    assert!(body(&pictures, Dialect::Cohere).starts_with(r#"{"model":"up-model","input_type":"search_query","inputs":[{"content":[{"type":"text","text":"a"}]},{"content":[{"type":"image_url""#));
}

#[test]
fn what_only_one_dialect_knows_is_kept_within_it() {
    let body = r#"{"model":"m","texts":["a"],"input_type":"clustering","priority":3}"#;
    let request = read_request(Shape::Cohere, body.as_bytes(), None).unwrap();
    let (plan, lost) = planned(&request, Dialect::Cohere);
    assert!(
        plan.calls[0]
            .body
            .ends_with(br#""embedding_types":["float"],"priority":3}"#)
            && lost.is_empty()
    );
    assert_eq!(planned(&request, Dialect::Gemini).1, ["priority: no counterpart"]);
}

#[test]
fn tokens_stay_in_their_dialect() {
    let one = asked(Shape::OpenAi, "openai-tokens");
    assert_eq!(one.inputs.len(), 1);
    assert!(body(&one, Dialect::OpenAi).contains(r#""input":[[15339,1917]]"#));
    let two = asked(Shape::OpenAi, "openai-token-arrays");
    assert_eq!(two.inputs.len(), 2);
    for dialect in [Dialect::Gemini, Dialect::Cohere] {
        assert!(refusal(&two, dialect).starts_with("`input`: tokens mean something to the caller's own model only"));
    }
    assert!(refusal(&two, Dialect::Anthropic).starts_with("`model`: "));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (shape, body, expected) in [
        (Shape::OpenAi, r#"{"model":"m"}"#, "`input` is missing"),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":[]}"#,
            "`input` must not be empty",
        ),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":""}"#,
            "`input` must not be empty",
        ),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":["a",""]}"#,
            "`input[1]` must not be empty",
        ),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":["a",1]}"#,
            "`input[1]` must be a string, an array of strings, or an array of tokens",
        ),
        (Shape::OpenAi, r#"{"input":"a"}"#, "`model` must be a string"),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":"a","dimensions":0}"#,
            "`dimensions` must be a positive integer",
        ),
        (
            Shape::OpenAi,
            r#"{"model":"m","input":"a","encoding_format":"hex"}"#,
            "`encoding_format` must be `float` or `base64`",
        ),
        (Shape::GeminiOne, r#"{"model":"m"}"#, "`content` must not be empty"),
        (Shape::GeminiBatch, r#"{"requests":[]}"#, "`requests` must not be empty"),
        (
            Shape::Cohere,
            r#"{"model":"m","texts":[]}"#,
            "`texts` must not be empty",
        ),
        (
            Shape::Cohere,
            r#"{"model":"m","texts":["a"],"embedding_types":["int8"]}"#,
            "`embedding_types` can only be `float` or `base64` here",
        ),
        (Shape::Cohere, "[]", "`body` must be an object"),
    ] {
        assert_eq!(
            read_request(shape, body.as_bytes(), None).unwrap_err().to_string(),
            expected
        );
    }
}

/// Case 143: batches are joined in the order of the inputs.
#[test]
fn many_inputs_become_several_calls() {
    let request = of_texts(Shape::OpenAi, (0..200).map(|number| number.to_string()));
    let (plan, _) = planned(&request, Dialect::Cohere);
    assert_eq!(
        plan.calls.iter().map(|call| call.inputs).collect::<Vec<_>>(),
        [96, 96, 8]
    );
    let (of_gemini, _) = planned(&request, Dialect::Gemini);
    assert_eq!(
        of_gemini.calls.iter().map(|call| call.inputs).collect::<Vec<_>>(),
        [100, 100]
    );
    let mut first = 0;
    let bodies: Vec<String> = plan
        .calls
        .iter()
        .map(|call| {
            let vectors: Vec<String> = (first..first + call.inputs).map(|number| format!("[{number},0.5]")).collect();
            first += call.inputs;
            let vectors = vectors.join(",");
            format!(r#"{{"id":"e","embeddings":{{"float":[{vectors}]}},"texts":[],"meta":{{"billed_units":{{"input_tokens":7.0}}}}}}"#)
        })
        .collect();
    let answer = plan.read(&bodies).unwrap();
    assert_eq!(
        (answer.tokens, answer.estimated, answer.vectors.len()),
        (21, false, 200)
    );
    for (index, vector) in answer.vectors.iter().enumerate() {
        assert_eq!(vector.0[0].to_string(), index.to_string());
    }
    assert!(plan.read(&bodies[..2]).is_err());
    assert!(plan.read(&[&bodies[0], &bodies[0], &bodies[0]]).is_err());
}

#[test]
fn answers_of_every_dialect_are_read() {
    let request = of_texts(Shape::OpenAi, ["a".to_owned(), "b".to_owned()]);
    for (dialect, body) in [
        (
            Dialect::OpenAi,
            r#"{"object":"list","data":[{"index":1,"embedding":[2,0.25]},{"index":0,"embedding":"AACAPwAAgD8="}],"model":"x","usage":{"prompt_tokens":2,"total_tokens":2}}"#,
        ),
        (
            Dialect::Gemini,
            r#"{"embeddings":[{"values":[1,1]},{"values":[2,0.25]}],"usageMetadata":{"promptTokenCount":2}}"#,
        ),
        (
            Dialect::Cohere,
            r#"{"id":"x","embeddings":{"float":[[1,1],[2,0.25]],"int8":null},"meta":{"billed_units":{"input_tokens":2}}}"#,
        ),
        (
            Dialect::Cohere,
            r#"{"embeddings":[[1,1],[2,0.25]],"meta":{"billed_units":{"input_tokens":2}}}"#,
        ),
    ] {
        let answer = planned(&request, dialect).0.read(&[body]).unwrap();
        assert_eq!(
            answer.vectors,
            [Vector(vec![1.0, 1.0]), Vector(vec![2.0, 0.25])],
            "{dialect}"
        );
        assert_eq!((answer.tokens, answer.estimated), (2, false), "{dialect}");
    }
    let broken = planned(&request, Dialect::OpenAi).0.read(&[r#"{"data":[]}"#]);
    assert_eq!(
        broken.unwrap_err().to_string(),
        "`data` must hold one vector for every input"
    );
}

#[test]
fn tokens_are_estimated_when_nobody_tells_them() {
    let request = of_texts(Shape::OpenAi, ["twelve chars".to_owned()]);
    let answer = planned(&request, Dialect::Gemini)
        .0
        .read(&[r#"{"embeddings":[{"values":[3,4]}]}"#])
        .unwrap();
    assert_eq!((answer.tokens, answer.estimated), (3, true));
    // The dimensions were not asked for, so the vector is as the provider gave it.
    assert_eq!(answer.vectors[0].0, [3.0, 4.0]);
}

#[test]
fn shortened_vectors_of_gemini_get_the_length_that_openai_promises() {
    let mut request = of_texts(Shape::OpenAi, ["a".to_owned()]);
    request.dimensions = Some(2);
    let answer = planned(&request, Dialect::Gemini)
        .0
        .read(&[r#"{"embeddings":[{"values":[3,4]}]}"#])
        .unwrap();
    assert_eq!(answer.vectors[0].0, [0.6, 0.8]);
}

/// Case 142 for OpenAI's form.
#[test]
fn answers_are_written_in_the_callers_form() {
    let answer = Answer {
        id: "e".into(),
        vectors: vec![Vector(vec![1.0, -2.0]), Vector(vec![0.1, 1e-9])],
        tokens: 5,
        estimated: false,
    };
    let write = |request: &Request| String::from_utf8(answer.write(request)).unwrap();
    assert_eq!(
        write(&asked(Shape::OpenAi, "openai-string")),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAMA="},{"object":"embedding","index":1,"embedding":"zczMPV9wiTA="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}"#
    );
    assert_eq!(
        write(&asked(Shape::OpenAi, "openai-strings")),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-2.0]},{"object":"embedding","index":1,"embedding":[0.1,1e-9]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}"#
    );
    assert_eq!(
        write(&asked(Shape::GeminiOne, "gemini-one-snake-case")),
        r#"{"embedding":{"values":[1.0,-2.0]},"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#
    );
    assert_eq!(
        write(&asked(Shape::GeminiBatch, "gemini-batch")),
        r#"{"embeddings":[{"values":[1.0,-2.0]},{"values":[0.1,1e-9]}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#
    );
    assert_eq!(
        write(&asked(Shape::Cohere, "cohere-texts")),
        r#"{"id":"e","embeddings":{"float":[[1.0,-2.0],[0.1,1e-9]],"base64":["AACAPwAAAMA=","zczMPV9wiTA="]},"texts":["a","b"],"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":5}},"response_type":"embeddings_by_type"}"#
    );
}

pub(crate) fn any_json() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "model",
        "input",
        "inputs",
        "texts",
        "content",
        "parts",
        "requests",
        "text",
        "query",
        "documents",
        "prompt",
        "n",
        "size",
        "stop",
        "stream",
        "dimensions",
        "embedding_types",
        "top_n",
        "index",
        "score",
        "results",
        "data",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        (-3_i64..3000).prop_map(|value| value.to_string()),
        prop::sample::select(vec![
            "\"\"",
            "\"a\"",
            "\"float\"",
            "\"1x1\"",
            "1e999",
            "0.5",
            "\"data:,\""
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(json in any_json()) {
        for shape in [Shape::OpenAi, Shape::GeminiOne, Shape::GeminiBatch, Shape::Cohere] {
            let _ = read_request(shape, json.as_bytes(), Some("m"));
        }
        let request = of_texts(Shape::OpenAi, ["a".to_owned()]);
        for dialect in [Dialect::OpenAi, Dialect::Gemini, Dialect::Cohere] {
            let _ = planned(&request, dialect).0.read(&[json.as_bytes()]);
        }
    }

    #[test]
    fn what_is_written_is_what_was_read(texts in prop::collection::vec(".{1,6}", 1..5), dimensions in prop::option::of(1..4000_u64)) {
        let mut request = of_texts(Shape::OpenAi, texts);
        request.dimensions = dimensions;
        for (dialect, shape) in [(Dialect::OpenAi, Shape::OpenAi), (Dialect::Gemini, Shape::GeminiBatch), (Dialect::Cohere, Shape::Cohere)] {
            let body = body(&request, dialect);
            let again = read_request(shape, body.as_bytes(), None).unwrap();
            prop_assert_eq!(&again.inputs, &request.inputs);
            prop_assert_eq!(again.dimensions, dimensions);
        }
    }
}
