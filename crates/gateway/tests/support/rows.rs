//! What is in the ledger.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::Connection;

/// What a query finds, once it finds as many rows. Columns are separated by spaces.
pub async fn rows(database: &Path, query: &str, count: usize) -> Vec<String> {
    let found = Mutex::new(Vec::new());
    let enough = || {
        *found.lock().unwrap() = find(database, query).unwrap_or_default();
        found.lock().unwrap().len() >= count
    };
    super::until(enough, || format!("{query}: {:?}", found.lock().unwrap())).await;
    found.into_inner().unwrap()
}

/// What it finds now.
pub fn find(database: &Path, query: &str) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let rows = statement.query_map((), |row| {
        let cells: rusqlite::Result<Vec<String>> = (0..columns)
            .map(|at| {
                row.get::<_, rusqlite::types::Value>(at).map(|value| match value {
                    rusqlite::types::Value::Null => "-".to_owned(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                })
            })
            .collect();
        Ok(cells?.join(" "))
    })?;
    rows.collect()
}
