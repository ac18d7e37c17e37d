//! A question that is not a conversation, as it is put to a provider of another dialect: one call or several, whose whole
//! answers are joined.

use bytes::Bytes;
use mynah_dialect::codec::{Address, Memo, Outgoing, Target as Addressee, client_side, upstream_side};
use mynah_dialect::completions::{self, Completion, Heading};
use mynah_dialect::gauge::Seen;
use mynah_dialect::handle::Service;
use mynah_dialect::images::Form;
use mynah_dialect::ir::{Class, Error, Event, Request, Response};
use mynah_dialect::loss::{Losses, Unsayable};
use mynah_dialect::repair::repair;
use mynah_dialect::transcode::{collected, events_of, unreadable};
use mynah_dialect::usage::Usage;
use mynah_dialect::{Dialect, Protocol, embeddings, estimate, images, rerank};

use crate::ask::Ask;
use crate::failure::Failure;
use crate::operation::Speech;
use crate::route::Target;
use crate::translation::malformed;

/// A question as one target gets it.
#[derive(Debug)]
pub struct Exchange {
    /// The protocol in which the target tells its errors.
    pub protocol: Protocol,
    /// What is sent, one after the other. Nothing where the answer is known here.
    pub calls: Vec<Outgoing>,
    /// What could not be said.
    pub lost: Losses,
    answer: Joining,
}

/// How the answers of the calls become one.
#[derive(Debug)]
enum Joining {
    Embeddings(Box<(embeddings::Request, embeddings::Plan)>),
    Rerank(Box<rerank::Request>),
    Images(Box<images::Plan>),
    Completions(Box<Completion>),
    Count {
        caller: Protocol,
        estimate: u64,
        native: bool,
    },
}

/// A joined answer.
#[derive(Debug)]
pub struct Joined {
    /// Its media type.
    pub content_type: &'static str,
    /// It.
    pub body: Bytes,
    /// What it used.
    pub seen: Seen,
    /// Its numbers are estimates.
    pub estimated: bool,
}

/// A question, and what tells it from others.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What kind of question it is.
    pub speech: Speech,
    /// The body.
    pub body: &'a [u8],
    /// The model, where the path names it.
    pub model_in_path: Option<&'a str>,
    /// Losses are not allowed.
    pub strict: bool,
    /// Distinguishes the request.
    pub id: &'a str,
    /// Unix time.
    pub now: u64,
}

impl Exchange {
    /// The question for a target, in the protocol that it is asked in.
    pub fn plan(question: &Question<'_>, target: &Target, protocol: Protocol) -> Result<Self, Failure> {
        let exchange = match question.speech {
            Speech::Embeddings(shape) => embed(question, shape, target, protocol),
            Speech::Rerank { v2 } => rank(question, v2, target, protocol),
            Speech::Images => draw(question, target, protocol),
            Speech::Completions => complete(question, target, protocol),
            Speech::Count(caller) => count(question, caller, target, protocol),
            Speech::Conversation(_) | Speech::Plain(_) => Err(Failure::cannot_translate(&target.name, "it")),
        }?;
        match exchange.lost.header() {
            Some(losses) if question.strict => Err(Failure::lossy(&target.name, &losses)),
            _ => Ok(exchange),
        }
    }

    /// Answers without the provider, if that is possible: tokens can be estimated.
    pub fn do_without_provider(&mut self) -> bool {
        let Joining::Count { native, .. } = &mut self.answer else {
            return false;
        };
        *native = false;
        true
    }

