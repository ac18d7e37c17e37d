//! Calls to providers.

pub mod auth;
pub mod base;
pub mod body;
pub mod call_body;
pub mod call_headers;
pub mod call_path;
pub mod connect;
pub mod discover;
pub mod headers;
pub mod http1;
pub mod model_list;
pub mod node_table;
pub mod outgoing;
pub mod pool;
pub mod send;
pub mod stream;
pub mod tls;
