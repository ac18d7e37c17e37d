//! The node table of an OCF head: who is in the network, and which models they serve. No IO.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::discovered::Listed;

/// The longest name of a model, a service or a device that is taken for one, in bytes.
const MAX_NAME: usize = 512;
/// How long a node may have been silent, in seconds, compared with the one that was heard last. The head itself forgets
/// it after this time.
const MAX_SILENCE: u64 = 600;
/// The service below which a head finds models, unless the table says otherwise.
const USUAL_SERVICE: &str = "llm";
/// What may stand in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Reads the table: nodes by peer id, each with services whose identity groups name models. Everything in it may be
/// missing or null. Nodes that say that they are not connected, or that have long been silent, are left out. `None` when
/// the text is something else; no more than `limit` models are read.
pub fn read_table(text: &[u8], limit: usize) -> Option<Vec<Listed>> {
    let nodes: Vec<&RawValue> = match serde_json::from_slice::<BTreeMap<String, &RawValue>>(text) {
        Ok(by_peer) => by_peer.into_values().collect(),
        Err(_) => serde_json::from_slice(text).ok()?,
    };
    let nodes = nodes.iter().filter_map(|node| serde_json::from_str(node.get()).ok());
    let nodes: Vec<Node> = nodes.map(|node| Node::read(&node)).collect();
    let newest = nodes.iter().map(|node| node.last_seen).max().unwrap_or(0);
    let is_there = |node: &&Node| node.connected && (node.last_seen == 0 || newest - node.last_seen <= MAX_SILENCE);
    let mut models: BTreeMap<&str, Model> = BTreeMap::new();
    for node in nodes.iter().filter(is_there) {
        for (id, service) in &node.models {
            models.entry(id).or_default().is_at(service);
        }
        let mut served: Vec<&str> = node.models.iter().map(|(id, _)| id.as_str()).collect();
        served.sort_unstable();
        served.dedup();
        for id in served {
            models.entry(id).or_default().runs_on(&node.devices);
        }
    }
    let listed = models.into_iter().map(|(id, model)| model.listed(id));
    Some(listed.take(limit).collect())
}

/// What matters of a node.
struct Node {
    connected: bool,
    /// Unix time; 0 when it is not told.
    last_seen: u64,
    /// Its models, each with the service that it is found by.
    models: Vec<(String, String)>,
    /// Its GPUs.
    devices: Vec<String>,
}

/// A model, over all nodes that serve it.
#[derive(Default)]
struct Model {
    service: Option<String>,
    devices: BTreeMap<String, usize>,
}

// === impl Node ===

impl Node {
    fn read(node: &Value) -> Self {
        let gpus = node["hardware"]["gpus"].as_array().into_iter().flatten();
        let devices = gpus.filter_map(|gpu| gpu["name"].as_str()).filter(|name| is_name(name));
        let services = node["service"].as_array().into_iter().flatten();
        Self {
            connected: node["connected"] != false && node["status"] != "disconnected",
            last_seen: node["last_seen"].as_u64().unwrap_or(0),
            models: services.flat_map(models_of).collect(),
            devices: devices.map(str::to_owned).collect(),
        }
    }
}

