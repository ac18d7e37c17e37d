//! Rows in a PostgreSQL database, which several gateways may share.

pub mod server;
mod tables;
mod tls;

use std::cmp::Ordering;
use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, IsolationLevel};

use self::server::Server;
use self::tls::Tls;
use super::clients::Change;
use super::findings::Row;
use super::migrations::MIGRATIONS;
use super::question::{DELETE, Query, REMEMBER};
use super::{Error, Value};
use crate::ledger::columns::{ATTEMPT_COLUMNS, CONTENT_COLUMNS, OWN_COLUMNS, SHARED_COLUMNS};
use crate::ledger::ids::first_of;
use crate::ledger::record::Record;
use crate::ledger::rows::Rows;

/// How long the server may take to accept a connection, and to write some rows. Rows wait for it in memory, and the end of the
/// process too, so it is short: what took longer is spooled, and written once more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to tell something.
const PATIENCE_TO_READ: Duration = Duration::from_secs(30);

/// How long changes of the tables may take. Only those who have much in them need it.
const PATIENCE_TO_CHANGE: Duration = Duration::from_mins(10);

/// The most rows that are deleted at a time, so that new rows never wait for long.
const STEP: u64 = 1_000;

/// So many bytes of prompts and answers go into one statement, for which there is little time.
const AT_A_TIME: usize = 1024 * 1024;

/// The node that deletes old rows holds this lock. Any number will do, as long as it is always the same.
const DELETES: i64 = 0x006d_796e_6168_0002;

/// What a row takes beside its columns: its header, its place on a page and in the indexes.
const OVERHEAD: u64 = 100;

/// A database, open.
pub struct Postgres {
    /// Only ever missing when it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// How long a question may take.
    patience: Duration,
    /// This node has the lock, and deletes what is not to be kept.
    deletes: bool,
    /// How many rows are still to be deleted so that the others are few enough.
    too_many: u64,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A name may still be looked up, which cannot be hurried.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Postgres {
    /// Connects to write, and brings the tables up to date.
    pub fn open(server: &Server) -> Result<Self, Error> {
        let mut store = Self::connect(server, PATIENCE)?;
        match store
            .within(PATIENCE, tables::version(&store.client))?
            .unwrap_or(0)
            .cmp(&MIGRATIONS.len())
        {
            Ordering::Equal => {}
            Ordering::Less => {
                let milliseconds = PATIENCE_TO_CHANGE.as_millis();
                let migrating = tables::migrate(&mut store.client, milliseconds);
                within(store.runtime.as_ref(), PATIENCE_TO_CHANGE, migrating)?;
            }
            Ordering::Greater => return Err(Error::newer()),
        }
        Ok(store)
    }

    /// Connects to look at what is there.
    pub fn open_to_read(server: &Server) -> Result<Self, Error> {
        let store = Self::connect(server, PATIENCE_TO_READ)?;
        match store.within(PATIENCE_TO_READ, tables::version(&store.client))? {
            None => Err(Error::Missing(server.to_string())),
            Some(version) if version < MIGRATIONS.len() => Err(Error::older()),
            Some(version) if version > MIGRATIONS.len() => Err(Error::newer()),
            Some(_) => Ok(store),
        }
    }

    fn connect(server: &Server, patience: Duration) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tls = Tls::new(server).map_err(Error::Told)?;
        let connecting = connect(server.config.clone(), tls, patience);
        let connected = runtime.block_on(async { tokio::time::timeout(PATIENCE, connecting).await });
        match connected {
            Ok(Ok(client)) => Ok(Self {
                runtime: Some(runtime),
                client,
                patience: PATIENCE_TO_READ,
                deletes: false,
                too_many: 0,
            }),
            Ok(Err(error)) => {
                runtime.shutdown_background();
                Err(error.into())
            }
            Err(_) => {
                runtime.shutdown_background();
                Err(Error::Slow(PATIENCE))
            }
        }
    }

