//! `/v1/batches`: a batch can be created, looked at and cancelled; nothing in it is ever run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::errors::{ApiError, unknown_url};
use super::files::{self, Files};
use crate::reply::Reply;

/// The batches that there are.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<Vec<Value>>);

impl Batches {
    /// Answers a request to what is below `batches`.
    pub(super) fn answer(&self, call: &Call<'_>, rest: &[&str], files: &Files) -> Result<Reply, ApiError> {
        match (call.received.method.as_str(), rest) {
            ("POST", []) => self.create(call, files),
            ("GET", []) => Ok(Reply::json(&files::list(&self.lock()))),
            ("GET", [id]) => self.with(id, |batch| Reply::json(batch)),
            ("POST", [id, "cancel"]) => self.with(id, |batch| {
                batch["status"] = json!("cancelling");
                batch["cancelling_at"] = json!(CREATED + 1);
                Reply::json(batch)
            }),
            _ => Err(unknown_url(call.received)),
        }
    }

    fn create(&self, call: &Call<'_>, files: &Files) -> Result<Reply, ApiError> {
        let required = |name: &str| call.text(name).ok_or_else(|| ApiError::missing(name));
        let input_file = required("input_file_id")?;
        files.require(&input_file)?;
        let batch = json!({
            "id": call.id("batch_"),
            "object": "batch",
            "endpoint": required("endpoint")?,
            "errors": null,
            "input_file_id": input_file,
            "completion_window": required("completion_window")?,
            "status": "validating",
            "output_file_id": null,
            "error_file_id": null,
            "created_at": CREATED,
            "in_progress_at": null,
            "expires_at": CREATED + 86_400,
            "finalizing_at": null,
            "completed_at": null,
            "failed_at": null,
            "expired_at": null,
            "cancelling_at": null,
            "cancelled_at": null,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": call.body["metadata"],
        });
        let reply = Reply::json(&batch);
        self.lock().push(batch);
        Ok(reply)
    }

    fn with(&self, id: &str, answer: impl FnOnce(&mut Value) -> Reply) -> Result<Reply, ApiError> {
        let mut batches = self.lock();
        let batch = batches.iter_mut().find(|batch| batch["id"] == id);
        batch.map(answer).ok_or_else(|| ApiError::not_found("Batch", id))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
