//! Models whose names say what is to happen: for demonstrations without a script.

use std::time::Duration;

use super::errors::ApiError;
use crate::reply::Reply;

/// What a magic name does.
#[derive(Debug)]
pub(super) enum Effect {
    /// Answers this, whatever the request says.
    Instead(Box<Reply>),
    /// Lays this over the usual reply.
    Over(Box<Reply>),
}

/// What the name of this model does, if it is a magic one.
///
/// `status-CODE`, `hang`, `garbage`, `cut-BYTES`, `slow-MILLISECONDS`.
pub(super) fn effect(model: &str) -> Option<Effect> {
    let instead = |reply| Some(Effect::Instead(Box::new(reply)));
    let over = |reply| Some(Effect::Over(Box::new(reply)));
    match model {
        "hang" => return instead(Reply::hang()),
        "garbage" => return instead(Reply::raw("\u{0}\u{1}this is no HTTP\r\n\r\n")),
        _ => {}
    }
    let (name, number) = model.split_once('-')?;
    match name {
        "status" => {
            let status = number.parse().ok().filter(|status| (200..=599).contains(status))?;
            let reply = ApiError::of_status(status).reply();
            instead(if status == 429 {
                reply.header("retry-after", "1")
            } else {
                reply
            })
        }
        "cut" => over(Reply::persona().cut_at(number.parse().ok()?)),
        "slow" => over(Reply::persona().pace(Duration::from_millis(number.parse().ok()?))),
        _ => None,
    }
}
