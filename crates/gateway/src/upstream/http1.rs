//! HTTP/1.1 as a client, on a connection that the request itself reads and writes.
//!
//! There is no task behind a connection and nothing between them: what is sent goes out in one write where that is
//! possible, and what comes is read when it is asked for. What the bytes mean is decided without any connection, in
//! [`head`] and [`crate::http1::body`].

pub mod exchange;
pub mod head;
pub mod reading;
pub mod request;
#[cfg(test)]
mod script;
pub mod sending;
