//! Finds what routing needs in a JSON request body, in one pass and without building anything.

mod answer;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

pub use self::answer::AnswerLimit;
use self::answer::AnswerSpans;
use crate::json::{JsonFault, Scanner};
use crate::signature::Envelopes;
use crate::splice::Edit;

/// What a body says about itself, with the places where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gist<'a> {
    /// The model asked for; `None` where the field is missing, null or empty.
    pub model: Option<Model<'a>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The proofs of reasoning in envelopes.
    pub envelopes: Envelopes,
    /// Where `stream` stands.
    stream_span: Option<Range<usize>>,
    /// Where `stream_options` stands.
    options_span: Option<Range<usize>>,
    /// Where the members begin.
    open: usize,
    /// There are no members.
    is_empty: bool,
    /// Where `model` stands, if it is null or empty.
    empty_model: Option<Range<usize>>,
    usage: UsageOption,
    answer: AnswerSpans,
}

/// The name of a model and where it stands in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<'a> {
    /// The name, with JSON escapes resolved.
    pub name: Cow<'a, str>,
    /// The value's span; for JSON with its quotes.
    pub span: Range<usize>,
}

/// A name that may be put in place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub plain: String,
    /// The same as a JSON string.
    literal: Bytes,
}

/// Where `stream_options.include_usage` stands, or would have to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UsageOption {
    Asked,
    /// Not asked for; this edit asks for it.
    Absent {
        span: Range<usize>,
        text: &'static str,
    },
    /// `stream_options` is something that cannot be edited (the provider will say so).
    Unknown,
}

/// Why a body cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// The body is not JSON.
    #[error("the request body is not valid JSON: {0}")]
    Malformed(#[from] JsonFault),
    /// The body is JSON, but not an object.
    #[error("the request body must be a JSON object")]
    NotAnObject,
    /// `model` has a value that is not a string.
    #[error("`model` must be a string")]
    ModelNotText,
    /// `model` stands there twice: two readers might choose differently.
    #[error("`model` is given more than once")]
    ModelTwice,
}

/// Reads the gist of a JSON body. The whole body is checked to be well formed.
pub fn peek(body: &[u8]) -> Result<Gist<'_>, PeekError> {
    let mut scanner = Scanner::new(body);
    if !matches!(scanner.next_byte(), Some(b'{') | None) {
        scanner.value()?;
        scanner.end()?;
        return Err(PeekError::NotAnObject);
    }
    let open = scanner.open_object()?;
    let mut gist = Gist {
        model: None,
        stream: false,
        envelopes: Envelopes::default(),
        stream_span: None,
        options_span: None,
        open: open + 1,
        is_empty: true,
        empty_model: None,
        usage: UsageOption::Absent {
            span: open + 1..open + 1,
            text: "\"stream_options\":{\"include_usage\":true},",
        },
        answer: AnswerSpans::default(),
    };
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        gist.is_empty = false;
        let value = scanner.value()?;
        match plain_key(body, &key).as_ref() {
            b"model" => gist.read_model(body, value)?,
            b"stream" => {
                gist.stream = &body[value.clone()] == b"true";
                gist.stream_span = Some(value);
            }
            b"stream_options" => {
                gist.options_span = Some(value.clone());
                gist.usage = usage_option(body, value)?;
            }
            key => gist.answer.note(key, value),
        }
    }
    scanner.end()?;
    gist.envelopes = scanner.envelopes();
    Ok(gist)
}

impl<'a> Gist<'a> {
    fn read_model(&mut self, body: &'a [u8], span: Range<usize>) -> Result<(), PeekError> {
        if self.model.is_some() {
            return Err(PeekError::ModelTwice);
        }
        if [&b"null"[..], b"\"\""].contains(&&body[span.clone()]) {
            self.empty_model = Some(span);
        } else {
            let name = text(&body[span.clone()]).ok_or(PeekError::ModelNotText)?;
            self.model = Some(Model { name, span });
        }
        Ok(())
    }

    /// The edit that names a model where the body names none.
    pub fn named(&self, name: &str) -> Option<Edit> {
        let name = quoted(name);
        let (span, text) = match &self.empty_model {
            _ if self.model.is_some() => return None,
            Some(span) => (span.clone(), name),
            None if self.is_empty => (self.open..self.open, ["\"model\":", &name].concat()),
            None => (self.open..self.open, ["\"model\":", &name, ","].concat()),
        };
        Some(Edit {
            span,
            text: Bytes::from(text),
        })
    }

