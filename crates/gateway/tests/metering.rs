//! What a request used and what that costs is in the ledger, for every route and dialect, however its answer goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, ask, body, model, provider, stream, told};
use support::rows::rows;
use support::{Gateway, Request, read_head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const STORE: &str = "[store]\nflush = '20ms'\n";

/// The buckets of a row, and what is said of them.
const BUCKETS: &str = "input, cached, cache_write, audio_input, image_input, output, reasoning, audio_output, images,
    estimated, cost";

/// Prices of round numbers: each bucket has its own.
const PRICE: &str = "input = 1\ncached = 0.1\ncache_write = 2\ncache_write_1h = 3\naudio_input = 4\noutput = 10\n\
    reasoning = 20\naudio_output = 30\n";

fn database(gateway: &Gateway) -> PathBuf {
    gateway.directory.path().join("mynah.db")
}

/// The last row, once there are so many.
async fn last(gateway: &Gateway, count: usize, columns: &str) -> String {
    let rows = rows(
        &database(gateway),
        &format!("SELECT {columns} FROM requests ORDER BY id"),
        count,
    )
    .await;
    rows.into_iter().nth(count - 1).unwrap()
}

/// A usage as each protocol tells it: 100 tokens and 50, of which 40 come from the cache.
fn usage(kind: &str) -> Value {
    match kind {
        "chat" => json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5}}),
        "responses" => {
            json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
            "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 150})
        }
        "anthropic" => json!({"input_tokens": 50, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}, "output_tokens": 50}),
        "gemini" => json!({"promptTokenCount": 95, "toolUsePromptTokenCount": 5, "cachedContentTokenCount": 40,
            "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 150,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 85}, {"modality": "AUDIO", "tokenCount": 10}]}),
        _ => json!({"billed_units": {"input_tokens": 90, "output_tokens": 50},
            "tokens": {"input_tokens": 100, "output_tokens": 50}, "cached_tokens": 40}),
    }
}

/// The row of that usage, at [`PRICE`].
fn row(kind: &str) -> &'static str {
    match kind {
        "chat" => "50 40 0 10 0 25 20 5 0 0 894000",
        "responses" => "50 40 10 0 0 30 20 0 0 0 774000",
        "anthropic" => "50 40 10 0 0 50 0 0 0 0 580000",
        "gemini" => "50 40 0 10 0 30 20 0 0 0 794000",
        // Ten of the prompt are Cohere's own, and not paid for.
        _ => "60 40 0 0 0 50 0 0 0 0 554000",
    }
}

/// An answer with that usage.
fn answer(kind: &str) -> Reply {
    let usage = usage(kind);
    Reply::json(&match kind {
        "chat" => json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}]}),
        "responses" => {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
            "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}]}], "usage": usage})
        }
        "anthropic" => {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "hi"}], "usage": usage})
        }
        "gemini" => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": usage})
        }
        _ => json!({"id": "1", "finish_reason": "COMPLETE", "usage": usage,
            "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}}),
    })
}

/// A stream with that usage.
fn streamed(kind: &str) -> Reply {
    let data = |value: &Value| format!("data: {value}\n\n");
    let event = |value: &Value| format!("event: {}\n{}", value["type"].as_str().unwrap(), data(value));
    let usage = usage(kind);
    match kind {
        "chat" => {
            let events = told("chat");
            let counts = data(&json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}));
            let (finish, done) = events.ending.split_once("data: [DONE]").unwrap();
            stream([
                &events.opening,
                &(events.text)("hi"),
                finish,
                &counts,
                &format!("data: [DONE]{done}"),
            ])
        }
        "responses" => {
            let events = told("responses");
            let end = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "usage": usage}});
            stream([&events.opening, &(events.text)("hi"), &event(&end)])
        }
        "anthropic" => {
            let mut start = usage;
            start["output_tokens"] = json!(1);
            let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
                "content": [], "model": "m", "usage": start}});
            let block =
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
            let end =
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}});
            stream([
                &(event(&start) + &event(&block)),
                &(told("anthropic").text)("hi"),
                &event(&json!({"type": "content_block_stop", "index": 0})),
                &event(&end),
                &event(&json!({"type": "message_stop"})),
            ])
        }
        "gemini" => {
            let end = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage});
            stream([&(told("gemini").text)("hi"), &data(&end)])
        }
        _ => {
            let said = json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}});
            let end = json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}});
            stream([
                &event(&json!({"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}})),
                &event(
                    &json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
                ),
                &event(&said),
                &event(&json!({"type": "content-end", "index": 0})),
                &event(&end),
            ])
        }
    }
}

