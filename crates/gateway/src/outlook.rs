//! Where a request for a model would go now, and why somebody would be passed over.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::alarm::after;
use crate::course::{Course, Fit, Limits, Obstacle, Prospect};
use crate::keys::Reason;
use crate::route::{Route, Target};

/// Where a request for a model would go now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// The name that was asked for.
    pub model: String,
    /// Where it leads: to a later tier when none of the earlier ones has answered.
    pub tiers: Vec<TierOutlook>,
}

/// One tier.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TierOutlook {
    /// The model whose targets they are.
    pub model: String,
    /// How they are chosen from.
    pub strategy: String,
    /// The targets, in the order in which they would be asked. Where chance decides, this is one of many.
    pub targets: Vec<TargetOutlook>,
}

/// One target.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetOutlook {
    /// `provider/model`.
    pub target: String,
    /// Its part of the load, relative to the others of its tier.
    pub weight: f64,
    /// The share of its part that it gets while it recovers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Requests in flight.
    pub in_flight: u32,
    /// How long its first content takes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Why it would be passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// The outlook of a request. `fit` tells how a target suits it, and `why` why one does not.
pub fn outlook(
    route: &Route,
    conversation: Option<u64>,
    fit: impl FnMut(&Target) -> Fit,
    why: impl Fn(&Target) -> String,
) -> Outlook {
    let now = Instant::now();
    let limits = Limits {
        deadline: None,
        wait_until: after(now, route.rules.max_wait),
        conversation,
    };
    let tiers = Course::new(route, limits, fit).outlook(now, fastrand::u64(..));
    let described = |prospect: &Prospect<'_>| target(prospect, &why, now);
    let tiers = route.tiers.iter().zip(&tiers).map(|(tier, prospects)| TierOutlook {
        model: tier.model.clone(),
        strategy: tier.strategy.name().to_owned(),
        targets: prospects.iter().map(described).collect(),
    });
    Outlook {
        model: route.name.clone(),
        tiers: tiers.collect(),
    }
}

fn target(prospect: &Prospect<'_>, why: &impl Fn(&Target) -> String, now: Instant) -> TargetOutlook {
    let target = prospect.target;
    let report = target.condition.report(now);
    let passed_over = match (prospect.fit, prospect.obstacle) {
        (Fit::Unfit, _) => Some(why(target)),
        (_, Some(Obstacle::Failing(until))) => Some(format!(
            "it failed {} times in a row and is left alone for {}",
            report.consecutive_failures,
            seconds(until, now)
        )),
        (_, Some(Obstacle::Resting(resting))) if resting.reason == Reason::Held => {
            Some("the operator has taken all its keys out of the rotation".to_owned())
        }
        (_, Some(Obstacle::Resting(resting))) => Some(format!(
            "all its keys rest ({}), the first of them for {}",
            resting.reason.name(),
            seconds(resting.until, now)
        )),
        (Fit::Down, None) => Some("it did not answer when it was last looked at, so it comes last".to_owned()),
        (Fit::Native | Fit::Translated, None) => None,
    };
    TargetOutlook {
        target: target.name.clone(),
        weight: target.weight,
        share: Some(report.share).filter(|share| *share < 1.0),
        in_flight: report.pending,
        latency_ms: report.latency.map(milliseconds),
        passed_over,
    }
}

fn seconds(until: Instant, now: Instant) -> String {
    format!("{:.1} s", until.saturating_duration_since(now).as_secs_f64())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl std::fmt::Display for Outlook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.model)?;
        for (number, tier) in self.tiers.iter().enumerate() {
            let origin = if tier.model == self.model {
                String::new()
            } else {
                format!(" of {}", tier.model)
            };
            writeln!(formatter, "  tier {}{origin}, {}", number + 1, tier.strategy)?;
            for target in &tier.targets {
                write!(formatter, "    {}", target.target)?;
                if let Some(latency) = target.latency_ms {
                    write!(formatter, ", first content after {latency} ms")?;
                }
                if target.in_flight > 0 {
                    write!(formatter, ", {} in flight", target.in_flight)?;
                }
                if let Some(share) = target.share {
                    write!(formatter, ", recovering: {:.0} % of its share", share * 100.0)?;
                }
                if let Some(reason) = &target.passed_over {
                    write!(formatter, " - passed over: {reason}")?;
                }
                writeln!(formatter)?;
            }
        }
        Ok(())
    }
}
