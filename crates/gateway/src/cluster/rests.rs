//! Rests of providers' keys that one node has been told, and that the others should know of.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Error, PATIENCE};
use super::keys::Keys;
use super::link::{Link, Script};
use crate::condition::Conditions;
use crate::keys::{News, Reason};

/// Rests that are shared at most.
const MOST: u64 = 10_000;

/// The longest name of a model whose rest is shared, in bytes.
const LONGEST_MODEL: usize = 256;

/// Tells the others of a rest.
pub async fn tell(link: &Link, keys: &Keys, news: &News, now: Instant) -> Result<(), Error> {
    let left = news.until.saturating_duration_since(now);
    let model = news.model.as_deref().unwrap_or_default();
    // Callers may invent names of models.
    if left.is_zero() || model.len() > LONGEST_MODEL {
        return Ok(());
    }
    let mut command = link.script(Script::Rest, 1);
    command.add(&keys.rests);
    command.add(format!("{}\n{model}", news.key));
    command.number(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    command.add(news.reason.name());
    command.number(MOST);
    link.connection.ask(&command, PATIENCE).await.map(drop)
}

/// Learns of all rests that others have told. What cannot be understood is left out, and no key rests for longer than keys do.
pub async fn learn(link: &Link, keys: &Keys, conditions: &Conditions) -> Result<(), Error> {
    let mut command = link.script(Script::Rests, 1);
    command.add(&keys.rests);
    let told = link.connection.ask(&command, PATIENCE).await?;
    let now = Instant::now();
    for rest in told.list().chunks_exact(3) {
        let [which, left, why] = rest else { continue };
        let which = which.text().and_then(|which| which.split_once('\n'));
        let reason = why.text().and_then(Reason::told);
        if let (Some((key, model)), Some(reason)) = (which, reason) {
            let model = Some(model).filter(|model| !model.is_empty());
            conditions.learn_rest(key, model, reason, Duration::from_millis(left.count()), now);
        }
    }
    Ok(())
}