/// Callers of every dialect ask a provider of this one, for whole answers and streams.
async fn every_caller_of(kind: &str) {
    let whole = Understudy::start(answer(kind)).await.unwrap();
    let streaming = Understudy::start(streamed(kind)).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}{}[prices.'whole/*']\n{PRICE}[prices.'streaming/*']\n{PRICE}",
        provider("whole", kind, &whole.url()),
        provider("streaming", kind, &streaming.url()),
    ));
    let mut count = 0;
    for caller in CALLERS {
        for (name, stream) in [("whole", false), ("streaming", true)] {
            let reply = gateway
                .send(&ask(caller, &format!("{name}/{}", model(kind)), "hello", stream))
                .await;
            assert_eq!(reply.status, 200, "{caller} {name}: {}", reply.text());
            count += 1;
            assert_eq!(
                last(&gateway, count, BUCKETS).await,
                row(kind),
                "{caller} asks {kind}, {name}"
            );
        }
    }
}

#[tokio::test]
async fn openai_chat_is_metered_for_every_caller() {
    every_caller_of("chat").await;
}

#[tokio::test]
async fn openai_responses_is_metered_for_every_caller() {
    every_caller_of("responses").await;
}

#[tokio::test]
async fn anthropic_is_metered_for_every_caller() {
    every_caller_of("anthropic").await;
}

#[tokio::test]
async fn gemini_is_metered_for_every_caller() {
    every_caller_of("gemini").await;
}

#[tokio::test]
async fn cohere_is_metered_for_every_caller() {
    every_caller_of("cohere").await;
}

/// A text of 140 letters: 40 tokens, estimated.
fn long() -> String {
    "four".repeat(35)
}

#[tokio::test]
async fn what_a_caller_who_hangs_up_has_got_is_estimated() {
    for kind in CALLERS {
        let events = told(kind);
        let text = (events.text)(&long());
        let there = events.opening.len() + text.len();
        let up = Understudy::start(stream([&events.opening, &text, &events.ending]).hang_after(there))
            .await
            .unwrap();
        let gateway = Gateway::start(&format!(
            "{STORE}{}[prices.'up/*']\ninput = 0\noutput = 1\n",
            provider("up", kind, &up.url())
        ));
        for (at, caller) in CALLERS.into_iter().enumerate() {
            let mut connection = gateway.connect().await;
            let request = ask(caller, &format!("up/{}", model(kind)), "hello", true);
            connection.write_all(&request.bytes()).await.unwrap();
            read_head(&mut connection).await.unwrap();
            connection.read_u8().await.unwrap();
            drop(connection);
            up.wait_aborted(at as u64 + 1).await;
            let row = last(
                &gateway,
                at + 1,
                "error, estimated, input BETWEEN 5 AND 40, output, cost",
            )
            .await;
            assert_eq!(row, "caller_hung_up 1 1 40 40000", "{caller} hangs up on {kind}");
        }
    }
}

#[tokio::test]
async fn what_a_provider_has_sent_who_breaks_off_is_estimated() {
    for kind in CALLERS {
        let events = told(kind);
        let text = (events.text)(&long());
        let there = events.opening.len() + text.len();
        let up = Understudy::start(stream([&events.opening, &text, &events.ending]).cut_at(there + 3))
            .await
            .unwrap();
        let gateway = Gateway::start(&format!(
            "{STORE}{}[prices.'up/*']\ninput = 0\noutput = 1\n",
            provider("up", kind, &up.url())
        ));
        for (at, caller) in CALLERS.into_iter().enumerate() {
            gateway
                .send(&ask(caller, &format!("up/{}", model(kind)), "hello", true))
                .await;
            let row = last(&gateway, at + 1, "error, estimated, output, cost").await;
            assert_eq!(
                row, "upstream_broken 1 40 40000",
                "{kind} breaks off, {caller} has asked"
            );
        }
    }
}

