//! Where the models lead.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::call::Call;
use crate::caller::Caller;
use crate::explain::explain_model;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::outlook::Outlook;

/// The configured names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Models {
    /// In alphabetical order.
    models: Vec<Outlook>,
}

/// `GET /api/models`.
pub async fn list(call: Call) -> Result<Response, Failure> {
    let operator = Caller::operator();
    let mut models = Vec::new();
    for name in call.app.catalog.configured() {
        models.push(explain_model(&call.app, &operator, name).await?);
    }
    Ok(json_reply(&Models { models }))
}
