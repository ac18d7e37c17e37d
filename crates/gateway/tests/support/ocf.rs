//! An understudy that plays the head of an OCF network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::{Value, json};

/// Who a head knows: nodes by peer id, each with the services that it offers and their models.
type Nodes = Arc<Mutex<BTreeMap<String, Node>>>;

/// A node of the network.
#[derive(Clone, Default)]
pub struct Node {
    pub services: Vec<(&'static str, Vec<&'static str>)>,
    pub gpus: Vec<&'static str>,
    /// It says that it is not connected.
    pub gone: bool,
    /// The head cannot reach it, and has not noticed that yet.
    pub dead: bool,
    /// How long ago it was heard, in seconds.
    pub silent_for: u64,
}

/// The head of an OCF network.
pub struct Head {
    pub understudy: Understudy,
    nodes: Nodes,
}

impl Head {
    /// A head that routes as OCF's does: by the model in the body, below the name of a service, to a node that offers both.
    pub async fn start() -> Self {
        let nodes = Nodes::default();
        let (seen, asked) = (nodes.clone(), nodes.clone());
        let script = Script::new()
            .rule(
                Rule::path("/v1/dnt/table")
                    .method("GET")
                    .answer_with(move |_| Reply::json(&table(&seen))),
            )
            .rule(Rule::any().answer_with(move |received| serve(&asked, received)));
        let understudy = Understudy::start(script).await.unwrap();
        Self { understudy, nodes }
    }

    pub fn url(&self) -> String {
        self.understudy.url()
    }

    /// A node joins, or says something new about itself.
    pub fn join(&self, peer: &str, node: Node) {
        self.nodes.lock().unwrap().insert(peer.to_owned(), node);
    }

    pub fn leave(&self, peer: &str) {
        self.nodes.lock().unwrap().remove(peer);
    }

    /// What it was asked, but for its table.
    pub fn asked(&self) -> Vec<Received> {
        let mut asked = self.understudy.received();
        asked.retain(|received| received.path() != "/v1/dnt/table");
        asked
    }
}

impl Node {
    pub fn of(service: &'static str, models: &[&'static str]) -> Self {
        Self {
            services: vec![(service, models.to_vec())],
            ..Self::default()
        }
    }
}

fn table(nodes: &Nodes) -> Value {
    let now = 1_766_500_000;
    let hardware = json!({"gpus": null, "host_memory": 0, "host_memory_bandwidth": 0, "host_memory_used": 0});
    let mut table = json!({"/QmHead": {"id": "QmHead", "latency": 0, "privileged": false, "owner": "", "role": null,
        "status": "", "service": null, "last_seen": now, "hardware": hardware, "connected": true, "load": null}});
    for (peer, node) in nodes.lock().unwrap().iter() {
        let groups = |models: &[&str]| {
            models
                .iter()
                .map(|id| format!("model={id}"))
                .chain(["all".to_owned()])
                .collect()
        };
        let service = |(name, models): &(&str, Vec<&str>)| {
            let groups: Vec<String> = groups(models);
            json!({"name": name, "hardware": hardware, "status": "connected", "host": "localhost", "port": "8080",
                "identity_group": groups})
        };
        let services: Vec<Value> = node.services.iter().map(service).collect();
        let gpus: Vec<Value> = node
            .gpus
            .iter()
            .map(|name| json!({"name": name, "total_memory": 1}))
            .collect();
        table[format!("/{peer}")] = json!({"id": peer, "latency": 0, "privileged": false, "owner": "", "role": null,
            "current_offering": null, "available_offering": null, "status": "", "service": services,
            "last_seen": now - node.silent_for, "hardware": {"gpus": gpus}, "connected": !node.gone, "load": null});
    }
    table
}

/// What the head says to a request for a service: a node's answer, or that there is none.
fn serve(nodes: &Nodes, received: &Received) -> Reply {
    let path = received.path();
    let Some((service, below)) = path.strip_prefix("/v1/service/").and_then(|rest| rest.split_once('/')) else {
        return Reply::bytes("404 page not found").with_status(404);
    };
    let nodes = nodes.lock().unwrap();
    let offers = |node: &&Node| node.services.iter().any(|(name, _)| *name == service);
    if !nodes.values().any(|node| offers(&node)) {
        return Reply::json(&json!({"error": "no providers found"})).with_status(400);
    }
    let model = received
        .json()
        .and_then(|body| Some(body["model"].as_str()?.to_owned()));
    let serves = |node: &Node| {
        let of_service = node.services.iter().filter(|(name, _)| *name == service);
        of_service
            .flat_map(|(_, models)| models)
            .any(|id| Some(*id) == model.as_deref())
    };
    // At random at the real head; here, whoever has the first name.
    let found = nodes.iter().find(|(_, node)| serves(node));
    let Some((peer, node)) = found else {
        return Reply::json(&json!({"error": "No provider found for the requested service."})).with_status(503);
    };
    if node.dead {
        return Reply::bytes("ERROR: failed to dial: context deadline exceeded\n")
            .header("content-type", "text/plain; charset=utf-8");
    }
    answer(peer, &format!("/{below}"), received)
}

/// What the server of a node says.
fn answer(peer: &str, path: &str, received: &Received) -> Reply {
    let model = received.model().unwrap_or_default();
    let reply = if path != "/v1/chat/completions" {
        Reply::json(&json!({"path": path, "method": received.method, "body": received.text()}))
    } else if received.json().is_some_and(|body| body["stream"] == true) {
        let chunk = |delta: Value, reason: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
            let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]});
            format!("data: {chunk}\n\n")
        };
        let events = [
            chunk(json!({"role": "assistant", "content": "hello "}), Value::Null),
            chunk(json!({"content": peer}), Value::Null),
            chunk(json!({}), json!("stop")),
            "data: [DONE]\n\n".to_owned(),
        ];
        Reply::stream(events)
    } else {
        let message = json!({"role": "assistant", "content": format!("hello {peer}")});
        Reply::json(
            &json!({"id": "c", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
        )
    };
    reply.header("x-computing-node", peer).header("ocf-version", "0.0.4")
}
