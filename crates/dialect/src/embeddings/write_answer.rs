//! Answers to callers.

use super::{Answer, Content, Encoding, Request, Shape, Vector};
use crate::raw::Raw;
use crate::writer::{self, Array, Object};

/// Writes the answer in the form of the request.
pub(super) fn write(answer: &Answer, request: &Request) -> Vec<u8> {
    let mut body = Vec::new();
    writer::object(&mut body, |it| match request.shape {
        Shape::OpenAi => openai(answer, request, it),
        Shape::GeminiOne => {
            it.object("embedding", |it| it.raw("values", &list(answer.vectors.first())));
            gemini_usage(answer, it);
        }
        Shape::GeminiBatch => {
            it.array("embeddings", |it| {
                for vector in &answer.vectors {
                    it.object(|it| it.raw("values", &list(Some(vector))));
                }
            });
            gemini_usage(answer, it);
        }
        Shape::Cohere => cohere(answer, request, it),
    });
    body
}

fn openai(answer: &Answer, request: &Request, it: &mut Object<'_>) {
    it.text("object", "list");
    it.array("data", |it| {
        for (index, vector) in answer.vectors.iter().enumerate() {
            it.object(|it| {
                it.text("object", "embedding");
                it.number("index", index);
                // A client in JavaScript decodes base64 without looking when it has asked for it.
                if request.encodings.contains(&Encoding::Base64) {
                    it.text("embedding", &vector.to_base64());
                } else {
                    it.raw("embedding", &list(Some(vector)));
                }
            });
        }
    });
    it.text("model", &request.model);
    it.object("usage", |it| {
        it.number("prompt_tokens", answer.tokens);
        it.number("total_tokens", answer.tokens);
    });
}

fn gemini_usage(answer: &Answer, it: &mut Object<'_>) {
    it.object("usageMetadata", |it| {
        it.number("promptTokenCount", answer.tokens);
        it.number("totalTokenCount", answer.tokens);
    });
}

fn cohere(answer: &Answer, request: &Request, it: &mut Object<'_>) {
    it.text("id", &answer.id);
    it.object("embeddings", |it| {
        for encoding in &request.encodings {
            match encoding {
                Encoding::Float => it.array("float", |it| each(answer, it, |vector, it| it.raw(&list(Some(vector))))),
                Encoding::Base64 => it.array("base64", |it| {
                    each(answer, it, |vector, it| it.text(&vector.to_base64()));
                }),
            }
        }
    });
    it.array("texts", |it| {
        for input in &request.inputs {
            if let Content::Text(text) = &input.content {
                it.text(text);
            }
        }
    });
    it.object("meta", |it| {
        it.object("api_version", |it| it.text("version", "2"));
        it.object("billed_units", |it| it.number("input_tokens", answer.tokens));
    });
    it.text("response_type", "embeddings_by_type");
}

fn each(answer: &Answer, it: &mut Array<'_>, write: impl Fn(&Vector, &mut Array<'_>)) {
    for vector in &answer.vectors {
        write(vector, it);
    }
}

/// The numbers as short as they can be written without another number coming out.
fn list(vector: Option<&Vector>) -> Raw {
    let numbers = vector.map(|vector| vector.0.as_slice()).unwrap_or_default();
    // A list of numbers always serializes.
    Raw::of_valid(&serde_json::to_string(numbers).unwrap_or_else(|_| "[]".to_owned()))
}
