//! Keeps asking the providers of one configuration which models they serve.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::discovered::{Listed, Moment, State, Unlisted};
use crate::provider::Provider;
use crate::schedule::Schedule;
use crate::upstream::discover::ask;

/// Providers that are asked at the same time.
const AT_A_TIME: usize = 64;

/// Asks every provider of a configuration now, and again when its time has come. Ends only when it is dropped.
pub async fn keep_discovering(app: Arc<App>) {
    let listed = app
        .catalog
        .providers()
        .iter()
        .filter(|provider| provider.is_asked_for_models());
    let (takers, providers): (Vec<_>, Vec<_>) = listed.cloned().partition(|provider| provider.list.from.is_some());
    let mut schedule = Schedule::new(providers.iter().map(|provider| provider.list.every), Instant::now());
    let mut unasked: BTreeSet<usize> = (0..providers.len()).collect();
    let mut asks = JoinSet::new();
    if unasked.is_empty() {
        complete(&app);
    }
    loop {
        while asks.len() < AT_A_TIME
            && let Some((index, failures)) = schedule.take_due(Instant::now())
            && let Some(provider) = providers.get(index)
        {
            let (provider, pools) = (provider.clone(), app.pools.clone());
            asks.spawn(async move { (index, ask(&provider, &pools, failures).await, provider) });
        }
        let (index, answer, provider) = tokio::select! {
            Some(Ok(answered)) = asks.join_next() => answered,
            () = reached(schedule.next()), if asks.len() < AT_A_TIME => continue,
        };
        let now = now();
        schedule.settle(index, answer.is_ok(), now.instant, fastrand::f64());
        note(&app, &provider, &answer, now);
        for taker in &takers {
            if taker.list.from.as_ref() == Some(&provider.name) {
                // What is said of a list says nothing about who else is on it.
                let answer = answer.clone().map_err(|unlisted| Unlisted {
                    unreachable: false,
                    ..unlisted
                });
                note(&app, taker, &answer, now);
            }
        }
        if unasked.remove(&index) && unasked.is_empty() {
            complete(&app);
        }
    }
}

/// Notes what a provider takes of a list.
fn note(app: &App, provider: &Provider, answer: &Result<Vec<Listed>, Unlisted>, now: Moment) {
    let home = provider.native().map(|endpoint| &endpoint.base);
    let taken = answer.as_ref().map(|listed| provider.list.taken(listed, home));
    let before = app
        .process
        .discovered
        .note(&provider.name, &taken.map_err(Clone::clone), now);
    report(app, provider, before);
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn now() -> Moment {
    Moment {
        instant: Instant::now(),
        unix: Timestamp::now().as_second(),
    }
}

/// Logs what changed about a provider. Whoever nobody asked for may come and go.
fn report(app: &App, provider: &Provider, before: State) {
    let record = app.process.discovered.record(&provider.name);
    let name = &provider.name;
    match &record.last_error {
        None if matches!(before, State::Down | State::Stale) => {
            tracing::info!(provider = name, models = record.models.len(), "lists its models again");
        }
        Some(reason) if !provider.probed && (before != record.state || before == State::Unknown) => {
            tracing::warn!(provider = name, reason, "models not discovered");
        }
        Some(reason) => tracing::debug!(provider = name, reason, "models not discovered"),
        None => {}
    }
}

/// Every provider was asked once; says so, the first time.
fn complete(app: &App) {
    let discovered = &app.process.discovered;
    if discovered.is_complete() {
        return;
    }
    discovered.set_complete();
    if let Err(error) = print_found(app) {
        tracing::debug!(%error, "cannot print what was found");
    }
}

/// Which providers there are.
fn print_found(app: &App) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Providers:")?;
    for provider in app.catalog.providers() {
        let record = app.process.discovered.record(&provider.name);
        let models = match (&record.last_error, record.models.len()) {
            (Some(_), _) if provider.probed => continue,
            (Some(message), _) => format!("models not listed: {message}"),
            (None, 0) => "ask for its models as PROVIDER/MODEL".to_owned(),
            (None, 1) => "1 model".to_owned(),
            (None, count) => format!("{count} models"),
        };
        let place = provider
            .native()
            .map_or("built in".to_owned(), |endpoint| endpoint.base.to_string());
        writeln!(out, "  {:<12} {place}  {models}", provider.name)?;
    }
    writeln!(out)?;
    out.flush()
}
