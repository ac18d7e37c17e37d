use super::*;
use crate::ledger::ids::Ids;
use crate::ledger::record::{ANSWERED, Attempt, Record, Tokens};
use crate::store::findings::{Spent, Tried};
use crate::store::question;

/// A day in 2025, in milliseconds since 1970.
const DAY: u64 = 1_760_054_400_000;

fn record(id: i64, time: u64) -> Record<'static> {
    Record {
        id,
        time,
        client: "team".into(),
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
        attempts: vec![Attempt::default(), Attempt::default()].into(),
        ..Record::default()
    }
}

fn count(store: &Sqlite, table: &str) -> u64 {
    let query = format!("SELECT count(*) FROM {table}");
    store.connection.query_row(&query, (), |row| row.get(0)).unwrap()
}

#[test]
fn a_row_that_is_there_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    let mut store = Sqlite::open(&path, false, Contents::LEDGER).unwrap();
    let other = Record {
        status: 500,
        ..record(1, DAY)
    };
    store.write([&record(1, DAY), &record(2, DAY)]).unwrap();
    store.write([&other, &record(3, DAY)]).unwrap();
    drop(store);
    let store = Sqlite::open(&path, true, Contents::LEDGER).unwrap();
    assert_eq!((count(&store, "requests"), count(&store, "attempts")), (3, 6));
    let statuses = "SELECT group_concat(status) FROM requests ORDER BY id";
    let statuses: String = store.connection.query_row(statuses, (), |row| row.get(0)).unwrap();
    assert_eq!(statuses, "200,200,200");
}

/// The attempts of a request, as they are told.
fn attempts(store: &Sqlite, id: i64) -> Vec<Tried> {
    let rows = store.select(&question::attempts(id)).unwrap();
    rows.iter().map(Tried::from).collect()
}

/// A request of one attempt, which answered.
fn answered(id: i64) -> Record<'static> {
    Record {
        attempts: vec![Attempt {
            target: "up/m".into(),
            key: Some(0xa),
            outcome: ANSWERED.into(),
            status: Some(200),
            latency: Some(900),
            dialect: "openai".into(),
            begun: Some(70),
        }]
        .into(),
        ..record(id, DAY)
    }
}

#[test]
fn every_attempt_is_told_wherever_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    let (mut faulty, mut changed, mut second) = (answered(2), answered(3), answered(4));
    let asked = &mut faulty.attempts.to_mut()[0];
    (asked.outcome, asked.status) = ("faulty".into(), None);
    changed.status = 500;
    second.attempts.to_mut().insert(0, faulty.attempts[0].clone());
    let records = [answered(1), faulty, changed, second];
    for _ in 0..2 {
        store.write(&records).unwrap();
        assert_eq!((count(&store, "attempts"), count(&store, "attempts_apart")), (5, 4));
    }
    let first = Tried {
        target: "up/m".to_owned(),
        key: Some("0000000a".to_owned()),
        outcome: ANSWERED.to_owned(),
        status: Some(200),
        latency: Some(900),
        dialect: "openai".to_owned(),
        begun: Some(70),
    };
    let failed = Tried {
        outcome: "faulty".to_owned(),
        status: None,
        ..first.clone()
    };
    // The third one's status is not that of the reply.
    let told = [1, 2, 3, 4].map(|id| attempts(&store, id));
    let all = [
        vec![first.clone()],
        vec![failed.clone()],
        vec![first.clone()],
        vec![failed, first],
    ];
    assert_eq!(told, all);
    while store.prune(Some(u64::MAX), u64::MAX).unwrap() {}
    assert_eq!((count(&store, "attempts"), count(&store, "attempts_apart")), (0, 0));
}

#[test]
fn a_join_with_attempts_reads_no_more_than_it_has_to() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    let join = "EXPLAIN QUERY PLAN SELECT outcome FROM attempts JOIN requests ON requests.id = attempts.request
        WHERE requests.id BETWEEN 5 AND 7";
    assert!(plan(&store, join, &[]).iter().all(|step| !step.contains("SCAN")));
}

