//! The names of models in the bodies of Gemini's requests. The path names the model too, and they must be the same.

use std::ops::Range;

use bytes::Bytes;

use crate::json::{JsonFault, Scanner};
use crate::peek::{Model, Name, peek, plain_key};
use crate::splice::Edit;

/// The edit that puts `name` wherever a body names another model: in its own `model`, and in those of the requests that
/// `batchEmbedContents` (<https://ai.google.dev/api/embeddings>, `requests`) and `countTokens`
/// (<https://ai.google.dev/api/tokens>, `generateContentRequest`) have within.
pub fn renamed(body: &[u8], model: Option<&Model<'_>>, name: &Name) -> Option<Edit> {
    // Whoever reads what is no JSON will say so.
    let requests = requests(body).unwrap_or_default();
    let within = requests.into_iter().filter_map(|request| {
        let edit = peek(&body[request.clone()]).ok()?.model?.replaced_by(name)?;
        Some(request.start + edit.span.start..request.start + edit.span.end)
    });
    let own = model.and_then(|model| model.replaced_by(name)).map(|edit| edit.span);
    let mut spans: Vec<_> = within.chain(own).collect();
    spans.sort_by_key(|span| span.start);
    one_edit(body, &spans, name)
}

/// The edit that puts `name` into each of these spans: a batch may have many, and a body is sent in few pieces.
fn one_edit(body: &[u8], spans: &[Range<usize>], name: &Name) -> Option<Edit> {
    let whole = spans.first()?.start..spans.last()?.end;
    let mut text = Vec::with_capacity(whole.len());
    let mut at = whole.start;
    for span in spans {
        text.extend_from_slice(&body[at..span.start]);
        text.extend_from_slice(name.literal());
        at = span.end;
    }
    Some(Edit {
        span: whole,
        text: Bytes::from(text),
    })
}

/// Where the requests within a body are.
fn requests(body: &[u8]) -> Result<Vec<Range<usize>>, JsonFault> {
    let mut requests = Vec::new();
    let mut scanner = Scanner::new(body);
    scanner.open_object()?;
    let mut is_first = true;
    while let Some(key) = scanner.next_key(is_first)? {
        is_first = false;
        let is_list = scanner.next_byte() == Some(b'[');
        match plain_key(body, &key).as_ref() {
            b"requests" if is_list => {
                scanner.open_array()?;
                let mut is_first = true;
                while scanner.next_item(is_first)? {
                    is_first = false;
                    requests.push(scanner.value()?);
                }
            }
            b"generateContentRequest" | b"generate_content_request" => requests.push(scanner.value()?),
            _ => {
                scanner.value()?;
            }
        }
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::splice;

    fn named(body: &str, name: &str) -> String {
        let gist = peek(body.as_bytes()).unwrap();
        let edit = renamed(body.as_bytes(), gist.model.as_ref(), &Name::from(name));
        let pieces = splice(&Bytes::copy_from_slice(body.as_bytes()), edit.into_iter().collect());
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn a_body_names_one_model_everywhere() {
        for body in [
            r#"{ "model" : "OLD" }"#,
            r#"{"requests":[{"model":"OLD","content":{"parts":[{"text":"\"model\":\"x\""}]}} , {"content":{}},{ "model":"OLD"}]}"#,
            r#"{"requests":[{"model":"OLD"}],"model":"OLD","generateContentRequest":{"contents":[{"model":"x"}],"model":"OLD"}}"#,
            r#"{"generate_content_request":{"model":"OLD","contents":[]},"requests":{"model":"x"}}"#,
            r#"{"requests":[],"contents":[{"requests":[{"model":"x"}]}]}"#,
            r#"{"requests":[1,null,"model",{"model":7},{"model":"OLD"}],"generateContentRequest":null}"#,
        ] {
            let (old, new) = (body.replace("OLD", "models/alias"), body.replace("OLD", "models/m"));
            assert_eq!(named(&old, "models/m"), new);
        }
    }

    #[test]
    fn what_is_named_right_is_left_alone() {
        let body = r#"{"requests":[{"model":"models\/m"},{"model":"models/m"}],"model":"models/m"}"#;
        let gist = peek(body.as_bytes()).unwrap();
        assert_eq!(
            renamed(body.as_bytes(), gist.model.as_ref(), &Name::from("models/m")),
            None
        );
        assert_eq!(renamed(b"{}", None, &Name::from("models/m")), None);
        assert_eq!(renamed(b"{\"requests\":[", None, &Name::from("models/m")), None);
    }
}
