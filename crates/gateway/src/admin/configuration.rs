//! The configuration: what is in use, whether the file is right, and taking it into use.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;

use super::call::Call;
use crate::config::problem::Problem;
use crate::config::show::{Setting, settings};
use crate::failure::Failure;
use crate::http::routes::json_reply;

/// The configuration in use.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Configuration {
    /// The file that it is read from, if there is one.
    file: String,
    /// Since when it is in use.
    since: String,
    /// Every setting, in the order of the file's reference.
    settings: Vec<Setting>,
}

/// What a check came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    /// Whether it could be put to use.
    fine: bool,
    /// What is wrong with it.
    problems: Vec<Found>,
    /// What is allowed and probably not meant.
    advice: Vec<Found>,
}

/// Something that is wrong, or probably not meant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// Where: `mynah.toml:12:5`; empty where there is no place.
    place: String,
    /// The setting; empty for an error of syntax.
    path: String,
    /// What is wrong, and what would be right or help.
    message: String,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reloaded {
    /// Since when the configuration is in use.
    since: String,
}

/// `GET /api/config`.
pub fn show(call: &Call) -> Result<Response, Failure> {
    let in_use = call.admin.in_use.load();
    Ok(json_reply(&Configuration {
        file: call.admin.name.clone(),
        since: in_use.since.to_string(),
        settings: settings(&in_use.effective, &in_use.document),
    }))
}

/// `POST /api/config/check`.
pub fn check(call: &Call) -> Result<Response, Failure> {
    let checked = match (call.admin.load)() {
        Ok((_, loaded)) => Checked {
            fine: true,
            problems: Vec::new(),
            advice: found(loaded.advice),
        },
        Err(problems) => Checked {
            fine: false,
            problems: found(problems),
            advice: Vec::new(),
        },
    };
    Ok(json_reply(&checked))
}

fn found(problems: Vec<Problem>) -> Vec<Found> {
    let found = |problem: Problem| Found {
        place: problem.place,
        path: problem.path,
        message: problem.message,
    };
    problems.into_iter().map(found).collect()
}

/// `POST /api/config/reload`.
pub async fn reload(call: Call) -> Result<Response, Failure> {
    let (answer, answered) = oneshot::channel();
    call.admin.reload.send(answer).await.map_err(|_| Failure::stopping())?;
    let problems = match answered.await {
        Err(_) => return Err(Failure::stopping()),
        Ok(Err(problems)) => problems,
        Ok(Ok(())) => {
            let since = call.admin.in_use.load().since.to_string();
            return Ok(json_reply(&Reloaded { since }));
        }
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(Failure::configuration_wrong(lines.join("\n")))
}
