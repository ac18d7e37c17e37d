use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::gauge::{Gauge, Seen};

fn tapped(mut tap: UsageTap, chunks: &[&[u8]]) -> Option<Usage> {
    for chunk in chunks {
        tap.push(chunk);
    }
    tap.usage()
}

fn told(body: &str) -> Option<Usage> {
    tapped(UsageTap::json(Body::Text), &[body.as_bytes()])
}

fn streamed(stream: &str) -> Option<Usage> {
    tapped(UsageTap::events(Body::Text), &[stream.as_bytes()])
}

fn chunked(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.retain(|cut| *cut < bytes.len());
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// A stream of these events.
fn lines(events: impl IntoIterator<Item = Value>) -> String {
    events.into_iter().fold(String::new(), |mut stream, event| {
        write!(stream, "data: {event}\n\n").unwrap();
        stream
    })
}

/// The sum of the buckets of the prompt, and of those of the answer.
fn sums(usage: &Usage) -> (u64, u64) {
    let of = usage.buckets();
    let cached = of.cached + of.cached_audio + of.cached_image;
    let prompt = of.input + cached + of.cache_write + of.cache_write_1h + of.audio_input + of.image_input;
    (prompt, of.output + of.reasoning + of.audio_output + of.image_output)
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn answers_of_every_provider_fall_into_buckets() {
    let none = Buckets::default();
    let cases: Vec<(&str, &str, Buckets)> = vec![
        (
            "OpenAI Chat",
            r#"{"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":50},"completion_tokens_details":{"reasoning_tokens":128,"audio_tokens":40,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#,
            Buckets {
                input: 36,
                cached: 1920,
                audio_input: 50,
                output: 132,
                reasoning: 128,
                audio_output: 40,
                ..none
            },
        ),
        (
            "OpenAI Responses",
            r#"{"usage":{"input_tokens":328,"input_tokens_details":{"cached_tokens":100,"cache_write_tokens":28},"output_tokens":52,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":380}}"#,
            Buckets {
                input: 200,
                cached: 100,
                cache_write: 28,
                output: 40,
                reasoning: 12,
                ..none
            },
        ),
        (
            "OpenAI embeddings",
            r#"{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            Buckets { input: 8, ..none },
        ),
        (
            "OpenAI images, of which some were cached",
            r#"{"usage":{"input_tokens":250,"input_tokens_details":{"text_tokens":50,"image_tokens":200,"cached_tokens":120,"cached_tokens_details":{"text_tokens":20,"image_tokens":100}},"output_tokens":1056,"total_tokens":1306}}"#,
            Buckets {
                input: 30,
                cached: 20,
                cached_image: 100,
                image_input: 100,
                output: 1056,
                ..none
            },
        ),
        (
            "OpenAI transcription",
            r#"{"text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":2,"audio_tokens":12},"output_tokens":45,"total_tokens":59}}"#,
            Buckets {
                input: 2,
                audio_input: 12,
                output: 45,
                ..none
            },
        ),
        (
            "Anthropic",
            r#"{"content":[{"type":"tool_use","input":{"usage":{"input_tokens":1,"cost":0}}}],"usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":50,"output_tokens_details":{"thinking_tokens":15},"server_tool_use":null,"service_tier":"standard"}}"#,
            Buckets {
                input: 10,
                cached: 200,
                cache_write: 10,
                cache_write_1h: 20,
                output: 35,
                reasoning: 15,
                ..none
            },
        ),
        (
            "Gemini",
            r#"{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":5,"thoughtsTokenCount":7,"toolUsePromptTokenCount":3,"totalTokenCount":115,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"AUDIO","tokenCount":80}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":60}]}}"#,
            Buckets {
                input: 23,
                cached_audio: 60,
                audio_input: 20,
                output: 5,
                reasoning: 7,
                ..none
            },
        ),
        (
            "Gemini in OpenAI's dialect tells thoughts only in the total",
            r#"{"usage":{"prompt_tokens":8,"completion_tokens":11,"total_tokens":1010}}"#,
            Buckets {
                input: 8,
                output: 1002,
                ..none
            },
        ),
        (
            "Cohere",
            r#"{"usage":{"billed_units":{"input_tokens":3.0,"output_tokens":1.0},"tokens":{"input_tokens":70.0,"output_tokens":1.0},"cached_tokens":64.0}}"#,
            Buckets {
                input: 6,
                cached: 64,
                output: 1,
                ..none
            },
        ),
        (
            "Cohere v1",
            r#"{"text":"Hi","meta":{"api_version":{"version":"1"},"billed_units":{"input_tokens":5,"output_tokens":9},"tokens":{"input_tokens":71,"output_tokens":9}}}"#,
            Buckets {
                input: 71,
                output: 9,
                ..none
            },
        ),
        (
            "Cohere embeddings",
            r#"{"embeddings":{"float":[]},"meta":{"billed_units":{"input_tokens":12,"image_tokens":30}}}"#,
            Buckets {
                input: 12,
                image_input: 30,
                ..none
            },
        ),
        (
            "Voyage and Jina",
            r#"{"object":"list","data":[],"usage":{"total_tokens":26}}"#,
            Buckets { input: 26, ..none },
        ),
        (
            "DeepSeek",
            r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
            Buckets {
                input: 2,
                cached: 8,
                output: 2,
                reasoning: 3,
                ..none
            },
        ),
        (
            "Moonshot",
            r#"{"choices":[{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cached_tokens":7}}]}"#,
            Buckets {
                input: 3,
                cached: 7,
                output: 5,
                ..none
            },
        ),
        (
            "Groq",
            r#"{"choices":[],"x_groq":{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":18,"completion_tokens":5,"total_tokens":23}}}"#,
            Buckets {
                input: 18,
                output: 5,
                ..none
            },
        ),
        (
            "xAI",
            r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,"completion_tokens_details":{"reasoning_tokens":3},"context_details":{"input_tokens":99}}}"#,
            Buckets {
                input: 10,
                output: 5,
                reasoning: 3,
                ..none
            },
        ),
        (
            "vLLM",
            r#"{"usage":{"prompt_tokens":7,"total_tokens":17,"completion_tokens":10,"prompt_tokens_details":null}}"#,
            Buckets {
                input: 7,
                output: 10,
                ..none
            },
        ),
        (
            "LiteLLM with Anthropic's names, within and beside the prompt",
            r#"{"usage":{"prompt_tokens":110,"completion_tokens":5,"total_tokens":115,"cache_read_input_tokens":100,"cache_creation_input_tokens":0}}"#,
            Buckets {
                input: 10,
                cached: 100,
                output: 5,
                ..none
            },
        ),
        (
            "a proxy that leaves it out of the prompt",
            r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"cache_read_input_tokens":100}}"#,
            Buckets {
                input: 10,
                cached: 100,
                output: 5,
                ..none
            },
        ),
        (
            "a proxy that says everything twice, once as zero",
            r#"{"usage":{"prompt_tokens":10,"input_tokens":0,"completion_tokens":5,"output_tokens":0,"total_tokens":15,"prompt_cache_hit_tokens":0,"prompt_tokens_details":{"cached_tokens":4}}}"#,
            Buckets {
                input: 6,
                cached: 4,
                output: 5,
                ..none
            },
        ),
    ];
    for (provider, body, expected) in cases {
        let usage = told(body).unwrap_or_else(|| panic!("nothing found: {provider}"));
        assert_eq!(usage.buckets(), expected, "{provider}");
        let line = format!("data: {body}\n\n");
        if !body.contains("\"meta\"") {
            assert_eq!(streamed(&line), Some(usage), "{provider}");
        }
        assert_eq!(sums(&usage), (usage.input, usage.output), "{provider}");
        if let Some(total) = usage.total {
            assert_eq!(usage.input + usage.output, total, "{provider}");
        }
    }
}

