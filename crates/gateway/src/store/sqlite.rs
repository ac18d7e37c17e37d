//! Rows in a file of SQLite's.

mod insert;

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, params, params_from_iter};

use self::insert::Insert;
use super::clients::Change;
use super::findings::Row;
use super::migrations::MIGRATIONS;
use super::question::{DELETE, Query, REMEMBER};
use super::{Value, request_log};
use crate::ledger::columns::{ATTEMPT_COLUMNS, CONTENT_COLUMNS, OWN_COLUMNS, SHARED_COLUMNS};
use crate::ledger::ids::{first_of, time_of};
use crate::ledger::rows::Rows;

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long to wait while a file is opened: somebody else may just make its tables, on a slow disk.
const OPENING: Duration = Duration::from_secs(2);

const WRITE_AHEAD: &str = "PRAGMA journal_mode = WAL";

/// How often that is tried.
const TRIES: u32 = 20;

/// The bytes of a page: some dozens of rows.
const PAGE: u32 = 8192;

/// As many requests are deleted at a time, so that new rows never wait for long.
const STEP: i64 = 1_000;

/// Something went wrong with the database.
pub type Error = rusqlite::Error;

/// A database, open.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// Where prompts and answers go.
    contents: Contents,
}

/// Where prompts and answers go that come with rows.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// To the ledger.
    pub ledger: bool,
    /// To the table `request_logs`.
    pub request_logs: bool,
}

impl Contents {
    /// To the ledger alone.
    pub const LEDGER: Self = Self {
        ledger: true,
        request_logs: false,
    };
}

/// Has changes written to a log first. For a file that is new, this needs the file alone for a moment, for which SQLite does not
/// wait when it reads it already. So whoever writes is waited for.
fn write_ahead(connection: &Connection) -> Result<(), Error> {
    for _ in 1..TRIES {
        match connection.query_row(WRITE_AHEAD, (), |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
            }
            done => return done,
        }
    }
    connection.query_row(WRITE_AHEAD, (), |_| Ok(()))
}

