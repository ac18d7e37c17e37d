//! Requests of callers.

use super::{Content, Encoding, Input, Piece, Request, Shape, Task, Truncate};
use crate::codec::Malformed;
use crate::gemini_address::bare;
use crate::ir::Extra;
use crate::media::{data_of, read_url};
use crate::tree::Node;

/// More inputs than this are not taken at once; OpenAI's limit.
const MAX_INPUTS: usize = 2048;

/// Reads a request.
pub(super) fn read(shape: Shape, body: &[u8], model: Option<&str>) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let request = match shape {
        Shape::OpenAi => openai(&node),
        Shape::GeminiOne => gemini(shape, std::slice::from_ref(&node), "", model),
        Shape::GeminiBatch => gemini(shape, node.get("requests").items(), "requests", model),
        Shape::Cohere => cohere(&node),
    }?;
    if request.inputs.len() > MAX_INPUTS {
        return Err(Malformed::field(inputs_name(shape), "must have at most 2048 inputs"));
    }
    Ok(request)
}

fn inputs_name(shape: Shape) -> &'static str {
    match shape {
        Shape::OpenAi => "input",
        Shape::GeminiOne => "content",
        Shape::GeminiBatch => "requests",
        Shape::Cohere => "texts",
    }
}

fn openai(node: &Node<'_>) -> Result<Request, Malformed> {
    let encoding = match optional_text(node, "encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(Malformed::field("encoding_format", "must be `float` or `base64`")),
    };
    let word = node.any(&["input_type", "task_type"]);
    let known = ["model", "input", "dimensions", "encoding_format", "user"];
    let mut extra = rest(node, &known);
    let task = word.text().and_then(task_of);
    if task.is_some() {
        extra.0.retain(|(name, _)| name != "input_type" && name != "task_type");
    }
    Ok(Request {
        shape: Shape::OpenAi,
        model: model(node, None)?,
        inputs: openai_inputs(node.get("input"))?,
        dimensions: dimensions(node, "dimensions")?,
        encodings: vec![encoding],
        task,
        truncate: None,
        user: optional_text(node, "user")?,
        extra,
    })
}

fn openai_inputs(node: &Node<'_>) -> Result<Vec<Input>, Malformed> {
    const KINDS: &str = "must be a string, an array of strings, or an array of tokens";
    let items = node.items();
    if node.is_null() {
        return Err(Malformed::field("input", "is missing"));
    }
    if !node.is_array() {
        return Ok(vec![openai_input(node, "input".to_owned(), KINDS)?]);
    }
    if items.is_empty() {
        return Err(Malformed::field("input", "must not be empty"));
    }
    if let Some(tokens) = tokens(items) {
        return Ok(vec![input(Content::Tokens(tokens))]);
    }
    let named = items
        .iter()
        .enumerate()
        .map(|(at, item)| (item, format!("input[{at}]")));
    named.map(|(item, name)| openai_input(item, name, KINDS)).collect()
}

fn openai_input(node: &Node<'_>, name: String, kinds: &'static str) -> Result<Input, Malformed> {
    if node.is_array() {
        let tokens = tokens(node.items()).filter(|tokens| !tokens.is_empty());
        return tokens
            .map(|it| input(Content::Tokens(it)))
            .ok_or_else(|| Malformed::field(name, kinds));
    }
    // Jina's form, which other providers with OpenAI's API take too.
    if let Some(url) = node.get("image").text() {
        let image = read_url(url).ok_or_else(|| Malformed::field(name, "must be a picture's address or data"))?;
        return Ok(input(Content::Mixed(vec![Piece::Image(image)])));
    }
    match node.text().or_else(|| node.get("text").text()) {
        Some("") => Err(Malformed::field(name, "must not be empty")),
        Some(text) => Ok(input(Content::Text(text.to_owned()))),
        None => Err(Malformed::field(name, kinds)),
    }
}

