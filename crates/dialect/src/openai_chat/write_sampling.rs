//! Writes how tokens are drawn.

use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::Request;
use crate::openai_models;
use crate::writer::Object;

impl Scribe<'_> {
    /// Writes how tokens are drawn, and how many answers of them.
    pub(super) fn sampling(&mut self, it: &mut Object<'_>, request: &Request) {
        let sampling = &request.sampling;
        let free = self.free;
        let is_told = |value: &f64| free || !openai_models::is_default(*value);
        let temperature = sampling.temperature.filter(is_told);
        self.float(it, "temperature", Field::Temperature, temperature, (0.0, 2.0));
        let top_p = sampling.top_p.filter(is_told);
        self.float(it, "top_p", Field::TopP, top_p, (0.0, 1.0));
        let bounds = (-2.0, 2.0);
        self.float(
            it,
            "frequency_penalty",
            Field::FrequencyPenalty,
            sampling.frequency_penalty,
            bounds,
        );
        self.float(
            it,
            "presence_penalty",
            Field::PresencePenalty,
            sampling.presence_penalty,
            bounds,
        );
        // Servers of open models know these; their own clients may ask for them.
        if self.own {
            if sampling.top_k.is_none() || self.allows("top_k", Field::TopK) {
                it.some_number("top_k", sampling.top_k);
            }
            let bounds = (f64::MIN, f64::MAX);
            self.float(it, "min_p", Field::MinP, sampling.min_p, bounds);
            let penalty = sampling.repetition_penalty;
            self.float(it, "repetition_penalty", Field::RepetitionPenalty, penalty, bounds);
        } else {
            let unknown = [
                (Field::TopK, sampling.top_k.is_some()),
                (Field::MinP, sampling.min_p.is_some()),
                (Field::RepetitionPenalty, sampling.repetition_penalty.is_some()),
            ];
            for (field, is_set) in unknown {
                self.allows_if(!is_set, field);
            }
        }
        if let Some(seed) = sampling.seed
            && self.allows_if(self.target.quirks.seed && !self.is_unsupported("seed"), Field::Seed)
        {
            it.number("seed", seed);
        }
        if let Some(bias) = &sampling.logit_bias
            && self.allows("logit_bias", Field::LogitBias)
            && self.is_free(Field::LogitBias)
        {
            it.raw("logit_bias", bias);
        }
        self.stop(it, request);
        self.candidates(it, request);
        self.logprobs(it, request);
    }

    /// A number, within the bounds that OpenAI's API has. The caller's own protocol has the same ones.
    fn float(&mut self, it: &mut Object<'_>, name: &str, field: Field, value: Option<f64>, bounds: (f64, f64)) {
        let Some(value) = value else { return };
        if !self.allows(name, field) {
            return;
        }
        if self.own {
            return it.float(name, value);
        }
        if !self.is_free(field) {
            return;
        }
        let clamped = value.clamp(bounds.0, bounds.1);
        if clamped.total_cmp(&value).is_ne() {
            self.lost.note(field, "clamped to the allowed range");
        }
        it.float(name, clamped);
    }

    /// Whether the model can be told how to draw tokens.
    fn is_free(&mut self, field: Field) -> bool {
        if !self.free {
            self.lost.note(field, "fixed in reasoning models");
        }
        self.free
    }

    fn stop(&mut self, it: &mut Object<'_>, request: &Request) {
        if request.stop.is_empty() || !self.allows("stop", Field::Stop) || !self.is_free(Field::Stop) {
            return;
        }
        let most = if self.own { usize::MAX } else { 4 };
        if request.stop.len() > most {
            self.lost.note(Field::Stop, "only the first four");
        }
        it.array("stop", |items| {
            for text in request.stop.iter().take(most) {
                items.text(text);
            }
        });
    }

    fn candidates(&mut self, it: &mut Object<'_>, request: &Request) {
        match request.candidates {
            None | Some(1) => {}
            Some(_) if !self.target.quirks.multiple_choices || self.is_unsupported("n") => {
                self.refuse(
                    Field::Candidates,
                    "the provider gives one answer only; ask several times",
                );
            }
            Some(wanted) => it.number("n", wanted),
        }
    }

    fn logprobs(&mut self, it: &mut Object<'_>, request: &Request) {
        let Some(logprobs) = request.logprobs else { return };
        let allowed = self.target.quirks.logprobs && !self.is_unsupported("logprobs");
        if self.allows_if(allowed, Field::Logprobs) && self.is_free(Field::Logprobs) {
            it.bool("logprobs", true);
            it.some_number("top_logprobs", logprobs.top.map(|top| top.min(20)));
        }
    }
}
