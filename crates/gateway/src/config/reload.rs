//! Notices when configuration files change on disk.
//!
//! The files are looked at once a second rather than watched: that also works for files on network drives and for those
//! that are swapped by symbolic links, as in a Kubernetes volume.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How often files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What is remembered of a file: enough to tell that it changed.
type Mark = Option<(SystemTime, u64)>;

/// Files and how they were when they were last looked at.
#[derive(Debug, Default)]
pub struct Watched {
    files: Vec<(PathBuf, Mark)>,
}

impl Watched {
    /// Watches these files from now on.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let marked = files.into_iter().map(|file| {
            let mark = mark(&file);
            (file, mark)
        });
        Self {
            files: marked.collect(),
        }
    }

    /// Whether any file has changed since the last call.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (file, before) in &mut self.files {
            let now = mark(file);
            changed |= *before != now;
            *before = now;
        }
        changed
    }
}

fn mark(file: &PathBuf) -> Mark {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let mut watched = Watched::new([file.clone()]);
        assert!(!watched.changed());
        std::fs::write(&file, "1").unwrap();
        assert!(watched.changed() && !watched.changed());
        std::fs::write(&file, "22").unwrap();
        assert!(watched.changed() && !watched.changed());
        std::fs::remove_file(&file).unwrap();
        assert!(watched.changed() && !watched.changed());
    }
}