#[tokio::test]
async fn what_a_provider_does_not_tell_is_estimated() {
    let whole = json!({"choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": long()}}]});
    let events = told("chat");
    let whole = Understudy::start(Reply::json(&whole)).await.unwrap();
    let streaming = stream([&events.opening, &(events.text)(&long()), &events.ending]);
    let streaming = Understudy::start(streaming).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}{}[prices.'whole/m']\ninput = 1\noutput = 1\n",
        provider("whole", "chat", &whole.url()),
        provider("streaming", "chat", &streaming.url()),
    ));
    let mut count = 0;
    for caller in ["chat", "anthropic"] {
        for (name, stream) in [("whole", false), ("streaming", true)] {
            assert_eq!(
                gateway
                    .send(&ask(caller, &format!("{name}/m"), "hello", stream))
                    .await
                    .status,
                200
            );
            count += 1;
            let row = last(
                &gateway,
                count,
                "estimated, input > 5, output, cost IS NULL OR cost = (input + output) * 1000",
            )
            .await;
            assert_eq!(row, "1 1 40 1", "{caller}, {name}");
        }
    }
}

#[tokio::test]
async fn who_was_hung_up_on_before_an_answer_may_have_read_the_prompt() {
    let up = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}[prices.'up/*']\ninput = 1\noutput = 1\n\
         [models.dear]\ntargets = [{{ target = 'up/m', price = {{ input = 1000, output = 1000 }} }}]\n",
        provider("up", "chat", &up.url())
    ));
    for (at, caller) in CALLERS.into_iter().enumerate() {
        let mut connection = gateway.connect().await;
        let request = ask(caller, "up/m", &"word ".repeat(700), false);
        connection.write_all(&request.bytes()).await.unwrap();
        up.wait_received(at as u64 + 1).await;
        drop(connection);
        up.wait_aborted(at as u64 + 1).await;
        let row = last(
            &gateway,
            at + 1,
            "status, estimated, input BETWEEN 1000 AND 1040, output, cost = input * 1000",
        )
        .await;
        assert_eq!(row, "499 1 1 0 1", "{caller}");
    }
    assert_eq!(gateway.chat(r#"{"model":"nobody"}"#).await.status, 404);
    assert_eq!(
        last(&gateway, CALLERS.len() + 1, "estimated, input, cost").await,
        "0 - -"
    );
    let mut connection = gateway.connect().await;
    connection
        .write_all(&ask("chat", "dear", "hello", false).bytes())
        .await
        .unwrap();
    up.wait_received(CALLERS.len() as u64 + 1).await;
    drop(connection);
    let own = last(&gateway, CALLERS.len() + 2, "status, cost = input * 1000000").await;
    assert_eq!(own, "499 1", "the price is the target's own");
}

/// One question of another kind: what is asked, what is answered, and the row.
struct Other {
    path: &'static str,
    body: Value,
    answer: Reply,
    row: &'static str,
}

fn other(path: &'static str, body: Value, answer: &Value, row: &'static str) -> Other {
    Other {
        path,
        body,
        answer: Reply::json(answer),
        row,
    }
}

async fn each_is_metered(kind: &str, prices: &str, others: Vec<Other>) {
    let up = Understudy::start(Script::new()).await.unwrap();
    let gateway = Gateway::start(&format!("{STORE}{}{prices}", provider("up", kind, &up.url())));
    for (at, other) in others.into_iter().enumerate() {
        up.set_script(Rule::any().reply(other.answer));
        let reply = gateway.send(&Request::post(other.path, &other.body.to_string())).await;
        assert_eq!(
            reply.status,
            200,
            "{}: {}",
            other.path,
            String::from_utf8_lossy(&reply.body)
        );
        assert_eq!(
            last(&gateway, at + 1, BUCKETS).await,
            other.row,
            "{} {}",
            other.path,
            other.body
        );
    }
}

#[tokio::test]
async fn every_other_route_is_metered() {
    let prices = "[prices.'up/*']\ninput = 1\noutput = 1\n[prices.'up/rank']\nrequest = 0.002\n\
        [prices.'up/draw']\nimage = 0.04\nimages = { 'hd 1024x1792' = 0.12 }\n[prices.'up/say']\ncharacter = 15\n\
        [prices.'up/hear']\nminute = 0.006\n[prices.'up/judge']\nrequest = 0\n";
    let text = |model: &str| json!({"model": model, "input": "héllo"});
    let draw = |rest: &Value| {
        let mut body = json!({"model": "up/draw", "prompt": "a bird"});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let vectors = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m",
        "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let untold =
        json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"});
    let completion = json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}});
    let picture = |count: usize| json!({"created": 1, "data": vec![json!({"b64_json": "AAAA", "url": null}); count]});
    let painted = json!({"created": 1, "data": [{"b64_json": "AAAA"}],
        "usage": {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 100, "total_tokens": 150}});
    let ranked =
        json!({"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 2}}});
    let speech = Reply::bytes("ID3").header("content-type", "audio/mpeg");
    each_is_metered(
        "chat",
        prices,
        vec![
            other("/v1/embeddings", text("up/m"), &vectors, "8 0 0 0 0 0 0 0 0 0 8000"),
            // Names, model and text: 18 letters of ASCII, and another one.
            other("/v1/embeddings", text("up/m"), &untold, "7 0 0 0 0 0 0 0 0 1 7000"),
            other(
                "/v1/completions",
                json!({"model": "up/m", "prompt": "a"}),
                &completion,
                "7 0 0 0 0 3 0 0 0 0 10000",
            ),
            other(
                "/v1/rerank",
                json!({"model": "up/rank", "query": "q", "documents": ["d"]}),
                &ranked,
                "0 0 0 0 0 0 0 0 0 0 4000000",
            ),
            other(
                "/v1/images/generations",
                draw(&json!({"n": 2})),
                &picture(2),
                "0 0 0 0 0 0 0 0 2 0 80000000",
            ),
            other(
                "/v1/images/generations",
                draw(&json!({"quality": "hd", "size": "1024x1792"})),
                &picture(1),
                "0 0 0 0 0 0 0 0 1 0 120000000",
            ),
            other(
                "/v1/images/generations",
                json!({"model": "up/m", "prompt": "a"}),
                &painted,
                "10 0 0 0 40 100 0 0 1 0 150000",
            ),
            other(
                "/v1/images/generations",
                json!({"model": "up/m", "prompt": "a"}),
                &picture(1),
                "0 0 0 0 0 0 0 0 1 0 -",
            ),
            Other {
                path: "/v1/audio/speech",
                body: text("up/say"),
                answer: speech,
                row: "- - - - - - - - - 0 75000",
            },
            other(
                "/v1/audio/transcriptions",
                json!({"model": "up/hear"}),
                &json!({"text": "hi", "usage": {"type": "duration", "seconds": 90}}),
                "0 0 0 0 0 0 0 0 0 0 9000000",
            ),
            other(
                "/v1/audio/translations",
                json!({"model": "up/hear"}),
                &json!({"task": "translate", "duration": 29.4, "text": "hi"}),
                "0 0 0 0 0 0 0 0 0 0 3000000",
            ),
            other(
                "/v1/audio/transcriptions",
                json!({"model": "up/hear"}),
                &json!({"text": "hi"}),
                "- - - - - - - - - 0 -",
            ),
            other(
                "/v1/moderations",
                text("up/judge"),
                &json!({"id": "1", "results": []}),
                "- - - - - - - - - 0 0",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn other_questions_are_metered_when_they_are_translated() {
    let prices = "[prices.'up/*']\ninput = 1\noutput = 1\n[prices.'up/rank']\nrequest = 0.002\n\
        [prices.'up/imagen-4.0-generate-001']\nimage = 0.04\n";
    let question = json!({"model": "up/m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9});
    let vector = json!({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 9}});
    let text = json!({"model": "up/gemini-embedding-001", "input": "hello"});
    let imagen = json!({"model": "up/imagen-4.0-generate-001", "prompt": "a bird"});
    let drawn = json!({"predictions": [{"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}]});
    each_is_metered(
        "gemini",
        prices,
        vec![
            other("/v1/embeddings", text, &vector, "9 0 0 0 0 0 0 0 0 0 9000"),
            other("/v1/images/generations", imagen, &drawn, "0 0 0 0 0 0 0 0 1 0 40000000"),
            other(
                "/v1/messages/count_tokens",
                question,
                &json!({"totalTokens": 7}),
                "- - - - - - - - - 0 0",
            ),
        ],
    )
    .await;
    let ranked = json!({"id": "1", "results": [{"index": 0, "relevance_score": 0.5}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}});
    let vectors = json!({"id": "1", "embeddings": {"float": [[0.5]]}, "texts": ["hello"], "meta": {"billed_units": {"input_tokens": 12}}});
    let prompts = json!({"model": "up/m", "prompt": ["a", "b"]});
    let mut told = usage("cohere");
    told["cached_tokens"] = json!(0);
    let said = json!({"id": "1", "finish_reason": "COMPLETE", "usage": told,
        "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}});
    each_is_metered(
        "cohere",
        prices,
        vec![
            other(
                "/v1/rerank",
                json!({"model": "up/rank", "query": "q", "documents": ["d"]}),
                &ranked,
                "0 0 0 0 0 0 0 0 0 0 4000000",
            ),
            other(
                "/v1/embeddings",
                json!({"model": "up/m", "input": "hello"}),
                &vectors,
                "12 0 0 0 0 0 0 0 0 0 12000",
            ),
            other(
                "/v2/embed",
                json!({"model": "up/m", "texts": ["hello"], "input_type": "search_query"}),
                &vectors,
                "12 0 0 0 0 0 0 0 0 0 12000",
            ),
            other("/v1/completions", prompts, &said, "200 0 0 0 0 100 0 0 0 0 280000"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_price_is_the_provider_s_own_or_the_file_s_or_the_list_s() {
    let list = json!({"data": [
        {"id": "gpt-4o", "pricing": {"prompt": "0.000002", "completion": "0.000003"}},
        {"id": "listed", "prompt_price_1k": 0.005, "completion_price_1k": 0.006},
        {"id": "own", "prompt_price_1k": 0.005, "completion_price_1k": 0.006},
    ]});
    let up = Understudy::start(
        Script::new()
            .rule(Rule::path("/v1/models").reply(Reply::json(&list)))
            .rule(Rule::any().reply(answer("chat"))),
    )
    .await
    .unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}[providers.up]\nbase_url = '{0}'\nkind = 'openai'\napi_key = 'k'\n\
         [providers.bare]\nbase_url = '{0}'\nkind = 'openai'\nmodels = []\napi_key = 'k'\n\
         [prices.'up/own']\ninput = 1\noutput = 1\n\
         [models.here]\ntargets = [{{ target = 'up/own', price = {{ input = 10, output = 10 }} }}]\n",
        up.url()
    ));
    // 100 tokens of prompt, 50 of the answer.
    for (at, (model, cost)) in [
        ("up/own", "150000"),
        ("here", "1500000"),
        ("up/listed", "800000"),
        ("up/gpt-4o", "350000"),
        ("up/unheard-of", "-"),
        ("bare/unheard-of", "-"),
        ("mynah/echo", "0"),
    ]
    .into_iter()
    .enumerate()
    {
        // What is listed is known once the list was read.
        support::until(
            || up.received().iter().any(|received| received.path() == "/v1/models"),
            String::new,
        )
        .await;
        let request = body("chat", model, "hello", false).to_string();
        assert_eq!(gateway.chat(&request).await.status, 200);
        assert_eq!(last(&gateway, at + 1, "cost").await, cost, "{model}");
    }
    let mut counts = usage("chat");
    counts["cost"] = json!(0.0123);
    let told = json!({"choices": [{"index": 0, "message": {"content": "hi"}}], "usage": counts});
    up.set_script(Reply::json(&told));
    for (at, model) in ["up/own", "bare/unheard-of"].into_iter().enumerate() {
        assert_eq!(
            gateway
                .chat(&body("chat", model, "hello", false).to_string())
                .await
                .status,
            200
        );
        assert_eq!(
            last(&gateway, at + 8, "cost").await,
            "12300000",
            "{model} says it itself"
        );
    }
}

#[tokio::test]
async fn an_answer_that_goes_on_is_paid_to_both() {
    let (events, rest) = (told("anthropic"), told("chat"));
    let (one, two) = ((events.text)(&long()), (events.text)("two"));
    let there = events.opening.len() + one.len();
    let first = stream([&events.opening, &one, &two, &events.ending]).cut_at(there + 3);
    let first = Understudy::start(first).await.unwrap();
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 5}});
    let second = stream([
        &rest.opening,
        &(rest.text)(" three"),
        &format!("data: {counts}\n\n"),
        &rest.ending,
    ]);
    let second = Understudy::start(second).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}{}quirks = {{ prefill = 'continue_final_message' }}\n\
         [models.smart]\ntargets = ['first/m', 'second/m']\non_cut = 'continue'\nretries = 0\n\
         [prices.'first/*']\ninput = 1\noutput = 10\n[prices.'second/*']\ninput = 2\noutput = 20\n",
        provider("first", "anthropic", &first.url()),
        provider("second", "chat", &second.url()),
    ));
    for (at, caller) in CALLERS.into_iter().enumerate() {
        assert_eq!(gateway.send(&ask(caller, "smart", "hello", true)).await.status, 200);
        // 13 and 40 of the first, 60 and 5 of the second.
        let row = last(&gateway, at + 1, "input, output, estimated, cost").await;
        let cost = 13 * 1000 + 40 * 10_000 + 60 * 2000 + 5 * 20_000;
        assert_eq!(row, format!("73 45 1 {cost}"), "{caller}");
    }
}

#[tokio::test]
async fn an_answer_that_several_get_is_paid_once() {
    let up = Understudy::start(
        Reply::json(&json!({"object": "list", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}))
            .first_after(std::time::Duration::from_millis(300)),
    )
    .await
    .unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}[models.m]\ntargets = ['up/m']\nsingle_flight = true\n[prices.'up/m']\ninput = 1\n",
        provider("up", "chat", &up.url())
    ));
    let request = Request::post("/v1/embeddings", r#"{"model":"m","input":"hello"}"#);
    let (one, other) = tokio::join!(gateway.send(&request), gateway.send(&request));
    assert_eq!((one.status, other.status), (200, 200));
    assert_eq!(up.received().len(), 1);
    let query = "SELECT coalesce(input, '-'), cost FROM requests ORDER BY cost";
    assert_eq!(rows(&database(&gateway), query, 2).await, ["- 0", "8 8000"]);
}

#[tokio::test]
async fn an_answer_that_is_fetched_once_more_is_not_paid_again() {
    let up = Understudy::start(answer("responses")).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}[prices.'up/*']\n{PRICE}",
        provider("up", "responses", &up.url())
    ));
    assert_eq!(gateway.get("/v1/responses/resp_1").await.status, 200);
    assert_eq!(last(&gateway, 1, BUCKETS).await, "- - - - - - - - - 0 -");
}

#[tokio::test]
async fn a_prompt_that_is_too_large_to_be_kept_is_counted_before() {
    let events = told("chat");
    let text = (events.text)(&long());
    let there = events.opening.len() + text.len();
    let up = Understudy::start(stream([&events.opening, &text]).hang_after(there))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!("{STORE}{}", provider("up", "chat", &up.url())));
    let mut prompt = String::new();
    for word in 0..20_000 {
        write!(prompt, "w{word:05} ").unwrap();
    }
    let mut connection = gateway.connect().await;
    connection
        .write_all(&ask("chat", "up/m", &prompt, true).bytes())
        .await
        .unwrap();
    read_head(&mut connection).await.unwrap();
    connection.read_u8().await.unwrap();
    drop(connection);
    let row = last(&gateway, 1, "estimated, input BETWEEN 40000 AND 40100, output").await;
    assert_eq!(row, "1 1 40");
}

#[tokio::test]
async fn a_stream_of_gemini_s_that_is_an_array_is_metered() {
    let piece = |text: &str, counted: u64| {
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": counted, "totalTokenCount": 9 + counted}})
    };
    let pieces = [format!("[{}", piece("a", 1)), format!(",{}]", piece("b", 2))];
    let there = pieces[0].len();
    let reply = || {
        Reply::bytes(pieces.concat())
            .header("content-type", "application/json")
            .chunked()
    };
    let up = Understudy::start([reply(), reply().hang_after(there)]).await.unwrap();
    let gateway = Gateway::start(&format!("{STORE}{}", provider("up", "gemini", &up.url())));
    let request = Request::post(
        "/v1beta/models/up%2Fm:streamGenerateContent",
        &body("gemini", "", "hello", true).to_string(),
    );
    assert_eq!(gateway.send(&request).await.status, 200);
    assert_eq!(last(&gateway, 1, "input, output, estimated").await, "9 2 0");
    let mut connection = gateway.connect().await;
    connection.write_all(&request.bytes()).await.unwrap();
    read_head(&mut connection).await.unwrap();
    connection.read_u8().await.unwrap();
    drop(connection);
    assert_eq!(last(&gateway, 2, "input, output, error").await, "9 1 caller_hung_up");
}

#[tokio::test]
async fn what_gemini_tells_of_the_prompt_alone_is_no_count_of_the_answer() {
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": long()}]}}],
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}})
    .to_string();
    let events = stream([&format!("data: {event}\n\n"), "data: "]).cut_at(event.len() + 10);
    let events = Understudy::start(events).await.unwrap();
    let array = Reply::bytes(format!("[{event},"))
        .header("content-type", "application/json")
        .chunked()
        .cut_at(event.len() + 2);
    let array = Understudy::start(array).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}{}",
        provider("events", "gemini", &events.url()),
        provider("array", "gemini", &array.url())
    ));
    let body = body("gemini", "", "hello", true).to_string();
    for (at, request) in [
        ask("gemini", "events/m", "hello", true),
        ask("chat", "events/m", "hello", true),
        Request::post("/v1beta/models/array%2Fm:streamGenerateContent", &body),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.send(&request).await;
        let row = last(&gateway, at + 1, "error, estimated, input, output").await;
        assert_eq!(row, "upstream_broken 1 9 40", "request {at}");
    }
}

