//! Other nodes, as the file tells of them, and the part of the check that is about them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClusterConfig;
use super::check::Check;
use super::secret::Secret;
use super::units::Span;
use crate::cluster::address::Address;

/// No request waits for longer than this.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

/// Nodes that share limits, budgets and rests of keys by way of Redis or Valkey.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Where Redis is: `redis://:PASSWORD@HOST:6379/0`, `rediss://` for TLS, `unix:///PATH` for a socket.
    pub redis: Secret,
    /// What the nodes are called together. Nodes with the same name in the same Redis share everything.
    #[serde(default = "Cluster::default_name")]
    pub name: String,
    /// How long a request waits for Redis. After that, the node goes on with its share of the limits.
    #[serde(default = "Cluster::default_timeout")]
    pub timeout: Span,
    /// By how many nodes limits are shared while Redis is away. Default: as many as there were last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
}

impl Cluster {
    fn default_name() -> String {
        "mynah".to_owned()
    }

    fn default_timeout() -> Span {
        Span(Duration::from_millis(50))
    }
}

impl Check<'_> {
    /// Where the nodes meet, if there are several.
    pub(super) fn cluster(&mut self) -> Option<ClusterConfig> {
        let cluster = self.file.cluster.as_ref()?;
        self.not_zero("cluster.timeout", Some(cluster.timeout));
        if cluster.timeout.0 > LONGEST_TIMEOUT {
            self.report("cluster.timeout", "must not be longer than 10s");
        }
        if cluster.nodes == Some(0) {
            self.report("cluster.nodes", "must be at least 1");
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        if cluster.name.is_empty() || cluster.name.len() > LONGEST_NAME || !cluster.name.chars().all(is_plain) {
            self.report(
                "cluster.name",
                "must have 1 to 64 letters, digits, dashes, underscores, dots and colons",
            );
        }
        let mut redis = self.take("cluster.redis", Address::parse(cluster.redis.expose()))?;
        redis.authorities.clone_from(&self.file.network.ca);
        Some(ClusterConfig {
            redis,
            name: cluster.name.clone(),
            timeout: cluster.timeout.0,
            nodes: cluster.nodes,
        })
    }
}
