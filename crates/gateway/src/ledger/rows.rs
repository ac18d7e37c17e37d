//! Rows that are written together.

use std::borrow::Borrow;

use super::record::Record;

/// Rows that are written together. One is shown after the other, as most are made of what the one before them was made of.
pub trait Rows<'r> {
    /// Shows each row, and whether it has all in common with the row before that rows may have in common: the values of
    /// [`Record::shared_values`]. Ends with the first error.
    fn try_each<E>(self, each: impl FnMut(&Record<'r>, bool) -> Result<(), E>) -> Result<(), E>;
}

impl<'r, I: IntoIterator<Item: Borrow<Record<'r>>>> Rows<'r> for I {
    fn try_each<E>(self, mut each: impl FnMut(&Record<'r>, bool) -> Result<(), E>) -> Result<(), E> {
        self.into_iter().try_for_each(|record| each(record.borrow(), false))
    }
}
