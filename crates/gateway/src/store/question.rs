//! What can be asked about the ledger, as SQL that every database here understands.

use std::fmt::Write as _;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Value, legible};
use crate::ledger::ids::{first_of, soon_after};

/// The most groups that usage is told of. The tags are the caller's, who may send other ones with each request.
const GROUPS: u64 = 10_000;

/// The most requests on a page.
pub const LARGEST_PAGE: u32 = 1_000;

/// The columns of [`super::findings::Brief`].
const BRIEF: &str =
    "id, request, time, client, path, dialect, streamed, asked, model, provider, status, error, attempts,
    from_cache, estimated, cost, waited, own, total, lost, tags, route, provider_dialect, fault,
    input + cached + cache_write + audio_input + image_input AS prompt, output + reasoning + audio_output AS answer";

/// Milliseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// By what usage is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Who called.
    Client,
    /// Who answered, as `provider/model`.
    #[default]
    Model,
    /// Who answered, without the model.
    Provider,
    /// The day on which the request came, in UTC.
    Day,
    /// The hour in which the request came, in UTC.
    Hour,
    /// The tags of the request. One with several counts for each of them.
    Tag,
}

/// Which requests are meant: those to which everything applies that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// They came then or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// They came before that, in milliseconds since 1970.
    pub until: Option<u64>,
    /// Who called; empty: nobody who is known.
    pub client: Option<String>,
    /// The model that was asked for, or the `provider/model` that answered.
    pub model: Option<String>,
    /// Who answered; empty: nobody.
    pub provider: Option<String>,
    /// One of the tags.
    pub tag: Option<String>,
}

/// Which requests are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Which are meant.
    pub scope: Scope,
    /// The statuses of their replies, such as 429..430 or 500..600.
    pub status: Option<Range<u16>>,
    /// Only those that were answered with an error, cut off or given up.
    pub failed: bool,
    /// Why they failed, as the column `error` says.
    pub error: Option<String>,
    /// Whose fault that is: `caller`, `provider` or `gateway`.
    pub fault: Option<String>,
    /// Their id in `x-request-id`.
    pub request: Option<String>,
    /// Only those before this row: where the last page ended.
    pub before: Option<i64>,
    /// Only those after this row.
    pub after: Option<i64>,
    /// How many at most; never more than [`LARGEST_PAGE`].
    pub limit: u32,
}

/// A query with the values for its places, `$1` and so on.
#[derive(Debug)]
pub struct Query {
    /// The query.
    pub sql: String,
    /// The values.
    pub values: Vec<Value<'static>>,
}

/// What requests came to.
pub fn usage(by: By, scope: &Scope) -> Query {
    let (name, order) = match by {
        By::Client => ("coalesce(client, '')", "cost DESC, requests DESC, name"),
        By::Model => ("coalesce(model, '')", "cost DESC, requests DESC, name"),
        By::Provider => ("coalesce(provider, '')", "cost DESC, requests DESC, name"),
        By::Day => ("time / 86400000", "name DESC"),
        By::Hour => ("time / 3600000", "name DESC"),
        By::Tag => ("replace(coalesce(tags, ''), ' ', '')", "cost DESC, requests DESC, name"),
    };
    let mut query = Query::new(format!("SELECT {name} AS name, count(*) AS requests"));
    let counts = [
        ("errors", "status >= 400 OR error IS NOT NULL"),
        ("from_cache", "from_cache = 1"),
        ("estimated", "estimated = 1"),
        ("unpriced", "cost IS NULL AND status < 400 AND model IS NOT NULL"),
    ];
    for (count, condition) in counts {
        let _ = write!(query.sql, ", count(*) FILTER (WHERE {condition}) AS {count}");
    }
    let sums = [
        "input",
        "cached",
        "cache_write",
        "audio_input",
        "image_input",
        "output",
        "reasoning",
        "audio_output",
        "images",
        "cost",
    ];
    for sum in sums {
        // What PostgreSQL adds up is of another type than what it adds.
        let _ = write!(query.sql, ", CAST(coalesce(sum({sum}), 0) AS BIGINT) AS {sum}");
    }
    query.sql += " FROM requests WHERE id >= 0";
    query.only(scope);
    let limit = query.place(Value::count(GROUPS));
    let _ = write!(query.sql, " GROUP BY 1 ORDER BY {order} LIMIT {limit}");
    query
}

