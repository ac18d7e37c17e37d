//! Recraft's pictures as gateways ask for them: width and height as numbers, and no word for the model. (Recraft itself
//! speaks OpenAI's form.)

use super::{Call, Request, Size};
use crate::loss::Losses;
use crate::writer;

/// What is painted when the caller does not care.
const USUAL: Size = Size {
    width: 1024,
    height: 1024,
};

/// The call.
pub(super) fn call(request: &Request, lost: &mut Losses) -> Call {
    note(request, lost);
    let size = request.size.unwrap_or(USUAL);
    let mut body = Vec::with_capacity(request.prompt.len() + 128);
    writer::object(&mut body, |it| {
        it.text("prompt", &request.prompt);
        it.number("width", size.width);
        it.number("height", size.height);
        it.number("num_images", request.n);
        it.some_text("quality", request.quality.as_deref().map(quality));
    });
    Call {
        path: "/images/generations".to_owned(),
        body,
    }
}

/// OpenAI's words for the two qualities that there are.
fn quality(asked: &str) -> &'static str {
    match asked {
        "hd" | "high" => "high",
        _ => "standard",
    }
}

fn note(request: &Request, lost: &mut Losses) {
    lost.note_extra("", &request.extra);
    let unsupported = [
        ("style", request.style.is_some()),
        ("response_format", request.delivery.is_some()),
        ("output_format", request.output_format.is_some()),
        ("output_compression", request.output_compression.is_some()),
        ("user", request.user.is_some()),
    ];
    for (field, _) in unsupported.into_iter().filter(|(_, is_lost)| *is_lost) {
        lost.note_named(field, "not supported");
    }
}
