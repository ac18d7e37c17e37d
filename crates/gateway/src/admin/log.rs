//! What is logged.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::call::Call;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::telemetry::level;

/// What is to be logged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLevel {
    /// The least level that is logged (`error`, `warn`, `info`, `debug`, `trace`, `off`), or a filter such as `info,hyper=debug`.
    level: String,
}

/// `GET /api/log`.
pub fn level(_: &Call) -> Result<Response, Failure> {
    let level = level::level().ok_or_else(|| Failure::not_found("Nothing is logged."))?;
    Ok(json_reply(&level))
}

/// `PUT /api/log`.
pub fn set_level(call: &Call) -> Result<Response, Failure> {
    let wanted: SetLevel = call.json()?;
    level::set(&wanted.level).map_err(|wrong| Failure::field_refused("level".to_owned(), wrong))?;
    level(call)
}
