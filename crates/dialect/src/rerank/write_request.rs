//! Requests to providers.

use std::borrow::Cow;

use super::{Document, Outgoing, Provider, Request, Shape};
use crate::loss::{Losses, Unsayable};
use crate::writer::{self, Array, Object};

/// Writes the request. Documents are never asked back: they are known here.
pub(super) fn write(
    request: &Request,
    provider: Provider,
    model: &str,
    lost: &mut Losses,
) -> Result<Outgoing, Unsayable> {
    let keeps_extra = matches!(
        (request.shape, provider),
        (Shape::CohereV2, Provider::Cohere) | (Shape::Jina, Provider::Jina) | (Shape::Voyage, Provider::Voyage)
    );
    if !keeps_extra {
        lost.note_extra("", &request.extra);
    }
    if request.truncation.is_some() && provider != Provider::Voyage {
        lost.note_named("truncation", "not supported");
    }
    if request.max_tokens_per_doc.is_some() && provider != Provider::Cohere {
        lost.note_named("max_tokens_per_doc", "not supported");
    }
    let texts: Vec<Cow<'_, str>> = match provider {
        Provider::Jina => Vec::new(),
        Provider::Cohere | Provider::Voyage => texts(&request.documents, lost)?,
    };
    let top = request.top_n.map(|top| top.min(request.documents.len() as u64));
    let mut body = Vec::with_capacity(1024);
    writer::object(&mut body, |it| {
        it.text("model", model);
        it.text("query", &request.query);
        it.array("documents", |it| match provider {
            Provider::Jina => request.documents.iter().for_each(|document| as_it_is(document, it)),
            Provider::Cohere | Provider::Voyage => texts.iter().for_each(|text| it.text(text)),
        });
        rest(request, provider, top, it);
        if keeps_extra {
            request.extra.0.iter().for_each(|(name, value)| it.raw(name, value));
        }
    });
    Ok(Outgoing { path: "/rerank", body })
}

fn rest(request: &Request, provider: Provider, top: Option<u64>, it: &mut Object<'_>) {
    match provider {
        Provider::Cohere => {
            it.some_number("top_n", top);
            it.some_number("max_tokens_per_doc", request.max_tokens_per_doc);
        }
        Provider::Jina => {
            it.some_number("top_n", top);
            it.bool("return_documents", false);
        }
        Provider::Voyage => {
            it.some_number("top_k", top);
            it.bool("return_documents", false);
            it.some_bool("truncation", request.truncation);
        }
    }
}

fn as_it_is(document: &Document, it: &mut Array<'_>) {
    match document {
        Document::Text(text) => it.text(text),
        Document::Object(raw) => it.raw(raw),
    }
}

/// Documents as texts. One with pictures is refused, since the model would not see them.
fn texts<'r>(documents: &'r [Document], lost: &mut Losses) -> Result<Vec<Cow<'r, str>>, Unsayable> {
    let mut texts = Vec::with_capacity(documents.len());
    for document in documents {
        texts.push(match document {
            Document::Text(text) => Cow::Borrowed(text.as_str()),
            Document::Object(raw) => {
                let node = raw.node();
                if !node.get("image").is_null() {
                    return Err(Unsayable {
                        field: "documents".to_owned(),
                        reason: "the provider ranks texts only",
                    });
                }
                match node.get("text").text() {
                    Some(text) if node.members().len() == 1 => Cow::Owned(text.to_owned()),
                    _ => {
                        lost.note_named("documents", "objects sent as their JSON");
                        Cow::Owned(raw.as_str().to_owned())
                    }
                }
            }
        });
    }
    Ok(texts)
}
