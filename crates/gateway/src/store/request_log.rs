//! The table `request_logs`: a row for each request that led to a model, with what was said, in the columns that programs
//! know which read such a table. Beside them stand the ledger's own tables, which say more.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::Value;
use crate::config::access::to_hex;
use crate::ledger::content::Content;
use crate::ledger::record::Record;

/// The tables, where they are not there yet. Nothing is written to `logs`, which older programs ask for.
pub const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS request_logs (
        id                    INTEGER PRIMARY KEY,
        request_id            VARCHAR NOT NULL UNIQUE,
        timestamp             DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, -- when it came, UTC
        endpoint              VARCHAR NOT NULL,
        method                VARCHAR NOT NULL,
        client_api_key_hash   VARCHAR,          -- SHA-256
        requested_model       VARCHAR NOT NULL,
        resolved_provider     VARCHAR NOT NULL, -- who answered, or was asked last
        resolved_model        VARCHAR NOT NULL,
        parameters            JSON NOT NULL,    -- the request without its model and its messages
        messages              JSON NOT NULL,
        response_status       INTEGER,
        response_time_ms      INTEGER,
        response_content      TEXT,             -- the text of the answer
        response_usage        JSON,
        provider_api_key_used VARCHAR,          -- the first 32 bits of its SHA-256
        provider_retries      INTEGER DEFAULT 0,
        is_streaming          BOOLEAN DEFAULT 0,
        error_message         TEXT,
        error_type            VARCHAR
    );
    CREATE INDEX IF NOT EXISTS idx_timestamp ON request_logs (timestamp);
    CREATE INDEX IF NOT EXISTS idx_provider ON request_logs (resolved_provider);
    CREATE INDEX IF NOT EXISTS idx_model ON request_logs (requested_model);
    CREATE INDEX IF NOT EXISTS idx_request_id ON request_logs (request_id);
    CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY, service VARCHAR, request JSON, response JSON);";

/// Writes a row. An id that a caller has sent twice gets the row's number in the ledger, which comes last among the values.
pub const INSERT: &str = "
    INSERT INTO request_logs
        (request_id, timestamp, endpoint, method, client_api_key_hash, requested_model, resolved_provider, resolved_model,
         parameters, messages, response_status, response_time_ms, response_content, response_usage,
         provider_api_key_used, provider_retries, is_streaming, error_message, error_type)
    SELECT CASE WHEN EXISTS (SELECT 1 FROM request_logs WHERE request_id = ?1) THEN ?1 || '-' || ?20 ELSE ?1 END,
           ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19";

/// Deletes some of the rows, `?2`, from before a time, `?1`.
pub const DELETE: &str = "
    DELETE FROM request_logs
    WHERE id IN (SELECT id FROM request_logs WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2)";

/// Members of a request that have columns of their own.
const IN_COLUMNS: [&str; 2] = ["model", "messages"];

/// The row of a request; `None` for one that did not come as far as to a model.
pub fn values(record: &Record<'_>) -> Option<[Value<'static>; 20]> {
    if record.route.is_empty() {
        return None;
    }
    let content = record.content.as_deref();
    let prompt = content.and_then(|content| serde_json::from_str(&content.prompt).ok());
    let (parameters, messages) = asked(prompt);
    let is_error = record.status >= 400 || record.error.is_some();
    let answer = content.map(|content| content.answer.as_str()).unwrap_or_default();
    let (error, kind) = if is_error {
        failed(record, answer)
    } else {
        (Value::Null, Value::Null)
    };
    let told = content.filter(|_| !is_error).map(told).filter(|told| !told.is_empty());
    let last = record.attempts.last();
    let target = match (record.model.as_ref(), last) {
        ("", Some(attempt)) => attempt.target.as_ref(),
        (model, _) => model,
    };
    let (provider, model) = target.split_once('/').unwrap_or(("", &record.route));
    let always = |text: &str| Value::Text(text.to_owned().into());
    Some([
        always(if record.request.is_empty() {
            "-"
        } else {
            &record.request
        }),
        Value::Text(date(record.time).into()),
        always(&record.path),
        always(&record.method),
        record
            .client_key
            .map_or(Value::Null, |key| Value::Text(to_hex(&key).into())),
        always(&record.asked),
        always(provider),
        always(model),
        Value::Text(parameters.to_string().into()),
        Value::Text(messages.to_string().into()),
        Value::count(record.status.into()),
        Value::count(record.total / 1000),
        told.map_or(Value::Null, |told| Value::Text(told.into())),
        usage(record),
        last.and_then(|attempt| attempt.key)
            .map_or(Value::Null, |key| Value::Text(format!("{key:08x}").into())),
        Value::count(record.attempts.len().saturating_sub(1) as u64),
        Value::count(record.streamed.into()),
        error,
        kind,
        Value::Integer(record.id),
    ])
}