/// How a query is answered, step by step.
fn plan(store: &Sqlite, sql: &str, values: &[Value<'_>]) -> Vec<String> {
    let mut plan = store.connection.prepare(&sql.replace('$', "?")).unwrap();
    let steps = plan
        .query_map(params_from_iter(values), |row| row.get("detail"))
        .unwrap();
    steps.map(Result::unwrap).collect()
}

#[test]
fn a_request_is_found_by_its_own_id() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    // They tell that they were made an hour before that day, at its beginning, and at its end.
    let [before, soon, later] = [DAY - 3_600_000, DAY, DAY + 86_400_000].map(|made| {
        uuid::Builder::from_unix_timestamp_millis(made, &[7; 10])
            .into_uuid()
            .to_string()
    });
    let requests = [&before, &soon, &later, "job", &soon, "job", &later, "other"];
    let mut ids = Ids::new(0);
    let rows = requests.map(|request| Record {
        request: request.to_owned().into(),
        ..record(ids.next(DAY + 100), DAY)
    });
    let again = Record {
        request: before.clone().into(),
        ..record(ids.next(DAY + 60_000), DAY)
    };
    store.write(&rows).unwrap();
    store.write([&again]).unwrap();
    let last = [
        (before.as_str(), again.id),
        (&soon, rows[4].id),
        (&later, rows[6].id),
        ("job", rows[5].id),
    ];
    for (request, id) in last {
        let found = store.select(&question::request(request)).unwrap();
        assert_eq!(found[0].0["id"], Value::Integer(id), "{request}");
    }
    let indexed = "SELECT count(*) FROM requests WHERE found_by_time = 0";
    let indexed: u64 = store.connection.query_row(indexed, (), |row| row.get(0)).unwrap();
    assert_eq!(indexed, 7, "all but two");
    let search = |request: &str| question::Search {
        request: Some(request.to_owned()),
        limit: 10,
        ..question::Search::default()
    };
    assert_eq!(store.select(&question::search(&search(&soon))).unwrap().len(), 2);
    assert!(store.select(&question::request("nobody's")).unwrap().is_empty());
    for request in [soon.as_str(), "job"] {
        for query in [question::request(request), question::search(&search(request))] {
            let explained = format!("EXPLAIN QUERY PLAN {}", query.sql);
            let steps = plan(&store, &explained, &query.values).join("\n");
            assert!(steps.contains("INDEX requests_by_request (request=?"), "{steps}");
            assert!(!steps.contains("SCAN"), "{steps}");
        }
    }
}

/// Rows that tell what they have in common with the one before.
struct Compared<'a>(&'a [Record<'static>]);

impl Rows<'static> for Compared<'_> {
    fn try_each<E>(self, mut each: impl FnMut(&Record<'static>, bool) -> Result<(), E>) -> Result<(), E> {
        let mut before = None;
        self.0.iter().try_for_each(|record| {
            let is_alike = before.replace(record.shared_values()) == Some(record.shared_values());
            each(record, is_alike)
        })
    }
}

#[test]
fn a_row_has_nothing_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    let bare = |id| Record {
        id,
        ..Record::default()
    };
    let other = Record {
        client: "others".into(),
        cost: None,
        ..answered(4)
    };
    let dearer = Record {
        cost: Some(9),
        ..answered(6)
    };
    let records = [answered(1), bare(2), answered(3), dearer, other, bare(5), bare(7)];
    store.write(&records[..2]).unwrap();
    store.write(Compared(&records[2..])).unwrap();
    let columns = [OWN_COLUMNS.as_slice(), &SHARED_COLUMNS].concat();
    for record in &records {
        let sql = format!("SELECT {} FROM requests WHERE id = {}", columns.join(", "), record.id);
        let values = store
            .connection
            .query_row(&sql, (), |row| {
                (0..columns.len())
                    .map(|at| row.get(at))
                    .collect::<Result<Vec<Value<'static>>, _>>()
            })
            .unwrap();
        let own_and_shared = record.own_values().into_iter().chain(record.shared_values());
        assert_eq!(values, own_and_shared.collect::<Vec<_>>());
    }
}

#[test]
fn old_rows_go_in_small_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    let mut ids = Ids::new(0);
    let mut rows =
        |time, count: usize| -> Vec<Record<'static>> { (0..count).map(|_| record(ids.next(time), time)).collect() };
    store.write(rows(DAY - 1000, 2500)).unwrap();
    store.write(rows(DAY, 10)).unwrap();
    let left: Vec<(bool, u64)> = (0..3)
        .map(|_| (store.prune(Some(DAY), u64::MAX).unwrap(), count(&store, "requests")))
        .collect();
    assert_eq!(left, [(true, 1510), (true, 510), (false, 10)]);
    assert_eq!(count(&store, "attempts"), 20);
    assert!(!store.prune(None, u64::MAX).unwrap());
    store.write(rows(DAY, 5000)).unwrap();
    let most = store.size().unwrap() / 2;
    while store.prune(None, most).unwrap() {}
    assert!(store.size().unwrap() <= most);
    let left = count(&store, "requests");
    assert!((1000..3000).contains(&left), "{left}");
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    let first = Connection::open(&path).unwrap();
    first.execute_batch(MIGRATIONS[0].for_sqlite()).unwrap();
    first
        .execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL);
             INSERT INTO schema_version VALUES (1);
             INSERT INTO requests (id, request, time, streamed, status, attempts, estimated, total)
                 VALUES (1, 'old', 5, 0, 200, 1, 0, 1000);
             INSERT INTO attempts VALUES (1, 1, 'up/m', NULL, 'answered', 200, 900);",
        )
        .unwrap();
    drop(first);
    let error = Sqlite::open_to_read(&path).unwrap_err().to_string();
    assert!(error.contains("earlier version"), "{error}");
    let mut store = Sqlite::open(&path, false, Contents::LEDGER).unwrap();
    store.write([&record(2, DAY)]).unwrap();
    assert_eq!((count(&store, "requests"), count(&store, "attempts")), (2, 3));
    let old = Sqlite::open_to_read(&path)
        .unwrap()
        .select(&question::request("old"))
        .unwrap();
    assert_eq!(old[0].0["total"], Value::Integer(1000));
    assert_eq!(old[0].0["route"], Value::Null);
}