    /// The answer, from those of the calls.
    pub fn join(&self, bodies: &[Bytes], question: &Question<'_>) -> Result<Joined, Error> {
        let json = |body: Vec<u8>, told: Option<Usage>, estimated: bool| Joined {
            content_type: "application/json",
            body: Bytes::from(body),
            seen: Seen { told, generated: 0 },
            estimated,
        };
        match &self.answer {
            Joining::Embeddings(planned) => {
                let answer = planned.1.read(bodies).map_err(|malformed| unreadable(&malformed))?;
                let usage = Usage {
                    input: answer.tokens,
                    estimated: answer.estimated,
                    ..Usage::default()
                };
                Ok(json(answer.write(&planned.0), Some(usage), answer.estimated))
            }
            Joining::Rerank(request) => {
                let body = bodies.first().map(Bytes::as_ref).unwrap_or_default();
                let answer = rerank::read_answer(request, body).map_err(|malformed| unreadable(&malformed))?;
                let usage = answer.tokens.or(answer.search_units).map(|_| Usage {
                    input: answer.tokens.unwrap_or(0),
                    searches: answer.search_units.unwrap_or(0),
                    ..Usage::default()
                });
                Ok(json(answer.write(request), usage, false))
            }
            Joining::Images(plan) => {
                let answer = plan.read(bodies)?;
                let usage = Usage {
                    images: answer.pictures.len() as u64,
                    ..answer.usage.unwrap_or_default()
                };
                Ok(json(answer.write(question.now), Some(usage), false))
            }
            Joining::Completions(completion) => self.completed(completion, bodies, question),
            Joining::Count {
                caller,
                estimate,
                native,
            } => {
                let tokens = if *native {
                    counted(self.protocol, bodies)?
                } else {
                    *estimate
                };
                let written = client_side(*caller).map(|codec| codec.write_count(tokens));
                Ok(json(written.unwrap_or_default(), None, !native))
            }
        }
    }

    /// The answers to several prompts. As a stream, they come one after the other when all are there.
    fn completed(&self, completion: &Completion, bodies: &[Bytes], question: &Question<'_>) -> Result<Joined, Error> {
        let told = |(body, call): (&Bytes, &Outgoing)| {
            let events = events_of(upstream_side(self.protocol), body, call.memo.clone(), question.id)
                .map_err(|malformed| unreadable(&malformed))?;
            match events.last() {
                Some(Event::Error(error)) => Err(error.clone()),
                _ => Ok(events),
            }
        };
        let answers: Vec<Vec<Event>> = bodies.iter().zip(&self.calls).map(told).collect::<Result<_, _>>()?;
        let seen = answers.iter().map(|events| Seen::of(events)).reduce(Seen::and);
        let heading = heading(question.id, question.now);
        let mut body = Vec::new();
        if completion.stream {
            let mut writer = completion.event_writer(heading);
            for event in answers.iter().flatten() {
                writer.write(event, &mut body);
            }
        } else {
            let responses: Vec<Response> = answers.into_iter().map(collected).collect::<Result<_, _>>()?;
            body = completion.write_response(&responses, &heading)?;
        }
        let content_type = if completion.stream {
            "text/event-stream; charset=utf-8"
        } else {
            "application/json"
        };
        Ok(Joined {
            content_type,
            body: Bytes::from(body),
            seen: seen.unwrap_or_default(),
            estimated: false,
        })
    }
}

/// Checks a question that is passed on at a handle, where whoever answers may not: pictures need a prompt.
pub fn check(ask: &Ask<'_>) -> Result<(), Failure> {
    match ask.question() {
        Some(question) if question.speech == Speech::Images => {
            images::read_request(question.body).map(drop).map_err(malformed)
        }
        _ => Ok(()),
    }
}

/// What an answer of the older completions is called.
pub fn heading(id: &str, now: u64) -> Heading {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    Heading {
        id: format!("cmpl-{id}"),
        created: now,
    }
}

fn refused(target: &Target) -> impl Fn(Unsayable) -> Failure {
    |unsayable| Failure::unsayable(&target.name, &unsayable)
}

fn call(path: impl Into<String>, body: Vec<u8>) -> Outgoing {
    Outgoing {
        path: path.into(),
        headers: Vec::new(),
        body,
        memo: Memo::default(),
    }
}

fn embed(
    question: &Question<'_>,
    shape: embeddings::Shape,
    target: &Target,
    protocol: Protocol,
) -> Result<Exchange, Failure> {
    let request = embeddings::read_request(shape, question.body, question.model_in_path).map_err(malformed)?;
    let mut lost = Losses::new(shape.protocol());
    let plan = embeddings::plan(&request, protocol.dialect(), &target.model, &mut lost).map_err(refused(target))?;
    Ok(Exchange {
        protocol,
        calls: plan
            .calls
            .iter()
            .map(|planned| call(&planned.path, planned.body.clone()))
            .collect(),
        lost,
        answer: Joining::Embeddings(Box::new((request, plan))),
    })
}

