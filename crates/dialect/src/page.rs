//! Errors that are no JSON: the page of a proxy before the provider, a text, or nothing.

use crate::tree::Node;

/// As many letters of a text are told.
const MOST_TOLD: usize = 300;

/// Whether the body of an error is not what a JSON API answers.
pub fn is_page(body: &[u8]) -> bool {
    Node::parse(body).map_or(true, |node| !node.is_object() && !node.is_array())
}

/// What such a body says, in short: of a page its title.
pub fn told(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let text = if text.starts_with('<') { title(text)? } else { text };
    let words: Vec<&str> = text.split_whitespace().collect();
    let told: String = words.join(" ").chars().take(MOST_TOLD).collect();
    (!told.is_empty()).then_some(told)
}

/// What stands in the element `title`.
fn title(page: &str) -> Option<&str> {
    // Offsets stay the same.
    let letters = page.to_ascii_lowercase();
    let begin = letters.find("<title")?;
    let begin = begin + letters.get(begin..)?.find('>')? + 1;
    let length = letters.get(begin..)?.find("</title")?;
    page.get(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_what_is_neither_an_object_nor_a_list() {
        for body in [
            "",
            " ",
            "<html></html>",
            "404 page not found",
            "null",
            "7",
            r#"{"error":"#,
        ] {
            assert!(is_page(body.as_bytes()), "{body}");
        }
        for body in ["{}", r#" {"error":"x"} "#, r#"[{"error":{}}]"#] {
            assert!(!is_page(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        for (body, expected) in [
            ("", None),
            ("<html></html>", None),
            ("<title>", None),
            ("<title></title>", None),
            (
                "<html>\n<HEAD><Title lang=en>503 Service\n  Unavailable</TITLE></head><h1>x</h1>",
                Some("503 Service Unavailable"),
            ),
            (" upstream connect error\n", Some("upstream connect error")),
        ] {
            assert_eq!(told(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(told("ü".repeat(1000).as_bytes()).unwrap().chars().count(), MOST_TOLD);
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd_to_be_told(body in "(<|title|/|>|İ|\\PC){0,40}") {
            let _ = told(body.as_bytes());
        }
    }
}
