//! `generationConfig`.

use super::models::Model;
use super::read_config::kept;
use super::schema;
use super::spelling::under;
use super::thinking::Thinking;
use crate::field::Field;
use crate::ir::{Audio, Content, Format, Request};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::writer::{self, Object};

/// The most stop sequences that are accepted.
const MAX_STOPS: usize = 5;

/// The most answers that are given at once.
const MAX_CANDIDATES: u32 = 8;

/// The most alternatives that are told for a token.
const MAX_LOGPROBS: u32 = 20;

/// Voices of OpenAI, which Gemini does not have.
const OPENAI_VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar",
];

/// The object; `None` when nothing is to be said.
pub(super) fn config(request: &Request, model: Model, json: bool, lost: &mut Losses) -> Result<Option<Raw>, Unsayable> {
    if request.candidates.is_some_and(|candidates| candidates > MAX_CANDIDATES) {
        return Err(lost.refuse(Field::Candidates, "at most 8 answers are given at once"));
    }
    note_unknown(request, lost);
    let raw = writer::raw_object(|it| {
        sampling(request, lost, it);
        if json {
            format(&request.format, model, it);
        }
        modalities(request, lost, it);
        if is_coarse(request, lost) {
            it.text("mediaResolution", "MEDIA_RESOLUTION_LOW");
        }
        Thinking::of(request, model, lost).write(it);
        if request.from == Protocol::Gemini {
            under(&request.extra, "generationConfig").for_each(|(name, value)| it.raw(name, value));
        }
    });
    Ok((raw.as_str() != "{}").then_some(raw))
}

fn note_unknown(request: &Request, lost: &mut Losses) {
    let sampling = &request.sampling;
    let unknown = [
        (sampling.min_p.is_some(), Field::MinP),
        (sampling.repetition_penalty.is_some(), Field::RepetitionPenalty),
        (sampling.logit_bias.is_some(), Field::LogitBias),
        (request.verbosity.is_some(), Field::Verbosity),
        (request.user.is_some(), Field::User),
        (request.metadata.is_some(), Field::Metadata),
        (request.cache_key.is_some(), Field::CacheKey),
        (request.cache.is_some(), Field::CacheMark),
        (
            request.store == Some(true) && request.from != Protocol::Gemini,
            Field::Store,
        ),
    ];
    for (is_set, field) in unknown {
        if is_set {
            lost.note(field, "not supported");
        }
    }
}

fn sampling(request: &Request, lost: &mut Losses, it: &mut Object<'_>) {
    let sampling = &request.sampling;
    let temperature = sampling.temperature.map(|temperature| temperature.clamp(0.0, 2.0));
    if temperature != sampling.temperature {
        lost.note(Field::Temperature, "clamped to 0 to 2");
    }
    it.some_float("temperature", temperature);
    it.some_float("topP", sampling.top_p);
    it.some_number("topK", sampling.top_k);
    let candidates = request.candidates;
    it.some_number(
        "candidateCount",
        candidates.filter(|count| *count > 1 || request.from == Protocol::Gemini),
    );
    it.some_number("maxOutputTokens", request.max_tokens);
    let mut stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.len() > MAX_STOPS {
        lost.note(Field::Stop, "only the first five");
        stops.truncate(MAX_STOPS);
    }
    if !stops.is_empty() {
        it.array("stopSequences", |it| stops.iter().for_each(|stop| it.text(stop)));
    }
    it.some_number("seed", sampling.seed.map(|seed| short_seed(seed, lost)));
    it.some_float("presencePenalty", sampling.presence_penalty);
    it.some_float("frequencyPenalty", sampling.frequency_penalty);
    if let Some(logprobs) = request.logprobs {
        it.bool("responseLogprobs", true);
        if logprobs.top.is_some_and(|top| top > MAX_LOGPROBS) {
            lost.note(Field::Logprobs, "at most 20 alternatives");
        }
        it.some_number("logprobs", logprobs.top.map(|top| top.min(MAX_LOGPROBS)));
    }
}

/// The seed in the 32 bits that the API has for it.
fn short_seed(seed: i64, lost: &mut Losses) -> i32 {
    i32::try_from(seed).unwrap_or_else(|_| {
        lost.note(Field::Seed, "cut to 32 bits");
        let [.., a, b, c, d] = seed.to_be_bytes();
        i32::from_be_bytes([a, b, c, d])
    })
}

fn format(format: &Format, model: Model, it: &mut Object<'_>) {
    match format {
        Format::Text => {}
        Format::JsonObject => it.text("responseMimeType", "application/json"),
        Format::JsonSchema { schema, .. } => {
            it.text("responseMimeType", "application/json");
            if model.is_older() {
                it.some_raw("responseSchema", schema::to_subset(schema).as_ref());
            } else {
                it.raw("responseJsonSchema", schema);
            }
        }
    }
}

fn modalities(request: &Request, lost: &mut Losses, it: &mut Object<'_>) {
    let Some(audio) = &request.audio else {
        return;
    };
    let own = request.from == Protocol::Gemini;
    if !(own && kept(request, "responseModalities")) {
        it.array("responseModalities", |it| it.text("AUDIO"));
    }
    if own {
        return it.some_raw("speechConfig", audio.voice.as_ref());
    }
    lost.note(Field::AudioOutput, "sound alone, as 16-bit samples");
    match voice(audio) {
        Some(voice) if OPENAI_VOICES.contains(&voice.as_str()) => {
            lost.note(Field::AudioOutput, "the voice is not one of the provider's");
        }
        Some(voice) => it.object("speechConfig", |it| {
            it.object("voiceConfig", |it| {
                it.object("prebuiltVoiceConfig", |it| it.text("voiceName", &voice));
            });
        }),
        None => {}
    }
}

fn voice(audio: &Audio) -> Option<String> {
    audio.voice.as_ref()?.node().string()
}

/// Whether all pictures are to be looked at coarsely; closer looks cannot be asked for.
fn is_coarse(request: &Request, lost: &mut Losses) -> bool {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let details: Vec<&str> = parts
        .filter_map(|part| match &part.content {
            Content::Image { detail, .. } => Some(detail.as_deref().unwrap_or("auto")),
            _ => None,
        })
        .collect();
    let is_coarse = !details.is_empty() && details.iter().all(|detail| *detail == "low");
    if !is_coarse && details.iter().any(|detail| *detail != "auto") {
        lost.note(Field::ImageDetail, "not supported");
    }
    is_coarse
}