impl Sqlite {
    /// Opens a file, makes it if it is not there, and brings its tables up to date. `durable`: what is committed is on the
    /// disk, and not only with the operating system.
    pub fn open(path: &Path, durable: bool, contents: Contents) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(OPENING)?;
        // Of a file that is new. A page takes two system calls to be written.
        connection.pragma_update(None, "page_size", PAGE)?;
        write_ahead(&connection)?;
        connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
        let mut store = Self { connection, contents };
        store.migrate()?;
        if contents.request_logs {
            store.connection.execute_batch(request_log::TABLES)?;
        }
        store.connection.busy_timeout(PATIENCE)?;
        Ok(store)
    }

    /// Opens a file to look at it, also while a gateway writes to it.
    pub fn open_to_read(path: &Path) -> Result<Self, super::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        let contents = Contents::LEDGER;
        let store = Self { connection, contents };
        if store.version()? < MIGRATIONS.len() {
            return Err(super::Error::older());
        }
        Ok(store)
    }

    /// What ends a query that takes too long.
    pub(super) fn interrupt(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    fn migrate(&mut self) -> Result<(), Error> {
        if self.version()? == MIGRATIONS.len() {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")?;
        // Somebody else may have been quicker.
        let version = version(&transaction)?;
        for migration in MIGRATIONS.iter().skip(version) {
            transaction.execute_batch(migration.for_sqlite())?;
        }
        if version < MIGRATIONS.len() {
            transaction.execute("DELETE FROM schema_version", ())?;
            transaction.execute("INSERT INTO schema_version VALUES (?1)", [MIGRATIONS.len()])?;
        }
        transaction.commit()
    }

    /// How many migrations it has been through. An error when there are more than are known here.
    fn version(&self) -> Result<usize, Error> {
        let exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'";
        let exists: bool = self.connection.query_row(exists, (), |row| row.get(0))?;
        if !exists {
            return Ok(0);
        }
        version(&self.connection)
    }

    /// Writes rows, all or none. Those that are there already stay as they are.
    pub fn write<'r>(&mut self, rows: impl Rows<'r>) -> Result<(), Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut requests = Insert::into(&transaction, "requests", &SHARED_COLUMNS, &OWN_COLUMNS)?;
            let mut attempts = Insert::into(&transaction, "attempts_apart", &[], &ATTEMPT_COLUMNS)?;
            let mut contents = Insert::into(&transaction, "contents", &[], &CONTENT_COLUMNS)?;
            let mut logs = if self.contents.request_logs {
                Some(transaction.prepare_cached(request_log::INSERT)?)
            } else {
                None
            };
            rows.try_each(|record, is_alike| {
                if !is_alike {
                    requests.share(&record.shared_values())?;
                }
                if !requests.write(record.own_values())? {
                    // So is all that belongs to it.
                    return Ok::<_, Error>(());
                }
                for attempt in record.attempt_values() {
                    attempts.write(attempt)?;
                }
                if let Some(logs) = &mut logs
                    && let Some(values) = request_log::values(record)
                {
                    logs.execute(params_from_iter(values))?;
                }
                if let Some(content) = record.content_values().filter(|_| self.contents.ledger) {
                    contents.write(content)?;
                }
                Ok(())
            })?;
        }
        transaction.commit()
    }

    /// Waits for as long for another process that writes.
    pub fn set_patience(&self, patience: Duration) -> Result<(), Error> {
        self.connection.busy_timeout(patience)
    }

    /// Makes changes, all or none: none when one changes nothing that has to. Returns whether they were made.
    pub(super) fn change(&mut self, changes: &[Change]) -> Result<bool, Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for Change { query, must } in changes {
            let count = transaction.execute(&query.sql.replace('$', "?"), params_from_iter(&query.values))?;
            if *must && count == 0 {
                return Ok(false);
            }
        }
        transaction.commit()?;
        Ok(true)
    }

    /// Deletes some of the rows that are too old (from before `oldest`, in milliseconds since 1970) or too many. Returns
    /// whether there may be more of them. What they cost is kept.
    pub fn prune(&mut self, oldest: Option<u64>, max_size: u64) -> Result<bool, Error> {
        let before = if self.size()? > max_size {
            i64::MAX
        } else if let Some(oldest) = oldest {
            first_of(oldest)
        } else {
            return Ok(false);
        };
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let bound = "SELECT max(id), count(*) FROM (SELECT id FROM requests WHERE id < ?1 ORDER BY id LIMIT ?2)";
        let (bound, count): (Option<i64>, i64) =
            transaction.query_row(bound, [before, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for step in REMEMBER.iter().chain(&DELETE) {
            transaction.execute(&step.replace('$', "?"), [bound])?;
        }
        let mut is_more = count == STEP;
        if self.contents.request_logs {
            let before = bound.map(time_of).max(oldest).unwrap_or_default();
            let deleted = transaction.execute(request_log::DELETE, params![request_log::date(before), STEP])?;
            is_more |= i64::try_from(deleted).is_ok_and(|deleted| deleted == STEP);
        }
        transaction.commit()?;
        Ok(is_more)
    }

    /// How many bytes are taken by rows. The file may be larger: room that was freed is used again.
    fn size(&self) -> Result<u64, Error> {
        let pragma = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, u64>(0))
        };
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(pages.saturating_mul(pragma("page_size")?))
    }

    /// What a query finds.
    pub(super) fn select(&self, query: &Query) -> Result<Vec<Row>, Error> {
        let mut statement = self.connection.prepare(&query.sql.replace('$', "?"))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map(params_from_iter(&query.values), |row| {
            let cells = columns
                .iter()
                .map(|column| Ok((column.clone(), row.get(column.as_str())?)));
            cells.collect::<Result<_, Error>>().map(Row)
        })?;
        rows.collect()
    }
}

/// How many migrations a database has been through that has been through some.
fn version(connection: &Connection) -> Result<usize, Error> {
    let version = "SELECT coalesce(max(version), 0) FROM schema_version";
    let version: usize = connection.query_row(version, (), |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(Error::ToSqlConversionFailure(super::Error::newer().to_string().into()));
    }
    Ok(version)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl FromSql for Value<'static> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::Null),
            ValueRef::Integer(number) => Ok(Self::Integer(number)),
            ValueRef::Text(text) => Ok(Self::Text(String::from_utf8_lossy(text).into_owned().into())),
            ValueRef::Real(_) | ValueRef::Blob(_) => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests;
