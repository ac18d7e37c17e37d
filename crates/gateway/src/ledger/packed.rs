//! Rows that wait for the thread that writes, in few pieces of memory, which are used again and again. Thousands of rows in
//! thousands of pieces would cost an allocation each, and what the caches of the processor have. For the same reason what a
//! row has in common with one of the last is kept once.

use std::borrow::Cow;
use std::ops::Range;

use super::record::{Attempt, Record, Tokens};
use crate::caller::KeyHash;

/// With so many of the last different rows a row is compared.
const LOOKED_AT: usize = 8;

/// Rows, as they are kept while they wait.
#[derive(Debug, Default)]
pub(super) struct Packed {
    rows: Vec<Row>,
    /// The ids of the requests, one behind the other.
    requests: String,
    /// When the attempts took place, one behind the other.
    times: Vec<Times>,
    /// What rows have in common.
    shared: Vec<Shared>,
    /// The attempts of these, one behind the other.
    asked: Vec<Asked>,
    /// The texts of these and of their attempts, one behind the other.
    texts: String,
}

/// The length of a text, in bytes.
type Length = usize;

/// What a row has of its own.
#[derive(Debug)]
struct Row {
    /// The place of what it shares with others.
    shared: usize,
    request: Length,
    time: u64,
    total: u64,
    cost: Option<u64>,
    waited: Option<u64>,
    own: Option<u64>,
    tokens: Option<Tokens>,
}

/// The same for an attempt.
#[derive(Debug)]
struct Times {
    latency: Option<u64>,
    begun: Option<u64>,
}

/// What rows have in common.
#[derive(Debug)]
struct Shared {
    shape: Shape,
    texts: Range<usize>,
    asked: Range<usize>,
}

/// Of that, all but the texts and the attempts: there are the lengths of the texts, in their order.
#[derive(Debug, PartialEq)]
struct Shape {
    texts: [Length; 11],
    error: Option<Length>,
    streamed: bool,
    estimated: bool,
    from_cache: bool,
    status: u16,
    client_key: Option<KeyHash>,
}

/// What an attempt shares.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Asked {
    texts: [Length; 3],
    key: Option<u32>,
    status: Option<u16>,
    has_begun: bool,
}

impl Packed {
    /// Adds a row, but for its id and what was said: it has neither yet.
    pub(super) fn push(&mut self, record: &Record<'_>) {
        self.requests.push_str(&record.request);
        self.times.extend(record.attempts.iter().map(|attempt| Times {
            latency: attempt.latency,
            begun: attempt.begun,
        }));
        let row = Row {
            shared: self.share(record),
            request: record.request.len(),
            time: record.time,
            total: record.total,
            cost: record.cost,
            waited: record.waited,
            own: record.own,
            tokens: record.tokens,
        };
        self.rows.push(row);
    }

    /// Keeps what a row has in common with others, unless one of the last had the same. Returns its place.
    ///
    /// It is compared where it is: memory that is only read stays in the caches of all who answer requests.
    fn share(&mut self, record: &Record<'_>) -> usize {
        let shape = Shape::of(record);
        let first = self.shared.len().saturating_sub(LOOKED_AT);
        let last = self.shared.iter().enumerate().skip(first);
        let same = last.rev().find(|(_, one)| self.has(one, &shape, record));
        if let Some((place, _)) = same {
            return place;
        }
        let (texts, asked) = (self.texts.len(), self.asked.len());
        self.texts.extend(texts_of(record));
        self.asked.extend(record.attempts.iter().map(Asked::of));
        self.shared.push(Shared {
            shape,
            texts: texts..self.texts.len(),
            asked: asked..self.asked.len(),
        });
        self.shared.len() - 1
    }

