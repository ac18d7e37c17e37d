//! OpenAPI 3.1 documents, made from tables of routes and from the types of bodies.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An error, from every route.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    error: RefusalError,
}

/// What went wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RefusalError {
    /// What happened and what to do about it, for people.
    message: String,
    /// The class of the error.
    r#type: String,
    /// The field or parameter at fault.
    param: Option<String>,
    /// The exact error.
    code: Option<String>,
}

/// A route, as it is described.
#[derive(Clone, Default)]
pub struct Described<'a> {
    /// The method, in lower case.
    pub method: String,
    /// The path, with parameters in braces.
    pub path: String,
    /// What it does, in a few words.
    pub summary: &'a str,
    /// What else there is to say.
    pub description: &'a str,
    /// Under what it is listed.
    pub tag: &'a str,
    /// Whether it answers without a key.
    pub is_open: bool,
    /// What may stand in the query.
    pub query: Option<SchemaOf>,
    /// What stands in the body.
    pub body: Option<Body<'a>>,
    /// What the answer is.
    pub answer: Option<SchemaOf>,
}

/// What stands in a body.
#[derive(Clone)]
pub enum Body<'a> {
    /// JSON of a type.
    Of(SchemaOf),
    /// A JSON object that somebody else defines, with an example.
    Example(Value),
    /// Anything, of one of these types.
    Any(&'a [&'a str]),
}

/// A document. `security` names the ways to present a key.
pub fn document<'a>(
    title: &str,
    description: &str,
    security: &Value,
    routes: impl IntoIterator<Item = Described<'a>>,
) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let refusal = generator.subschema_for::<Refusal>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(&route, &refusal, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[&route.method] = operation;
    }
    let schemes: Vec<Value> = security
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| json!({ name: [] }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title, "description": description, "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": schemes,
        "paths": paths,
        "components": {"securitySchemes": security, "schemas": generator.take_definitions(true)},
    })
}

fn operation(route: &Described<'_>, refusal: &Value, generator: &mut SchemaGenerator) -> Value {
    let answer = match route.answer {
        Some(schema) => json!({"application/json": {"schema": schema(generator)}}),
        None => json!({}),
    };
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters(route, generator),
        "responses": {
            "200": {"description": "Done", "content": answer},
            "default": {"description": "Refused", "content": {"application/json": {"schema": refusal}}},
        },
    });
    if !route.description.is_empty() {
        operation["description"] = route.description.into();
    }
    if route.is_open {
        operation["security"] = json!([]);
    }
    let body = route.body.as_ref().map(|body| match body {
        Body::Of(schema) => json!({"application/json": {"schema": schema(generator)}}),
        Body::Example(example) => json!({"application/json": {"schema": {"type": "object"}, "example": example}}),
        Body::Any(types) => types
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({})))
            .collect::<Map<String, Value>>()
            .into(),
    });
    if let Some(body) = body {
        operation["requestBody"] = json!({"required": !matches!(route.body, Some(Body::Any(_))), "content": body});
    }
    operation
}

fn operation_id(route: &Described<'_>) -> String {
    let words = route
        .path
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{}_{}", route.method, words.join("_"))
}

/// Those of the path, then those of the query.
fn parameters(route: &Described<'_>, generator: &mut SchemaGenerator) -> Vec<Value> {
    let named = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = named
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let Some(query) = route.query else { return parameters };
    let schema = query(generator).to_value();
    let schema = match schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        Some(name) => generator.definitions().get(name).cloned().unwrap_or_default(),
        None => schema,
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let mut property = property.clone();
        let description = property
            .as_object_mut()
            .and_then(|property| property.remove("description"));
        let required = schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|one| one == name));
        parameters.push(json!({
            "name": name, "in": "query", "required": required, "schema": property,
            "description": description.unwrap_or_default(),
        }));
    }
    parameters
}
