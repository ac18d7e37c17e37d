//! Rows that wait for the thread that writes, in few pieces of memory, which are used again and again. Thousands of rows in
//! thousands of pieces would cost an allocation each, and what the caches of the processor have.

use std::borrow::Cow;

use super::record::{Attempt, Record, Tokens};
use crate::caller::KeyHash;

/// Rows, as they are kept while they wait: numbers in one piece, texts in another.
#[derive(Debug, Default)]
pub(super) struct Packed {
    rows: Vec<Row>,
    attempts: Vec<Asked>,
    /// All texts, one behind the other.
    texts: String,
}

/// The length of a text, in bytes.
type Length = usize;

/// A row without its texts, of which it has the lengths in their order.
#[derive(Debug)]
struct Row {
    texts: [Length; 11],
    error: Option<Length>,
    streamed: bool,
    estimated: bool,
    from_cache: bool,
    time: u64,
    status: u16,
    total: u64,
    cost: Option<u64>,
    waited: Option<u64>,
    own: Option<u64>,
    tokens: Option<Tokens>,
    client_key: Option<KeyHash>,
    attempts: usize,
}

/// The same for an attempt.
#[derive(Debug)]
struct Asked {
    texts: [Length; 3],
    key: Option<u32>,
    status: Option<u16>,
    latency: Option<u64>,
    begun: Option<u64>,
}

impl Packed {
    /// Adds a row, but for its id and what was said: it has neither yet.
    pub(super) fn push(&mut self, record: &Record<'_>) {
        let mut keep = |text: &str| {
            self.texts.push_str(text);
            text.len()
        };
        let texts = [
            keep(&record.request),
            keep(&record.client),
            keep(&record.method),
            keep(&record.path),
            keep(&record.dialect),
            keep(&record.asked),
            keep(&record.model),
            keep(&record.lost),
            keep(&record.tags),
            keep(&record.route),
            keep(&record.fault),
        ];
        let error = record.error.as_deref().map(&mut keep);
        for attempt in &record.attempts {
            self.attempts.push(Asked {
                texts: [keep(&attempt.target), keep(&attempt.outcome), keep(&attempt.dialect)],
                key: attempt.key,
                status: attempt.status,
                latency: attempt.latency,
                begun: attempt.begun,
            });
        }
        self.rows.push(Row {
            texts,
            error,
            streamed: record.streamed,
            estimated: record.estimated,
            from_cache: record.from_cache,
            time: record.time,
            status: record.status,
            total: record.total,
            cost: record.cost,
            waited: record.waited,
            own: record.own,
            tokens: record.tokens,
            client_key: record.client_key,
            attempts: record.attempts.len(),
        });
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many bytes of memory are kept for rows.
    pub(super) fn capacity(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.attempts.capacity() * size_of::<Asked>() + self.texts.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.attempts.clear();
        self.texts.clear();
    }

    /// The rows, in the order in which they came.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut texts = self.texts.as_str();
        let mut attempts = self.attempts.iter();
        self.rows.iter().map(move |row| {
            let mut next = |length| {
                // What was put in is there.
                let (text, rest) = texts.split_at_checked(length).unwrap_or_default();
                texts = rest;
                Cow::Borrowed(text)
            };
            let [
                request,
                client,
                method,
                path,
                dialect,
                asked,
                model,
                lost,
                tags,
                route,
                fault,
            ] = row.texts.map(&mut next);
            let error = row.error.map(&mut next);
            let attempts = attempts.by_ref().take(row.attempts).map(|attempt| {
                let [target, outcome, dialect] = attempt.texts.map(&mut next);
                Attempt {
                    target,
                    key: attempt.key,
                    outcome,
                    status: attempt.status,
                    latency: attempt.latency,
                    dialect,
                    begun: attempt.begun,
                }
            });
            Record {
                id: 0,
                node: 0,
                request,
                time: row.time,
                client,
                method,
                path,
                dialect,
                streamed: row.streamed,
                asked,
                model,
                status: row.status,
                error,
                tokens: row.tokens,
                estimated: row.estimated,
                cost: row.cost,
                waited: row.waited,
                own: row.own,
                total: row.total,
                lost,
                tags,
                route,
                fault,
                from_cache: row.from_cache,
                client_key: row.client_key,
                attempts: attempts.collect(),
                content: None,
            }
        })
    }
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
        let texts = any::<[String; 11]>();
        let truths = any::<[bool; 3]>();
        let numbers = any::<(u64, u16, u64, [Option<u64>; 3])>();
        let rest = any::<(Option<String>, Option<u64>, Option<[u8; 32]>)>();
        let attempts = proptest::collection::vec(attempt(), 0..4);
        (texts, truths, numbers, rest, attempts).prop_map(|(texts, truths, numbers, rest, attempts)| {
            let [
                request,
                client,
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
                attempts,
                ..Record::default()
            }
        })
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(rows in proptest::collection::vec(record(), 0..4)) {
            let mut packed = Packed::default();
            for again in 0..2 {
                for row in &rows {
                    packed.push(row);
                }
                prop_assert_eq!(packed.records().collect::<Vec<_>>(), &rows[..], "{}", again);
                packed.clear();
            }
        }
    }
}
