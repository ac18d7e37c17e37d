//! Requests to providers.

use super::{Call, Content, Encoding, Input, Piece, Plan, Request, Shape, Task};
use crate::dialect::Dialect;
use crate::gemini_address;
use crate::ir::Media;
use crate::loss::{Losses, Unsayable};
use crate::writer::{self, Array, Object};

/// How many inputs providers take at once.
fn most_inputs(dialect: Dialect) -> usize {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => 2048,
        Dialect::Gemini => 100,
        Dialect::Cohere => 96,
    }
}

/// Plans the calls.
pub(super) fn plan(request: &Request, dialect: Dialect, model: &str, lost: &mut Losses) -> Result<Plan, Unsayable> {
    check(request, dialect)?;
    note(request, dialect, lost);
    let chunks = request.inputs.chunks(most_inputs(dialect));
    let calls = chunks.map(|inputs| {
        let mut body = Vec::with_capacity(1024);
        writer::object(&mut body, |it| match dialect {
            Dialect::OpenAi | Dialect::Anthropic => openai(request, inputs, model, it),
            Dialect::Gemini => gemini(request, inputs, model, it),
            Dialect::Cohere => cohere(request, inputs, model, it),
        });
        let path = match dialect {
            Dialect::OpenAi | Dialect::Anthropic => "/embeddings".to_owned(),
            Dialect::Gemini => gemini_address::method(model, "batchEmbedContents"),
            Dialect::Cohere => "/embed".to_owned(),
        };
        Call {
            path,
            body,
            inputs: inputs.len(),
        }
    });
    Ok(Plan {
        calls: calls.collect(),
        dialect,
        // OpenAI's vectors have the length one; Gemini's do not when they are shortened.
        normalise: dialect == Dialect::Gemini && request.shape == Shape::OpenAi && request.dimensions.is_some(),
        estimate: request.inputs.iter().map(estimate).sum(),
    })
}

/// About four letters are a token, about 256 tokens a picture.
fn estimate(input: &Input) -> u64 {
    let of_text = |text: &str| (text.chars().count() as u64).div_ceil(4);
    match &input.content {
        Content::Text(text) => of_text(text),
        Content::Tokens(tokens) => tokens.len() as u64,
        Content::Mixed(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => of_text(text),
                Piece::Image(_) => 256,
            })
            .sum(),
    }
}

fn check(request: &Request, dialect: Dialect) -> Result<(), Unsayable> {
    let refuse = |field: &str, reason| {
        Err(Unsayable {
            field: field.to_owned(),
            reason,
        })
    };
    if dialect == Dialect::Anthropic {
        return refuse("model", "the provider has no embeddings");
    }
    for input in &request.inputs {
        match &input.content {
            Content::Tokens(_) if dialect != request.shape.dialect() => {
                return refuse(
                    "input",
                    "tokens mean something to the caller's own model only; send texts to this provider",
                );
            }
            Content::Mixed(pieces) if !pieces.iter().all(|piece| takes(dialect, piece)) => {
                let reason = match dialect {
                    Dialect::Gemini => "pictures must be sent as data to this provider",
                    _ => "the provider embeds texts only",
                };
                return refuse("input", reason);
            }
            _ => {}
        }
    }
    Ok(())
}

fn takes(dialect: Dialect, piece: &Piece) -> bool {
    match piece {
        Piece::Text(_) => true,
        Piece::Image(Media::Data { .. }) => dialect != Dialect::OpenAi,
        Piece::Image(_) => dialect == Dialect::Cohere,
    }
}

fn note(request: &Request, dialect: Dialect, lost: &mut Losses) {
    if !keeps_extra(request, dialect) {
        lost.note_extra("", &request.extra);
    }
    if request.user.is_some() && dialect != Dialect::OpenAi {
        lost.note_named("user", "not supported");
    }
    if dialect != Dialect::Gemini && request.inputs.iter().any(|input| input.title.is_some()) {
        lost.note_named("title", "not supported");
    }
    if dialect != Dialect::Cohere && request.truncate.is_some() {
        lost.note_named("truncate", "not supported");
    }
    let name = match request.shape {
        Shape::OpenAi | Shape::Cohere => "input_type",
        Shape::GeminiOne | Shape::GeminiBatch => "taskType",
    };
    match (dialect, request.task) {
        (Dialect::OpenAi | Dialect::Anthropic, Some(_)) => lost.note_named(name, "not supported"),
        (Dialect::Gemini, Some(task)) if task.gemini().is_none() => lost.note_named(name, "no counterpart"),
        (Dialect::Cohere, Some(task)) if task.is_coarser_for_cohere() => {
            lost.note_named(name, "sent as the nearest input type");
        }
        _ => {}
    }
}

