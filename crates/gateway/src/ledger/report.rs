//! What the ledger tells people: `mynah usage` and `mynah requests tail`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::first_of;
use crate::config::StoreConfig;
use crate::store::findings::{Brief, Usage};
use crate::store::question::{By, LARGEST_PAGE, Scope, Search};
use crate::store::reader::Reader;

/// How often the database is looked at for new rows.
const INTERVAL: Duration = Duration::from_millis(250);

/// Rows may come as many milliseconds after later ones, from another gateway.
const OVERLAP: u64 = 5_000;

/// How a table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people, without those in which there is nothing.
    #[default]
    Table,
    /// Comma-separated values, with all columns.
    Csv,
    /// An array of objects.
    Json,
}

/// How single requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LineFormat {
    /// For people.
    #[default]
    Table,
    /// One object on a line, as GET /api/requests has them.
    Json,
}

/// What requests came to.
pub fn usage(config: &StoreConfig, by: By, scope: &Scope, format: Format) -> anyhow::Result<String> {
    let rows = Reader::open(config)?.usage(by, scope)?;
    Ok(match format {
        Format::Table => table(by, &rows),
        Format::Csv => csv(by, &rows),
        Format::Json => serde_json::to_string_pretty(&rows)? + "\n",
    })
}

/// Hands the last requests to `print`, line by line, and if they are followed, those that come after them.
pub fn tail(
    config: &StoreConfig,
    count: u32,
    follow: bool,
    format: LineFormat,
    mut print: impl FnMut(&str) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = Reader::open(config)?;
    let mut search = Search {
        limit: count,
        ..Search::default()
    };
    let page = reader.requests(&search)?;
    for row in page.requests.iter().take(count as usize).rev() {
        print(&line(row, format)?)?;
    }
    if !follow {
        return Ok(());
    }
    let oldest = page.requests.last().map_or(0, |row| row.id);
    let mut last = page.requests;
    search.limit = LARGEST_PAGE;
    loop {
        let newest = last.first().map_or(0, |row| row.id);
        search.after = Some(oldest.max(newest - first_of(OVERLAP)));
        #[expect(
            clippy::disallowed_methods,
            reason = "a command of its own, which has nothing else to do"
        )]
        std::thread::sleep(INTERVAL);
        let page = reader.requests(&search)?;
        let seen: HashSet<i64> = last.iter().map(|row| row.id).collect();
        for row in page.requests.iter().rev().filter(|row| !seen.contains(&row.id)) {
            print(&line(row, format)?)?;
        }
        if !page.requests.is_empty() {
            last = page.requests;
        }
    }
}

/// The names of the columns of a table of usage.
fn columns(by: By) -> [&'static str; 16] {
    let name = match by {
        By::Client => "client",
        By::Model => "model",
        By::Provider => "provider",
        By::Day => "day",
        By::Hour => "hour",
        By::Tag => "tag",
    };
    [
        name,
        "requests",
        "errors",
        "input",
        "cached",
        "cache_write",
        "audio_input",
        "image_input",
        "output",
        "reasoning",
        "audio_output",
        "images",
        "cost_usd",
        "estimated",
        "unpriced",
        "from_cache",
    ]
}

fn cells(row: &Usage) -> [String; 16] {
    [
        row.name.clone(),
        row.requests.to_string(),
        row.errors.to_string(),
        row.input.to_string(),
        row.cached.to_string(),
        row.cache_write.to_string(),
        row.audio_input.to_string(),
        row.image_input.to_string(),
        row.output.to_string(),
        row.reasoning.to_string(),
        row.audio_output.to_string(),
        row.images.to_string(),
        dollars(row.cost),
        row.estimated.to_string(),
        row.unpriced.to_string(),
        row.from_cache.to_string(),
    ]
}

fn csv(by: By, rows: &[Usage]) -> String {
    let mut text = columns(by).join(",") + "\n";
    for row in rows {
        let cells = cells(row).map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        });
        text += &(cells.join(",") + "\n");
    }
    text
}

fn table(by: By, rows: &[Usage]) -> String {
    if rows.is_empty() {
        return "There were no requests.\n".to_owned();
    }
    let mut lines = vec![columns(by).map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut text = String::new();
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|at| {
            let is_shown = at < 3 || lines[1..].iter().any(|line| line[at] != "0");
            let width = lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
            if is_shown { width } else { 0 }
        })
        .collect();
    for line in &lines {
        let mut cells = line.iter().zip(&widths).filter(|(_, width)| **width > 0);
        if let Some((name, width)) = cells.next() {
            let name = if name.is_empty() { "-" } else { name };
            let _ = write!(text, "{name:<width$}");
        }
        for (cell, width) in cells {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn line(row: &Brief, format: LineFormat) -> serde_json::Result<String> {
    match format {
        LineFormat::Table => Ok(words(row)),
        LineFormat::Json => Ok(serde_json::to_string(row)? + "\n"),
    }
}

fn words(row: &Brief) -> String {
    let milliseconds = i64::try_from(row.time).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    let shown = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let tokens = if row.from_cache {
        "from the cache".to_owned()
    } else {
        format!("{}+{} tokens", count(row.prompt), count(row.answer))
    };
    let mut line = format!(
        "{time:.3} {} {} {} -> {} {tokens} {} ms",
        row.status,
        shown(&row.client),
        shown(&row.asked),
        shown(&row.model),
        row.total / 1000,
    );
    if let Some(cost) = row.cost {
        let _ = write!(line, " ${}", dollars(cost));
    }
    if row.attempts > 1 {
        let _ = write!(line, " {} attempts", row.attempts);
    }
    if let Some(error) = &row.error {
        let _ = write!(line, " {error}");
    }
    line + "\n"
}

/// Nano-dollars as dollars, with as many decimals as there are, but not fewer than two.
pub fn dollars(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    let zeros = text.bytes().rev().take_while(|&digit| digit == b'0').count().min(7);
    text[..text.len() - zeros].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Usage; 2] {
        let smart = Usage {
            name: "a, \"b\"".to_owned(),
            requests: 12,
            errors: 1,
            input: 3400,
            output: 56,
            cost: 1_234_500_000,
            ..Usage::default()
        };
        let none = Usage {
            requests: 3,
            errors: 3,
            ..Usage::default()
        };
        [smart, none]
    }

    #[test]
    fn a_table_has_only_the_columns_in_which_there_is_something() {
        assert_eq!(
            table(By::Client, &rows()),
            "client  requests  errors  input  output  cost_usd\n\
             a, \"b\"        12       1   3400      56    1.2345\n\
             -              3       3      0       0      0.00\n"
        );
    }

    #[test]
    fn csv_has_all_of_them() {
        let text = csv(By::Model, &rows());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("model,requests,errors,input,cached,cache_write,"));
        assert_eq!(lines[1], "\"a, \"\"b\"\"\",12,1,3400,0,0,0,0,56,0,0,0,1.2345,0,0,0");
        assert_eq!(lines[2], ",3,3,0,0,0,0,0,0,0,0,0,0.00,0,0,0");
    }

    #[test]
    fn money_is_not_rounded() {
        assert_eq!(dollars(0), "0.00");
        assert_eq!(dollars(1), "0.000000001");
        assert_eq!(dollars(12_500_000_000), "12.50");
    }
}