#[test]
fn attempts_of_an_earlier_version_are_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    let earlier = Connection::open(&path).unwrap();
    for migration in &MIGRATIONS[..8] {
        earlier.execute_batch(migration.for_sqlite()).unwrap();
    }
    earlier
        .execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL);
             INSERT INTO schema_version VALUES (8);
             INSERT INTO requests (id, request, time, streamed, model, status, attempts, estimated, total)
                 VALUES (1, 'old', 5, 0, 'up/m', 200, 1, 0, 1000);
             INSERT INTO attempts VALUES (1, 1, 'up/m', NULL, 'answered', 200, 900, 'openai', 80);",
        )
        .unwrap();
    drop(earlier);
    let mut store = Sqlite::open(&path, false, Contents::LEDGER).unwrap();
    // The first comes out of the spool once more.
    store.write([&answered(1), &answered(2)]).unwrap();
    let begun = |id| {
        attempts(&store, id)
            .iter()
            .map(|attempt| attempt.begun)
            .collect::<Vec<_>>()
    };
    assert_eq!((begun(1), begun(2)), (vec![Some(80)], vec![Some(70)]));
}

#[test]
fn what_deleted_rows_cost_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false, Contents::LEDGER).unwrap();
    let (mut ids, day) = (Ids::new(0), 24 * 60 * 60 * 1000);
    // Ninety days, of which the last is today, and two clients.
    for ago in (0..90).rev() {
        let time = DAY - ago * day + 5_000;
        let rows: Vec<Record<'static>> = ["team", "other"]
            .into_iter()
            .map(|client| Record {
                client: client.into(),
                ..record(ids.next(time), time)
            })
            .collect();
        store.write(&rows).unwrap();
    }
    let spent = |store: &Sqlite| -> Vec<Vec<Spent>> {
        let since = [DAY, DAY - 6 * day, DAY - 30 * day, 0];
        let ask = |since| store.select(&question::spent(since)).unwrap();
        since.map(|since| ask(since).iter().map(Spent::from).collect()).to_vec()
    };
    let before = spent(&store);
    assert_eq!(
        before[2].iter().map(|spent| spent.cost).collect::<Vec<_>>(),
        [31 * 1500, 31 * 1500]
    );
    for oldest in [DAY - 80 * day, DAY - 40 * day, DAY - 3 * day, DAY + 2 * day] {
        while store.prune(Some(oldest), u64::MAX).unwrap() {}
        assert_eq!(spent(&store), before);
    }
    assert_eq!(count(&store, "requests"), 0);
    // A sum for each of the days that a month may have, and one for all before.
    assert!(count(&store, "deleted") <= 2 * 33);
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    let store = Sqlite::open(&path, false, Contents::LEDGER).unwrap();
    store
        .connection
        .execute("UPDATE schema_version SET version = 99", ())
        .unwrap();
    drop(store);
    let error = Sqlite::open(&path, false, Contents::LEDGER).unwrap_err().to_string();
    assert!(error.contains("later version"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    std::fs::write(&path, "my diary, which is not to be overwritten").unwrap();
    assert!(Sqlite::open(&path, false, Contents::LEDGER).is_err());
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"my diary, which is not to be overwritten"
    );
}

#[test]
fn several_may_open_a_new_file_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.db", "b.db", "c.db"] {
        let path = directory.path().join(name);
        let open = || Sqlite::open(&path, true, Contents::LEDGER).map(drop);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
}
