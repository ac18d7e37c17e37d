//! One route of the admin API, as it stands in the table.

use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::call::Call;
use super::guard::Needs;
use crate::failure::Failure;
use crate::openapi::SchemaOf;

/// What a handler returns.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

/// Who answers.
#[derive(Clone, Copy)]
pub enum Handler {
    /// At once.
    Now(fn(&Call) -> Result<Response, Failure>),
    /// After having waited for something.
    Later(fn(Call) -> Answering),
}

/// A method that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Looks at something. Stands for HEAD too.
    Get,
    /// Does something.
    Post,
    /// Replaces something.
    Put,
    /// Removes something.
    Delete,
}

impl Verb {
    /// The method.
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }

    /// Whether a method is this one.
    pub fn is(self, method: &Method) -> bool {
        self.method() == *method || self == Self::Get && *method == Method::HEAD
    }
}

/// One route.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// The method.
    pub verb: Verb,
    /// The path; `{name}` stands for one segment.
    pub path: &'static str,
    /// What it needs of a request.
    pub needs: Needs,
    /// Who answers.
    pub handler: Handler,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to say.
    pub description: &'static str,
    /// What may stand in the query.
    pub query: Option<SchemaOf>,
    /// What stands in the body.
    pub body: Option<SchemaOf>,
    /// What the answer is; `None` for a page, or a file of it.
    pub answer: Option<SchemaOf>,
}

/// Looks at something, with the key.
pub(super) const fn get(path: &'static str, handler: Handler, summary: &'static str) -> Endpoint {
    endpoint(Verb::Get, path, handler, summary)
}

/// Does something, with the key.
pub(super) const fn post(path: &'static str, handler: Handler, summary: &'static str) -> Endpoint {
    endpoint(Verb::Post, path, handler, summary)
}

/// Replaces something, with the key.
pub(super) const fn put(path: &'static str, handler: Handler, summary: &'static str) -> Endpoint {
    endpoint(Verb::Put, path, handler, summary)
}

/// Removes something, with the key.
pub(super) const fn delete(path: &'static str, handler: Handler, summary: &'static str) -> Endpoint {
    endpoint(Verb::Delete, path, handler, summary)
}

const fn endpoint(verb: Verb, path: &'static str, handler: Handler, summary: &'static str) -> Endpoint {
    Endpoint {
        verb,
        path,
        needs: Needs::Key,
        handler,
        summary,
        description: "",
        query: None,
        body: None,
        answer: None,
    }
}

impl Endpoint {
    /// It needs nothing.
    pub(super) const fn open(self) -> Self {
        Self {
            needs: Needs::Nothing,
            ..self
        }
    }

    /// What else there is to say.
    pub(super) const fn says(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// What may stand in the query.
    pub(super) const fn asks<T: JsonSchema>(self) -> Self {
        Self {
            query: Some(schema_of::<T>),
            ..self
        }
    }

    /// What stands in the body.
    pub(super) const fn takes<T: JsonSchema>(self) -> Self {
        Self {
            body: Some(schema_of::<T>),
            ..self
        }
    }

    /// What the answer is.
    pub(super) const fn answers<T: JsonSchema>(self) -> Self {
        Self {
            answer: Some(schema_of::<T>),
            ..self
        }
    }

    /// What stands in a path where the route has its parameter (nothing where it has none), if the path is this route's.
    pub fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, after)) = self.path.split_once('{') else {
            return (self.path == path).then_some("");
        };
        let after = after.split_once('}').map_or("", |(_, after)| after);
        let named = path.strip_prefix(before)?.strip_suffix(after)?;
        (!named.is_empty() && !named.contains('/')).then_some(named)
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