/// A moment as SQLite and its programs write it.
pub fn date(milliseconds: u64) -> String {
    let moment = i64::try_from(milliseconds)
        .ok()
        .and_then(|time| Timestamp::from_millisecond(time).ok());
    moment.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// The parameters and the messages of a request. One that is kept only in part has none.
fn asked(prompt: Option<Json>) -> (Json, Json) {
    let Some(Json::Object(mut members)) = prompt else {
        return (json!({}), json!([]));
    };
    let messages = members.shift_remove("messages").unwrap_or_else(|| json!([]));
    let parameters: Map<String, Json> = members
        .into_iter()
        .filter(|(name, _)| !IN_COLUMNS.contains(&name.as_str()))
        .collect();
    (Json::Object(parameters), messages)
}

/// The text of an answer, whichever of the two APIs it was given in; another answer as it is.
fn told(content: &Content) -> String {
    let answer = content.answer.as_str();
    if let Ok(whole) = serde_json::from_str::<Json>(answer) {
        let text = text_of(&whole);
        return text.unwrap_or_else(|| answer.to_owned());
    }
    let events = answer.lines().filter_map(|line| line.strip_prefix("data:"));
    let texts = events.filter_map(|event| text_of(&serde_json::from_str(event.trim()).ok()?));
    texts.collect()
}

/// The text in an answer or an event; `None` where it has no place for one.
fn text_of(answer: &Json) -> Option<String> {
    let choice = &answer["choices"][0];
    for place in [
        &choice["message"]["content"],
        &choice["delta"]["content"],
        &choice["text"],
        &answer["delta"]["text"],
    ] {
        if let Some(text) = place.as_str() {
            return Some(text.to_owned());
        }
    }
    if choice.is_object() {
        return Some(String::new());
    }
    let blocks = answer["content"].as_array()?;
    Some(blocks.iter().filter_map(|block| block["text"].as_str()).collect())
}

/// What the caller was told in place of an answer.
fn failed(record: &Record<'_>, answer: &str) -> (Value<'static>, Value<'static>) {
    let said: Json = serde_json::from_str(answer).unwrap_or_default();
    let of = |member: &str| said["error"][member].as_str().map(str::to_owned);
    let code = || record.error.as_deref().unwrap_or("error").to_owned();
    let message = of("message").unwrap_or_else(code);
    let kind = of("type").unwrap_or_else(code);
    (Value::Text(message.into()), Value::Text(kind.into()))
}

fn usage(record: &Record<'_>) -> Value<'static> {
    let Some(tokens) = &record.tokens else {
        return Value::Null;
    };
    let (prompt, answer) = (tokens.prompt(), tokens.answer());
    let usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt.saturating_add(answer),
    });
    Value::Text(usage.to_string().into())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::ledger::record::{Attempt, Tokens};

    fn record(prompt: &str, answer: &str) -> Record<'static> {
        Record {
            id: 7,
            request: "abc".into(),
            time: 1_700_000_000_123,
            path: "/v1/chat/completions".into(),
            method: "POST".into(),
            client_key: Some([0xab; 32]),
            asked: "gpt-5.2".into(),
            route: "gpt-5.2".into(),
            model: "openai/gpt-5.2-2025".into(),
            status: 200,
            total: 12_345,
            tokens: Some(Tokens {
                input: 3,
                output: 2,
                ..Tokens::default()
            }),
            attempts: vec![
                Attempt::default(),
                Attempt {
                    key: Some(1),
                    ..Attempt::default()
                },
            ]
            .into(),
            content: Some(Cow::Owned(Content {
                prompt: prompt.to_owned(),
                answer: answer.to_owned(),
                is_cut: false,
            })),
            ..Record::default()
        }
    }

    fn texts(record: &Record<'_>) -> Vec<String> {
        let text = |value: &Value<'_>| match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text.to_string(),
        };
        values(record).unwrap().iter().map(text).collect()
    }

    #[test]
    fn a_row_says_what_was_asked_and_answered() {
        let row = record(
            r#"{"model":"gpt-5.2","temperature":0.5,"messages":[{"role":"user","content":"Hi"}]}"#,
            r#"{"choices":[{"message":{"content":"Hello"}}]}"#,
        );
        let key = "ab".repeat(32);
        assert_eq!(
            texts(&row),
            [
                "abc",
                "2023-11-14 22:13:20.123000",
                "/v1/chat/completions",
                "POST",
                &key,
                "gpt-5.2",
                "openai",
                "gpt-5.2-2025",
                r#"{"temperature":0.5}"#,
                r#"[{"role":"user","content":"Hi"}]"#,
                "200",
                "12",
                "Hello",
                r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#,
                "00000001",
                "1",
                "0",
                "NULL",
                "NULL",
                "7"
            ]
        );
    }

    #[test]
    fn the_text_is_found_in_every_shape() {
        for (answer, expected) in [
            (
                r#"{"content":[{"type":"text","text":"a"},{"type":"tool_use"},{"type":"text","text":"b"}]}"#,
                "ab",
            ),
            (r#"{"choices":[{"message":{"content":null}}]}"#, "NULL"),
            (r#"{"data":[{"embedding":[1]}]}"#, r#"{"data":[{"embedding":[1]}]}"#),
            (
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n",
                "ab",
            ),
            (
                "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
                "a",
            ),
            ("", "NULL"),
        ] {
            assert_eq!(texts(&record("{}", answer))[12], expected, "{answer}");
        }
    }

    #[test]
    fn a_failure_has_its_reason_and_no_content() {
        let mut row = record("[1", r#"{"error":{"message":"not today","type":"server_error"}}"#);
        (row.status, row.error, row.model) = (503, Some("upstream".into()), "".into());
        row.attempts.to_mut()[1].target = "azure/gpt".into();
        let told = texts(&row);
        assert_eq!((told[6].as_str(), told[7].as_str()), ("azure", "gpt"));
        assert_eq!((told[8].as_str(), told[9].as_str()), ("{}", "[]"));
        assert_eq!(
            (told[12].as_str(), told[17].as_str(), told[18].as_str()),
            ("NULL", "not today", "server_error")
        );
        row.content = None;
        row.attempts = Cow::default();
        let told = texts(&row);
        assert_eq!(
            (told[6].as_str(), told[7].as_str(), told[17].as_str()),
            ("", "gpt-5.2", "upstream")
        );
        assert!(values(&Record::default()).is_none(), "it led nowhere");
    }
}
