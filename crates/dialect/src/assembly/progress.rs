//! Tells whether a JSON text that comes in pieces is complete.

/// How far a JSON object or array has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    depth: u32,
    in_text: bool,
    escaped: bool,
    complete: bool,
}

impl Progress {
    /// Looks at the next piece.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether nothing but white space can follow.
    pub(super) fn is_complete(self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_brace_however_it_is_cut() {
        let text = r#" {"a":"}\"]","b":[{}]} "#;
        let last = text.rfind('}').unwrap();
        for cut in 0..=text.len() {
            let mut progress = Progress::default();
            progress.push(&text[..cut]);
            assert_eq!(progress.is_complete(), cut > last, "{cut}");
            progress.push(&text[cut..]);
            assert!(progress.is_complete());
        }
    }
}
