//! `[[clients]]` and `[[groups]]` as they are written: who may call, for what, and how much.

use std::fmt;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, tz::Offset};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::file::is_default;
use super::secret::Secret;
use crate::operation::Kind;

/// The name of the client that stands for callers without a key.
pub const ANONYMOUS: &str = "anonymous";

/// Someone who may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// A name for the log, the ledger and the counters. `anonymous` stands for callers without a key, and has none.
    pub name: String,
    /// The key. Only its SHA-256 is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// The key's SHA-256 in hexadecimal, instead of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// The key is refused from then on: a date, which stands for its end in UTC, or a date and time with its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// The group that it belongs to. What is not said here is as the group has it, and the limits of both hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The models that may be asked for: names, `provider/model`, with `*` for any text. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What may be asked of them. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Kind>>,
    /// Words that stand in the ledger beside every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Answer 400 rather than lose a part of a request in translation. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Requests in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests in any 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts and answers in any 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Requests under way at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// What may be spent, as `{ usd = 50, per = "month" }` or a list of these.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budgets,
}

/// Clients that share limits, such as a team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group that it belongs to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What clients may ask for that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What may be asked of models by clients that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Kind>>,
    /// The words of clients that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Whether losses are refused to clients that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Requests of all its clients in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers of all its clients in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests of all its clients in any 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts and answers of all its clients in any 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Requests of all its clients under way at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// What all its clients together may spend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budgets,
}

/// One budget, or several with different periods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Budgets {
    /// One.
    One(Budget),
    /// Several, all of which hold.
    Several(Vec<Budget>),
}

/// What may be spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars.
    pub usd: f64,
    /// The period, which begins anew on the hour, at midnight, on Monday, on the first of the month (in UTC), or never.
    pub per: Period,
}

/// The periods of budgets, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last.
    Month,
    /// For good.
    Total,
}

/// When a key is refused from: a date, which stands for its end in UTC, or a date and time with its zone (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub Timestamp);

/// The `format` in the JSON Schema of an [`Expiry`].
pub const EXPIRY_FORMAT: &str = "mynah-date";

// === impl Budgets ===

impl Budgets {
    /// All of them.
    pub fn all(&self) -> &[Budget] {
        match self {
            Self::One(budget) => std::slice::from_ref(budget),
            Self::Several(budgets) => budgets,
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

// === impl Period ===

impl Period {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

// === impl Expiry ===

impl Expiry {
    /// Reads a date, or a date and time.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |_| {
            format!(
                "`{text}` is not a date; write one as \"2030-12-31\" or, with the time, as \"2030-12-31T18:00:00Z\""
            )
        };
        if text.len() > 10 {
            return text.parse().map(Self).map_err(wrong);
        }
        let end = text.parse::<Date>().and_then(Date::tomorrow).map_err(wrong)?;
        Offset::UTC
            .to_timestamp(end.to_datetime(Time::midnight()))
            .map(Self)
            .map_err(wrong)
    }

    /// In milliseconds since 1970.
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Expiry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": EXPIRY_FORMAT,
            "description": "A date such as \"2030-12-31\", or a date and time such as \"2030-12-31T18:00:00Z\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_stands_for_its_end() {
        for (text, shown) in [
            ("2030-12-31", "2031-01-01T00:00:00Z"),
            ("2030-12-31T18:00:00Z", "2030-12-31T18:00:00Z"),
            ("2030-12-31T18:00:00+02:00", "2030-12-31T16:00:00Z"),
        ] {
            assert_eq!(Expiry::parse(text).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "soon",
            "2030-13-01",
            "31.12.2030",
            "2030-12-31T18:00:00",
            "9999-12-31",
        ] {
            assert!(Expiry::parse(wrong).unwrap_err().contains("2030-12-31"), "{wrong}");
        }
    }
}
