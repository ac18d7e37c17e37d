//! What the ledger tells: what requests came to, which there were, and all of one.

use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::call::Call;
use crate::config::units::Span;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::ledger::unix_milliseconds;
use crate::store::findings::Usage;
use crate::store::question::{By, LARGEST_PAGE, Scope, Search};
use crate::store::reader::Reader;

/// As many wait for the database at a time; more wait for them.
const MAX_PLACES: usize = 4;

static PLACES: Semaphore = Semaphore::const_new(MAX_PLACES);

/// How far back usage goes where nobody says.
const WEEK: u64 = 7 * 24 * 3_600_000;

/// As many requests are on a page where nobody says.
const PAGE: u32 = 50;

/// By what usage is added up, and which requests are meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// By what it is added up. Default: `model`.
    #[serde(default)]
    by: Option<By>,
    /// They came then or later: a time such as 2026-11-21T10:00:00Z, or how long ago, such as 24h. Default: 7d.
    #[serde(default)]
    since: Option<String>,
    /// They came before that: a time, or how long ago. Default: now.
    #[serde(default)]
    until: Option<String>,
    /// Who called.
    #[serde(default)]
    client: Option<String>,
    /// The model that was asked for, or the `provider/model` that answered.
    #[serde(default)]
    model: Option<String>,
    /// Who answered, without the model.
    #[serde(default)]
    provider: Option<String>,
    /// One of the tags.
    #[serde(default)]
    tag: Option<String>,
}

/// Which requests are looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestsQuery {
    /// They came then or later: a time such as 2026-11-21T10:00:00Z, or how long ago, such as 24h.
    #[serde(default)]
    since: Option<String>,
    /// They came before that: a time, or how long ago.
    #[serde(default)]
    until: Option<String>,
    /// Who called.
    #[serde(default)]
    client: Option<String>,
    /// The model that was asked for, or the `provider/model` that answered.
    #[serde(default)]
    model: Option<String>,
    /// Who answered, without the model.
    #[serde(default)]
    provider: Option<String>,
    /// One of the tags.
    #[serde(default)]
    tag: Option<String>,
    /// The status of the reply, such as 429, or all of a class, such as 5xx.
    #[serde(default)]
    status: Option<String>,
    /// Only those that were answered with an error, cut off or given up.
    #[serde(default)]
    failed: bool,
    /// Why they failed, such as `caller_hung_up`.
    #[serde(default)]
    error: Option<String>,
    /// Their id in `x-request-id`.
    #[serde(default)]
    request: Option<String>,
    /// Where the page before this one ended: its `next`.
    #[serde(default)]
    before: Option<String>,
    /// How many at most, up to 1000. Default: 50.
    #[serde(default)]
    limit: Option<u32>,
}

/// What requests came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageOf {
    /// By what it is added up.
    by: By,
    /// Requests are meant that came then or later, in milliseconds since 1970.
    since_ms: Option<u64>,
    /// Requests are meant that came before that, in milliseconds since 1970.
    until_ms: Option<u64>,
    /// The sums.
    usage: Vec<Usage>,
}

/// `GET /api/usage`.
pub async fn usage(call: Call) -> Result<Response, Failure> {
    let query: UsageQuery = call.query()?;
    let by = query.by.unwrap_or_default();
    let now = unix_milliseconds();
    let since = moment("since", query.since.as_deref(), now)?;
    let scope = Scope {
        since: since.or(Some(now.saturating_sub(WEEK))),
        until: moment("until", query.until.as_deref(), now)?,
        client: query.client,
        model: query.model,
        provider: query.provider,
        tag: query.tag,
    };
    let (since_ms, until_ms) = (scope.since, scope.until);
    let usage = read(&call, move |reader| reader.usage(by, &scope)).await?;
    Ok(json_reply(&UsageOf {
        by,
        since_ms,
        until_ms,
        usage,
    }))
}

/// `GET /api/requests`.
pub async fn requests(call: Call) -> Result<Response, Failure> {
    let query: RequestsQuery = call.query()?;
    let search = query.search(unix_milliseconds())?;
    let page = read(&call, move |reader| reader.requests(&search)).await?;
    Ok(json_reply(&page))
}

