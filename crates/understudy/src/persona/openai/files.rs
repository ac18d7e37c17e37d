//! `/v1/files`: files are kept in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::errors::{ApiError, unknown_url};
use crate::multipart::{self, Part};
use crate::reply::Reply;

/// The files that there are.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<Vec<File>>);

#[derive(Clone, Debug)]
struct File {
    id: String,
    name: String,
    purpose: String,
    content: Bytes,
}

impl Files {
    /// Answers a request to what is below `files`.
    pub(super) fn answer(&self, call: &Call<'_>, rest: &[&str]) -> Result<Reply, ApiError> {
        match (call.received.method.as_str(), rest) {
            ("POST", []) => self.upload(call),
            ("GET", []) => {
                let data: Vec<Value> = self.lock().iter().map(File::described).collect();
                Ok(Reply::json(&list(&data)))
            }
            ("GET", [id]) => Ok(Reply::json(&self.find(id)?.described())),
            ("GET", [id, "content"]) => {
                let file = self.find(id)?;
                Ok(Reply::bytes(file.content).header("content-type", "application/octet-stream"))
            }
            ("DELETE", [id]) => {
                self.find(id)?;
                self.lock().retain(|file| file.id != *id);
                Ok(Reply::json(&json!({"id": id, "object": "file", "deleted": true})))
            }
            _ => Err(unknown_url(call.received)),
        }
    }

    /// Fails if there is no file with that id.
    pub(super) fn require(&self, id: &str) -> Result<(), ApiError> {
        self.find(id).map(|_| ())
    }

    fn upload(&self, call: &Call<'_>) -> Result<Reply, ApiError> {
        let form = call.form.as_deref().unwrap_or_default();
        let part = multipart::field(form, "file").ok_or_else(|| ApiError::missing("file"))?;
        let purpose = multipart::field(form, "purpose")
            .map(Part::text)
            .ok_or_else(|| ApiError::missing("purpose"))?;
        let file = File {
            id: call.id("file-"),
            name: part.file_name.clone().unwrap_or_else(|| "file".to_owned()),
            purpose,
            content: part.content.clone(),
        };
        let reply = Reply::json(&file.described());
        self.lock().push(file);
        Ok(reply)
    }

    fn find(&self, id: &str) -> Result<File, ApiError> {
        self.lock()
            .iter()
            .find(|file| file.id == id)
            .cloned()
            .ok_or_else(|| ApiError::not_found("File object", id))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn described(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.content.len(), "created_at": CREATED,
            "filename": self.name, "purpose": self.purpose, "status": "processed", "expires_at": null,
        })
    }
}

/// A page that holds everything.
pub(super) fn list(data: &[Value]) -> Value {
    let id = |value: Option<&Value>| value.map(|value| value["id"].clone());
    json!({
        "object": "list", "first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data,
    })
}
