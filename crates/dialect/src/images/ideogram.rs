//! Ideogram's older form, `POST /generate`: one object, `image_request`, with named aspect ratios
//! (<https://developer.ideogram.ai/api-reference/api-reference/generate>). Gateways that put its models on their lists use
//! other words in it.

use super::size::OF_IDEOGRAM;
use super::{Call, Delivery, Request};
use crate::loss::Losses;
use crate::writer::{self, Object};

/// What Ideogram knows beside OpenAI's fields, and is told as it is.
const OWN: [&str; 6] = [
    "seed",
    "negative_prompt",
    "magic_prompt_option",
    "style_type",
    "color_palette",
    "resolution",
];

/// The call of Ideogram's own API.
pub(super) fn call(request: &Request, model: &str, lost: &mut Losses) -> Call {
    let own = request.extra.0.iter().filter(|(name, _)| OWN.contains(&name.as_str()));
    for (name, _) in &request.extra.0 {
        if !OWN.contains(&name.as_str()) {
            lost.note_named(name, "no counterpart");
        }
    }
    note(request, lost);
    if request.delivery == Some(Delivery::Data) {
        lost.note_named("response_format", "answered as url");
    }
    image_request(request, |it| {
        it.text("model", model);
        // A resolution says it all.
        if request.extra.get("resolution").is_none() {
            it.text("aspect_ratio", &ratio(request));
        }
        let style = request.style.as_deref();
        let style = style
            .filter(|_| request.extra.get("style_type").is_none())
            .map(|style| match style {
                "vivid" => "GENERAL".to_owned(),
                "natural" => "REALISTIC".to_owned(),
                other => other.to_uppercase(),
            });
        it.some_text("style_type", style.as_deref());
        it.number("num_images", request.n);
        for (name, value) in own {
            it.raw(name, value);
        }
    })
}

/// The call as gateways have it, at a handle. The model is the handle's; the form has no place for it.
pub(super) fn call_at_handle(request: &Request, lost: &mut Losses) -> Call {
    lost.note_extra("", &request.extra);
    note(request, lost);
    image_request(request, |it| {
        it.text("aspect_ratio", &ratio(request));
        let style = request.style.as_deref().unwrap_or("natural");
        it.text("style", if style == "vivid" { "enhance" } else { style });
        it.number("n", request.n);
        let delivery = request.delivery.map(|delivery| match delivery {
            Delivery::Address => "url",
            Delivery::Data => "b64_json",
        });
        it.some_text("response_format", delivery);
    })
}

fn image_request(request: &Request, fill: impl FnOnce(&mut Object<'_>)) -> Call {
    let mut body = Vec::with_capacity(request.prompt.len() + 256);
    writer::object(&mut body, |it| {
        it.object("image_request", |it| {
            it.text("prompt", &request.prompt);
            fill(it);
        });
    });
    Call {
        path: "/generate".to_owned(),
        body,
    }
}

fn ratio(request: &Request) -> String {
    let nearest = request.size.map(|size| size.nearest(&OF_IDEOGRAM).replace(':', "_"));
    format!("ASPECT_{}", nearest.as_deref().unwrap_or("1_1"))
}

fn note(request: &Request, lost: &mut Losses) {
    let is_near = |ratio: &(u32, u32)| request.size.is_none_or(|size| size.is_of(*ratio));
    if !OF_IDEOGRAM.iter().any(is_near) {
        lost.note_named("size", "sent as the nearest aspect ratio");
    }
    let unsupported = [
        ("quality", request.quality.is_some()),
        ("output_format", request.output_format.is_some()),
        ("output_compression", request.output_compression.is_some()),
        ("user", request.user.is_some()),
    ];
    for (field, _) in unsupported.into_iter().filter(|(_, is_lost)| *is_lost) {
        lost.note_named(field, "not supported");
    }
}