fn rank(question: &Question<'_>, v2: bool, target: &Target, protocol: Protocol) -> Result<Exchange, Failure> {
    let request = rerank::read_request(question.body, v2).map_err(malformed)?;
    let provider = match protocol.dialect() {
        Dialect::Cohere => rerank::Provider::Cohere,
        Dialect::OpenAi if target.provider.quirks.rerank_top_k => rerank::Provider::Voyage,
        Dialect::OpenAi => rerank::Provider::Jina,
        Dialect::Anthropic | Dialect::Gemini => return Err(Failure::cannot_translate(&target.name, "/v1/rerank")),
    };
    let mut lost = Losses::new(if v2 { Protocol::Cohere } else { Protocol::OpenaiChat });
    let outgoing = rerank::write_request(&request, provider, &target.model, &mut lost).map_err(refused(target))?;
    Ok(Exchange {
        protocol,
        calls: vec![call(outgoing.path, outgoing.body)],
        lost,
        answer: Joining::Rerank(Box::new(request)),
    })
}

fn draw(question: &Question<'_>, target: &Target, protocol: Protocol) -> Result<Exchange, Failure> {
    let form = match target.handle.as_deref().map(|handle| handle.service) {
        Some(Service::ImagesIn(form)) => Some(form),
        _ => target.provider.quirks.images,
    };
    let form = form.or((protocol == Protocol::Gemini).then_some(Form::Gemini));
    let form = form.ok_or_else(|| Failure::cannot_translate(&target.name, "/v1/images/generations"))?;
    let request = images::read_request(question.body).map_err(malformed)?;
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let plan = images::plan(&request, form, &target.model, &mut lost).map_err(refused(target))?;
    Ok(Exchange {
        protocol,
        calls: plan
            .calls
            .iter()
            .map(|planned| call(&planned.path, planned.body.clone()))
            .collect(),
        lost,
        answer: Joining::Images(Box::new(plan)),
    })
}

fn complete(question: &Question<'_>, target: &Target, protocol: Protocol) -> Result<Exchange, Failure> {
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let completion = completions::read_request(question.body, &mut lost).map_err(malformed)?;
    let mut calls = Vec::with_capacity(completion.requests.len());
    for request in &completion.requests {
        let mut request = request.clone();
        request.stream = false;
        calls.push(written(request, target, protocol, &mut lost)?);
    }
    Ok(Exchange {
        protocol,
        calls,
        lost,
        answer: Joining::Completions(Box::new(completion)),
    })
}

fn written(mut request: Request, target: &Target, protocol: Protocol, lost: &mut Losses) -> Result<Outgoing, Failure> {
    repair(&mut request, lost);
    upstream_side(protocol)
        .write_request(&request, &addressee(target), lost)
        .map_err(refused(target))
}

/// Asks the provider where it counts tokens, else estimates them.
fn count(question: &Question<'_>, caller: Protocol, target: &Target, protocol: Protocol) -> Result<Exchange, Failure> {
    let unknown = || Failure::cannot_translate(&target.name, caller.name());
    let address = Address {
        model: question.model_in_path,
        ..Address::default()
    };
    let mut request = client_side(caller)
        .ok_or_else(unknown)?
        .read_count_request(question.body, &address)
        .map_err(malformed)?;
    let mut lost = Losses::new(caller);
    repair(&mut request, &mut lost);
    let addressee = addressee(target);
    let call = upstream_side(protocol).write_count_request(&request, &addressee, &mut lost);
    let call = call.transpose().map_err(refused(target))?;
    Ok(Exchange {
        protocol,
        answer: Joining::Count {
            caller,
            estimate: estimate::input_tokens(&request),
            native: call.is_some(),
        },
        calls: call.into_iter().collect(),
        lost,
    })
}

fn counted(protocol: Protocol, bodies: &[Bytes]) -> Result<u64, Error> {
    let body = bodies.first().map(Bytes::as_ref).unwrap_or_default();
    upstream_side(protocol)
        .read_count(body)
        .ok_or_else(|| Error::new(Class::Server, "The provider's count of tokens cannot be read."))
}

fn addressee(target: &Target) -> Addressee<'_> {
    Addressee {
        provider: &target.provider.name,
        model: &target.model,
        quirks: &target.provider.quirks,
    }
}