    /// Whether a record has this in common with others.
    fn has(&self, shared: &Shared, shape: &Shape, record: &Record<'_>) -> bool {
        let mut texts = self.texts.get(shared.texts.clone()).unwrap_or_default();
        let mut is_next = |text| match texts.strip_prefix(text) {
            Some(rest) => {
                texts = rest;
                true
            }
            None => false,
        };
        let asked = self.asked.get(shared.asked.clone()).unwrap_or_default();
        // The texts are of the same lengths, so that none begins where another one does not.
        shared.shape == *shape
            && asked.iter().copied().eq(record.attempts.iter().map(Asked::of))
            && texts_of(record).all(&mut is_next)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many bytes of memory are kept for rows.
    pub(super) fn capacity(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.requests.capacity()
            + self.times.capacity() * size_of::<Times>()
            + self.shared.capacity() * size_of::<Shared>()
            + self.asked.capacity() * size_of::<Asked>()
            + self.texts.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.requests.clear();
        self.times.clear();
        self.shared.clear();
        self.asked.clear();
        self.texts.clear();
    }

    /// Shows the rows, in the order in which they came, and whether one shares all with the one before.
    pub(super) fn try_each<'r, E>(
        &'r self,
        mut each: impl FnMut(&mut Record<'r>, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut requests, mut times) = (self.requests.as_str(), self.times.iter());
        let (mut record, mut last) = (Record::default(), None);
        for row in &self.rows {
            let is_alike = last.replace(row.shared) == Some(row.shared);
            if !is_alike && let Some(shared) = self.shared.get(row.shared) {
                self.unpack(shared, &mut record);
            }
            record.request = first_of(&mut requests, row.request);
            for (attempt, times) in record.attempts.to_mut().iter_mut().zip(times.by_ref()) {
                (attempt.latency, attempt.begun) = (times.latency, times.begun);
            }
            (record.time, record.total, record.cost) = (row.time, row.total, row.cost);
            (record.waited, record.own, record.tokens) = (row.waited, row.own, row.tokens);
            each(&mut record, is_alike)?;
        }
        Ok(())
    }

    /// Puts into a record what it shares with others.
    fn unpack<'r>(&'r self, shared: &Shared, record: &mut Record<'r>) {
        let mut texts = self.texts.get(shared.texts.clone()).unwrap_or_default();
        let mut next = |length| first_of(&mut texts, length);
        let Shape {
            texts:
                [
                    client,
                    client_group,
                    method,
                    path,
                    dialect,
                    asked,
                    model,
                    lost,
                    tags,
                    route,
                    fault,
                ],
            error,
            streamed,
            estimated,
            from_cache,
            status,
            client_key,
        } = shared.shape;
        for (text, length) in [
            (&mut record.client, client),
            (&mut record.client_group, client_group),
            (&mut record.method, method),
            (&mut record.path, path),
            (&mut record.dialect, dialect),
            (&mut record.asked, asked),
            (&mut record.model, model),
            (&mut record.lost, lost),
            (&mut record.tags, tags),
            (&mut record.route, route),
            (&mut record.fault, fault),
        ] {
            *text = next(length);
        }
        record.error = error.map(&mut next);
        (record.streamed, record.estimated, record.from_cache) = (streamed, estimated, from_cache);
        (record.status, record.client_key) = (status, client_key);
        let asked = self.asked.get(shared.asked.clone()).unwrap_or_default();
        let attempts = asked.iter().map(|asked| {
            let [target, outcome, dialect] = asked.texts.map(&mut next);
            Attempt {
                target,
                key: asked.key,
                outcome,
                status: asked.status,
                dialect,
                ..Attempt::default()
            }
        });
        record.attempts = attempts.collect();
    }
}

impl Shape {
    fn of(record: &Record<'_>) -> Self {
        Self {
            texts: texts_of_request(record).map(str::len),
            error: record.error.as_deref().map(str::len),
            streamed: record.streamed,
            estimated: record.estimated,
            from_cache: record.from_cache,
            status: record.status,
            client_key: record.client_key,
        }
    }
}

impl Asked {
    fn of(attempt: &Attempt<'_>) -> Self {
        Self {
            texts: texts_of_attempt(attempt).map(str::len),
            key: attempt.key,
            status: attempt.status,
            has_begun: attempt.begun.is_some(),
        }
    }
}

fn texts_of_request<'t>(record: &'t Record<'_>) -> [&'t str; 11] {
    [
        &record.client,
        &record.client_group,
        &record.method,
        &record.path,
        &record.dialect,
        &record.asked,
        &record.model,
        &record.lost,
        &record.tags,
        &record.route,
        &record.fault,
    ]
}

fn texts_of_attempt<'t>(attempt: &'t Attempt<'_>) -> [&'t str; 3] {
    [&attempt.target, &attempt.outcome, &attempt.dialect]
}

/// The texts that a record may have in common with others, in their order.
fn texts_of<'t>(record: &'t Record<'_>) -> impl Iterator<Item = &'t str> {
    let of_attempts = record.attempts.iter().flat_map(texts_of_attempt);
    texts_of_request(record)
        .into_iter()
        .chain(record.error.as_deref())
        .chain(of_attempts)
}

