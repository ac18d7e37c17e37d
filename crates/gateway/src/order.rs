//! What a request orders by the piece: pictures, and characters to be spoken. Known before it is answered, and read here both to
//! reserve what it may cost and to say what it did cost.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use mynah_dialect::multipart;
use mynah_dialect::tree::Node;

use crate::ask::{Ask, AskBody};
use crate::prices::{PerUnit, Price};

/// So many pictures Imagen makes where the request does not say how many
/// (<https://ai.google.dev/gemini-api/docs/imagen#imagen-configuration>).
const IMAGENS: u64 = 4;

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// How many pictures, if it is one for pictures.
    pub pictures: u64,
    /// How many characters, if it is one for speech.
    pub characters: u64,
    quality: String,
    size: String,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            pictures: 1,
            characters: 0,
            quality: String::new(),
            size: String::new(),
        }
    }
}

impl Order {
    /// What a request orders. What cannot be read is for the provider to judge.
    pub fn of(ask: &Ask<'_>) -> Self {
        match &ask.body {
            AskBody::Json(body, _) | AskBody::Opaque(body) => Self::in_json(body),
            AskBody::Form(body, _) => Self::in_form(ask.headers, body),
            AskBody::Once(_) => Self::default(),
        }
    }

    /// What is ordered by a JSON object, in OpenAI's words or Imagen's.
    pub fn in_json(body: &[u8]) -> Self {
        let Ok(body) = Node::parse(body) else {
            return Self::default();
        };
        let text = |name: &str| body.get(name).text_or_empty();
        let imagens = || {
            let count = number(body.get("parameters").get("sampleCount")).unwrap_or(IMAGENS);
            body.get("instances").is_array().then_some(count)
        };
        Self {
            pictures: number(body.get("n")).or_else(imagens).unwrap_or(1),
            characters: text("input").chars().count() as u64,
            quality: text("quality").to_owned(),
            size: text("size").to_owned(),
        }
    }

    /// What is ordered by a form, in OpenAI's words: pictures that are made of others.
    fn in_form(headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let text = |name: &str| multipart::text(kind.unwrap_or_default(), body, name).unwrap_or_default();
        Self {
            pictures: text("n").trim().parse().unwrap_or(1),
            characters: 0,
            quality: text("quality").to_owned(),
            size: text("size").to_owned(),
        }
    }

    /// The price of one of the pictures, where it goes by their quality or size.
    pub fn picture(&self, price: &Price) -> Option<PerUnit> {
        price.picture(&self.quality, &self.size)
    }
}

/// A number, also as the text that lenient providers take for one.
fn number(node: &Node<'_>) -> Option<u64> {
    node.u64().or_else(|| node.text()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(body: &str) -> u64 {
        Order::in_json(body.as_bytes()).pictures
    }

    #[test]
    fn pictures_are_counted_as_their_providers_do() {
        for (body, expected) in [
            ("{}", 1),
            (r#"{"n":null}"#, 1),
            (r#"{"n":100}"#, 100),
            (r#"{"n":"100"}"#, 100),
            (r#"{"n":1,"n":100}"#, 100),
            (r#"{"n":100,"quality":5,"input":[]}"#, 100),
            (r#"{"instances":[{"prompt":"a"}],"parameters":{"sampleCount":2}}"#, 2),
            (r#"{"instances":[{"prompt":"a"}]}"#, 4),
            ("[", 1),
        ] {
            assert_eq!(pictures(body), expected, "{body}");
        }
    }

    #[test]
    fn characters_are_letters_and_not_bytes() {
        assert_eq!(Order::in_json("{\"input\":\"h\u{e9}llo\"}".as_bytes()).characters, 5);
    }

    #[test]
    fn a_form_orders_pictures_too() {
        let part = |name: &str, value: &str| {
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = part("image", "n") + &part("n", "3") + &part("size", "1024x1024") + "--b--\r\n";
        let kind = "multipart/form-data; boundary=b".parse().unwrap();
        let order = Order::in_form(&HeaderMap::from_iter([(CONTENT_TYPE, kind)]), body.as_bytes());
        assert_eq!((order.pictures, order.size.as_str()), (3, "1024x1024"));
        assert_eq!(Order::in_form(&HeaderMap::new(), body.as_bytes()), Order::default());
    }
}
