//! Calls to providers.

pub mod auth;
pub mod base;
pub mod connect;
pub mod discover;
pub mod headers;
pub mod model_list;
pub mod pool;
pub mod send;
pub mod tls;
