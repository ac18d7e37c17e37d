//! What comes of a storm, as tables, and whether the promises were kept.

use std::fmt::Write as _;

/// Tables, and what was to be kept.
#[derive(Clone, Debug, Default)]
pub struct Report {
    text: String,
    /// What was promised, and whether it was kept.
    checks: Vec<(String, bool)>,
    /// What came instead, for people.
    breaches: Vec<String>,
}

impl Report {
    /// A table.
    pub(super) fn table<const COLUMNS: usize>(&mut self, head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<&str> = (0..COLUMNS)
            .map(|column| if column == 0 { "---" } else { "---:" })
            .collect();
        self.text.push_str(&line(&head));
        self.text.push_str(&line(&rule));
        for row in rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.text.push_str(&line(&cells));
        }
        self.text.push('\n');
    }

    /// A promise, and whether it was kept.
    pub(super) fn check(&mut self, promise: impl Into<String>, is_kept: bool) {
        self.checks.push((promise.into(), is_kept));
    }

    /// What came instead of what was promised.
    pub(super) fn breach(&mut self, text: impl Into<String>) {
        self.breaches.push(text.into());
    }

    /// What comes after this.
    pub fn add(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.checks.extend(other.checks);
        self.breaches.extend(other.breaches);
    }

    /// Whether everything was kept.
    pub fn is_kept(&self) -> bool {
        self.checks.iter().all(|(_, is_kept)| *is_kept)
    }

    /// All of it in Markdown, and at the end `N passed, M failed`.
    pub fn text(&self) -> String {
        let mut text = self.text.clone();
        let failed = self.checks.iter().filter(|(_, is_kept)| !is_kept);
        for (promise, _) in failed.clone() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "BROKEN: {promise}");
        }
        for breach in &self.breaches {
            let _ = writeln!(text, "\n{breach}");
        }
        let failed = failed.count();
        let _ = writeln!(text, "{} passed, {failed} failed", self.checks.len() - failed);
        text
    }
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A latency in milliseconds, with three digits.
pub(super) fn milliseconds(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1,234", "1,234,567"]);
    }

    #[test]
    fn latencies_have_three_digits() {
        assert_eq!([0.1234, 12.34, 1234.5].map(milliseconds), ["0.12", "12.3", "1234"]);
    }

    #[test]
    fn a_broken_promise_is_counted_and_shown() {
        let mut report = Report::default();
        report.table(["a", "b"], &[["1".to_owned(), "2".to_owned()]]);
        report.check("kept", true);
        report.check("not kept", false);
        let text = report.text();
        assert!(text.starts_with("| a | b |\n| --- | ---: |\n| 1 | 2 |\n"), "{text}");
        assert!(
            text.ends_with("BROKEN: not kept\n1 passed, 1 failed\n") && !report.is_kept(),
            "{text}"
        );
    }
}