#[tokio::test]
async fn the_loser_of_a_hedge_is_not_charged_for_what_nobody_knows() {
    let slow = Understudy::start(Reply::hang()).await.unwrap();
    let quick = Understudy::start(answer("chat")).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}{}{}[models.m]\ntargets = ['slow/m', 'quick/m']\nhedge = {{ after = '20ms', max_share = 1.0 }}\n\
         [prices.'slow/*']\ninput = 1000\noutput = 1000\n[prices.'quick/*']\n{PRICE}",
        provider("slow", "chat", &slow.url()),
        provider("quick", "chat", &quick.url()),
    ));
    assert_eq!(
        gateway
            .chat(&body("chat", "m", "hello", false).to_string())
            .await
            .status,
        200
    );
    assert_eq!(last(&gateway, 1, BUCKETS).await, row("chat"));
    let attempts = rows(
        &database(&gateway),
        "SELECT target, outcome FROM attempts ORDER BY number",
        2,
    )
    .await;
    assert_eq!(attempts, ["slow/m hung_up", "quick/m answered"]);
}

#[test]
fn what_is_wrong_with_a_price_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let said = |prices: &str| {
        let config = format!("[providers.up]\nbase_url = 'http://h'\nkind = 'openai'\n{prices}");
        std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
        let output = support::command(directory.path()).arg("check").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for (prices, expected) in [
        (
            "[prices.'up/m']\ninputs = 1\n",
            "`prices.up/m.inputs`: unknown key, did you mean `input`?",
        ),
        (
            "[prices.'up/m']\ninput = 'free'\n",
            "`prices.up/m.input`: a number is expected here, not a text",
        ),
        (
            "[prices.'up/m']\ninput = -1\n",
            "`prices.up/m.input`: must be US dollars, from 0 to 10000",
        ),
        (
            "[prices.'up/m']\nimage = 20000\n",
            "`prices.up/m.image`: must be US dollars, from 0 to 10000",
        ),
        (
            "[prices.'up/m']\n",
            "`prices.up/m`: needs a price, such as `input` and `output`",
        ),
        (
            "[prices.'pu/m']\ninput = 1\n",
            "`prices.pu/m`: there is no provider `pu`, did you mean `up`?",
        ),
        (
            "[prices.m]\ninput = 1\n",
            "`prices.m`: `m` must be written as `provider/model`",
        ),
        (
            "[prices.'up/m']\ntiers = [{ above = 9, input = 1 }, { above = 5, input = 2 }]\n",
            "`prices.up/m.tiers`: must begin with the smallest `above`",
        ),
        (
            "[prices.'up/m']\ntiers = [{ input = 1 }]\n",
            "`prices.up/m.tiers.0.above`: this key is required",
        ),
        (
            "[models.m]\ntargets = [{ target = 'up/m', price = { input = -1 } }]\n",
            "`models.m.targets.0.price.input`: must be US dollars, from 0 to 10000",
        ),
    ] {
        let said = said(prices);
        assert!(
            said.contains(expected) && said.contains("1 problem"),
            "{expected}\nin\n{said}"
        );
    }
    assert!(!said("[prices.'up/*']\ninput = 0\n").contains("problem"));
}
