//! What is asked about the ledger, of the databases themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use mynah::config::{Place, StoreConfig};
use mynah::ledger::content::Content;
use mynah::ledger::ids::Ids;
use mynah::ledger::record::{Attempt, Record, Tokens};
use mynah::store::database::Database;
use mynah::store::findings::{Brief, Usage};
use mynah::store::postgres::server;
use mynah::store::question::{By, Scope, Search};
use mynah::store::reader::Reader;
use support::postgres::Postgres;

/// The beginning of a day in 2025, in milliseconds since 1970.
const DAY: u64 = 1_760_054_400_000;

/// Where the tests make their databases.
enum Server {
    /// In files.
    Sqlite,
    /// In a server, each of them by a name of its own.
    Postgres(Postgres),
}

impl Server {
    /// A database without rows.
    fn empty(&self, name: &str) -> Kept {
        let directory = tempfile::tempdir().unwrap();
        let place = match self {
            Self::Sqlite => Place::Sqlite(directory.path().join("m.db")),
            Self::Postgres(server) => place(&server.database(name, &[])),
        };
        Kept {
            config: config(place),
            _directory: directory,
        }
    }

    /// A database with rows.
    fn with(&self, name: &str, rows: &[Record<'_>]) -> Kept {
        let kept = self.empty(name);
        assert_eq!(kept.open().write(rows).unwrap(), 0);
        kept
    }
}

fn place(url: &str) -> Place {
    Place::Postgres(Box::new(server::Server::parse(url, None).unwrap()))
}

fn config(place: Place) -> StoreConfig {
    StoreConfig {
        place,
        spool: PathBuf::new(),
        flush: Duration::ZERO,
        max_pending: 1,
        max_spool: 0,
        max_age: None,
        max_size: u64::MAX,
        content: None,
        log_content: true,
        request_logs: false,
    }
}

/// A database. It is gone when the test is over.
struct Kept {
    _directory: tempfile::TempDir,
    config: StoreConfig,
}

impl Kept {
    fn open(&self) -> Database {
        Database::open(&self.config).unwrap()
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
fn row(ids: &mut Ids, time: u64, request: &str, change: impl FnOnce(&mut Record<'static>)) -> Record<'static> {
    let mut row = Record {
        id: ids.next(time),
        request: request.to_owned().into(),
        time,
        client: "team".into(),
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        dialect: "openai".into(),
        asked: "smart".into(),
        model: "up/m".into(),
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
            target: "up/m".into(),
            key: Some(0xab),
            outcome: "answered".into(),
            status: Some(200),
            latency: Some(900),
            dialect: "anthropic".into(),
            begun: Some(80),
        }]
        .into(),
        ..Record::default()
    };
    change(&mut row);
    row
}

/// Requests of two days, of every kind.
fn rows() -> Vec<Record<'static>> {
    let mut ids = Ids::new(7);
    let ids = &mut ids;
    vec![
        row(ids, DAY - 1, "yesterday", |_| {}),
        row(ids, DAY, "tagged", |row| row.tags = "eu, fast,eu".into()),
        row(ids, DAY + 1, "unpriced", |row| {
            (row.cost, row.tags, row.estimated) = (None, "eu".into(), true);
        }),
        row(ids, DAY + 3_600_000, "refused", |row| {
            (row.status, row.tokens, row.cost) = (401, None, None);
            (row.model, row.client, row.error) = (Cow::default(), Cow::default(), Some("invalid_api_key".into()));
            (row.fault, row.route) = ("caller".into(), "the-route".into());
            row.attempts = Cow::default();
        }),
        row(ids, DAY + 3_600_001, "hung-up", |row| {
            row.error = Some("caller_hung_up".into());
            (row.model, row.asked, row.streamed) = ("down/n".into(), "100%_sure".into(), true);
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

/// What holds for every database.
const LAWS: [fn(&Server); 7] = [
    what_limits_ask_is_told,
    usage_is_added_up,
    requests_are_found,
    pages_follow_each_other,
    a_request_is_told_in_full,
    a_row_that_is_there_stays_as_it_is,
    no_text_is_refused,
];

#[test]
fn laws_hold_in_sqlite() {
    for law in LAWS {
        law(&Server::Sqlite);
    }
}

#[test]
fn laws_hold_in_postgresql() {
    let server = Server::Postgres(Postgres::start());
    for law in LAWS {
        law(&server);
    }
}

fn usage_is_added_up(server: &Server) {
    let kept = server.with("usage", &rows());
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

fn requests_are_found(server: &Server) {
    let kept = server.with("found", &rows());
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

fn pages_follow_each_other(server: &Server) {
    let mut ids = Ids::new(7);
    let rows: Vec<Record<'static>> = (0..25)
        .map(|at| row(&mut ids, DAY + at, &at.to_string(), |_| {}))
        .collect();
    let kept = server.with("pages", &rows);
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

fn a_request_is_told_in_full(server: &Server) {
    let mut rows = rows();
    let mut ids = Ids::new(8);
    rows.push(row(&mut ids, DAY + 9_000_000, "12", |row| {
        row.attempts.to_mut().push(Attempt::default());
    }));
    rows.push(row(&mut ids, DAY + 9_000_001, "tagged", |row| {
        row.lost = "seed".into();
    }));
    rows[5].content = Some(Cow::Owned(Content {
        prompt: "{\"zero\":\"\0\"}".to_owned(),
        answer: "x".repeat(100_000),
        is_cut: true,
    }));
    let kept = server.with("whole", &rows);
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
    let content = number.content.unwrap();
    assert_eq!(
        (content.prompt.as_str(), content.answer.len(), content.is_cut),
        ("{\"zero\":\"\u{fffd}\"}", 100_000, true)
    );
    assert_eq!(last.content, None);
    let json = serde_json::to_value(reader.request("12").unwrap()).unwrap();
    assert_eq!(json["id"], rows[5].id.to_string());
    assert_eq!(
        (&json["tokens"]["cached"], &json["tried"][0]["outcome"]),
        (&3.into(), &"answered".into())
    );
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let kept = Server::Sqlite.with("", &[]);
    assert_eq!(
        kept.reader().requests(&Search::default()).unwrap().requests,
        Vec::<Brief>::new()
    );
    let Place::Sqlite(path) = &kept.config.place else {
        panic!()
    };
    std::fs::remove_file(path).unwrap();
    let error = Reader::open(&kept.config).unwrap_err().to_string();
    assert!(error.starts_with("there is no ledger"), "{error}");
    assert!(!path.exists());
}

fn a_row_that_is_there_stays_as_it_is(server: &Server) {
    let rows = rows();
    let kept = server.with("again", &rows[..3]);
    let other = Record {
        status: 500,
        ..rows[0].clone()
    };
    kept.open().write([&other, &rows[3]]).unwrap();
    assert_eq!(
        kept.found(Search::default()),
        ["refused", "unpriced", "tagged", "yesterday"]
    );
    let first = kept.reader().request("yesterday").unwrap().unwrap();
    assert_eq!((first.brief.status, first.tried.len()), (200, 1));
}

fn what_limits_ask_is_told(server: &Server) {
    let kept = server.with("limits", &rows());
    let pieces = kept.reader().consumed(DAY, 60_000).unwrap();
    let told: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.requests, piece.tokens, piece.first - DAY))
        .collect();
    assert_eq!(told, [(2, 20, 0), (1, 10, 3_600_001)]);
    let spent = kept
        .reader()
        .within(support::PATIENCE, |reader| reader.spent(DAY))
        .unwrap();
    assert_eq!(
        (spent.len(), spent[0].client.as_str(), spent[0].cost),
        (1, "team", 3000)
    );
}

fn no_text_is_refused(server: &Server) {
    let texts = [
        "zero\0zero",
        "'; DROP TABLE requests; --",
        "\u{1f426}\u{202e}\u{fffe}",
        "\\u0000",
        "{}",
    ];
    let mut ids = Ids::new(7);
    let rows = texts.map(|text| {
        row(&mut ids, DAY, text, |row| {
            (row.asked, row.tags, row.lost) = (text.into(), text.into(), text.into());
        })
    });
    let kept = server.with("texts", &rows);
    for text in texts {
        let found = kept.found(Search {
            request: Some(text.to_owned()),
            ..of(|of| of.model = Some(text.to_owned()))
        });
        assert_eq!(found, [text.replace('\0', "\u{fffd}")]);
    }
}

#[test]
fn a_letter_that_the_server_does_not_have_costs_one_row() {
    let server = Postgres::start();
    let url = server.database("latin", &["--encoding=LATIN1", "--template=template0", "--locale=C"]);
    let mut store = Database::open(&config(place(&url))).unwrap();
    let mut ids = Ids::new(7);
    let rows = ["caf\u{e9}", "\u{1f426}", "tea"].map(|name| row(&mut ids, DAY, name, |_| {}));
    assert_eq!(store.write(&rows).unwrap(), 1);
    let mut reader = Reader::open(&config(place(&url))).unwrap();
    let search = Search {
        limit: 9,
        ..Search::default()
    };
    let found: Vec<String> = reader
        .requests(&search)
        .unwrap()
        .requests
        .into_iter()
        .map(|row| row.request)
        .collect();
    assert_eq!(found, ["tea", "caf\u{e9}"]);
}

#[test]
fn ids_that_are_the_same_are_told_apart_by_their_nodes() {
    let server = Postgres::start();
    let config = config(place(&server.url()));
    let rows = [1, 2].map(|node| Record {
        node,
        ..row(&mut Ids::new(7), DAY, &node.to_string(), |_| {})
    });
    assert_eq!(rows[0].id, rows[1].id);
    for row in &rows {
        Database::open(&config).unwrap().write([row]).unwrap();
    }
    let usage = Reader::open(&config)
        .unwrap()
        .usage(By::Client, &Scope::default())
        .unwrap();
    assert_eq!(usage[0].requests, 2);
}

#[test]
fn gateways_that_start_at_once_make_the_tables_once() {
    let server = Postgres::start();
    for round in 0..5 {
        let config = config(place(&server.database(&format!("race{round}"), &[])));
        assert!(
            Reader::open(&config)
                .unwrap_err()
                .to_string()
                .starts_with("there is no ledger")
        );
        let nodes: Vec<_> = (0..3)
            .map(|node| {
                let config = config.clone();
                std::thread::spawn(move || {
                    let row = Record {
                        node,
                        ..row(&mut Ids::new(7), DAY, "one", |_| {})
                    };
                    Database::open(&config).unwrap().write([&row]).unwrap()
                })
            })
            .collect();
        for node in nodes {
            assert_eq!(node.join().unwrap(), 0);
        }
        let usage = Reader::open(&config)
            .unwrap()
            .usage(By::Client, &Scope::default())
            .unwrap();
        assert_eq!(usage[0].requests, 3);
    }
}

#[test]
fn the_certificate_is_looked_at_as_the_url_says() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.certify("db.example");
    let server = Postgres::start_with_tls(Some((&certificate, &key)));
    let (_directory, right) = authority.file();
    let (_directory_too, wrong) = other.file();
    let open = |host: &str, query: &str| {
        let url = server.url().replace("127.0.0.1", host) + "?hostaddr=127.0.0.1&" + query;
        Database::open(&config(place(&url)))
    };
    for (host, query) in [
        ("db.example", "sslmode=disable".to_owned()),
        ("db.example", String::new()),
        ("localhost", "sslmode=require".to_owned()),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={right}")),
        ("db.example", format!("sslmode=verify-full&sslrootcert={right}")),
    ] {
        open(host, &query).unwrap_or_else(|error| panic!("{host} {query}: {error}"));
    }
    for (host, query) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={right}")),
        ("db.example", format!("sslmode=verify-full&sslrootcert={wrong}")),
        ("db.example", format!("sslmode=verify-ca&sslrootcert={wrong}")),
        ("db.example", format!("sslmode=require&sslrootcert={wrong}")),
    ] {
        let error = open(host, &query).unwrap_err().to_string();
        assert!(error.contains("certificate"), "{host} {query}: {error}");
    }
    let without = Postgres::start();
    let url = without.url() + "?sslmode=require";
    assert!(Database::open(&config(place(&url))).is_err());
}

/// Somebody who signs certificates.
struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self(rcgen::CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    /// A certificate for a host, and its key.
    fn certify(&self, host: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The path of a file with its own certificate, and the directory of that.
    fn file(&self) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        let path = path.display().to_string();
        (directory, path)
    }
}

#[test]
fn one_gateway_deletes_what_is_not_to_be_kept() {
    let server = Postgres::start();
    let config = config(place(&server.url()));
    let (mut one, mut other) = (Database::open(&config).unwrap(), Database::open(&config).unwrap());
    let mut ids = Ids::new(0);
    let mut rows =
        |time, count: u32| -> Vec<Record<'static>> { (0..count).map(|_| row(&mut ids, time, "r", |_| {})).collect() };
    let mut old = rows(DAY - 1000, 2500);
    old[0].content = Some(Cow::Owned(Content::default()));
    for (cost, row) in (1..).zip(&mut old) {
        row.cost = Some(cost);
    }
    one.write(&old).unwrap();
    one.write(rows(DAY, 10)).unwrap();
    let left = || {
        Reader::open(&config)
            .unwrap()
            .usage(By::Client, &Scope::default())
            .unwrap()[0]
            .requests
    };
    let spent = || Reader::open(&config).unwrap().spent(0).unwrap();
    let before = spent();
    assert!(before[0].cost > 2500 * 2501 / 2);
    let steps: Vec<(bool, u64)> = (0..3)
        .map(|_| (one.prune(Some(DAY), u64::MAX).unwrap(), left()))
        .collect();
    assert_eq!(
        Reader::open(&config).unwrap().request(&old[0].id.to_string()).unwrap(),
        None
    );
    assert_eq!(steps, [(true, 1510), (true, 510), (false, 10)]);
    // Budgets know what the rows cost that are no longer there.
    assert_eq!(spent(), before);
    assert!(!other.prune(Some(u64::MAX), u64::MAX).unwrap());
    assert_eq!(left(), 10);
    drop(one);
    // The server notices soon that the one is gone.
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while left_if_any(&config) > 0 {
        assert!(tokio::time::Instant::now() < deadline);
        other.prune(Some(u64::MAX), u64::MAX).unwrap();
    }
}

#[test]
fn the_oldest_are_deleted_when_there_are_too_many() {
    let server = Postgres::start();
    let config = config(place(&server.url()));
    let mut store = Database::open(&config).unwrap();
    let mut ids = Ids::new(0);
    let rows: Vec<Record<'static>> = (0..4000).map(|at| row(&mut ids, DAY + at, "r", |_| {})).collect();
    store.write(&rows).unwrap();
    let size = 4000 * 500;
    // The server's statistics come a little later.
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while left_if_any(&config) == 4000 {
        assert!(tokio::time::Instant::now() < deadline);
        while store.prune(None, size / 2).unwrap() {}
    }
    let left = left_if_any(&config);
    assert!((1000..3500).contains(&left), "{left}");
    let first = Search {
        limit: 1,
        ..Search::default()
    };
    let newest = Reader::open(&config).unwrap().requests(&first).unwrap();
    assert_eq!(newest.requests[0].id, rows[3999].id);
}

fn left_if_any(config: &StoreConfig) -> u64 {
    let usage = Reader::open(config)
        .unwrap()
        .usage(By::Client, &Scope::default())
        .unwrap();
    usage.first().map_or(0, |usage| usage.requests)
}
