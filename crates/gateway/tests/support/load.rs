//! Callers who send one request after the other, and remember what came of them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Gateway, PATIENCE, Request, read_reply};

/// Callers at work.
pub struct Load {
    noted: Arc<Noted>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Noted {
    is_over: AtomicBool,
    done: Mutex<Done>,
}

/// What came of the requests. Each has an id of its own in `x-request-id`.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// All that were sent, also those that somebody who was killed did not answer.
    pub sent: HashSet<String>,
    /// Those that were answered well, and when.
    pub answered: Vec<(String, Instant)>,
    /// Those that were answered otherwise.
    pub failed: Vec<String>,
}

impl Load {
    /// Begins to send chat requests to a model. `name` is the beginning of their ids.
    pub fn start(gateway: &Gateway, callers: usize, model: &str, name: &str) -> Self {
        let noted = Arc::new(Noted::default());
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        let call = |caller| {
            let (noted, address) = (noted.clone(), gateway.address.clone());
            let (name, body) = (format!("{name}-{caller}"), body.clone());
            tokio::spawn(async move { noted.call(&address, &name, &body).await })
        };
        Self {
            callers: (0..callers).map(call).collect(),
            noted,
        }
    }

    /// How many requests were answered well so far.
    pub fn count(&self) -> usize {
        self.noted.done.lock().unwrap().answered.len()
    }

    /// Waits until as many more requests were answered.
    pub async fn goes_on(&self, more: usize) {
        let enough = self.count() + more;
        super::until(
            || self.count() >= enough,
            || format!("{} of {enough} answers", self.count()),
        )
        .await;
    }

    /// Lets the callers end what they are at, and tells what they noted.
    pub async fn stop(self) -> Done {
        self.noted.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.noted.done.lock().unwrap().clone()
    }
}

impl Noted {
    /// Calls until the load is over, or the gateway is gone.
    async fn call(&self, address: &str, name: &str, body: &str) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return;
        };
        let mut count = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let id = format!("{name}-{count}");
            count += 1;
            let request = Request::chat(body).header("x-request-id", &id);
            self.done.lock().unwrap().sent.insert(id.clone());
            if stream.write_all(&request.bytes()).await.is_err() {
                return;
            }
            let reply = tokio::time::timeout(PATIENCE, read_reply(&mut stream)).await;
            let Ok(Some(reply)) = reply else { return };
            let mut done = self.done.lock().unwrap();
            if reply.whole && reply.status == 200 {
                done.answered.push((id, Instant::now()));
            } else if reply.whole {
                done.failed.push(id);
            }
        }
    }
}
