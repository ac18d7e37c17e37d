//! Everything that the admin listener serves, in one table: who is let in, who answers, and how it is described. What is
//! not in it is not there, also for those who are let in.

use axum::response::Response;

use super::call::Call;
use super::endpoint::Handler::{Later, Now};
use super::endpoint::{Endpoint, delete, get, post, put};
use super::{clients, configuration, ledger, log, models, openapi, providers, rotation, status};
use crate::config::clients::Client;
use crate::failure::Failure;
use crate::http::docs;
use crate::store::findings::{Page, Whole};
use crate::telemetry::level::Level;

/// The table.
pub static ENDPOINTS: [Endpoint; 27] = [
    get("/api/status", Now(status::status), "How the gateway is").answers::<status::Status>(),
    get(
        "/api/usage",
        Later(|call| Box::pin(ledger::usage(call))),
        "What requests came to",
    )
    .says("Out of the ledger, added up by client, model, provider, day, hour or tag.")
    .asks::<ledger::UsageQuery>()
    .answers::<ledger::UsageOf>(),
    get(
        "/api/requests",
        Later(|call| Box::pin(ledger::requests(call))),
        "Requests that are looked for",
    )
    .says("Out of the ledger, the newest first, page by page: `next` of a page is `before` of the one after it.")
    .asks::<ledger::RequestsQuery>()
    .answers::<Page>(),
    get(
        "/api/requests/{id}",
        Later(|call| Box::pin(ledger::request(call))),
        "One request in full",
    )
    .says("By the id of its row, or by that in `x-request-id`; of several with the same, the last.")
    .answers::<Whole>(),
    get("/api/clients", Now(clients::list), "All clients")
        .says("Those of the file and those of the store, without keys.")
        .answers::<clients::Clients>(),
    post("/api/clients", Later(|call| Box::pin(clients::create(call))), "Create a client")
        .says("In the store. Its key is told in the answer, and never again; `key_sha256` is for one that was made elsewhere.")
        .takes::<Client>()
        .answers::<clients::Created>(),
    get("/api/clients/{name}", Now(clients::one), "One client").answers::<clients::Known>(),
    put("/api/clients/{name}", Later(|call| Box::pin(clients::set(call))), "Change a client")
        .says("All that is said of a client of the store is replaced; its keys stay.")
        .takes::<Client>()
        .answers::<clients::Known>(),
    delete("/api/clients/{name}", Later(|call| Box::pin(clients::revoke(call))), "Revoke a client")
        .says("Its keys are refused at once on this node, and within a second on every other. Requests in flight end in peace.")
        .answers::<clients::Revoked>(),
    post("/api/clients/{name}/rotate", Later(|call| Box::pin(clients::rotate(call))), "Give a client another key")
        .says("Which is told in the answer, and never again. The old ones are accepted for as long as `grace` says.")
        .takes::<clients::Rotate>()
        .answers::<clients::Created>(),
    get("/api/providers", Now(providers::list), "All providers")
        .says("With the state of each, of its keys and of its targets: what rests, what is held, what fails.")
        .answers::<providers::Providers>(),
    get("/api/providers/{name}", Now(providers::one), "One provider").answers::<providers::Provider>(),
    get(
        "/api/models",
        Later(|call| Box::pin(models::list(call))),
        "Where each model leads now",
    )
    .says("The configured names, with their targets in the order in which they would be asked.")
    .answers::<models::Models>(),
    get("/api/rotation", Now(rotation::list), "What is out of the rotation").answers::<rotation::Rotation>(),
    post(
        "/api/rotation/rest",
        Now(rotation::rest),
        "Leave something alone for a time",
    )
    .says(REST)
    .takes::<rotation::Rest>()
    .answers::<rotation::Standing>(),
    post(
        "/api/rotation/drain",
        Now(rotation::drain),
        "Leave something alone until it is enabled",
    )
    .says("As rest, without an end.")
    .takes::<rotation::Subject>()
    .answers::<rotation::Standing>(),
    post("/api/rotation/enable", Now(rotation::enable), "Put something back")
        .says("Ends what rest or drain began. What a provider has put to rest goes on resting.")
        .takes::<rotation::Subject>()
        .answers::<rotation::Standing>(),
    get("/api/config", Now(configuration::show), "The configuration in use")
        .says("Every setting with its origin, without secrets.")
        .answers::<configuration::Configuration>(),
    post("/api/config/check", Now(configuration::check), "Check the file on disk")
        .says("Reads it as a start would, and changes nothing. Tells what is wrong, or else what is probably not meant.")
        .answers::<configuration::Checked>(),
    post(
        "/api/config/reload",
        Later(|call| Box::pin(configuration::reload(call))),
        "Put the file on disk to use",
    )
    .says("If something is wrong with it, the configuration in use stays, and the answer is 422 with all problems.")
    .answers::<configuration::Reloaded>(),
    get("/api/log", Now(log::level), "What is logged").answers::<Level>(),
    put("/api/log", Now(log::set_level), "Change what is logged")
        .says("At once, and until the next start, which takes the level of `MYNAH_LOG` or of the file again.")
        .takes::<log::SetLevel>()
        .answers::<Level>(),
    get("/", Now(|_| Ok(docs::to_page())), "To the page").open(),
    get("/docs", Now(|_| Ok(docs::page())), "A page to try the API").open(),
    get("/docs/{file}", Now(page_file), "Files of the page").open(),
    get("/openapi.json", Now(openapi::document), "This description").open(),
    get("/health", Now(status::alive), "Whether the listener answers").open(),
];

const REST: &str = "A provider, one of its models or one of its keys is not asked for as long as is said, not even when \
    nobody else is left. What it is answering ends in peace. This outlives a change of the configuration, not a restart.";

fn page_file(call: &Call) -> Result<Response, Failure> {
    docs::file(&call.named, &call.parts.headers).ok_or_else(|| Failure::not_found("There is no such file."))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::admin::endpoint::Verb;
    use crate::admin::guard::Needs;

    #[test]
    fn a_route_is_there_once_and_matches_itself_alone() {
        let mut seen = HashSet::new();
        for endpoint in &ENDPOINTS {
            assert!(seen.insert((endpoint.verb, endpoint.path)), "{}", endpoint.path);
            let path = endpoint
                .path
                .replace("{name}", "x")
                .replace("{file}", "x")
                .replace("{id}", "x");
            let others = ENDPOINTS.iter().filter(|other| other.verb == endpoint.verb);
            let matching: Vec<&str> = others
                .filter(|other| other.matches(&path).is_some())
                .map(|other| other.path)
                .collect();
            assert_eq!(matching, [endpoint.path]);
        }
    }

    #[test]
    fn only_what_tells_nothing_is_open() {
        let open = ENDPOINTS.iter().filter(|endpoint| endpoint.needs == Needs::Nothing);
        let open: Vec<&str> = open.map(|endpoint| endpoint.path).collect();
        assert_eq!(open, ["/", "/docs", "/docs/{file}", "/openapi.json", "/health"]);
        assert!(ENDPOINTS.iter().all(|endpoint| {
            endpoint.needs == Needs::Key || endpoint.verb == Verb::Get && endpoint.query.is_none()
        }));
    }

    #[test]
    fn a_parameter_is_one_segment() {
        let endpoint = get("/api/x/{name}/y", Now(page_file), "");
        assert_eq!(endpoint.matches("/api/x/a%2Fb/y"), Some("a%2Fb"));
        for other in ["/api/x//y", "/api/x/a/b/y", "/api/x/a", "/api/x/a/y/", "/api/x/y"] {
            assert_eq!(endpoint.matches(other), None, "{other}");
        }
    }
}
