//! The first rule that matches answers.
#![cfg(test)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::Client;

#[tokio::test]
async fn conditions_are_checked_in_order() {
    let script = Script::new()
        .rule(Rule::path("/exact").method("PUT").reply(Reply::bytes("method")))
        .rule(Rule::path("/exact").reply(Reply::bytes("exact")))
        .rule(Rule::path("/pre*").reply(Reply::bytes("prefix")))
        .rule(Rule::any().header_is("x-team", "blue").reply(Reply::bytes("blue")))
        .rule(Rule::any().header("x-team").reply(Reply::bytes("team")))
        .rule(Rule::any().key("sk-1").reply(Reply::bytes("key")))
        .rule(Rule::any().model("m").reply(Reply::bytes("model")))
        .rule(Rule::any().asks_for_stream().reply(Reply::bytes("stream")))
        .rule(Rule::any().reply(Reply::bytes("other")));
    let understudy = Understudy::start(script).await.unwrap();
    let mut client = Client::new(&understudy).await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n";
    for (request, answer) in [
        ("PUT /exact HTTP/1.1\r\n\r\n".to_owned(), "method"),
        ("GET /exact?x=1 HTTP/1.1\r\n\r\n".to_owned(), "exact"),
        ("GET /exactly HTTP/1.1\r\n\r\n".to_owned(), "other"),
        ("GET http://host:80/exact HTTP/1.1\r\n\r\n".to_owned(), "exact"),
        ("GET /prefixed/x HTTP/1.1\r\n\r\n".to_owned(), "prefix"),
        ("GET / HTTP/1.1\r\nX-Team: blue\r\n\r\n".to_owned(), "blue"),
        ("GET / HTTP/1.1\r\nX-Team: red\r\n\r\n".to_owned(), "team"),
        ("GET / HTTP/1.1\r\nAuthorization: Bearer sk-1\r\n\r\n".to_owned(), "key"),
        ("GET / HTTP/1.1\r\nx-api-key: sk-1\r\n\r\n".to_owned(), "key"),
        (
            "POST / HTTP/1.1\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}".to_owned(),
            "model",
        ),
        (
            format!(
                "POST / HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {}\r\n\r\n{form}",
                form.len()
            ),
            "model",
        ),
        (
            "POST / HTTP/1.1\r\ncontent-length: 15\r\n\r\n{\"stream\":true}".to_owned(),
            "stream",
        ),
    ] {
        client.send(&request).await;
        assert_eq!(client.answer().await.text(), answer, "{request}");
    }
}

#[tokio::test]
async fn replies_take_turns() {
    let replies = || [Reply::bytes("1"), Reply::bytes("2")];
    let script = Script::new()
        .rule(Rule::path("/cycle").replies(replies()).cycle())
        .rule(Rule::any().replies(replies()));
    let understudy = Understudy::start(script).await.unwrap();
    let mut client = Client::new(&understudy).await;
    for (path, answers) in [("/", "122"), ("/cycle", "121")] {
        for answer in answers.chars() {
            assert_eq!(client.get(path).await.text(), answer.to_string());
        }
    }
}

#[tokio::test]
async fn a_function_may_answer() {
    let rule = Rule::any().answer_with(|received| Reply::bytes(received.path().to_uppercase()));
    let understudy = Understudy::start(rule).await.unwrap();
    assert_eq!(Client::new(&understudy).await.get("/abc").await.text(), "/ABC");
}

#[tokio::test]
async fn the_persona_can_be_part_of_a_script() {
    let understudy = Understudy::start([
        Reply::status(503),
        Reply::persona().with_status(202).header("x-request-id", "mine"),
        Reply::persona(),
    ])
    .await
    .unwrap();
    let mut client = Client::new(&understudy).await;
    assert_eq!(client.get("/v1/models").await.status, 503);
    let second = client.get("/v1/models").await;
    assert_eq!((second.status, &second.json()["object"]), (202, &json!("list")));
    assert!(second.head.contains("x-request-id: mine\r\n"));
    assert!(!second.head.contains("req_understudy"));
    assert_eq!(client.get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn the_script_may_change_while_it_runs() {
    let understudy = Understudy::start(Reply::bytes("before")).await.unwrap();
    let mut client = Client::new(&understudy).await;
    assert_eq!(client.get("/").await.text(), "before");
    understudy.set_script(Reply::bytes("after"));
    assert_eq!(client.get("/").await.text(), "after");
}

#[tokio::test]
async fn scripts_can_be_written_in_toml() {
    let script = Script::from_toml(
        r#"
        [[rule]]
        path = "/v1/chat/completions"
        method = "POST"
        model = "flaky"
        headers = { x-team = "blue", host = "*" }
        read = { bytes = 1024, every = "1us" }
        replies = [
            { status = 429, headers = { retry-after = "1" }, body = '{"error":{}}' },
            { stream = ["data: 1", "data: 2\n\n"], pace = "1us" },
            { json = { a = [1] }, headers = [["B", "1"], ["A", "2"]], reason = "Fine" },
            { persona = true, close = true },
        ]

        [[rule]]
        path = "/raw"
        replies = [{ raw = "garbage" }]
        "#,
    )
    .unwrap();
    let understudy = Understudy::start(script).await.unwrap();
    let mut client = Client::new(&understudy).await;
    let body = r#"{"messages":[{"role":"user","content":"hi"}],"model":"flaky"}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-team: blue\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(&request).await;
    let first = client.answer().await;
    assert_eq!((first.status, first.json()), (429, json!({"error": {}})));
    assert!(
        first
            .head
            .contains("content-type: application/json\r\nretry-after: 1\r\n")
    );
    client.send(&request).await;
    assert_eq!(client.answer().await.text(), "data: 1\n\ndata: 2\n\n");
    client.send(&request).await;
    let third = client.answer().await;
    assert!(third.head.starts_with("HTTP/1.1 200 Fine\r\n"));
    assert!(third.head.contains("\r\nB: 1\r\nA: 2\r\n"));
    client.send(&request).await;
    assert!(client.rest().await.0.contains("understudy heard: hi"));
    let mut client = Client::new(&understudy).await;
    client.send("GET /raw HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.rest().await.0, "garbage");
}

#[test]
fn the_script_of_the_readme_can_be_read() {
    let readme = include_str!("../README.md");
    let script = readme.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    assert!(Script::from_toml(script).is_ok());
}