#[test]
fn what_is_no_token_counts_too() {
    let rerank = told(r#"{"results":[],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}"#);
    assert_eq!(rerank.unwrap().searches, 2);
    let whisper = told(r#"{"text":"Hi","duration":8.47,"usage":{"type":"duration","seconds":9}}"#);
    assert_eq!(whisper.unwrap().seconds, 9);
}

#[test]
fn what_the_provider_says_that_it_costs_is_nano_dollars() {
    let openrouter = r#"{"prompt_tokens":14,"completion_tokens":163,"total_tokens":177,"cost":0.00042015,"cost_details":{"upstream_inference_cost":null}}"#;
    let perplexity = r#"{"prompt_tokens":12,"completion_tokens":315,"total_tokens":327,"search_context_size":"low","cost":{"input_tokens_cost":0.00001,"output_tokens_cost":0.0003,"request_cost":0.005,"total_cost":0.00531}}"#;
    let xai = r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost_in_usd_ticks":37756000}"#;
    let picture = r#"{"cost_in_usd_ticks":200000000}"#;
    for (usage, cost) in [
        (openrouter, Some(420_150)),
        (perplexity, Some(5_310_000)),
        (xai, Some(3_775_600)),
        (picture, Some(20_000_000)),
        (r#"{"prompt_tokens":1,"cost":-1}"#, None),
        (r#"{"prompt_tokens":1,"cost":1e300}"#, None),
        (r#"{"prompt_tokens":1,"cost":null}"#, None),
        (r#"{"prompt_tokens":1,"cost":0}"#, Some(0)),
    ] {
        let body = format!("{{\"usage\":{usage}}}");
        assert_eq!(told(&body).unwrap().cost, cost, "{usage}");
    }
}

#[test]
fn a_later_event_completes_the_earlier_ones_zeros_included() {
    let anthropic = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":5,\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"input_tokens\":null,\"output_tokens\":9,\"output_tokens_details\":{\"thinking_tokens\":5}}}\n\n",
    );
    let expected = Buckets {
        input: 3,
        cached: 4,
        cache_write: 2,
        cache_write_1h: 3,
        output: 4,
        reasoning: 5,
        ..Buckets::default()
    };
    assert_eq!(streamed(anthropic).unwrap().buckets(), expected);

    let corrected = "data: {\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4,\"output_tokens\":1}}\n\ndata: {\"usage\":{\"cache_read_input_tokens\":0,\"output_tokens\":2}}\n\n";
    assert_eq!(
        streamed(corrected).unwrap().buckets(),
        Buckets {
            input: 3,
            output: 2,
            ..Buckets::default()
        }
    );

    // vLLM counts along: the last one is right, also when it is less.
    let continuous = lines([(7, 1), (7, 3), (7, 2)].map(|(prompt, completion)| {
        json!({"usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}})
    }));
    assert_eq!(
        (
            streamed(&continuous).unwrap().input,
            streamed(&continuous).unwrap().output
        ),
        (7, 2)
    );
}

#[test]
fn what_a_caller_calls_usage_counts_for_nothing() {
    // Gemini's arguments are no strings, and a schema is echoed by OpenAI Responses.
    let arguments = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"args\":{\"usage\":{\"input_tokens\":0,\"cost\":0}}}}]}}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2}}\n\n";
    let expected = Usage {
        input: 9,
        output: 2,
        ..Usage::default()
    };
    assert_eq!(streamed(arguments), Some(expected));
    let schema = concat!(
        "data: {\"type\":\"response.created\",\"response\":{\"tools\":[{\"parameters\":{\"usage\":{\"cost\":0,\"output_tokens\":1}}}],\"usage\":null}}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":2}}}\n\n",
    );
    assert_eq!(streamed(schema), Some(expected));
    // Wherever it stands, and where nothing else is told.
    let call = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"usage":{"input_tokens":999999,"output_tokens":88888},"usageMetadata":{"promptTokenCount":5}}}}]}}]}"#;
    let counted = r#"{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}"#;
    assert_eq!(streamed(&format!("data: {call}\n\n")), None);
    assert_eq!(
        streamed(&format!("data: {counted}\n\ndata: {call}\n\n")),
        Some(expected)
    );
    assert_eq!(told(&format!("[{counted},\r\n{call}]")), Some(expected));
    for after in [
        r#""content":[{"type":"tool_use","input":{"usage":{"input_tokens":1}}}]"#,
        r#""text":{"format":{"schema":{"properties":{"usage":{"cost":0,"output_tokens":1}}}}}"#,
        r#""a \"usage":{"output_tokens":1},"b":"\"usage\":{\"output_tokens\":1}""#,
        r#""results":[{"document":{"usage":{"output_tokens":1},"meta":{"billed_units":{"search_units":9}}}}]"#,
    ] {
        let body = format!("{{\"usage\":{{\"input_tokens\":9,\"output_tokens\":2}},{after}}}");
        assert_eq!(told(&body), Some(expected), "{after}");
        assert_eq!(told(&format!("{{{after}}}")), None, "{after}");
        assert_eq!(streamed(&format!("data: {body}\n\n")), Some(expected), "{after}");
    }
    let said = r#"{"choices":[{"message":{"content":"say \"usage\":{\"prompt_tokens\":1} now"}}]}"#;
    assert_eq!(told(said), None);
}

