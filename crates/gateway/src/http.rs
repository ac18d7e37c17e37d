//! The public listener.

pub mod body;
pub mod head_timeout;
pub mod listen;
pub mod reply;
pub mod routes;
pub mod tls;
