//! What a node's ledger is called, so that what it has spent is not counted again when the node starts anew.

use std::io::Write as _;
use std::path::Path;

use uuid::Uuid;

use crate::config::Place;

/// The longest name that is believed, in bytes.
const LONGEST: usize = 64;

/// What a ledger is called that all nodes write to.
const SHARED: &str = "shared";

/// What a ledger is called.
pub fn of_ledger(place: &Place) -> std::io::Result<String> {
    match place {
        Place::Sqlite(path) => of_file(path),
        Place::Postgres(_) => Ok(SHARED.to_owned()),
    }
}

/// What the ledger in a file is called. The name stands in a file beside it, which is made if it is not there.
fn of_file(database: &Path) -> std::io::Result<String> {
    let mut file = database.as_os_str().to_owned();
    file.push(".node");
    match std::fs::read_to_string(&file) {
        Ok(name) if is_name(name.trim()) => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = Uuid::now_v7().simple().to_string();
    let mut new = std::fs::File::create(&file)?;
    writeln!(new, "{name}")?;
    new.sync_all()?;
    Ok(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("mynah.db");
        let name = of_file(&database).unwrap();
        assert_eq!(of_file(&database).unwrap(), name);
        std::fs::write(directory.path().join("mynah.db.node"), "a\0b").unwrap();
        assert_ne!(of_file(&database).unwrap(), name);
    }
}
