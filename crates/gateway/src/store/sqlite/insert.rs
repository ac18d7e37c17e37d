//! Writes rows into a table, with little to do for each.

use rusqlite::{CachedStatement, Connection};

use super::Error;
use crate::store::Value;

/// A statement that writes rows. SQLite keeps what is bound to it from one row to the next, and most of a row is as in the one
/// before; so only the rest is bound.
pub(super) struct Insert<'c, 'r, const N: usize> {
    statement: CachedStatement<'c>,
    /// How many columns are shared.
    shared: usize,
    bound: [Value<'r>; N],
}

impl<'c, 'r, const N: usize> Insert<'c, 'r, N> {
    /// Writes into these columns of a table: those that rows share, and those that each has of its own.
    pub(super) fn into(
        connection: &'c Connection,
        table: &str,
        shared: &[&str],
        own: &[&str; N],
    ) -> Result<Self, Error> {
        let columns = [shared, own].concat();
        let places = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        let sql = format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})");
        Ok(Self {
            statement: connection.prepare_cached(&sql)?,
            shared: shared.len(),
            // As every statement begins.
            bound: [const { Value::Null }; N],
        })
    }

    /// What the rows that follow have in common.
    pub(super) fn share(&mut self, values: &[Value<'_>]) -> Result<(), Error> {
        (1..)
            .zip(values)
            .try_for_each(|(place, value)| self.statement.raw_bind_parameter(place, value))
    }

    /// Writes a row, unless it is there already. Returns whether it was not.
    pub(super) fn write(&mut self, row: [Value<'r>; N]) -> Result<bool, Error> {
        for (place, (value, bound)) in (self.shared + 1..).zip(row.iter().zip(&self.bound)) {
            if value != bound {
                self.statement.raw_bind_parameter(place, value)?;
            }
        }
        self.bound = row;
        Ok(self.statement.raw_execute()? > 0)
    }
}
