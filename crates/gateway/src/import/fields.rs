//! The members of a map, of which those are noted that nobody takes.

use super::Notes;
use super::yaml::Node;

/// The members of a map that nobody has taken yet.
pub(super) struct Fields<'n> {
    path: String,
    left: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(super) fn of(node: &'n Node, path: &str) -> Self {
        let left = node.members().iter().map(|(key, value)| (key.as_str(), value));
        Self {
            path: path.to_owned(),
            left: left.collect(),
        }
    }

    /// A member, unless it is empty. It is taken in any case.
    pub(super) fn take(&mut self, name: &str) -> Option<&'n Node> {
        let at = self.left.iter().position(|(key, _)| *key == name)?;
        let (_, node) = self.left.remove(at);
        Some(node).filter(|node| !node.is_empty())
    }

    /// The path of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Notes what is left, but for what says nothing about routing (`silent`), and places for anchors (`x-…`).
    pub(super) fn rest(self, silent: &[&str], notes: &mut Notes) {
        for (key, node) in &self.left {
            if !silent.contains(key) && !key.starts_with("x-") && !node.is_empty() {
                notes.add(node, &self.path(key), reason(key));
            }
        }
    }
}

/// Why something has no counterpart, by its last name.
fn reason(key: &str) -> &'static str {
    match key {
        "success_callback" | "failure_callback" | "callbacks" | "service_callbacks" | "callback_settings" => {
            "no counterpart: requests are in the ledger and in the log"
        }
        "alerting" | "alerting_threshold" | "alerting_args" | "alert_types" | "alert_to_webhook_url" => {
            "no counterpart: there are no alerts"
        }
        "guardrails" => "no counterpart: contents are not looked at",
        "mcp_servers" | "mcp_aliases" | "mcp_tools" => "no counterpart: tools are called by clients",
        "custom_auth" | "enable_jwt_auth" | "litellm_jwtauth" | "enable_oauth2_auth" | "custom_sso" => {
            "no counterpart: callers have keys, in [[clients]]"
        }
        "pass_through_endpoints" => {
            "no counterpart: OpenAI's routes that name no model go to `server.default_provider`"
        }
        "temperature"
        | "top_p"
        | "max_tokens"
        | "max_completion_tokens"
        | "seed"
        | "stop"
        | "n"
        | "user"
        | "presence_penalty"
        | "frequency_penalty"
        | "reasoning_effort"
        | "thinking"
        | "response_format"
        | "default_litellm_params"
        | "extra_body"
        | "dimensions" => {
            "no exact counterpart: parameters are those that the client sends, and the `defaults` of the provider for all of its conversations"
        }
        "host" | "port" | "password" | "url" | "namespace" | "redis_startup_nodes" => {
            "no counterpart in this file: answers are shared through the Redis of a table [cluster]"
        }
        "redis_host" | "redis_port" | "redis_password" | "redis_url" | "redis_db" => {
            "no counterpart in this file: the state of targets and keys is that of one process"
        }
        "retry_policy" | "allowed_fails_policy" | "model_group_retry_policy" => {
            "no counterpart: what may be asked again follows from the error"
        }
        "mock_response" => "no counterpart: `mynah/echo` is a model that answers by itself",
        "environment_variables" => "set them in the environment, or in a file `.env` beside mynah.toml",
        _ => "no counterpart",
    }
}
