//! The admin listener: the API with which an operator looks at a running gateway and changes it.
//!
//! [`routes`] has the table of everything that is served, [`guard`] says who is let in, [`answer`] goes from a request to its
//! handler, and [`call`] is what that gets. The other files are the handlers.

pub mod answer;
pub mod call;
pub mod clients;
pub mod configuration;
pub mod endpoint;
pub mod guard;
pub mod ledger;
pub mod log;
pub mod models;
pub mod openapi;
pub mod providers;
pub mod rotation;
pub mod routes;
pub mod status;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::config::document::Document;
use crate::config::effective::Effective;
use crate::config::problem::Problem;
use crate::serve::Load;
use crate::stored::Keeper;

/// What the admin API has at hand beside what every request has. Outlives a change of configuration.
pub struct Admin {
    /// When the gateway started.
    pub started: Timestamp,
    /// What the configuration is called: its file, or its preset.
    pub name: String,
    /// The configuration in use, for people.
    pub in_use: ArcSwap<InUse>,
    /// Reads the configuration anew.
    pub load: Load,
    /// Has a configuration that was read anew put to use.
    pub reload: mpsc::Sender<Reload>,
    /// Who keeps the clients that are not in the file, where there is a store for them.
    pub keeper: Option<Arc<Keeper>>,
}

/// A configuration as it was read.
pub struct InUse {
    /// What stands in the file.
    pub document: Document,
    /// What takes effect.
    pub effective: Effective,
    /// Since when.
    pub since: Timestamp,
}

/// Asks for the configuration to be read anew. The answer comes when it is in use, or is known to be wrong.
pub type Reload = oneshot::Sender<Result<(), Vec<Problem>>>;

impl Admin {
    /// That of a gateway that starts now.
    pub fn new(
        in_use: Arc<InUse>,
        name: String,
        load: Load,
        reload: mpsc::Sender<Reload>,
        keeper: Option<Arc<Keeper>>,
    ) -> Self {
        Self {
            started: in_use.since,
            name,
            in_use: ArcSwap::from(in_use),
            load,
            reload,
            keeper,
        }
    }
}

impl InUse {
    /// Takes effect now.
    pub fn now(document: Document, effective: Effective) -> Arc<Self> {
        Arc::new(Self {
            document,
            effective,
            since: now(),
        })
    }
}

/// The time, in whole seconds.
#[expect(clippy::disallowed_methods, reason = "only told to people")]
fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now())
        .ok()
        .and_then(|now| Timestamp::from_second(now.as_second()).ok())
        .unwrap_or_default()
}
