use super::*;
use crate::ledger::ids::Ids;
use crate::ledger::record::{Attempt, Tokens};

/// A day in 2025, in milliseconds since 1970.
const DAY: u64 = 1_760_054_400_000;

fn record(id: i64, time: u64) -> Record {
    Record {
        id,
        time,
        client: "team".to_owned(),
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
        attempts: vec![Attempt::default(), Attempt::default()],
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
    let mut store = Sqlite::open(&path, false).unwrap();
    let other = Record {
        status: 500,
        ..record(1, DAY)
    };
    store.write([&record(1, DAY), &record(2, DAY)]).unwrap();
    store.write([&other, &record(3, DAY)]).unwrap();
    drop(store);
    let store = Sqlite::open(&path, true).unwrap();
    assert_eq!((count(&store, "requests"), count(&store, "attempts")), (3, 6));
    let brief = &Sqlite::open_to_read(&path).unwrap().latest(0, 10).unwrap()[0];
    assert_eq!((brief.id, brief.status, brief.attempts), (1, 200, 2));
    assert_eq!((brief.prompt, brief.answer), (Some(8), Some(2)));
}

#[test]
fn usage_is_added_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false).unwrap();
    let mut ids = Ids::new(7);
    let mut row = |time, change: fn(&mut Record)| {
        let mut row = record(ids.next(time), time);
        change(&mut row);
        row
    };
    let rows = [
        row(DAY - 1, |_| {}),
        row(DAY, |_| {}),
        row(DAY + 1, |row| row.cost = None),
        row(DAY + 2, |row| {
            (row.status, row.tokens, row.cost, row.model) = (401, None, None, String::new());
        }),
        row(DAY + 3, |row| row.error = Some("caller_hung_up".into())),
    ];
    store.write(&rows).unwrap();
    let days = store.usage(By::Day, 0).unwrap();
    let found: Vec<_> = days.iter().map(|day| (day.name.as_str(), day.requests)).collect();
    assert_eq!(found, [("2025-10-09", 1), ("2025-10-10", 4)]);
    let since = store.usage(By::Client, DAY).unwrap();
    let expected = Usage {
        name: "team".to_owned(),
        requests: 4,
        errors: 2,
        input: 15,
        cached: 9,
        output: 6,
        cost: 3000,
        unpriced: 1,
        ..Usage::default()
    };
    assert_eq!(since, [expected]);
    let names = |by| -> Vec<String> { store.usage(by, 0).unwrap().into_iter().map(|row| row.name).collect() };
    assert_eq!(names(By::Model), ["up/m", ""]);
    assert_eq!(names(By::Provider), ["up"]);
}

#[test]
fn old_rows_go_in_small_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&directory.path().join("m.db"), false).unwrap();
    let mut ids = Ids::new(0);
    let mut rows = |time, count: usize| -> Vec<Record> { (0..count).map(|_| record(ids.next(time), time)).collect() };
    store.write(&rows(DAY - 1000, 2500)).unwrap();
    store.write(&rows(DAY, 10)).unwrap();
    let left: Vec<(bool, u64)> = (0..3)
        .map(|_| (store.prune(Some(DAY), u64::MAX).unwrap(), count(&store, "requests")))
        .collect();
    assert_eq!(left, [(true, 1510), (true, 510), (false, 10)]);
    assert_eq!(count(&store, "attempts"), 20);
    assert!(!store.prune(None, u64::MAX).unwrap());
    store.write(&rows(DAY, 5000)).unwrap();
    let most = store.size().unwrap() / 2;
    while store.prune(None, most).unwrap() {}
    assert!(store.size().unwrap() <= most);
    let left = count(&store, "requests");
    assert!((1000..3000).contains(&left), "{left}");
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    let store = Sqlite::open(&path, false).unwrap();
    store
        .connection
        .execute("UPDATE schema_version SET version = 99", ())
        .unwrap();
    drop(store);
    let error = Sqlite::open(&path, false).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.db");
    std::fs::write(&path, "my diary, which is not to be overwritten").unwrap();
    assert!(Sqlite::open(&path, false).is_err());
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"my diary, which is not to be overwritten"
    );
}