#[test]
fn what_only_the_total_has_is_of_the_answer() {
    for (usage, output) in [
        (r#"{"prompt_tokens":8,"completion_tokens":11,"total_tokens":30}"#, 22),
        (
            r#"{"promptTokenCount":8,"thoughtsTokenCount":11,"totalTokenCount":30}"#,
            22,
        ),
        (r#"{"prompt_tokens":8,"completion_tokens":11,"total_tokens":3}"#, 11),
    ] {
        let usage = told(&format!("{{\"usage\":{usage}}}")).unwrap();
        assert_eq!((usage.input, usage.output), (8, output));
    }
}

#[test]
fn nonsense_is_as_good_as_nothing() {
    for nothing in [
        r#"{"usage":null,"choices":[]}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":{"properties":{}}}"#,
        r#"{"usage":{"prompt_tokens":-1,"completion_tokens":"many","total_tokens":[]}}"#,
        r#"{"usage":{"prompt_tokens":99999999999999999999999999,"completion_tokens":1e300}}"#,
        r#"{"usage":{"prompt_tokens":{"prompt_tokens":1}}}"#,
        r#"{"usage":"a lot"}"#,
        r#"{"usage":{"prompt_tokens":1"#,
        r#"{"usage":{"prompt_tokens":1,}}"#,
    ] {
        assert_eq!(told(nothing), None, "{nothing}");
    }
    let odd = told(
        r#"{"usage":{"prompt_tokens":"12","completion_tokens":4.6,"prompt_tokens_details":[],"completion_tokens_details":7}}"#,
    );
    assert_eq!(
        odd,
        Some(Usage {
            input: 12,
            output: 5,
            ..Usage::default()
        })
    );
}

#[test]
fn parts_that_are_more_than_the_whole_are_cut() {
    let usage = told(
        r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":8},"completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":9}}}"#,
    );
    let expected = Buckets {
        cached: 8,
        audio_input: 2,
        reasoning: 5,
        ..Buckets::default()
    };
    assert_eq!(usage.unwrap().buckets(), expected);
}

#[test]
fn what_was_not_told_is_estimated_and_marked() {
    let told = Usage {
        input: 7,
        cached: 2,
        output: 1,
        total: Some(8),
        cost: Some(3),
        ..Usage::default()
    };
    // The count at the beginning of a stream is not that at its end.
    let estimated = Usage::estimated(Some(told), 100, 40);
    assert_eq!((estimated.input, estimated.cached, estimated.output), (7, 2, 41));
    assert_eq!(
        (estimated.total, estimated.cost, estimated.estimated),
        (None, None, true)
    );
    assert_eq!(Usage::estimated(Some(told), 100, 0), told);
    let nothing = Usage::estimated(None, 100, 40);
    assert_eq!((nothing.input, nothing.output, nothing.estimated), (100, 40, true));
}

/// A count, or something in place of one.
fn count() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (0_u64..5_000).prop_map(|count| json!(count)),
        1 => Just(json!(0)),
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(|count| json!(count)),
        1 => any::<f64>().prop_map(|count| json!(count)),
        1 => "[0-9a-z]{0,5}".prop_map(|count| json!(count)),
    ]
}