/// The models of a service, each with its name. An id may have `=`, `:` and `/` in it; `model=*` stands for whatever is
/// asked for, and is no model.
fn models_of(service: &Value) -> impl Iterator<Item = (String, String)> {
    let name = service["name"].as_str().filter(|name| is_name(name));
    let name = name.unwrap_or(USUAL_SERVICE);
    let groups = service["identity_group"].as_array().into_iter().flatten();
    let ids = groups.filter_map(|group| group.as_str()?.strip_prefix("model="));
    let ids = ids.filter(|id| is_name(id) && *id != "*");
    ids.map(move |id| (id.to_owned(), name.to_owned()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME
}

// === impl Model ===

impl Model {
    /// It is found by a service. Where there are several, the usual one is asked.
    fn is_at(&mut self, service: &str) {
        if self.service.is_none() || service == USUAL_SERVICE {
            self.service = Some(service.to_owned());
        }
    }

    fn runs_on(&mut self, devices: &[String]) {
        for device in devices {
            *self.devices.entry(device.clone()).or_default() += 1;
        }
    }

    fn listed(self, id: &str) -> Listed {
        let devices = self.devices.iter().map(|(name, count)| format!("{count}x {name}"));
        let devices: Vec<String> = devices.collect();
        let service = self.service.map(|name| utf8_percent_encode(&name, SEGMENT).to_string());
        Listed {
            id: id.to_owned(),
            service: service.map(Arc::from),
            device: Some(devices.join(", ")).filter(|devices| !devices.is_empty()),
            ..Listed::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The models as `id@service`.
    fn table(text: &str) -> Option<String> {
        let models = read_table(text.as_bytes(), 100)?;
        let model = |listed: &Listed| format!("{}@{}", listed.id, listed.service.as_deref().unwrap_or_default());
        Some(models.iter().map(model).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn it_is_read_however_little_it_says() {
        for (text, expected) in [
            ("{}", ""),
            (
                r#"{"/A":{"connected":true,"service":[{"name":"llm","identity_group":["model=org/m=1","model=*","all","model="]}]},
                    "/B":{"connected":false,"service":[{"identity_group":["model=gone"]}]},
                    "/C":{"service":null},"/D":{"service":[{"identity_group":null},{"identity_group":["model=org/m=1","model=b",7]}]}}"#,
                "b@llm org/m=1@llm",
            ),
            (
                r#"{"/A":{"last_seen":1766500000,"service":[{"identity_group":["model=new"]}]},
                    "/B":{"last_seen":1766499000,"service":[{"identity_group":["model=silent"]}]},
                    "/C":{"last_seen":0,"service":[{"identity_group":["model=untold"]}]}}"#,
                "new@llm untold@llm",
            ),
            (
                r#"{"/A":{"status":"ready","service":[{"status":"connected","port":"8080","identity_group":["model=a"]}]},
                    "/B":{"status":"disconnected","service":[{"identity_group":["model=b"]}]},"/C":null,"/D":[]}"#,
                "a@llm",
            ),
            (r#"[{"id":"A","service":[{"identity_group":["model=a"]}]}]"#, "a@llm"),
        ] {
            assert_eq!(table(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_model_is_at_the_service_that_serves_it() {
        for (services, expected) in [
            (r#"{"name":"pool","identity_group":["model=m"]}"#, "m@pool"),
            (
                r#"{"name":"a b/../c","identity_group":["model=m"]}"#,
                "m@a%20b%2F%2E%2E%2Fc",
            ),
            (r#"{"name":"","identity_group":["model=m"]}"#, "m@llm"),
            (
                r#"{"name":"llm","identity_group":["model=m"]},{"name":"pool","identity_group":["model=m","model=n"]}"#,
                "m@llm n@pool",
            ),
            (
                r#"{"name":"pool","identity_group":["model=m"]},{"name":"llm","identity_group":["model=m"]}"#,
                "m@llm",
            ),
        ] {
            let text = format!(r#"{{"/A":{{"service":[{services}]}}}}"#);
            assert_eq!(table(&text).as_deref(), Some(expected), "{services}");
        }
    }

    #[test]
    fn the_devices_of_all_its_nodes_are_counted_once() {
        let node = |gpus: &str| {
            format!(
                r#"{{"hardware":{{"gpus":{gpus}}},"service":[{{"identity_group":["model=m"]}},{{"identity_group":["model=m"]}}]}}"#
            )
        };
        let device = |nodes: &[&str]| {
            let nodes: Vec<String> = nodes.iter().map(|gpus| node(gpus)).collect();
            read_table(format!("[{}]", nodes.join(",")).as_bytes(), 9)
                .unwrap()
                .remove(0)
                .device
        };
        let gh200 = r#"[{"name":"NVIDIA GH200"},{"name":"NVIDIA GH200"}]"#;
        assert_eq!(device(&[gh200]).as_deref(), Some("2x NVIDIA GH200"));
        assert_eq!(device(&[gh200, gh200]).as_deref(), Some("4x NVIDIA GH200"));
        let mixed = r#"[{"name":"NVIDIA A100"},{"name":null},7]"#;
        assert_eq!(
            device(&[gh200, mixed]).as_deref(),
            Some("1x NVIDIA A100, 2x NVIDIA GH200")
        );
        assert_eq!((device(&["null"]), device(&["[]"])), (None, None));
    }

    #[test]
    fn something_else_is_no_table() {
        for text in ["", "<html>", "7", "null", r#""x""#] {
            assert_eq!(table(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..200), limit in 0_usize..4) {
            prop_assert!(read_table(&bytes, limit).is_none_or(|models| models.len() <= limit));
        }
    }
}