/// Whether members without a word in the vocabulary may be sent as they are. Gemini's belong to single inputs.
fn keeps_extra(request: &Request, dialect: Dialect) -> bool {
    dialect == request.shape.dialect() && dialect != Dialect::Gemini
}

fn write_extra(request: &Request, dialect: Dialect, it: &mut Object<'_>) {
    if keeps_extra(request, dialect) {
        request.extra.0.iter().for_each(|(name, value)| it.raw(name, value));
    }
}

fn openai(request: &Request, inputs: &[Input], model: &str, it: &mut Object<'_>) {
    it.text("model", model);
    it.array("input", |it| {
        for input in inputs {
            match &input.content {
                Content::Text(text) => it.text(text),
                Content::Tokens(tokens) => it.array(|it| tokens.iter().for_each(|token| it.number(*token))),
                Content::Mixed(pieces) => it.text(&joined(pieces)),
            }
        }
    });
    it.some_number("dimensions", request.dimensions);
    // Base64 is a third of the size of a list.
    let encoding = if request.encodings == [Encoding::Float] {
        "float"
    } else {
        "base64"
    };
    it.text("encoding_format", encoding);
    it.some_text("user", request.user.as_deref());
    write_extra(request, Dialect::OpenAi, it);
}

fn joined(pieces: &[Piece]) -> String {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn gemini(request: &Request, inputs: &[Input], model: &str, it: &mut Object<'_>) {
    let model = gemini_address::resource(model);
    it.array("requests", |it| {
        for input in inputs {
            it.object(|it| {
                it.text("model", &model);
                it.object("content", |it| it.array("parts", |it| gemini_parts(&input.content, it)));
                it.some_text("taskType", request.task.and_then(Task::gemini));
                it.some_text("title", input.title.as_deref());
                it.some_number("outputDimensionality", request.dimensions);
            });
        }
    });
}

fn gemini_parts(content: &Content, it: &mut Array<'_>) {
    match content {
        Content::Text(text) => it.object(|it| it.text("text", text)),
        Content::Tokens(_) => {}
        Content::Mixed(pieces) => {
            for piece in pieces {
                it.object(|it| match piece {
                    Piece::Text(text) => it.text("text", text),
                    Piece::Image(Media::Data { mime, data, .. }) => it.object("inlineData", |it| {
                        it.text("mimeType", mime.as_deref().unwrap_or("image/png"));
                        it.text("data", data);
                    }),
                    Piece::Image(_) => {}
                });
            }
        }
    }
}

fn cohere(request: &Request, inputs: &[Input], model: &str, it: &mut Object<'_>) {
    it.text("model", model);
    it.text("input_type", request.task.unwrap_or(Task::Document).cohere());
    let is_text = |input: &Input| matches!(input.content, Content::Text(_));
    if inputs.iter().all(is_text) {
        it.array("texts", |it| {
            for input in inputs {
                if let Content::Text(text) = &input.content {
                    it.text(text);
                }
            }
        });
    } else {
        it.array("inputs", |it| {
            for input in inputs {
                it.object(|it| it.array("content", |it| cohere_content(&input.content, it)));
            }
        });
    }
    it.array("embedding_types", |it| it.text("float"));
    it.some_number("output_dimension", request.dimensions);
    it.some_text("truncate", request.truncate.map(super::Truncate::name));
    write_extra(request, Dialect::Cohere, it);
}

fn cohere_content(content: &Content, it: &mut Array<'_>) {
    let text = |text: &str, it: &mut Array<'_>| {
        it.object(|it| {
            it.text("type", "text");
            it.text("text", text);
        });
    };
    match content {
        Content::Text(words) => text(words, it),
        Content::Tokens(_) => {}
        Content::Mixed(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Text(words) => text(words, it),
                    Piece::Image(media) => it.object(|it| {
                        it.text("type", "image_url");
                        it.object("image_url", |it| {
                            it.some_text("url", media.to_url("image/png").as_deref());
                        });
                    }),
                }
            }
        }
    }
}
