//! What is asked about the ledger, of the databases themselves.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::time::Duration;

use mynah::config::StoreConfig;
use mynah::ledger::ids::Ids;
use mynah::ledger::record::{Attempt, Record, Tokens};
use mynah::store::findings::{Brief, Usage};
use mynah::store::question::{By, Scope, Search};
use mynah::store::reader::Reader;
use mynah::store::sqlite::Sqlite;

/// The beginning of a day in 2025, in milliseconds since 1970.
const DAY: u64 = 1_760_054_400_000;

/// A database with rows. It is gone when the test is over.
struct Kept {
    _directory: tempfile::TempDir,
    config: StoreConfig,
}

impl Kept {
    fn new(rows: &[Record]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            path: directory.path().join("m.db"),
            flush: Duration::ZERO,
            max_pending: 1,
            max_spool: 0,
            max_age: None,
            max_size: u64::MAX,
        };
        Sqlite::open(&config.path, false).unwrap().write(rows).unwrap();
        Self {
            _directory: directory,
            config,
        }
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.config).unwrap()
    }

    fn usage(&self, by: By, scope: &Scope) -> Vec<Usage> {
        self.reader().usage(by, scope).unwrap()
    }

    /// The names of the groups, and how many requests each has.
    fn groups(&self, by: By, scope: &Scope) -> Vec<(String, u64)> {
        let rows = self.usage(by, scope).into_iter();
        rows.map(|row| (row.name, row.requests)).collect()
    }

    /// The ids in `x-request-id` of what is found.
    fn found(&self, search: Search) -> Vec<String> {
        let search = Search { limit: 100, ..search };
        let page = self.reader().requests(&search).unwrap();
        page.requests.into_iter().map(|row| row.request).collect()
    }
}

/// A request that was answered, and what is different about it.
fn row(ids: &mut Ids, time: u64, request: &str, change: impl FnOnce(&mut Record)) -> Record {
    let mut row = Record {
        id: ids.next(time),
        request: request.to_owned(),
        time,
        client: "team".to_owned(),
        method: "POST".into(),
        path: "/v1/chat/completions".to_owned(),
        dialect: "openai".into(),
        asked: "smart".to_owned(),
        model: "up/m".to_owned(),
        status: 200,
        tokens: Some(Tokens {
            input: 5,
            cached: 3,
            output: 2,
            ..Tokens::default()
        }),
        cost: Some(1500),
        total: 1000,
        attempts: vec![Attempt {
            target: "up/m".to_owned(),
            key: Some(0xab),
            outcome: "answered".into(),
            status: Some(200),
            latency: Some(900),
            dialect: "anthropic".into(),
            begun: Some(80),
        }],
        ..Record::default()
    };
    change(&mut row);
    row
}

/// Requests of two days, of every kind.
fn rows() -> Vec<Record> {
    let mut ids = Ids::new(7);
    let ids = &mut ids;
    vec![
        row(ids, DAY - 1, "yesterday", |_| {}),
        row(ids, DAY, "tagged", |row| "eu, fast,eu".clone_into(&mut row.tags)),
        row(ids, DAY + 1, "unpriced", |row| {
            (row.cost, row.tags, row.estimated) = (None, "eu".to_owned(), true);
        }),
        row(ids, DAY + 3_600_000, "refused", |row| {
            (row.status, row.tokens, row.cost) = (401, None, None);
            (row.model, row.client, row.error) = (String::new(), String::new(), Some("invalid_api_key".into()));
            (row.fault, row.route) = ("caller".into(), "the-route".to_owned());
            row.attempts.clear();
        }),
        row(ids, DAY + 3_600_001, "hung-up", |row| {
            row.error = Some("caller_hung_up".into());
            (row.model, row.asked, row.streamed) = ("down/n".to_owned(), "100%_sure".to_owned(), true);
        }),
    ]
}

fn since(since: u64) -> Scope {
    Scope {
        since: Some(since),
        ..Scope::default()
    }
}

