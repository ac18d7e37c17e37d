//! A provider whose models are each called at a path of their own: what is spoken there, envelopes, and lists that are shared
//! out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Received, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::model_list::{TOKEN, backend};
use support::rows::rows;
use support::{Gateway, Reply, Request};

/// A gateway before the backend.
fn before(backend: &Understudy, more: &str) -> Gateway {
    let config = format!(
        "{more}\n[providers.shared]\nkind = 'model-list'\nbase_url = '{}'\napi_key = '{TOKEN}'\ndiscovery = {{ url = '/models', hide = ['dall-e-*', 'Recraft'] }}\n",
        backend.url()
    );
    Gateway::start(&config)
}

async fn started() -> (Understudy, Gateway) {
    let up = Understudy::start(backend()).await.unwrap();
    let gateway = before(&up, "");
    (up, gateway)
}

/// The call that the backend got last.
fn last(up: &Understudy) -> Received {
    up.received().pop().unwrap()
}

fn question(model: &str, more: &Value) -> String {
    let mut body = json!({"model": model, "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// The text of a stream in OpenAI's form, and whether it ended as it should.
fn told(reply: &Reply) -> (String, bool) {
    let events: Vec<&str> = reply
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let chunks = events
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let text = chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
    (text.collect(), events.last() == Some(&"[DONE]"))
}

#[tokio::test]
async fn every_handle_is_spoken_to_in_its_own_protocol() {
    let (up, gateway) = started().await;
    for (model, path, expected) in [
        (
            "claude-3-7-sonnet-20250219",
            "/anthropic/v1/messages",
            json!({"model": "claude-3-7-sonnet-20250219", "system": [{"type": "text", "text": "Be kind."}]}),
        ),
        (
            "gemini-2.5-pro",
            "/google/v1beta/models/gemini-2.5-pro:generateContent",
            json!({"model": null, "stream": null, "systemInstruction": {"parts": [{"text": "Be kind."}]}}),
        ),
        (
            "command-r-plus",
            "/cohere/v2/chat",
            json!({"model": "command-r-plus", "preamble": null}),
        ),
    ] {
        let reply = gateway.chat(&question(model, &json!({}))).await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["object"], "chat.completion");
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.starts_with("Hello!"), "{model}: {text}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{model}");
        assert_eq!(
            (&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]),
            (&json!(10), &json!(5)),
            "{model}"
        );
        let call = last(&up);
        assert_eq!(call.path(), path);
        let sent = call.json().unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&sent[key], value, "{model}: {key}");
        }
    }
}

#[tokio::test]
async fn every_handle_streams_and_says_that_it_is_over() {
    let (up, gateway) = started().await;
    for model in [
        "gpt-4o-audio-preview-2024-10-01",
        "claude-3-7-sonnet-20250219",
        "gemini-2.5-pro",
        "gemini-array",
        "command-r-plus",
    ] {
        let reply = gateway.chat(&question(model, &json!({"stream": true}))).await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.text());
        assert_eq!(told(&reply), ("Hello!".to_owned(), true), "{model}: {}", reply.text());
    }
    let targets: Vec<String> = up.received().into_iter().map(|call| call.target).collect();
    assert!(targets.contains(&"/google/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse".to_owned()));
}

#[tokio::test]
async fn tools_are_called_over_every_handle() {
    let (_up, gateway) = started().await;
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
    for model in ["claude-3-7-sonnet-20250219", "gemini-2.5-pro", "command-r-plus"] {
        let reply = gateway.chat(&question(model, &json!({"tools": tools}))).await;
        let choice = &reply.json()["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{model}: {choice}");
        let function = &choice["message"]["tool_calls"][0]["function"];
        assert_eq!(function["name"], "weather", "{model}");
        let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"city": "Paris"}), "{model}");
    }
}

#[tokio::test]
async fn what_is_openais_goes_through_byte_for_byte_and_comes_out_of_its_envelope() {
    let (up, gateway) = started().await;
    for model in [
        "gpt-4o-audio-preview-2024-10-01",
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "GigaChat-2-Max",
    ] {
        for more in [json!({"temperature": 0.7}), json!({"stream": true, "unheard_of": [1]})] {
            let body = question(model, &more);
            let request = Request::chat(&body).header("authorization", "Bearer the-callers-own");
            let reply = gateway.send(&request).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let call = last(&up);
            assert_eq!(call.text(), body);
            assert_eq!(
                call.header_text("authorization"),
                Some(format!("OAuth {TOKEN}").as_str())
            );
            if call.path().starts_with("/openai") && body.contains("temperature") {
                let answer = reply.json();
                assert_eq!(answer["choices"][0]["message"]["content"], "Hello!");
                assert_eq!((answer.get("response"), answer.get("key")), (None, None));
                assert_eq!(
                    reply.header("content-length"),
                    Some(reply.body.len().to_string().as_str())
                );
            }
        }
    }
    let reply = gateway.chat(&question("broken", &json!({}))).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["message"]),
        (429, &json!("no room"))
    );
}