/// Requests, the newest first.
pub fn search(search: &Search) -> Query {
    let mut query = Query::new(format!("SELECT {BRIEF} FROM requests WHERE id >= 0"));
    query.only(&search.scope);
    if let Some(status) = &search.status {
        query.and("status >= ", Value::count(status.start.into()));
        query.and("status < ", Value::count(status.end.into()));
    }
    if search.failed {
        query.sql += " AND (status >= 400 OR error IS NOT NULL)";
    }
    if let Some(error) = &search.error {
        query.and("error = ", text(error));
    }
    if let Some(fault) = &search.fault {
        query.and("fault = ", text(fault));
    }
    if let Some(request) = &search.request {
        query.called(request);
    }
    if let Some(before) = search.before {
        query.and("id < ", Value::Integer(before));
    }
    if let Some(after) = search.after {
        query.and("id > ", Value::Integer(after));
    }
    let limit = query.place(Value::count(search.limit.clamp(1, LARGEST_PAGE).into()));
    let _ = write!(query.sql, " ORDER BY id DESC LIMIT {limit}");
    query
}

/// All of a request whose row has this id.
pub fn row(id: i64) -> Query {
    one(|query| query.and("id = ", Value::Integer(id)))
}

/// All of the last request with an id in `x-request-id`.
pub fn request(id: &str) -> Query {
    one(|query| query.called(id))
}

fn one(which: impl FnOnce(&mut Query)) -> Query {
    let mut query = Query::new(format!(
        "SELECT {BRIEF}, method, input, cached, cache_write, audio_input, image_input, output, reasoning, audio_output, images
         FROM requests WHERE id >= 0"
    ));
    which(&mut query);
    query.sql += " ORDER BY id DESC LIMIT 1";
    query
}

/// The attempts of a request.
pub fn attempts(id: i64) -> Query {
    let mut query = Query::new("SELECT target, key, outcome, status, latency, dialect, begun FROM attempts".to_owned());
    let id = query.place(Value::Integer(id));
    let _ = write!(query.sql, " WHERE request = {id} ORDER BY number");
    query
}

/// What was said in a request, where that is kept.
pub fn content(id: i64) -> Query {
    let mut query = Query::new("SELECT prompt, answer, is_cut FROM contents".to_owned());
    let id = query.place(Value::Integer(id));
    let _ = write!(query.sql, " WHERE request = {id}");
    query
}

/// What each client consumed after a moment, as a member of each of its groups, in pieces of so many milliseconds, the oldest first. Only requests count that
/// somebody was asked, now or when their answer was kept.
pub fn consumed(since: u64, piece: u64) -> Query {
    let mut query = Query::new(
        "SELECT client, coalesce(client_group, '') AS client_group, count(*) AS requests, min(time) AS first, max(time) AS last,
            CAST(coalesce(sum(input + cached + cache_write + audio_input + image_input + output + reasoning + audio_output), 0)
                AS BIGINT) AS tokens
         FROM requests WHERE (attempts > 0 OR from_cache = 1) AND client IS NOT NULL"
            .to_owned(),
    );
    query.only(&Scope {
        since: Some(since),
        ..Scope::default()
    });
    let piece = query.place(Value::count(piece.max(1)));
    let _ = write!(query.sql, " GROUP BY 1, 2, time / {piece} ORDER BY first");
    query
}

/// What each client spent since a moment, as a member of each of its groups, in nano-dollars. Of what was deleted only whole days are known.
pub fn spent(since: u64) -> Query {
    let sum = "SELECT client, client_group, CAST(sum(cost) AS BIGINT) AS cost FROM (
            SELECT client, coalesce(client_group, '') AS client_group, cost FROM requests WHERE cost > 0 AND client IS NOT NULL";
    let mut query = Query::new(sum.to_owned());
    query.only(&Scope {
        since: Some(since),
        ..Scope::default()
    });
    let day = query.place(Value::count(since.div_ceil(DAY)));
    let _ = write!(
        query.sql,
        " UNION ALL SELECT client, client_group, cost FROM deleted WHERE day >= {day}) AS spent GROUP BY 1, 2"
    );
    query
}