    /// The edits that ask for the answer in one piece.
    pub fn unstreamed(&self) -> Vec<Edit> {
        let edit = |span: &Range<usize>, text: &'static str| Edit {
            span: span.clone(),
            text: Bytes::from_static(text.as_bytes()),
        };
        let stream = self.stream_span.as_ref().filter(|_| self.stream);
        // Options of a stream are refused where there is none.
        let options = self.options_span.as_ref().map(|span| edit(span, "null"));
        stream
            .map(|span| edit(span, "false"))
            .into_iter()
            .chain(options)
            .collect()
    }

    /// How long the answers may be that `body` asks for, which is the one that this is the gist of.
    pub fn answer_limit(&self, body: &[u8]) -> AnswerLimit {
        self.answer.read(body)
    }

    /// The edit that asks for a stream, or `None` when one is asked for already.
    pub fn streamed(&self) -> Option<Edit> {
        let edit = |span, text: &'static str| Edit {
            span,
            text: Bytes::from_static(text.as_bytes()),
        };
        match &self.stream_span {
            _ if self.stream => None,
            Some(span) => Some(edit(span.clone(), "true")),
            None => Some(edit(self.open..self.open, "\"stream\":true,")),
        }
    }

    /// The edit that makes a streamed chat completion end with its usage, or `None` when the caller asked for that
    /// already (or wrote something there that only the provider can judge).
    pub fn include_usage(&self) -> Option<Edit> {
        match &self.usage {
            UsageOption::Absent { span, text } => Some(Edit {
                span: span.clone(),
                text: Bytes::from_static(text.as_bytes()),
            }),
            UsageOption::Asked | UsageOption::Unknown => None,
        }
    }
}

impl Model<'_> {
    /// The edit that puts another name in a JSON body, or `None` when it is the same name.
    pub fn replaced_by(&self, name: &Name) -> Option<Edit> {
        (self.name != name.plain).then(|| Edit {
            span: self.span.clone(),
            text: name.literal.clone(),
        })
    }
}

impl Name {
    /// The name as a JSON string.
    pub(crate) fn literal(&self) -> &[u8] {
        &self.literal
    }
}

impl From<&str> for Name {
    fn from(plain: &str) -> Self {
        Self {
            plain: plain.to_owned(),
            literal: Bytes::from(quoted(plain)),
        }
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return ["\"", text, "\""].concat();
    }
    serde_json::Value::from(text).to_string()
}

fn usage_option(body: &[u8], span: Range<usize>) -> Result<UsageOption, PeekError> {
    match body[span.start] {
        b'{' => {}
        b'n' => {
            return Ok(UsageOption::Absent {
                span,
                text: "{\"include_usage\":true}",
            });
        }
        _ => return Ok(UsageOption::Unknown),
    }
    let mut scanner = Scanner::starting_at(&body[..span.end], span.start);
    let open = scanner.open_object()?;
    let mut first = true;
    let mut found = None;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let value = scanner.value()?;
        if plain_key(body, &key).as_ref() == b"include_usage" {
            found = Some(value);
        }
    }
    Ok(match found {
        Some(value) => match &body[value.clone()] {
            b"true" => UsageOption::Asked,
            b"false" | b"null" => UsageOption::Absent {
                span: value,
                text: "true",
            },
            _ => UsageOption::Unknown,
        },
        None if first => UsageOption::Absent {
            span: open + 1..open + 1,
            text: "\"include_usage\":true",
        },
        None => UsageOption::Absent {
            span: open + 1..open + 1,
            text: "\"include_usage\":true,",
        },
    })
}

/// A key without its quotes; escapes are resolved, so that `"mod\u0065l"` is `model` here as it is at the provider.
pub(crate) fn plain_key<'a>(body: &'a [u8], span: &Range<usize>) -> Cow<'a, [u8]> {
    let inner = &body[span.start + 1..span.end - 1];
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    match text(&body[span.clone()]) {
        Some(text) => Cow::Owned(text.into_owned().into_bytes()),
        None => Cow::Borrowed(inner),
    }
}