/// `GET /api/requests/{id}`.
pub async fn request(call: Call) -> Result<Response, Failure> {
    let id = call.named.clone();
    let found = read(&call, move |reader| reader.request(&id)).await?;
    let missing = || Failure::not_found("The ledger has no such request; one that is not over yet is not in it.");
    found.map(|whole| json_reply(&whole)).ok_or_else(missing)
}

impl RequestsQuery {
    fn search(self, now: u64) -> Result<Search, Failure> {
        let scope = Scope {
            since: moment("since", self.since.as_deref(), now)?,
            until: moment("until", self.until.as_deref(), now)?,
            client: self.client,
            model: self.model,
            provider: self.provider,
            tag: self.tag,
        };
        let wrong = |name: &str, what| Failure::field_refused(name.to_owned(), what);
        let before = self.before.map(|before| before.parse()).transpose();
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(wrong("limit", "`limit` must be between 1 and 1000."));
        }
        Ok(Search {
            scope,
            status: self.status.as_deref().map(statuses).transpose()?,
            failed: self.failed,
            error: self.error,
            request: self.request,
            before: before.map_err(|_| wrong("before", "`before` is the `next` of a page."))?,
            limit,
            ..Search::default()
        })
    }
}

/// A status, or a class of them.
fn statuses(text: &str) -> Result<std::ops::Range<u16>, Failure> {
    let (first, count) = match text.as_bytes() {
        [class @ b'1'..=b'5', b'x', b'x'] => (u16::from(class - b'0') * 100, 100),
        _ => (text.parse().unwrap_or(0), 1),
    };
    if !(100..1000).contains(&first) {
        let message = "`status` is a status such as 429, or a class of them such as 5xx.";
        return Err(Failure::field_refused("status".to_owned(), message));
    }
    Ok(first..first + count)
}

/// A time, or how long ago, as milliseconds since 1970.
fn moment(name: &str, text: Option<&str>, now: u64) -> Result<Option<u64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(ago) = Span::parse(text) {
        let ago = u64::try_from(ago.0.as_millis()).unwrap_or(u64::MAX);
        return Ok(Some(now.saturating_sub(ago)));
    }
    let time: Option<Timestamp> = text.parse().ok();
    let time = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let message = format!("`{name}` is a time such as 2026-11-21T10:00:00Z, or how long ago, such as 24h.");
    time.map(Some)
        .ok_or_else(|| Failure::field_refused(name.to_owned(), message))
}

/// Puts a question to the database, on a thread that may wait for it.
async fn read<T: Send + 'static>(
    call: &Call,
    question: impl FnOnce(&mut Reader) -> Result<T, crate::store::Error> + Send + 'static,
) -> Result<T, Failure> {
    let none = || Failure::not_found("No ledger is kept: the configuration has no table [store].");
    let config = call.app.process.ledger.as_ref().ok_or_else(none)?.config().clone();
    let told = on_a_thread(move || question(&mut Reader::open(&config)?)).await?;
    told.map_err(|error| Failure::store_unusable(&error))
}

/// Does something that waits for the database, on a thread that may.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let _place = PLACES.acquire().await;
    #[expect(
        clippy::disallowed_methods,
        reason = "only so many at a time, and only when an operator asks"
    )]
    let working = tokio::task::spawn_blocking(work);
    working.await.map_err(|error| Failure::store_unusable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now = 1_763_719_200_000;
        let read = |text| moment("since", Some(text), now).ok().flatten();
        assert_eq!(read("1h"), Some(now - 3_600_000));
        assert_eq!(read("2025-11-21T10:00:00Z"), Some(1_763_719_200_000));
        assert_eq!(read("yesterday"), None);
        assert_eq!(moment("since", None, now).unwrap(), None);
    }

    #[test]
    fn a_status_may_be_a_class() {
        assert_eq!(statuses("429").unwrap(), 429..430);
        assert_eq!(statuses("5xx").unwrap(), 500..600);
        for wrong in ["", "5", "xx", "ok", "99999", "-1", "70000xx", "9xx", "0xx", "05xx"] {
            assert!(statuses(wrong).is_err(), "{wrong}");
        }
    }
}