/// A usage object with any of the names there are.
fn object() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 34] = [
        "prompt_tokens",
        "input_tokens",
        "promptTokenCount",
        "completion_tokens",
        "output_tokens",
        "candidatesTokenCount",
        "total_tokens",
        "totalTokenCount",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cached_tokens",
        "prompt_cache_hit_tokens",
        "cachedContentTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "reasoning_tokens",
        "seconds",
        "cost",
        "cost_in_usd_ticks",
        "prompt_tokens_details/cached_tokens",
        "prompt_tokens_details/audio_tokens",
        "prompt_tokens_details/image_tokens",
        "prompt_tokens_details/cache_write_tokens",
        "completion_tokens_details/reasoning_tokens",
        "completion_tokens_details/audio_tokens",
        "cache_creation/ephemeral_5m_input_tokens",
        "cache_creation/ephemeral_1h_input_tokens",
        "tokens/input_tokens",
        "tokens/output_tokens",
        "billed_units/input_tokens",
        "billed_units/output_tokens",
        "billed_units/search_units",
        "cost/total_cost",
        "unknown",
    ];
    prop::collection::vec((0..NAMES.len(), count()), 0..10).prop_map(|members| {
        let mut object = json!({});
        for (name, value) in members {
            match NAMES[name].split_once('/') {
                None => object[NAMES[name]] = value,
                Some((group, _)) if !object[group].is_object() && !object[group].is_null() => {}
                Some((group, name)) => object[group][name] = value,
            }
        }
        object
    })
}

