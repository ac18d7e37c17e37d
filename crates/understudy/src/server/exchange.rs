//! Carrying out the plan of a reply, with an eye on the client.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::connection::Connection;
use crate::received::Outcome;
use crate::reply::{Ending, Plan, Step};

/// How much a client may send ahead while its reply is under way.
const MOST_INPUT_AHEAD: usize = 256 * 1024;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) ending: Ending,
}

/// The client is gone.
struct Gone;

/// Carries out the plan.
pub(super) async fn perform(connection: &mut Connection, plan: &Plan) -> Ended {
    for step in &plan.steps {
        let done = match step {
            Step::Write(bytes) => write(connection, bytes).await,
            Step::Wait(delay) => wait(connection, *delay).await,
            Step::Hang => Err(until_gone(connection).await),
        };
        if done.is_err() {
            return Ended {
                outcome: Outcome::Aborted,
                ending: Ending::Close,
            };
        }
    }
    Ended {
        outcome: Outcome::Completed,
        ending: plan.ending,
    }
}

async fn write(connection: &mut Connection, mut bytes: &[u8]) -> Result<(), Gone> {
    while !bytes.is_empty() {
        let count = connection.transport.write(bytes).await.map_err(|_| Gone)?;
        connection
            .stage
            .record
            .count(|counters| counters.bytes_sent += count as u64);
        bytes = &bytes[count..];
    }
    connection.transport.flush().await.map_err(|_| Gone)
}

async fn wait(connection: &mut Connection, delay: Duration) -> Result<(), Gone> {
    tokio::select! {
        () = tokio::time::sleep(delay) => Ok(()),
        gone = until_gone(connection) => Err(gone),
    }
}

/// Resolves when the client hangs up.
async fn until_gone(connection: &mut Connection) -> Gone {
    while connection.input.len() < MOST_INPUT_AHEAD {
        if !matches!(connection.read().await, Ok(1..)) {
            return Gone;
        }
    }
    std::future::pending().await
}