#[tokio::test]
async fn what_it_costs_is_told_by_the_list_and_counted_inside_the_envelope() {
    let up = Understudy::start(backend()).await.unwrap();
    let gateway = before(&up, "[store]\nflush = '0ms'");
    for model in [
        "gpt-4o-audio-preview-2024-10-01",
        "claude-3-7-sonnet-20250219",
        "gemini-2.5-pro",
    ] {
        assert_eq!(gateway.chat(&question(model, &json!({}))).await.status, 200);
    }
    let query = "SELECT model, input, output, cost FROM requests ORDER BY id";
    let found = rows(&gateway.directory.path().join("mynah.db"), query, 3).await;
    // 10 tokens of 2.5 USD for a million and 5 of 10 USD, in nano-dollars.
    for row in found {
        assert!(row.ends_with(" 10 5 75000"), "{row}");
    }
}

#[tokio::test]
async fn callers_of_other_dialects_are_answered_too() {
    let (up, gateway) = started().await;
    let body = json!({"model": "claude-3-7-sonnet-20250219", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let reply = gateway.send(&Request::post("/v1/messages", &body.to_string())).await;
    assert_eq!((reply.status, &reply.json()["type"]), (200, &json!("message")));
    assert_eq!(last(&up).text(), body.to_string(), "relayed");
    assert_eq!(last(&up).header_text("anthropic-version"), Some("2023-06-01"));
    let body = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
    let asked = Request::post("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", &body);
    let reply = gateway.send(&asked).await;
    assert!(reply.text().contains("\"Hel\""), "{}", reply.text());
    assert_eq!(
        last(&up).target,
        "/google/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    );
    let asked = Request::post(
        "/v1/responses",
        &json!({"model": "command-r-plus", "input": "Hi"}).to_string(),
    );
    assert_eq!(gateway.send(&asked).await.json()["object"], "response");
    let body = json!({"model": "claude-3-7-sonnet-20250219", "messages": [{"role": "user", "content": "Hi"}]});
    let asked = Request::post(
        "/v1/completions",
        &json!({"model": "davinci", "prompt": "Hi"}).to_string(),
    );
    assert_eq!(gateway.send(&asked).await.status, 200);
    assert_eq!(last(&up).path(), "/openai/v1/completions");
    let counted = gateway
        .send(&Request::post("/v1/messages/count_tokens", &body.to_string()))
        .await;
    assert!(counted.json()["input_tokens"].is_u64(), "{}", counted.text());
}

#[tokio::test]
async fn vectors_and_pictures_have_handles_of_their_own() {
    let (up, gateway) = started().await;
    let ask = async |path: &str, body: Value| {
        let reply = gateway.send(&Request::post(path, &body.to_string())).await;
        (reply.status, reply.json())
    };
    let (status, vectors) = ask(
        "/v1/embeddings",
        json!({"model": "text-embedding-3-small", "input": "hi"}),
    )
    .await;
    assert_eq!((status, &vectors["data"][0]["embedding"]), (200, &json!([0.5, -0.25])));
    let (status, vectors) = ask("/v1/embeddings", json!({"model": "embed-v4.0", "input": "hi"})).await;
    assert_eq!((status, &vectors["data"][0]["embedding"]), (200, &json!([0.5, 1.5])));
    let paint = |model: &str, more: Value| {
        let mut body = json!({"model": model, "prompt": "A cute baby sea otter"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        ask("/v1/images/generations", body)
    };
    let (status, pictures) = paint("dall-e-3:hd", json!({"n": 1, "style": "vivid"})).await;
    assert_eq!((status, &pictures["created"]), (200, &json!(1_684_161_139)));
    assert_eq!(last(&up).json().unwrap()["model"], "dall-e-3");
    let (_, pictures) = paint("V_2", json!({"size": "1792x1024", "style": "vivid"})).await;
    assert_eq!(pictures["data"], json!([{"url": "https://example.com/i.png"}]));
    let sent = json!({"prompt": "A cute baby sea otter", "aspect_ratio": "ASPECT_16_9", "style": "enhance", "n": 1});
    assert_eq!(last(&up).json().unwrap(), json!({"image_request": sent}));
    let (_, pictures) = paint("recraftv3", json!({"size": "1024x1792", "quality": "hd", "n": 2})).await;
    assert_eq!(pictures, json!({"created": 5, "data": [{"b64_json": "AAAA"}]}));
    let sent =
        json!({"prompt": "A cute baby sea otter", "width": 1024, "height": 1792, "num_images": 2, "quality": "high"});
    assert_eq!(last(&up).json().unwrap(), sent);

    let calls = up.received().len();
    for body in [
        json!({"model": "dall-e-3"}),
        json!({"model": "V_2", "prompt": " "}),
        json!({"model": "command-r-plus", "prompt": "x"}),
        json!({"model": "gpt-4o-audio-preview-2024-10-01", "prompt": "x"}),
    ] {
        let (status, error) = ask("/v1/images/generations", body.clone()).await;
        assert_eq!(status, 400, "{body}: {error}");
    }
    let (status, error) = ask("/v1/embeddings", json!({"model": "dall-e-3", "input": "x"})).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("unsuited_model")));
    assert_eq!(up.received().len(), calls, "nobody was asked");
}

#[tokio::test]
async fn ideogram_itself_is_asked_in_its_own_words() {
    let answer =
        json!({"created": "2026-01-01T00:00:00Z", "data": [{"url": "https://h/1.png", "prompt": "A red fox"}]});
    let up =
        Understudy::start(Script::new().rule(Rule::path("/generate").reply(mynah_understudy::Reply::json(&answer))));
    let up = up.await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.ideogram]\nbase_url = '{}'\napi_key = 'its-own-key'\n",
        up.url()
    ));
    let body = json!({"model": "ideogram/V_2", "prompt": "a fox", "size": "1024x1792", "style": "natural", "n": 2});
    let asked = Request::post("/v1/images/generations", &body.to_string());
    let reply = gateway.send(&asked).await;
    let expected = json!([{"url": "https://h/1.png", "revised_prompt": "A red fox"}]);
    assert_eq!((reply.status, &reply.json()["data"]), (200, &expected));
    let call = last(&up);
    assert_eq!(call.header_text("api-key"), Some("its-own-key"));
    let sent = json!({"prompt": "a fox", "model": "V_2", "aspect_ratio": "ASPECT_9_16", "style_type": "REALISTIC", "num_images": 2});
    assert_eq!(call.json().unwrap(), json!({"image_request": sent}));
}

