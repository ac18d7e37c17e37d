//! Rows that are written together.

use std::borrow::Cow;

use super::content::{Blackening, Capture, Content};
use super::ids::Ids;
use super::packed::Packed;
use super::record::Record;
use super::rows::Rows;

/// As much memory is kept for the rows that come next, in bytes.
const KEPT: usize = 4 * 1024 * 1024;

/// Rows, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: Packed,
    /// What was said, with the number of its row, as it was.
    captures: Vec<(usize, Box<Capture>)>,
    /// The same as it is kept.
    contents: Vec<(usize, Content)>,
    /// The ids of the rows, once they have some.
    ids: Vec<i64>,
    node: i64,
}

impl Batch {
    /// Adds a row, and what was said.
    pub(super) fn push(&mut self, row: &Record<'_>, capture: Option<Box<Capture>>) {
        self.captures.extend(capture.map(|capture| (self.rows.len(), capture)));
        self.rows.push(row);
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has room for other rows.
    pub(super) fn clear(&mut self) {
        if self.rows.capacity() > KEPT {
            *self = Self::default();
            return;
        }
        self.rows.clear();
        self.captures.clear();
        self.contents.clear();
        self.ids.clear();
    }

    /// Gives the rows their ids, at a moment in milliseconds since 1970, and blackens what was said.
    pub(super) fn finish(&mut self, ids: &mut Ids, time: u64, blackening: &Blackening) {
        self.node = ids.node();
        self.ids.extend((0..self.rows.len()).map(|_| ids.next(time)));
        let captures = self.captures.drain(..);
        self.contents
            .extend(captures.map(|(row, capture)| (row, blackening.apply(&capture))));
    }
}

impl<'r> Rows<'r> for &'r Batch {
    fn try_each<E>(self, mut each: impl FnMut(&Record<'r>, bool) -> Result<(), E>) -> Result<(), E> {
        let mut contents = self.contents.iter().peekable();
        let mut ids = self.ids.iter().enumerate();
        self.rows.try_each(|record, is_alike| {
            // Rows without ids are not finished.
            let Some((row, id)) = ids.next() else { return Ok(()) };
            (record.id, record.node) = (*id, self.node);
            let content = contents.next_if(|(said_in, _)| *said_in == row);
            record.content = content.map(|(_, content)| Cow::Borrowed(content));
            each(record, is_alike)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str) -> Record<'_> {
        Record {
            path: path.into(),
            ..Record::default()
        }
    }

    #[test]
    fn what_was_said_stays_with_its_row() {
        let mut batch = Batch::default();
        let rows = [("a", None), ("b", Some("to b")), ("c", None), ("d", Some("to d"))];
        for (path, prompt) in rows {
            let said = prompt.map(|prompt: &str| {
                let mut capture = Capture::new(100);
                capture.asked(prompt.as_bytes());
                Box::new(capture)
            });
            batch.push(&row(path), said);
        }
        batch.finish(&mut Ids::new(2), 5, &Blackening::default());
        let mut told = Vec::new();
        let _ = batch.try_each(|row, _| {
            told.push(row.clone());
            Ok::<_, ()>(())
        });
        for (row, (path, prompt)) in told.iter().zip(rows) {
            let said = row.content.as_ref().map(|content| content.prompt.as_str());
            assert_eq!((row.path.as_ref(), said), (path, prompt));
        }
        assert!(told.len() == 4 && told.is_sorted_by(|one, next| one.id < next.id && one.node == next.node));
    }

    #[test]
    fn memory_is_used_again_unless_it_is_much() {
        let mut batch = Batch::default();
        batch.push(&row("a"), None);
        batch.clear();
        assert!(batch.is_empty() && batch.rows.capacity() > 0);
        batch.push(&row(&"a".repeat(KEPT)), None);
        batch.clear();
        assert!(batch.is_empty() && batch.rows.capacity() == 0);
    }
}