fn of(change: impl FnOnce(&mut Scope)) -> Search {
    let mut search = Search::default();
    change(&mut search.scope);
    search
}

#[test]
fn usage_is_added_up() {
    let kept = Kept::new(&rows());
    let team = Usage {
        name: "team".to_owned(),
        requests: 3,
        errors: 1,
        input: 15,
        cached: 9,
        output: 6,
        cost: 3000,
        estimated: 1,
        unpriced: 1,
        ..Usage::default()
    };
    let nobody = Usage {
        requests: 1,
        errors: 1,
        ..Usage::default()
    };
    assert_eq!(kept.usage(By::Client, &since(DAY)), [team, nobody]);
    let groups = |by| kept.groups(by, &Scope::default());
    let expected = |groups: &[(&str, u64)]| -> Vec<_> {
        groups
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    assert_eq!(groups(By::Model), expected(&[("up/m", 3), ("down/n", 1), ("", 1)]));
    assert_eq!(groups(By::Provider), expected(&[("up", 3), ("down", 1), ("", 1)]));
    assert_eq!(groups(By::Day), expected(&[("2025-10-09", 1), ("2025-10-10", 4)]));
    let hours = [
        ("2025-10-09T23:00Z", 1),
        ("2025-10-10T00:00Z", 2),
        ("2025-10-10T01:00Z", 2),
    ];
    assert_eq!(groups(By::Hour), expected(&hours));
    // Those without tags cost most, and a tag that is sent twice counts once.
    assert_eq!(groups(By::Tag), expected(&[("", 3), ("eu", 2), ("fast", 1)]));
    let until = Scope {
        until: Some(DAY + 1),
        ..since(DAY - 1)
    };
    assert_eq!(kept.groups(By::Client, &until), expected(&[("team", 2)]));
    let day = |change: fn(&mut Scope)| kept.groups(By::Day, &of(change).scope);
    assert_eq!(
        day(|of| of.tag = Some("fast".to_owned())),
        expected(&[("2025-10-10", 1)])
    );
    assert_eq!(day(|of| of.provider = Some("up".to_owned())).len(), 2);
    assert_eq!(day(|of| of.client = Some("nobody".to_owned())), []);
}

#[test]
fn requests_are_found() {
    let kept = Kept::new(&rows());
    let all = ["hung-up", "refused", "unpriced", "tagged", "yesterday"];
    assert_eq!(kept.found(Search::default()), all);
    assert_eq!(kept.found(of(|of| *of = since(DAY))), all[..4]);
    assert_eq!(kept.found(of(|of| of.until = Some(DAY))), all[4..]);
    assert_eq!(kept.found(of(|of| of.client = Some(String::new()))), ["refused"]);
    assert_eq!(kept.found(of(|of| of.model = Some("down/n".to_owned()))), ["hung-up"]);
    assert_eq!(kept.found(of(|of| of.model = Some("smart".to_owned()))), all[1..]);
    assert_eq!(
        kept.found(of(|of| of.model = Some("100%_sure".to_owned()))),
        ["hung-up"]
    );
    assert_eq!(kept.found(of(|of| of.provider = Some("down".to_owned()))), ["hung-up"]);
    assert_eq!(
        kept.found(of(|of| of.tag = Some("eu".to_owned()))),
        ["unpriced", "tagged"]
    );
    assert!(kept.found(of(|of| of.tag = Some("e%".to_owned()))).is_empty());
    let found = |search| kept.found(search);
    let failed = Search {
        failed: true,
        ..Search::default()
    };
    assert_eq!(found(failed), ["hung-up", "refused"]);
    let status = Search {
        status: Some(400..500),
        ..Search::default()
    };
    assert_eq!(found(status), ["refused"]);
    let error = Search {
        error: Some("caller_hung_up".to_owned()),
        ..Search::default()
    };
    assert_eq!(found(error), ["hung-up"]);
    let fault = Search {
        fault: Some("caller".to_owned()),
        ..Search::default()
    };
    assert_eq!(found(fault), ["refused"]);
    let request = Search {
        request: Some("tagged' OR '1'='1".to_owned()),
        ..Search::default()
    };
    assert!(found(request).is_empty());
}

#[test]
fn pages_follow_each_other() {
    let mut ids = Ids::new(7);
    let rows: Vec<Record> = (0..25)
        .map(|at| row(&mut ids, DAY + at, &at.to_string(), |_| {}))
        .collect();
    let kept = Kept::new(&rows);
    let (mut search, mut found) = (
        Search {
            limit: 10,
            ..Search::default()
        },
        Vec::new(),
    );
    let mut pages = 0;
    loop {
        let page = kept.reader().requests(&search).unwrap();
        found.extend(page.requests.into_iter().map(|row| row.id));
        pages += 1;
        search.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let expected: Vec<i64> = rows.iter().rev().map(|row| row.id).collect();
    assert_eq!((found, pages), (expected, 3));
    let later = Search {
        after: Some(rows[22].id),
        before: None,
        ..search
    };
    assert_eq!(kept.found(later), ["24", "23"]);
}

#[test]
fn a_request_is_told_in_full() {
    let mut rows = rows();
    let mut ids = Ids::new(8);
    rows.push(row(&mut ids, DAY + 9_000_000, "12", |row| {
        row.attempts.push(Attempt::default());
    }));
    rows.push(row(&mut ids, DAY + 9_000_001, "tagged", |row| {
        "seed".clone_into(&mut row.lost);
    }));
    let kept = Kept::new(&rows);
    let mut reader = kept.reader();
    let last = reader.request("tagged").unwrap().unwrap();
    assert_eq!((last.brief.id, last.brief.lost.as_str()), (rows[6].id, "seed"));
    let first = reader.request(&rows[1].id.to_string()).unwrap().unwrap();
    assert_eq!((first.brief.request.as_str(), first.tokens), ("tagged", rows[1].tokens));
    let page = reader.requests(&of(|of| of.tag = Some("fast".to_owned()))).unwrap();
    assert_eq!(page.requests, [first.brief], "a list tells the same");
    let number = reader.request("12").unwrap().unwrap();
    assert_eq!((number.brief.attempts, number.tried.len()), (2, 2));
    assert_eq!(number.tried[0].key.as_deref(), Some("000000ab"));
    assert_eq!((number.tried[0].latency, number.tried[1].latency), (Some(900), None));
    assert_eq!(
        (number.tried[0].dialect.as_str(), number.tried[0].begun),
        ("anthropic", Some(80))
    );
    assert_eq!(number.brief.provider_dialect, "anthropic");
    let refused = reader.request("refused").unwrap().unwrap();
    assert_eq!(
        (refused.tokens, refused.brief.prompt, refused.brief.cost),
        (None, None, None)
    );
    assert_eq!(
        (refused.brief.route.as_str(), refused.brief.fault.as_deref()),
        ("the-route", Some("caller"))
    );
    assert_eq!(reader.request("other").unwrap(), None);
    let json = serde_json::to_value(reader.request("12").unwrap()).unwrap();
    assert_eq!(json["id"], rows[5].id.to_string());
    assert_eq!(
        (&json["tokens"]["cached"], &json["tried"][0]["outcome"]),
        (&3.into(), &"answered".into())
    );
}

#[test]
fn what_is_not_there_is_not_made() {
    let kept = Kept::new(&[]);
    assert_eq!(
        kept.reader().requests(&Search::default()).unwrap().requests,
        Vec::<Brief>::new()
    );
    std::fs::remove_file(&kept.config.path).unwrap();
    let error = Reader::open(&kept.config).unwrap_err().to_string();
    assert!(error.starts_with("there is no ledger"), "{error}");
    assert!(!kept.config.path.exists());
}
