//! Requests to Gemini.

use super::size::{OF_CONVERSATIONS, OF_IMAGEN};
use super::{Call, Delivery, Kind, Plan, Request};
use crate::gemini_address::{bare, method};
use crate::loss::{Losses, Unsayable};
use crate::writer;

/// The most pictures that Imagen makes at once.
const MOST_OF_IMAGEN: u32 = 4;

/// Plans the calls, with the model as Gemini names it.
pub(super) fn plan(request: &Request, model: &str, lost: &mut Losses) -> Result<Plan, Unsayable> {
    let kind = if bare(model).starts_with("imagen") {
        Kind::Imagen
    } else {
        Kind::Conversation
    };
    note(request, kind, lost)?;
    let calls = if kind == Kind::Imagen {
        shares(request.n).map(|count| imagen(request, model, count)).collect()
    } else {
        // These models make one picture for each question.
        (0..request.n).map(|_| conversation(request, model)).collect()
    };
    Ok(Plan {
        calls,
        kind,
        n: request.n,
    })
}

/// How many pictures each call makes.
fn shares(n: u32) -> impl Iterator<Item = u32> {
    let full = std::iter::repeat_n(MOST_OF_IMAGEN, (n / MOST_OF_IMAGEN) as usize);
    full.chain(Some(n % MOST_OF_IMAGEN).filter(|rest| *rest > 0))
}

fn note(request: &Request, kind: Kind, lost: &mut Losses) -> Result<(), Unsayable> {
    if request
        .extra
        .get("background")
        .is_some_and(|raw| raw.as_str() == "\"transparent\"")
    {
        return Err(Unsayable {
            field: "background".to_owned(),
            reason: "the provider paints no transparent pictures",
        });
    }
    if request.style.is_some() {
        lost.note_named("style", "no counterpart");
    }
    lost.note_extra("", &request.extra);
    if request.size.is_some() {
        lost.note_named("size", "sent as the nearest aspect ratio");
    }
    if request.quality.is_some() {
        lost.note_named("quality", "not supported");
    }
    if request.delivery == Some(Delivery::Address) {
        lost.note_named("response_format", "answered as b64_json");
    }
    if request.user.is_some() {
        lost.note_named("user", "not supported");
    }
    let is_told = kind == Kind::Imagen && mime(request).is_some();
    if request.output_format.is_some() && !is_told {
        lost.note_named("output_format", "not supported");
    }
    if request.output_compression.is_some() && !(is_told && mime(request) == Some("image/jpeg")) {
        lost.note_named("output_compression", "not supported");
    }
    Ok(())
}

/// The media type that Imagen can be asked for.
fn mime(request: &Request) -> Option<&'static str> {
    match request.output_format.as_deref() {
        Some("png") => Some("image/png"),
        Some("jpeg") => Some("image/jpeg"),
        _ => None,
    }
}

fn imagen(request: &Request, model: &str, count: u32) -> Call {
    let mut body = Vec::with_capacity(request.prompt.len() + 256);
    writer::object(&mut body, |it| {
        it.array("instances", |it| it.object(|it| it.text("prompt", &request.prompt)));
        it.object("parameters", |it| {
            it.number("sampleCount", count);
            let ratio = request.size.map(|size| size.nearest(&OF_IMAGEN));
            it.some_text("aspectRatio", ratio.as_deref());
            // Else pictures that are held back are missing without a word.
            it.bool("includeRaiReason", true);
            if let Some(mime) = mime(request) {
                it.object("outputOptions", |it| {
                    it.text("mimeType", mime);
                    let compression = request.output_compression.filter(|_| mime == "image/jpeg");
                    it.some_number("compressionQuality", compression);
                });
            }
        });
    });
    Call {
        path: method(model, "predict"),
        body,
    }
}

fn conversation(request: &Request, model: &str) -> Call {
    let mut body = Vec::with_capacity(request.prompt.len() + 256);
    writer::object(&mut body, |it| {
        it.array("contents", |it| {
            it.object(|it| {
                it.text("role", "user");
                it.array("parts", |it| it.object(|it| it.text("text", &request.prompt)));
            });
        });
        it.object("generationConfig", |it| {
            it.array("responseModalities", |it| {
                it.text("TEXT");
                it.text("IMAGE");
            });
            if let Some(size) = request.size {
                it.object("imageConfig", |it| {
                    it.text("aspectRatio", &size.nearest(&OF_CONVERSATIONS));
                });
            }
        });
    });
    Call {
        path: method(model, "generateContent"),
        body,
    }
}
