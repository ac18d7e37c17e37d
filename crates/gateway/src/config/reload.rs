//! Notices when configuration files change on disk.
//!
//! The files are looked at again and again rather than watched: that also works for files on network drives and for those
//! that are swapped by symbolic links, as in a Kubernetes volume.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How often files are looked at. What has changed is taken at the second look: in good time, and not while it is written.
pub const INTERVAL: Duration = Duration::from_millis(400);

/// What is remembered of a file: enough to tell that it changed.
type Mark = Option<(SystemTime, u64)>;

/// Files whose changes are noticed once they hold still.
#[derive(Debug, Default)]
pub struct Watched {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// As it was when it was last taken.
    taken: Mark,
    /// As it was at the last look.
    seen: Mark,
}

impl Watched {
    /// Watches these files from now on.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watched = Self::default();
        watched.follow(paths);
        watched
    }

    /// Watches these files from now on, and no others. Of those that were watched before, no change is missed.
    pub fn follow(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        let file = |path: PathBuf| {
            let known = before.iter().position(|file| file.path == path);
            known.map_or_else(|| File::new(path), |at| before.swap_remove(at))
        };
        self.files = paths.into_iter().map(file).collect();
    }

    /// Whether any file has changed since it was last taken, and all are as they were at the last look.
    pub fn look(&mut self) -> bool {
        let (mut has_changed, mut holds_still) = (false, true);
        for file in &mut self.files {
            let now = mark(&file.path);
            has_changed |= now != file.taken;
            holds_still &= now == file.seen;
            file.seen = now;
        }
        has_changed && holds_still
    }

    /// Says that the files are read now, as they were seen.
    pub fn take(&mut self) {
        for file in &mut self.files {
            file.taken = file.seen;
        }
    }

    /// Whether all files are as they were at the last look.
    pub fn hold_still(&self) -> bool {
        self.files.iter().all(|file| mark(&file.path) == file.seen)
    }
}

impl File {
    fn new(path: PathBuf) -> Self {
        let mark = mark(&path);
        Self {
            path,
            taken: mark,
            seen: mark,
        }
    }
}

fn mark(file: &PathBuf) -> Mark {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> (tempfile::TempDir, PathBuf, Watched) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let watched = Watched::new([file.clone()]);
        (directory, file, watched)
    }

    /// Whether a change is noticed at the second look, and only once.
    fn is_noticed(watched: &mut Watched) -> bool {
        let looks = [watched.look(), watched.look(), watched.look()];
        watched.take();
        looks == [false, true, true] && !watched.look() && !watched.look()
    }

    #[test]
    fn a_change_is_noticed_once_it_holds_still() {
        let (_directory, file, mut watched) = watched();
        assert!(!watched.look() && !watched.look());
        std::fs::write(&file, "1").unwrap();
        assert!(is_noticed(&mut watched));
        std::fs::remove_file(&file).unwrap();
        assert!(is_noticed(&mut watched));
    }

    #[test]
    fn a_file_is_not_taken_while_it_is_written() {
        let (_directory, file, mut watched) = watched();
        for part in ["", "1", "12", "123"] {
            std::fs::write(&file, part).unwrap();
            assert!(!watched.look(), "{part}");
        }
        assert!(watched.look() && watched.hold_still());
        watched.take();
        // It goes on while it is read.
        std::fs::write(&file, "1234").unwrap();
        assert!(!watched.hold_still());
        watched.follow([file.clone()]);
        assert!(is_noticed(&mut watched));
    }
}
