//! The public listener.

pub mod body;
pub mod decode;
pub mod endpoints;
pub mod explain;
pub mod fan_out;
pub mod head_timeout;
pub mod health;
pub mod listen;
pub mod models;
pub mod passage;
pub mod reply;
pub mod routes;
pub mod tls;
