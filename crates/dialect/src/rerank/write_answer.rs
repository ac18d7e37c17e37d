//! Answers to callers.

use super::{Answer, Ranked, Request, Shape};
use crate::writer::{self, Array, Object};

/// Writes the answer in the form of the request.
pub(super) fn write(answer: &Answer, request: &Request) -> Vec<u8> {
    let mut body = Vec::new();
    if request.shape == Shape::Tei {
        writer::array(&mut body, |it| each(answer, |ranked| tei(*ranked, request, it)));
        return body;
    }
    writer::object(&mut body, |it| match request.shape {
        Shape::CohereV2 => cohere(answer, request, "2", it),
        Shape::CohereV1 => cohere(answer, request, "1", it),
        Shape::Jina | Shape::Tei => {
            it.text("model", &request.model);
            it.text("object", "list");
            usage(answer, it);
            it.array("results", |it| results(answer, request, it));
        }
        Shape::Voyage => {
            it.text("object", "list");
            it.array("data", |it| results(answer, request, it));
            it.text("model", &request.model);
            usage(answer, it);
        }
    });
    body
}

fn cohere(answer: &Answer, request: &Request, version: &str, it: &mut Object<'_>) {
    it.text("id", &answer.id);
    it.array("results", |it| results(answer, request, it));
    it.object("meta", |it| {
        it.object("api_version", |it| it.text("version", version));
        // One unit is a query with up to a hundred documents.
        let units = (request.documents.len() as u64).div_ceil(100);
        it.object("billed_units", |it| {
            it.number("search_units", answer.search_units.unwrap_or(units));
        });
    });
}

fn usage(answer: &Answer, it: &mut Object<'_>) {
    let tokens = answer.tokens.unwrap_or(0);
    it.object("usage", |it| {
        it.number("total_tokens", tokens);
        it.number("prompt_tokens", tokens);
    });
}

fn each(answer: &Answer, write: impl FnMut(&Ranked)) {
    answer.results.iter().for_each(write);
}

fn results(answer: &Answer, request: &Request, it: &mut Array<'_>) {
    each(answer, |ranked| {
        it.object(|it| {
            it.number("index", ranked.index);
            it.float("relevance_score", ranked.score);
            if request.return_documents
                && request.shape != Shape::CohereV2
                && let Some(document) = request.documents.get(ranked.index)
            {
                document.write(it);
            }
        });
    });
}

fn tei(ranked: Ranked, request: &Request, it: &mut Array<'_>) {
    it.object(|it| {
        it.number("index", ranked.index);
        if request.return_documents
            && let Some(super::Document::Text(text)) = request.documents.get(ranked.index)
        {
            it.text("text", text);
        }
        it.float("score", ranked.score);
    });
}