    fn within<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        within(self.runtime.as_ref(), patience, work)
    }

    /// Writes rows. Those that are there already stay as they are, so that all of them may be written again after an error.
    /// Returns how many the server refuses to take
    /// whatever one does, such as those with letters that its encoding does not have.
    pub fn write<'r>(&mut self, rows: impl Rows<'r>) -> Result<u64, Error> {
        let mut refused = 0;
        let (mut some, mut bytes) = (Vec::new(), 0);
        rows.try_each(|record, _| {
            let content = record.content.as_ref();
            bytes += content.map_or(0, |content| content.prompt.len() + content.answer.len());
            some.push(record.clone());
            if bytes > AT_A_TIME {
                refused += self.insert_what_is_taken(&some)?;
                (some, bytes) = (Vec::new(), 0);
            }
            Ok::<_, Error>(())
        })?;
        Ok(refused + self.insert_what_is_taken(&some)?)
    }

    /// Writes rows, but for those that are refused. Returns how many these are.
    fn insert_what_is_taken(&mut self, records: &[Record<'_>]) -> Result<u64, Error> {
        match self.insert(records) {
            Err(Error::Postgres(error)) if is_refusal(&error) && records.len() > 1 => {
                let mut refused = 0;
                for record in records {
                    refused += self.insert_what_is_taken(std::slice::from_ref(record))?;
                }
                Ok(refused)
            }
            Err(Error::Postgres(error)) if is_refusal(&error) => Ok(1),
            done => done.map(|()| 0),
        }
    }

    /// One statement is one transaction, and takes one round trip. What belongs to a request that is there already is there too.
    fn insert(&mut self, records: &[Record<'_>]) -> Result<(), Error> {
        let (mut requests, mut attempts, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        let columns = [OWN_COLUMNS.as_slice(), &SHARED_COLUMNS].concat();
        for record in records {
            let node = record.node;
            let values = [record.own_values().as_slice(), &record.shared_values()].concat();
            requests.push(json(&columns, &values, node));
            attempts.extend(record.attempt_values().map(|row| json(&ATTEMPT_COLUMNS, &row, node)));
            contents.extend(record.content_values().map(|row| json(&CONTENT_COLUMNS, &row, node)));
        }
        let rows = [&requests, &attempts, &contents].map(serde_json::to_string);
        let [requests, attempts, contents] = rows;
        let (requests, attempts, contents) = (requests?, attempts?, contents?);
        let of_asked = "WHERE (request, node) IN (SELECT id, node FROM asked)";
        let statement = format!(
            "WITH asked AS ({} RETURNING id, node), said AS ({}) {}",
            insert_into("requests", &columns, "$1", ""),
            insert_into("contents", &CONTENT_COLUMNS, "$3", of_asked),
            insert_into("attempts_apart", &ATTEMPT_COLUMNS, "$2", of_asked)
        );
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&requests, Type::TEXT),
            (&attempts, Type::TEXT),
            (&contents, Type::TEXT),
        ];
        self.within(PATIENCE, self.client.execute_typed(&statement, &values))?;
        Ok(())
    }

    /// Deletes some of the rows that are too old (from before `oldest`, in milliseconds since 1970) or too many, unless
    /// another node does so. Returns whether there may be more of them.
    pub fn prune(&mut self, oldest: Option<u64>, max_size: u64) -> Result<bool, Error> {
        if !self.deletes {
            // For as long as the connection lives.
            let lock = self.number("SELECT pg_try_advisory_lock($1)::int::bigint", DELETES)?;
            self.deletes = lock == 1;
        }
        if !self.deletes {
            return Ok(false);
        }
        if let Some(oldest) = oldest
            && self.delete(first_of(oldest), STEP)? == STEP
        {
            return Ok(true);
        }
        if self.too_many == 0 {
            self.too_many = self.surplus(max_size)?;
        }
        if self.too_many > 0 {
            let deleted = self.delete(i64::MAX, STEP.min(self.too_many))?;
            self.too_many = if deleted == 0 {
                0
            } else {
                self.too_many.saturating_sub(deleted)
            };
        }
        Ok(self.too_many > 0)
    }

    /// Deletes the first rows whose id is less, no more than `most`. Returns how many.
    fn delete(&mut self, before: i64, most: u64) -> Result<u64, Error> {
        let first = format!(
            "SELECT max(id), count(*) FROM (SELECT id FROM requests WHERE id < $1 ORDER BY id LIMIT {most}) AS first"
        );
        let client = &mut self.client;
        let deleting = async {
            // What another node writes meanwhile is neither added up nor deleted.
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead);
            let transaction = transaction.start().await?;
            let rows = transaction.query_typed(&first, &[(&before, Type::INT8)]).await?;
            let Some(row) = rows.first() else { return Ok(0) };
            let (last, count): (Option<i64>, i64) = (row.try_get(0)?, row.try_get(1)?);
            for statement in REMEMBER.iter().chain(&DELETE) {
                transaction.execute_typed(statement, &[(&last, Type::INT8)]).await?;
            }
            transaction.commit().await?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        within(self.runtime.as_ref(), PATIENCE, deleting)
    }

    /// How many rows there are more than fit, as far as the server's statistics tell. The size of its files does not tell:
    /// they do not shrink.
    fn surplus(&mut self, max_size: u64) -> Result<u64, Error> {
        let statement = format!(
            "WITH kept AS (SELECT relid, n_live_tup::numeric AS rows FROM pg_stat_user_tables),
                  size AS (
                      SELECT 'requests'::regclass AS relid, avg(pg_column_size(r.*)) AS bytes
                          FROM (SELECT * FROM requests ORDER BY id DESC LIMIT 1000) r
                      UNION ALL SELECT 'attempts_apart'::regclass, avg(pg_column_size(a.*))
                          FROM (SELECT * FROM attempts_apart ORDER BY request DESC LIMIT 1000) a
                      UNION ALL SELECT 'contents'::regclass, avg(pg_column_size(c.*))
                          FROM (SELECT * FROM contents ORDER BY request DESC LIMIT 100) c
                  ),
                  total AS (SELECT sum(rows * (bytes + {OVERHEAD})) AS bytes FROM kept JOIN size USING (relid))
             SELECT ceil(rows * (1 - $1 / total.bytes))::bigint FROM kept, total
             WHERE relid = 'requests'::regclass AND total.bytes > $1"
        );
        let most = i64::try_from(max_size).unwrap_or(i64::MAX);
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&most, Type::INT8)];
        let rows = self.within(PATIENCE, self.client.query_typed(&statement, &values))?;
        let surplus: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(u64::try_from(surplus).unwrap_or(0))
    }

    fn number(&self, query: &str, value: i64) -> Result<i64, Error> {
        let row = self.within(PATIENCE, self.client.query_typed_one(query, &[(&value, Type::INT8)]))?;
        Ok(row.try_get(0)?)
    }

    /// No question may take longer from now on.
    pub(super) fn hurry(&mut self, patience: Duration) {
        self.patience = self.patience.min(patience);
    }

    /// Makes changes, all or none. Returns whether they were made: those that must change something did.
    pub(super) fn change(&mut self, changes: &[Change]) -> Result<bool, Error> {
        let client = &mut self.client;
        let changing = async {
            let transaction = client.transaction().await?;
            for Change { query, must } in changes {
                let values: Vec<(&(dyn ToSql + Sync), Type)> = query.values.iter().map(typed).collect();
                let count = transaction.execute_typed(&query.sql, &values).await?;
                if *must && count == 0 {
                    return Ok(false);
                }
            }
            transaction.commit().await?;
            Ok(true)
        };
        within(self.runtime.as_ref(), PATIENCE, changing)
    }

    /// What a query finds.
    pub(super) fn select(&self, query: &Query) -> Result<Vec<Row>, Error> {
        let values: Vec<(&(dyn ToSql + Sync), Type)> = query.values.iter().map(typed).collect();
        let rows = self.within(self.patience, self.client.query_typed(&query.sql, &values))?;
        rows.iter().map(|row| Ok(Row::try_from(row)?)).collect()
    }
}

