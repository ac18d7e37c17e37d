//! JSON without the white space between its tokens.

/// The text without white space outside of strings; numbers, escapes and order stay. Google pretty-prints whole answers,
/// and arguments go to other protocols as text.
pub(super) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for letter in json.chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_nothing_goes() {
        assert_eq!(
            compact("{\n  \"a b\\\" : \\\\\" : [ 1.10 ,\ttrue ] , \"ü\\n\" : \"\" }"),
            "{\"a b\\\" : \\\\\":[1.10,true],\"ü\\n\":\"\"}"
        );
    }
}