/// The text of a JSON string literal; `None` for another kind of value or for bytes that are not text.
fn text(literal: &[u8]) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(literal).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::splice;
    use proptest::prelude::*;

    fn edited(body: &str, edits: Vec<Edit>) -> String {
        let segments = splice(&Bytes::copy_from_slice(body.as_bytes()), edits);
        String::from_utf8(segments.concat()).unwrap()
    }

    #[test]
    fn finds_the_model_wherever_it_stands() {
        let body = r#"{"messages":[{"role":"user","content":"\"model\":\"no\""}], "model" : "gpt-5" ,"stream":true}"#;
        let gist = peek(body.as_bytes()).unwrap();
        let model = gist.model.unwrap();
        assert_eq!(model.name, "gpt-5");
        assert_eq!(&body[model.span], "\"gpt-5\"");
        assert!(gist.stream);
    }

    #[test]
    fn a_nested_model_is_not_the_model() {
        assert_eq!(peek(br#"{"metadata":{"model":"x"}}"#).unwrap().model, None);
    }

    #[test]
    fn escapes_in_keys_and_names_are_resolved() {
        let gist = peek(br#"{"mod\u0065l":"a\/b"}"#).unwrap();
        assert_eq!(gist.model.unwrap().name, "a/b");
    }

    #[test]
    fn refuses_what_cannot_be_routed() {
        assert_eq!(peek(br#"{"model":"a","mod\u0065l":"b"}"#), Err(PeekError::ModelTwice));
        assert_eq!(peek(br#"{"model":7}"#), Err(PeekError::ModelNotText));
        assert_eq!(peek(b"[1]"), Err(PeekError::NotAnObject));
        assert!(matches!(peek(b""), Err(PeekError::Malformed(_))));
        assert!(matches!(peek(br#"{"model":"a"} x"#), Err(PeekError::Malformed(_))));
        assert!(matches!(
            peek(br#"{"model":"a","messages":[}"#),
            Err(PeekError::Malformed(_))
        ));
        assert_eq!(peek(br#"{"model":null}"#).unwrap().model, None);
        assert_eq!(peek(br#"{"model":""}"#).unwrap().model, None);
    }

    #[test]
    fn a_model_is_named_where_there_is_none() {
        for (body, expected) in [
            ("{}", r#"{"model":"m\"n"}"#),
            (r#"{ "a": 1}"#, r#"{"model":"m\"n", "a": 1}"#),
            (r#"{"a":1, "model": null }"#, r#"{"a":1, "model": "m\"n" }"#),
            (r#"{"model":"","a":1}"#, r#"{"model":"m\"n","a":1}"#),
        ] {
            let edit = peek(body.as_bytes()).unwrap().named("m\"n").unwrap();
            assert_eq!(edited(body, vec![edit]), expected);
        }
        assert_eq!(peek(br#"{"model":"a"}"#).unwrap().named("m"), None);
    }

    #[test]
    fn an_answer_in_one_piece_is_asked_for() {
        for (body, expected) in [
            (
                r#"{"stream": true, "stream_options":{"include_usage":true}}"#,
                r#"{"stream": false, "stream_options":null}"#,
            ),
            (
                r#"{"stream_options":{},"model":"m","stream":true}"#,
                r#"{"stream_options":null,"model":"m","stream":false}"#,
            ),
            (r#"{"stream":false}"#, r#"{"stream":false}"#),
        ] {
            let edits = peek(body.as_bytes()).unwrap().unstreamed();
            assert_eq!(edited(body, edits), expected);
        }
    }

    #[test]
    fn asks_for_usage_in_place() {
        for (body, expected) in [
            (
                r#"{"model":"m"}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m"}"#,
            ),
            (
                r#"{"stream_options":{}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options": null }"#,
                r#"{"stream_options": {"include_usage":true} }"#,
            ),
            (
                r#"{"stream_options":{ "include_obfuscation":false}}"#,
                r#"{"stream_options":{"include_usage":true, "include_obfuscation":false}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":false}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            let edit = peek(body.as_bytes()).unwrap().include_usage().unwrap();
            assert_eq!(edited(body, vec![edit]), expected);
        }
        for body in [
            r#"{"stream_options":{"include_usage":true}}"#,
            r#"{"stream_options":7}"#,
        ] {
            assert_eq!(peek(body.as_bytes()).unwrap().include_usage(), None);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((".{0,8}", inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Law 1: a splice changes only its span.
        #[test]
        fn replacing_the_model_changes_nothing_else(
            before in prop::collection::vec(("[a-z]{1,5}_", json()), 0..4),
            after in prop::collection::vec(("[a-z]{1,5}_", json()), 0..4),
            old in ".{1,20}", new in ".{0,20}", pretty in any::<bool>(),
        ) {
            let mut members: serde_json::Map<_, _> = before.into_iter().collect();
            members.insert("model".into(), old.clone().into());
            members.extend(after);
            let value = serde_json::Value::Object(members.clone());
            let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let gist = peek(body.as_bytes()).unwrap();
            let model = gist.model.clone().unwrap();
            prop_assert_eq!(&model.name, &old);
            let mut edits = Vec::from_iter(model.replaced_by(&Name::from(new.as_str())));
            edits.extend(gist.include_usage());
            let spliced = edited(&body, edits.clone());
            let mut read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&spliced).unwrap();
            prop_assert_eq!(read.shift_remove("stream_options"), Some(serde_json::json!({"include_usage": true})));
            members.insert("model".into(), new.into());
            prop_assert_eq!(read, members);
            // Outside the spans, byte for byte.
            edits.sort_by_key(|edit| edit.span.start);
            let (mut from, mut to) = (0, 0);
            for edit in &edits {
                let kept = edit.span.start - from;
                prop_assert_eq!(&body[from..edit.span.start], &spliced[to..to + kept]);
                from = edit.span.end;
                to += kept + edit.text.len();
            }
            prop_assert_eq!(&body[from..], &spliced[to..]);
        }

        /// Law 1 and law 4: a peek without a splice is the identity, for any bytes.
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = peek(&body);
            let body = Bytes::from(body);
            prop_assert_eq!(splice(&body, Vec::new()).concat(), body);
        }
    }
}