proptest! {
    /// A body that is read at once tells what it tells piece by piece.
    #[test]
    fn a_body_may_be_read_at_once(body in r#"(\{|\}|"usage":|"usage":\{"(prompt|completion)_tokens":[0-9]\}|"usageMetadata": |"meta":|"prompt_tokens":|"content":|"usage"|"a b"|"seconds":|"duration":1 |,|[0-9]{1,3}|"){0,20}"#, cuts in prop::collection::vec(0_usize..200, 0..4)) {
        for kind in [Body::Text, Body::Data, Body::Pictures, Body::Transcript] {
            let mut gauge = Gauge::json(kind);
            for piece in chunked(body.as_bytes(), cuts.clone()) {
                let told = gauge.read(piece);
                gauge.count(piece, told);
            }
            prop_assert_eq!(Seen::whole(kind, body.as_bytes()), gauge.seen(), "{:?}", kind);
        }
    }

    #[test]
    fn buckets_sum_to_the_totals(objects in prop::collection::vec(object(), 1..4)) {
        let stream = lines(objects.iter().map(|usage| json!({ "usage": usage })));
        let usage = streamed(&stream).unwrap_or_default();
        prop_assert_eq!(sums(&usage), (usage.input, usage.output));
        let whole = told(&json!({ "usage": objects[0] }).to_string()).unwrap_or_default();
        prop_assert_eq!(sums(&whole), (whole.input, whole.output));
        if let Some(total) = whole.total {
            prop_assert!(whole.output == 0 || whole.input == 0 || whole.input + whole.output >= total);
        }
    }

    #[test]
    fn openai_s_totals_are_kept(prompt in 0_u64..9_000, completion in 0_u64..9_000, parts in prop::array::uniform5(0_u64..5_000)) {
        let [cached, heard, seen, thought, spoken] = parts;
        let body = json!({"usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": heard, "image_tokens": seen},
            "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": spoken}}});
        let usage = told(&body.to_string()).unwrap();
        prop_assert_eq!((usage.input, usage.output), (prompt, completion));
        prop_assert_eq!(sums(&usage), (prompt, completion));
    }

    #[test]
    fn anthropic_s_parts_add_up(parts in prop::array::uniform5(0_u64..5_000)) {
        let [uncached, read, short, long, output] = parts;
        let body = json!({"usage": {"input_tokens": uncached, "cache_read_input_tokens": read, "cache_creation_input_tokens": short + long,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}, "output_tokens": output}});
        let expected = Buckets { input: uncached, cached: read, cache_write: short, cache_write_1h: long, output, ..Buckets::default() };
        prop_assert_eq!(told(&body.to_string()).unwrap().buckets(), expected);
    }

    #[test]
    fn responses_s_totals_are_kept(input in 0_u64..9_000, output in 0_u64..9_000, parts in prop::array::uniform3(0_u64..5_000)) {
        let [cached, written, thought] = parts;
        let body = json!({"usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": thought}, "total_tokens": input + output}});
        let usage = told(&body.to_string()).unwrap();
        prop_assert_eq!((usage.input, usage.output), (input, output));
        prop_assert_eq!(sums(&usage), (input, output));
    }

    #[test]
    fn gemini_s_parts_add_up(parts in prop::array::uniform6(0_u64..5_000), modalities in prop::array::uniform4(0_u64..9_000)) {
        let [prompt, tools, cached, said, thought, heard_before] = parts;
        let [heard, seen, spoken, drawn] = modalities;
        let cached = cached.min(prompt);
        let list = |audio: u64, image: u64| json!([{"modality": "TEXT", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": audio},
            {"modality": "IMAGE", "tokenCount": image}]);
        let total = prompt + tools + said + thought;
        let body = json!({"usageMetadata": {"promptTokenCount": prompt, "toolUsePromptTokenCount": tools, "cachedContentTokenCount": cached,
            "candidatesTokenCount": said, "thoughtsTokenCount": thought, "totalTokenCount": total,
            "promptTokensDetails": list(heard, seen), "cacheTokensDetails": list(heard_before, 0), "candidatesTokensDetails": list(spoken, drawn)}});
        let usage = told(&body.to_string()).unwrap();
        prop_assert_eq!(sums(&usage), (prompt + tools, said + thought));
        let of = usage.buckets();
        prop_assert_eq!((of.reasoning, of.cached + of.cached_audio), (thought, cached));
    }

    #[test]
    fn cohere_s_and_deepseek_s_totals_are_kept(input in 0_u64..9_000, output in 0_u64..9_000, cached in 0_u64..9_000, billed in 0_u64..9_000) {
        let cohere = json!({"usage": {"billed_units": {"input_tokens": billed, "output_tokens": output},
            "tokens": {"input_tokens": input, "output_tokens": output}, "cached_tokens": cached}});
        let deepseek = json!({"usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": input.saturating_sub(cached)}});
        for body in [cohere, deepseek] {
            let usage = told(&body.to_string()).unwrap();
            prop_assert_eq!(sums(&usage), (input, output));
            prop_assert_eq!(usage.buckets().cached, cached.min(input));
        }
    }

    /// Pictures are counted at any chunking; drafts and what is no picture are not.
    #[test]
    fn pictures_are_counted(count in 0_usize..6, cuts in prop::collection::vec(0_usize..900, 0..20)) {
        let picture = |at: usize| if at.is_multiple_of(2) { json!({"b64_json": "AAAA", "url": null}) } else { json!({"b64_json" : "\"url\":\"x\""}) };
        let body = json!({"data": (0..count).map(picture).collect::<Vec<_>>(), "usage": {"input_tokens": 5}}).to_string();
        let of_body = |cuts| tapped(UsageTap::json(Body::Pictures), &chunked(body.as_bytes(), cuts)).unwrap();
        prop_assert_eq!((of_body(cuts.clone()).images, of_body(Vec::new()).input), (count as u64, 5));
        let events: String = (0..count)
            .map(|_| "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"A\"}\n\n\
                      data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"A\"}\n\n")
            .collect();
        let drawn = tapped(UsageTap::events(Body::Pictures), &chunked(events.as_bytes(), cuts));
        prop_assert_eq!(drawn.map_or(0, |usage| usage.images), count as u64);
    }

    #[test]
    fn seconds_are_found(cuts in prop::collection::vec(0_usize..90, 0..9), text in any::<bool>()) {
        let body = if text { r#"{"task":"x","duration":"8.470000","text":"hi"}"# } else { r#"{"text":"hi","duration":8.47,"segments":[]}"# };
        let heard = tapped(UsageTap::json(Body::Transcript), &chunked(body.as_bytes(), cuts));
        prop_assert_eq!(heard.unwrap().seconds, 9);
    }

    #[test]
    fn chunking_does_not_matter(objects in prop::collection::vec(object(), 1..4), cuts in prop::collection::vec(0_usize..900, 0..20)) {
        let stream = lines(objects.iter().map(|usage| json!({ "usage": usage, "meta": usage })));
        let bytes = stream.as_bytes();
        prop_assert_eq!(tapped(UsageTap::events(Body::Text), &chunked(bytes, cuts.clone())), streamed(&stream));
        prop_assert_eq!(tapped(UsageTap::json(Body::Text), &chunked(bytes, cuts)), told(&stream));
    }

    /// Also with objects that never end, or are longer than is read.
    #[test]
    fn garbage_is_read_the_same_in_any_chunks(pieces in prop::collection::vec(prop_oneof![
        9 => r#"(\{"usage":\{"prompt_tokens":3\}|"usage"|"meta"|"usageMetadata"|:|\{|\}|"prompt_tokens":1|"completion_tokens":2|,|"|\\|\n|u| ){0,12}"#,
        1 => Just(format!("\n{{\"usage\":{{\"a\":\"{}\",\"prompt_tokens\":5}}", "x".repeat(5000))),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ], 0..30)) {
        let chunks: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
        let whole = pieces.concat();
        prop_assert_eq!(tapped(UsageTap::events(Body::Text), &chunks), streamed(&whole));
        prop_assert_eq!(tapped(UsageTap::json(Body::Text), &chunks), told(&whole));
    }
}