/// Takes so many bytes from the front of a text. What was put in is there.
fn first_of<'t>(texts: &mut &'t str, length: Length) -> Cow<'t, str> {
    let (first, rest) = texts.split_at_checked(length).unwrap_or_default();
    *texts = rest;
    first.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempt() -> impl Strategy<Value = Attempt<'static>> {
        let texts = any::<(String, String, String)>();
        let numbers = any::<(Option<u32>, Option<u16>, Option<u64>, Option<u64>)>();
        (texts, numbers).prop_map(|((target, outcome, dialect), (key, status, latency, begun))| Attempt {
            target: target.into(),
            key,
            outcome: outcome.into(),
            status,
            latency,
            dialect: dialect.into(),
            begun,
        })
    }

    fn record() -> impl Strategy<Value = Record<'static>> {
        let texts = any::<[String; 12]>();
        let truths = any::<[bool; 3]>();
        let numbers = any::<(u64, u16, u64, [Option<u64>; 3])>();
        let rest = any::<(Option<String>, Option<u64>, Option<[u8; 32]>)>();
        let attempts = proptest::collection::vec(attempt(), 0..4);
        (texts, truths, numbers, rest, attempts).prop_map(|(texts, truths, numbers, rest, attempts)| {
            let [
                request,
                client,
                client_group,
                method,
                path,
                dialect,
                asked,
                model,
                lost,
                tags,
                route,
                fault,
            ] = texts.map(Cow::from);
            let [streamed, estimated, from_cache] = truths;
            let (time, status, total, [cost, waited, own]) = numbers;
            let (error, output, client_key) = rest;
            Record {
                request,
                client,
                client_group,
                method,
                path,
                dialect,
                asked,
                model,
                lost,
                tags,
                route,
                fault,
                streamed,
                estimated,
                from_cache,
                time,
                status,
                total,
                cost,
                waited,
                own,
                error: error.map(Cow::from),
                tokens: output.map(|output| Tokens {
                    output,
                    ..Tokens::default()
                }),
                client_key,
                attempts: attempts.into(),
                ..Record::default()
            }
        })
    }

    /// Rows of which some have all in common but what is always their own.
    fn records() -> impl Strategy<Value = Vec<Record<'static>>> {
        let kinds = proptest::collection::vec(record(), 1..4);
        let own = any::<(prop::sample::Index, String, u64, Option<u64>)>();
        let rows = proptest::collection::vec(own, 0..12);
        (kinds, rows).prop_map(|(kinds, rows)| {
            let rows = rows.into_iter().map(|(kind, request, time, cost)| Record {
                request: request.into(),
                time,
                cost,
                ..kind.get(&kinds).clone()
            });
            rows.collect()
        })
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(rows in records()) {
            let mut packed = Packed::default();
            for again in 0..2 {
                for row in &rows {
                    packed.push(row);
                }
                let (mut told, mut shared) = (Vec::new(), Vec::new());
                packed.try_each(|row, is_alike| {
                    let values = row.shared_values().to_vec();
                    prop_assert!(!is_alike || shared == values);
                    shared = values;
                    told.push(format!("{row:?}"));
                    Ok(())
                })?;
                let rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
                prop_assert_eq!(told, rows, "{}", again);
                packed.clear();
            }
        }
    }

    #[test]
    fn what_rows_have_in_common_is_kept_once() {
        let row = |request: &'static str, path: &'static str| Record {
            request: request.into(),
            path: path.into(),
            attempts: vec![Attempt::default()].into(),
            ..Record::default()
        };
        let mut packed = Packed::default();
        for (request, path) in [("1", "/a"), ("2", "/a"), ("3", "/b"), ("4", "/a"), ("5", "/a")] {
            packed.push(&row(request, path));
        }
        let mut told = Vec::new();
        let _ = packed.try_each(|row, is_alike| {
            told.push((row.request.clone(), row.path.clone(), is_alike));
            Ok::<_, ()>(())
        });
        let rows = [
            ("1", "/a", false),
            ("2", "/a", true),
            ("3", "/b", false),
            ("4", "/a", false),
            ("5", "/a", true),
        ];
        assert_eq!(
            told,
            rows.map(|(request, path, is_alike)| (request.into(), path.into(), is_alike))
        );
        assert_eq!(
            (packed.shared.len(), packed.asked.len(), packed.texts.as_str()),
            (2, 2, "/a/b")
        );
    }
}
