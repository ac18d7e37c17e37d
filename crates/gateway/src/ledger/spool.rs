//! Rows that could not be written to the database, in a file beside it: one JSON object a line.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::record::Record;
use super::rows::Rows;

/// As many bytes are read at a time.
const CHUNK: u64 = 256 * 1024;

/// The longest line. A row that has more with its prompt and answer comes without them.
const LONGEST: usize = 128 * 1024;

/// The file. It is there only once there was something to put into it.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    /// How large it may become.
    most: u64,
    file: Option<File>,
    length: u64,
    /// How much of it was written to the database.
    read: u64,
}

/// Rows out of the file.
pub(super) struct Chunk {
    /// The rows.
    pub(super) rows: Vec<Record<'static>>,
    /// Lines that are no rows.
    pub(super) unreadable: u64,
    length: u64,
}

impl Spool {
    /// A spool of as many bytes at `most`.
    pub(super) fn new(path: &Path, most: u64) -> Self {
        Self {
            path: path.to_owned(),
            most,
            file: None,
            length: 0,
            read: 0,
        }
    }

    /// Adds rows, all or none.
    pub(super) fn append<'r>(&mut self, rows: impl Rows<'r> + Copy) -> io::Result<()> {
        let most = self.most;
        self.open(true)?;
        let length = self.length;
        let fits = |lines: &[u8]| length.saturating_add(lines.len() as u64) <= most;
        let mut lines = lines(rows, LONGEST)?;
        if !fits(&lines) {
            lines = self::lines(rows, 0)?;
        }
        let file = self.open(true)?;
        if !fits(&lines) {
            return Err(io::Error::other(
                "it has as many bytes as it may have (`store.max_spool`)",
            ));
        }
        if let Err(error) = file.write_all(&lines) {
            // What came into it must not be taken for a row.
            file.set_len(length)?;
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    /// The next rows; `None` when there are no more.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        if self.file.is_none() && std::fs::metadata(&self.path).map_or(0, |file| file.len()) == 0 {
            return Ok(None);
        }
        let read = self.read;
        let file = self.open(false)?;
        file.seek(SeekFrom::Start(read))?;
        let mut bytes = Vec::new();
        file.take(CHUNK).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        // A last line without an end came from a process that was killed while it wrote.
        if let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') {
            bytes.truncate(end + 1);
        }
        let mut chunk = Chunk {
            rows: Vec::new(),
            unreadable: 0,
            length: bytes.len() as u64,
        };
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(row) => chunk.rows.push(row),
                Err(_) => chunk.unreadable += 1,
            }
        }
        Ok(Some(chunk))
    }

    /// Says that rows are in the database. Returns whether they were the last ones; then the file is empty again.
    pub(super) fn written(&mut self, chunk: &Chunk) -> io::Result<bool> {
        self.read += chunk.length;
        if self.read < self.length {
            return Ok(false);
        }
        self.open(false)?.set_len(0)?;
        (self.read, self.length) = (0, 0);
        Ok(true)
    }

    fn open(&mut self, create: bool) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(create)
                .open(&self.path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => io::Error::other("another process uses it"),
                TryLockError::Error(error) => error,
            })?;
            self.length = file.metadata()?.len();
            self.length += end_last_line(&mut file, self.length)?;
            return Ok(self.file.insert(file));
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A line for each row, with its prompt and answer if that makes it no longer than `longest`.
fn lines<'r>(rows: impl Rows<'r>, longest: usize) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    rows.try_each(|row, _| {
        let begins = lines.len();
        serde_json::to_writer(&mut lines, row)?;
        if row.content.is_some() && lines.len() - begins > longest {
            lines.truncate(begins);
            let bare = Record {
                content: None,
                ..row.clone()
            };
            serde_json::to_writer(&mut lines, &bare)?;
        }
        lines.push(b'\n');
        io::Result::Ok(())
    })?;
    Ok(lines)
}

/// Ends a line that a process was killed in. Returns how many bytes that took.
fn end_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut last = *b"\n";
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    if last == *b"\n" {
        return Ok(0);
    }
    file.write_all(b"\n")?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::ledger::content::Content;

    fn row(id: i64) -> Record<'static> {
        Record {
            id,
            asked: "m".repeat(200).into(),
            ..Record::default()
        }
    }

    fn all(spool: &mut Spool) -> (Vec<i64>, u64) {
        let (mut ids, mut unreadable) = (Vec::new(), 0);
        while let Some(chunk) = spool.next().unwrap() {
            ids.extend(chunk.rows.iter().map(|row| row.id));
            unreadable += chunk.unreadable;
            spool.written(&chunk).unwrap();
        }
        (ids, unreadable)
    }

    #[test]
    fn rows_come_back_in_order_also_to_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.spool");
        let mut spool = Spool::new(&path, u64::MAX);
        assert!(spool.next().unwrap().is_none());
        assert!(!directory.path().join("m.spool").exists());
        for id in 0..2000 {
            spool.append(&[row(id)]).unwrap();
        }
        assert!(Spool::new(&path, u64::MAX).append(&[row(1)]).is_err(), "it is in use");
        let chunk = spool.next().unwrap().unwrap();
        assert!(!spool.written(&chunk).unwrap() && chunk.rows.len() < 2000);
        drop(spool);
        let mut next = Spool::new(&path, u64::MAX);
        assert_eq!(all(&mut next), ((0..2000).collect(), 0));
        assert_eq!(std::fs::metadata(directory.path().join("m.spool")).unwrap().len(), 0);
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.spool");
        Spool::new(&path, u64::MAX).append(&[row(1)]).unwrap();
        let file = directory.path().join("m.spool");
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, [&whole[..], &whole[..50]].concat()).unwrap();
        let mut spool = Spool::new(&path, u64::MAX);
        spool.append(&[row(2)]).unwrap();
        assert_eq!(all(&mut spool), (vec![1, 2], 1));
    }

    #[test]
    fn prompts_that_do_not_fit_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let with = |id, length| Record {
            content: Some(Cow::Owned(Content {
                prompt: "\u{1}".repeat(length),
                ..Content::default()
            })),
            ..row(id)
        };
        let mut spool = Spool::new(&directory.path().join("m.spool"), 150_000);
        spool.append(&[with(1, 10_000), with(2, 100_000)]).unwrap();
        spool.append(&[with(3, 20_000)]).unwrap();
        let chunk = spool.next().unwrap().unwrap();
        let found: Vec<(i64, bool)> = chunk.rows.iter().map(|row| (row.id, row.content.is_some())).collect();
        assert_eq!((found, chunk.unreadable), (vec![(1, true), (2, false), (3, false)], 0));
    }

    #[test]
    fn it_has_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&directory.path().join("m.spool"), 1000);
        assert!(spool.append(&[row(1)]).is_ok());
        assert!(spool.append(&[row(2), row(3)]).is_err());
        assert_eq!(all(&mut spool).0, [1]);
        assert!(spool.append(&[row(2)]).is_ok(), "there is room again");
    }
}