fn tokens(items: &[Node<'_>]) -> Option<Vec<u64>> {
    items.iter().map(Node::u64).collect()
}

fn gemini(shape: Shape, items: &[Node<'_>], place: &str, address: Option<&str>) -> Result<Request, Malformed> {
    let Some(first) = items.first() else {
        return Err(Malformed::field(place, "must not be empty"));
    };
    let mut request = Request {
        shape,
        model: bare(&model(first, address)?).to_owned(),
        inputs: Vec::with_capacity(items.len()),
        dimensions: gemini_dimensions(first)?,
        encodings: vec![Encoding::Float],
        task: gemini_task(first)?,
        truncate: None,
        user: None,
        extra: Extra::default(),
    };
    for (at, item) in items.iter().enumerate() {
        let name = match place {
            "" => "content".to_owned(),
            _ => format!("{place}[{at}].content"),
        };
        if gemini_dimensions(item)? != request.dimensions || gemini_task(item)? != request.task {
            return Err(Malformed::field(
                format!("{place}[{at}]"),
                "must ask for the same task and dimensions as the others",
            ));
        }
        let known = [
            "model",
            "content",
            "taskType",
            "task_type",
            "title",
            "outputDimensionality",
            "output_dimensionality",
        ];
        request.extra.0.extend(rest(item, &known).0);
        request.inputs.push(Input {
            content: gemini_content(item.get("content"), &name)?,
            title: optional_text(item, "title")?,
        });
    }
    Ok(request)
}

fn gemini_dimensions(node: &Node<'_>) -> Result<Option<u64>, Malformed> {
    let spelled = ["outputDimensionality", "output_dimensionality"];
    Ok(dimensions(node, spelled[0])?.or(dimensions(node, spelled[1])?))
}

fn gemini_task(node: &Node<'_>) -> Result<Option<Task>, Malformed> {
    match node.any(&["taskType", "task_type"]).text() {
        None | Some("TASK_TYPE_UNSPECIFIED") => Ok(None),
        Some(word) => task_of(word)
            .map(Some)
            .ok_or_else(|| Malformed::field("taskType", "must be a known task")),
    }
}

fn gemini_content(node: &Node<'_>, name: &str) -> Result<Content, Malformed> {
    let parts = node.get("parts");
    let parts = if parts.is_object() {
        std::slice::from_ref(parts)
    } else {
        parts.items()
    };
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        let data = part.any(&["inlineData", "inline_data"]);
        let file = part.any(&["fileData", "file_data"]).any(&["fileUri", "file_uri"]);
        if let Some(text) = part.get("text").text() {
            pieces.push(Piece::Text(text.to_owned()));
        } else if let Some(base64) = data.get("data").text() {
            let mime = data.any(&["mimeType", "mime_type"]).string();
            let image = data_of(mime, base64, None).ok_or_else(|| Malformed::field(name, "must hold base64"))?;
            pieces.push(Piece::Image(image));
        } else if let Some(image) = file.text().and_then(read_url) {
            pieces.push(Piece::Image(image));
        } else {
            return Err(Malformed::field(name, "must be made of texts and pictures"));
        }
    }
    whole(pieces).ok_or_else(|| Malformed::field(name, "must not be empty"))
}

fn cohere(node: &Node<'_>) -> Result<Request, Malformed> {
    let known = [
        "model",
        "input_type",
        "texts",
        "images",
        "inputs",
        "output_dimension",
        "embedding_types",
        "truncate",
    ];
    let task = match node.get("input_type").text() {
        None => None,
        Some(word) => Some(task_of(word).ok_or_else(|| Malformed::field("input_type", "must be a known type"))?),
    };
    let truncate = match node.get("truncate").text() {
        None => None,
        Some("NONE") => Some(Truncate::Nothing),
        Some("START") => Some(Truncate::Start),
        Some("END") => Some(Truncate::End),
        Some(_) => return Err(Malformed::field("truncate", "must be `NONE`, `START` or `END`")),
    };
    Ok(Request {
        shape: Shape::Cohere,
        model: model(node, None)?,
        inputs: cohere_inputs(node)?,
        dimensions: dimensions(node, "output_dimension")?,
        encodings: cohere_encodings(node.get("embedding_types"))?,
        task,
        truncate,
        user: None,
        extra: rest(node, &known),
    })
}

fn cohere_inputs(node: &Node<'_>) -> Result<Vec<Input>, Malformed> {
    let mut inputs = Vec::new();
    for (at, text) in node.get("texts").items().iter().enumerate() {
        let text = text
            .text()
            .ok_or_else(|| Malformed::field(format!("texts[{at}]"), "must be a string"))?;
        inputs.push(input(Content::Text(text.to_owned())));
    }
    for (at, url) in node.get("images").items().iter().enumerate() {
        let image = url.text().and_then(read_url);
        let image = image.ok_or_else(|| Malformed::field(format!("images[{at}]"), "must be a data URI"))?;
        inputs.push(input(Content::Mixed(vec![Piece::Image(image)])));
    }
    for (at, item) in node.get("inputs").items().iter().enumerate() {
        let name = format!("inputs[{at}].content");
        let mut pieces = Vec::new();
        for block in item.get("content").items() {
            let url = block.get("image_url");
            let image = || url.get("url").text().or_else(|| url.text()).and_then(read_url);
            pieces.push(match block.get("text").text() {
                Some(text) => Piece::Text(text.to_owned()),
                None => {
                    Piece::Image(image().ok_or_else(|| Malformed::field(name.as_str(), "must be texts and pictures"))?)
                }
            });
        }
        inputs.push(input(
            whole(pieces).ok_or_else(|| Malformed::field(name, "must not be empty"))?,
        ));
    }
    if inputs.is_empty() {
        return Err(Malformed::field("texts", "must not be empty"));
    }
    Ok(inputs)
}

fn cohere_encodings(node: &Node<'_>) -> Result<Vec<Encoding>, Malformed> {
    let mut encodings = Vec::new();
    for item in node.items() {
        let encoding = match item.text() {
            Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            _ => {
                return Err(Malformed::field(
                    "embedding_types",
                    "can only be `float` or `base64` here",
                ));
            }
        };
        if !encodings.contains(&encoding) {
            encodings.push(encoding);
        }
    }
    if encodings.is_empty() {
        encodings.push(Encoding::Float);
    }
    Ok(encodings)
}

fn input(content: Content) -> Input {
    Input { content, title: None }
}

/// Pieces as content; `None` when there is nothing in them.
fn whole(mut pieces: Vec<Piece>) -> Option<Content> {
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    match (pieces.pop(), pieces.is_empty()) {
        (None, _) => None,
        (Some(Piece::Text(text)), true) => Some(Content::Text(text)),
        (Some(last), _) => {
            pieces.push(last);
            Some(Content::Mixed(pieces))
        }
    }
}

/// The task of that name, in any dialect.
fn task_of(word: &str) -> Option<Task> {
    Some(match word.to_ascii_lowercase().as_str() {
        "query" | "search_query" | "retrieval_query" | "retrieval.query" => Task::Query,
        "document" | "passage" | "search_document" | "retrieval_document" | "retrieval.passage" => Task::Document,
        "classification" => Task::Classification,
        "clustering" => Task::Clustering,
        "semantic_similarity" => Task::Similarity,
        "question_answering" => Task::QuestionAnswering,
        "fact_verification" => Task::FactVerification,
        "code_retrieval_query" => Task::CodeQuery,
        "image" => Task::Image,
        _ => return None,
    })
}

/// The address knows the model better than the body.
fn model(node: &Node<'_>, address: Option<&str>) -> Result<String, Malformed> {
    match address.or_else(|| node.get("model").text()) {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(Malformed::field("model", "must be a string")),
    }
}

fn dimensions(node: &Node<'_>, name: &str) -> Result<Option<u64>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => match node.u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(Malformed::field(name, "must be a positive integer")),
        },
    }
}

fn optional_text(node: &Node<'_>, name: &str) -> Result<Option<String>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => node
            .string()
            .map(Some)
            .ok_or_else(|| Malformed::field(name, "must be a string")),
    }
}

fn rest(node: &Node<'_>, known: &[&str]) -> Extra {
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        if !known.contains(&name.as_ref()) && !value.is_null() {
            extra.keep(name, value.to_raw());
        }
    }
    extra
}
