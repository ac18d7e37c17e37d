//! The part of the check that is about other nodes.

use std::time::Duration;

use super::ClusterConfig;
use super::check::Check;
use crate::cluster::address::Address;

/// No request waits for longer than this.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

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
