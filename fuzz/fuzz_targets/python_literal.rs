//! A file of Python literals of any bytes is read, or refused at a place in it. What was read is read again from what other
//! files may say after it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mynah::config::python_literal::{line_and_column, read};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read(text) {
        Ok(assigned) => {
            let more = format!("{text}\nlast = 'one'\n");
            // A comment or a text that is still open takes in what comes behind it, and is refused then.
            if let Ok(again) = read(&more) {
                assert!(assigned.iter().all(|(name, literal)| name == "last" || again.get(name) == Some(literal)));
            }
        }
        Err(fault) => {
            assert!(text.is_char_boundary(fault.at), "{fault}");
            let (line, column) = line_and_column(text, fault.at);
            assert!(line >= 1 && column >= 1);
        }
    }
});
