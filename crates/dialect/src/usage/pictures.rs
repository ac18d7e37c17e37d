//! Counts the pictures in answers that pass by.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// How a member with a picture begins: OpenAI's, and Imagen's. A quote inside a JSON string is always escaped.
static MEMBERS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\"b64_json\"", "\"url\"", "\"bytesBase64Encoded\""].map(Finder::new));

/// How events say that a picture is done; there may be drafts of it before.
static EVENTS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"image_generation.completed\"", "\"image_edit.completed\""].map(Finder::new));

/// The longest of these, with the white space and the quote after it.
const LONGEST: usize = 40;

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    /// How often each of the members was there.
    found: [u64; 3],
    /// The end of what has passed.
    tail: Vec<u8>,
    is_stream: bool,
}

impl Pictures {
    /// Counts those in a stream of events.
    pub(super) fn events() -> Self {
        Self {
            is_stream: true,
            ..Self::default()
        }
    }

    /// How many there are. One that is told in two ways is one.
    pub(super) fn count(&self) -> u64 {
        if self.is_stream {
            self.found.iter().sum()
        } else {
            self.found.iter().copied().max().unwrap_or(0)
        }
    }

    /// Looks at the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let (head, _) = piece.split_at(piece.len().min(LONGEST));
        let mut seam = std::mem::take(&mut self.tail);
        let begun = seam.len();
        seam.extend_from_slice(head);
        // Those that begin before this piece, and could not be told without it.
        self.search(&seam, |start, end| start < begun && end > begun);
        self.search(piece, |_, _| true);
        let last = if piece.len() < LONGEST { &seam } else { piece };
        self.tail = last
            .get(last.len().saturating_sub(LONGEST)..)
            .unwrap_or_default()
            .to_vec();
    }

    fn search(&mut self, window: &[u8], counts: impl Fn(usize, usize) -> bool) {
        let finders: &[Finder<'static>] = if self.is_stream { &*EVENTS } else { &*MEMBERS };
        for (found, finder) in self.found.iter_mut().zip(finders) {
            for start in finder.find_iter(window) {
                let after = start + finder.needle().len();
                let end = if self.is_stream {
                    Some(after)
                } else {
                    text_at(window, after)
                };
                if end.is_some_and(|end| counts(start, end)) {
                    *found += 1;
                }
            }
        }
    }
}

/// Where the text begins that is the value of the member whose name ends here; `None` when it is something else.
fn text_at(window: &[u8], name_end: usize) -> Option<usize> {
    let rest = window.get(name_end..)?.trim_ascii_start().strip_prefix(b":")?;
    let text = rest.trim_ascii_start().strip_prefix(b"\"")?;
    Some(window.len() - text.len())
}