/// What is done before rows up to an id, `$1`, are deleted: their costs are added up by client, group and day, and those of
/// days that are no longer of the same month as the last of these rows, by client and group alone. So there are few sums, and budgets of all periods
/// of a day or more find theirs.
pub const REMEMBER: [&str; 3] = [
    "INSERT INTO deleted SELECT client, coalesce(client_group, ''), time / 86400000, CAST(sum(cost) AS BIGINT) FROM requests
     WHERE id <= $1 AND cost > 0 AND client IS NOT NULL GROUP BY 1, 2, 3
     ON CONFLICT (client, client_group, day) DO UPDATE SET cost = deleted.cost + excluded.cost",
    "INSERT INTO deleted SELECT client, client_group, 0, CAST(sum(cost) AS BIGINT) FROM deleted
     WHERE day > 0 AND day < (SELECT max(time) / 86400000 - 31 FROM requests WHERE id <= $1) GROUP BY 1, 2
     ON CONFLICT (client, client_group, day) DO UPDATE SET cost = deleted.cost + excluded.cost",
    "DELETE FROM deleted
     WHERE day > 0 AND day < (SELECT max(time) / 86400000 - 31 FROM requests WHERE id <= $1)",
];

/// Deletes the rows up to an id, `$1`.
pub const DELETE: [&str; 3] = [
    "DELETE FROM attempts_apart WHERE request <= $1",
    "DELETE FROM contents WHERE request <= $1",
    "DELETE FROM requests WHERE id <= $1",
];

fn text(text: &str) -> Value<'static> {
    Value::Text(legible(text.into()).into_owned().into())
}

// === impl Query ===

impl Query {
    fn new(sql: String) -> Self {
        Self {
            sql,
            values: Vec::new(),
        }
    }

    /// Adds a value. Returns its place in the query.
    fn place(&mut self, value: Value<'static>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Adds a condition that compares with a value.
    fn and(&mut self, condition: &str, value: Value<'static>) {
        let place = self.place(value);
        let _ = write!(self.sql, " AND {condition}{place}");
    }

    /// Adds the condition that the id in `x-request-id` is this one. Each of its halves says where to look.
    fn called(&mut self, request: &str) {
        let place = self.place(text(request));
        let _ = write!(self.sql, " AND (found_by_time = 0 AND request = {place}");
        if let Some(rows) = soon_after(request) {
            let (first, end) = (
                self.place(Value::Integer(rows.start)),
                self.place(Value::Integer(rows.end)),
            );
            let _ = write!(
                self.sql,
                " OR found_by_time = 1 AND id >= {first} AND id < {end} AND request = {place}"
            );
        }
        self.sql += ")";
    }

    fn only(&mut self, scope: &Scope) {
        if let Some(since) = scope.since {
            // A row has its id after its request has come, so this leaves none out, and the others are not looked at.
            self.and("id >= ", Value::Integer(first_of(since)));
            self.and("time >= ", Value::count(since));
        }
        if let Some(until) = scope.until {
            self.and("time < ", Value::count(until));
        }
        if let Some(client) = &scope.client {
            self.and("coalesce(client, '') = ", text(client));
        }
        if let Some(model) = &scope.model {
            let place = self.place(text(model));
            let _ = write!(self.sql, " AND (asked = {place} OR model = {place})");
        }
        if let Some(provider) = &scope.provider {
            self.and("coalesce(provider, '') = ", text(provider));
        }
        if let Some(tag) = &scope.tag {
            // Not by LIKE, which takes signs of a tag for wildcards.
            let place = self.place(text(&format!(",{tag},")));
            let tags = "(',' || replace(tags, ' ', '') || ',')";
            let _ = write!(self.sql, " AND replace({tags}, CAST({place} AS TEXT), '') <> {tags}");
        }
    }
}
