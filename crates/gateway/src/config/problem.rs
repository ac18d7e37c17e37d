//! One thing that is wrong with a configuration.

use std::fmt;

/// A problem, with its place and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `mynah.toml:12:5`, or the name of an environment variable.
    pub place: String,
    /// The setting, such as `providers.openai.base_url`; empty for a syntax error.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The offset in the text, by which problems are sorted.
    pub at: usize,
}

impl Problem {
    /// A problem with no place in a text.
    pub fn without_place(message: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            path: String::new(),
            message: message.into(),
            at: 0,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(formatter, "{}: ", self.place)?;
        }
        if !self.path.is_empty() {
            write!(formatter, "`{}`: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// The candidate that was probably meant by `word`, as a sentence to append; empty when none is close.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min()
        .map(|(_, candidate)| format!(", did you mean `{candidate}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_words_are_suggested() {
        let keys = ["base_url", "api_keys", "kind"];
        assert_eq!(did_you_mean("baseurl", keys), ", did you mean `base_url`?");
        assert_eq!(did_you_mean("knid", keys), ", did you mean `kind`?");
        assert_eq!(did_you_mean("temperature", keys), "");
    }
}
