//! The public listener.

pub mod bare;
pub mod body;
mod components;
pub mod decode;
pub mod docs;
pub mod endpoints;
pub mod entry;
pub mod explain;
pub mod fan_out;
pub mod health;
pub mod http2;
pub mod listen;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod passage;
pub mod renamed;
pub mod reply;
pub mod routes;
pub mod server1;
pub mod tls;
