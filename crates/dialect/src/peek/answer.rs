//! How long the answers may be that a body asks for, and how many there shall be.

use std::ops::Range;

use super::plain_key;
use crate::json::Scanner;

/// Where a body says it, at its top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerSpans {
    tokens: Option<Range<usize>>,
    count: Option<Range<usize>>,
    /// Gemini's, in which the others are.
    config: Option<Range<usize>>,
}

/// How long answers may be, and how many there shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimit {
    /// The most tokens of one answer, where the body says so.
    pub tokens: Option<u64>,
    /// How many answers there shall be.
    pub answers: u64,
}

impl AnswerSpans {
    /// Notes a member if it is one of these.
    pub(super) fn note(&mut self, key: &[u8], value: Range<usize>) {
        match key {
            b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => self.tokens = Some(value),
            b"n" => self.count = Some(value),
            b"generationConfig" | b"generation_config" => self.config = Some(value),
            _ => {}
        }
    }

    /// What stands there. What is no number is for the provider to judge.
    pub(super) fn read(&self, body: &[u8]) -> AnswerLimit {
        let (mut tokens, mut count) = (self.tokens.clone(), self.count.clone());
        for (key, value) in self.config.iter().flat_map(|config| members(body, config)) {
            match plain_key(body, &key).as_ref() {
                b"maxOutputTokens" | b"max_output_tokens" => tokens = Some(value),
                b"candidateCount" | b"candidate_count" => count = Some(value),
                _ => {}
            }
        }
        let number = |span: Range<usize>| std::str::from_utf8(body.get(span)?).ok()?.parse().ok();
        AnswerLimit {
            tokens: tokens.and_then(number),
            answers: count.and_then(number).unwrap_or(1).max(1),
        }
    }
}

/// The keys and values of an object in a body that was seen to be well formed; none of what is no object.
fn members<'b>(body: &'b [u8], span: &Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<'b> {
    let mut scanner = Scanner::starting_at(body.get(..span.end).unwrap_or_default(), span.start);
    let is_object = scanner.open_object().is_ok();
    let mut first = true;
    std::iter::from_fn(move || {
        let key = scanner.next_key(std::mem::take(&mut first)).ok()??;
        Some((key, scanner.value().ok()?))
    })
    .take_while(move |_| is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peek::peek;

    #[test]
    fn every_dialect_says_it_in_its_own_way() {
        for (body, tokens, answers) in [
            (r#"{"model":"m"}"#, None, 1),
            (r#"{"messages":[{"max_tokens":7}],"max_tokens":20}"#, Some(20), 1),
            (r#"{"n":3,"max_completion_tokens": 20 }"#, Some(20), 3),
            (r#"{"max_output_tokens":5,"tools":[{"n":9}]}"#, Some(5), 1),
            (
                r#"{"generationConfig":{"stop":["{"],"maxOutputTokens":9,"candidateCount":2}}"#,
                Some(9),
                2,
            ),
            (
                r#"{"generation_config": {"candidate_count": 4, "max_output\u005ftokens":8}}"#,
                Some(8),
                4,
            ),
            (r#"{"generationConfig":{}}"#, None, 1),
            (r#"{"generationConfig":[{"maxOutputTokens":9}]}"#, None, 1),
            (r#"{"max_tokens":null,"n":0}"#, None, 1),
            (r#"{"max_tokens":"many","n":-2}"#, None, 1),
        ] {
            let limit = peek(body.as_bytes()).unwrap().answer_limit(body.as_bytes());
            assert_eq!(limit, AnswerLimit { tokens, answers }, "{body}");
        }
    }
}