#[tokio::test]
async fn the_list_tells_makers_and_hides_what_is_to_be_hidden() {
    let (_up, gateway) = started().await;
    let list = gateway.get("/v1/models").await.json();
    let told = list["data"].as_array().unwrap().iter();
    let told: Vec<(&str, &str)> = told
        .map(|model| (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap()))
        .collect();
    let expected = [
        ("gpt-4o-audio-preview-2024-10-01", "openai"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", "fireworks"),
        ("claude-3-7-sonnet-20250219", "anthropic"),
        ("GigaChat-2-Max", "GigaChat"),
        ("gemini-2.5-pro", "google"),
        ("gemini-array", "google"),
        ("command-r-plus", "command-r"),
        ("text-embedding-3-small", "openai"),
        ("embed-v4.0", "cohere-embeddings"),
        ("V_2", "ideogram"),
        ("davinci", "openai"),
        ("broken", "gpt-4"),
        ("mynah/echo", "mynah"),
    ];
    assert_eq!(told, expected);
    for model in ["gone", "elsewhere", "no-handle", "shared/gone"] {
        let reply = gateway.chat(&question(model, &json!({}))).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (404, "model_not_found"),
            "{model}"
        );
    }
}

#[tokio::test]
async fn a_list_is_shared_out_among_addresses_and_each_gets_its_own_key() {
    let up = Understudy::start(backend()).await.unwrap();
    let other = Understudy::start(backend()).await.unwrap();
    let config = format!(
        "[providers.shared]\nkind = 'model-list'\nbase_url = '{}'\napi_key = '{TOKEN}'\ndiscovery = {{ url = '/models', families = ['!claude-*'] }}\n\
         [providers.other]\nkind = 'model-list'\nbase_url = '{}'\napi_key = 'another-oauth-token'\ndiscovery = {{ from = 'shared', families = ['claude-*'], handles = ['/anthropic/*'] }}\n",
        up.url(),
        other.url()
    );
    let gateway = Gateway::start(&config);
    let reply = gateway.chat(&question("claude-3-7-sonnet-20250219", &json!({}))).await;
    assert_eq!(reply.status, 401, "the understudy does not know the other token");
    assert_eq!(
        last(&other).header_text("authorization"),
        Some("OAuth another-oauth-token")
    );
    assert!(up.received().iter().all(|call| call.path() == "/models"));
    let reply = gateway.chat(&question("GigaChat-2-Max", &json!({}))).await;
    assert_eq!(reply.status, 200);
    let reply = gateway.chat(&question("other/GigaChat-2-Max", &json!({}))).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn without_any_list_the_gateway_says_so_and_has_it_as_soon_as_it_is_there() {
    let up = Understudy::start(Script::new().rule(Rule::any().reply(mynah_understudy::Reply::status(500))))
        .await
        .unwrap();
    let config = format!(
        "[providers.shared]\nkind = 'model-list'\nbase_url = '{}'\napi_key = '{TOKEN}'\ndiscovery = {{ url = '/models', every = '100ms' }}\n",
        up.url()
    );
    let gateway = Gateway::start(&config);
    for reply in [
        gateway.get("/v1/models").await,
        gateway.chat(&question("gpt-4o", &json!({}))).await,
    ] {
        assert_eq!((reply.status, reply.error_code().as_str()), (503, "models_unknown"));
        assert!(reply.text().contains("500"), "{}", reply.text());
    }
    up.set_script(backend());
    let held = tokio::time::timeout(support::PATIENCE, async {
        while gateway.get("/v1/models").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    assert!(held.await.is_ok());
    // A list that is lost is kept.
    up.set_script(Script::new().rule(Rule::path("/models").reply(mynah_understudy::Reply::status(500))));
    gateway.printed("models not discovered").await;
    assert_eq!(gateway.get("/v1/models").await.status, 200);
}