/// Waits for the server, but not for ever.
fn within<T>(
    runtime: Option<&Runtime>,
    patience: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    let runtime = runtime.ok_or(Error::Slow(patience))?;
    let done = runtime.block_on(async { tokio::time::timeout(patience, work).await });
    Ok(done.map_err(|_| Error::Slow(patience))??)
}

/// Connects, and has the server give up what takes too long: who does not wait any longer cannot tell it.
async fn connect(mut config: Config, tls: Tls, patience: Duration) -> Result<Client, tokio_postgres::Error> {
    config.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE_TO_READ);
    let (client, connection) = config.connect(tls).await?;
    // An error of the connection is told to whoever uses the client.
    tokio::spawn(async { connection.await.ok() });
    let milliseconds = patience.as_millis();
    client
        .batch_execute(&format!("SET statement_timeout = {milliseconds}"))
        .await?;
    Ok(client)
}

/// Whether the row itself is at fault: it will be refused again.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    // Class 22 is "data exception". https://www.postgresql.org/docs/current/errcodes-appendix.html
    let is_data = |code: &SqlState| code.code().starts_with("22");
    error.code().is_some_and(is_data)
}

/// A row as an object, which the server reads by the types that its table has.
fn json(columns: &[&str], values: &[Value<'_>], node: i64) -> Map<String, Json> {
    let cells = columns.iter().zip(values).map(|(column, value)| {
        let value = match value {
            Value::Null => Json::Null,
            Value::Integer(number) => (*number).into(),
            Value::Text(text) => text.as_ref().into(),
        };
        ((*column).to_owned(), value)
    });
    cells.chain([("node".to_owned(), node.into())]).collect()
}

fn insert_into(table: &str, columns: &[&str], place: &str, which: &str) -> String {
    let columns = columns.join(", ");
    format!(
        "INSERT INTO {table} ({columns}, node) SELECT {columns}, node
         FROM json_populate_recordset(NULL::{table}, {place}::json) {which} ON CONFLICT DO NOTHING"
    )
}

fn typed<'v>(value: &'v Value<'static>) -> (&'v (dyn ToSql + Sync), Type) {
    match value {
        Value::Null => (&None::<&str>, Type::TEXT),
        Value::Integer(number) => (number, Type::INT8),
        Value::Text(text) => (text, Type::TEXT),
    }
}

impl TryFrom<&tokio_postgres::Row> for Row {
    type Error = tokio_postgres::Error;

    fn try_from(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        let cells = row.columns().iter().enumerate().map(|(at, column)| {
            let value = if *column.type_() == Type::INT8 {
                row.try_get::<_, Option<i64>>(at)?.map(Value::Integer)
            } else {
                let text: Option<String> = row.try_get(at)?;
                text.map(|text| Value::Text(text.into()))
            };
            Ok((column.name().to_owned(), value.unwrap_or(Value::Null)))
        });
        cells.collect::<Result<_, _>>().map(Row)
    }
}
