//! HTTP/1.1 as a server, on a connection that is read and written by the task that answers.
//!
//! There is no task beside that one, and no channel: the body of a request is read from the connection when it is asked for,
//! and that of an answer is written as it comes. What the bytes mean is decided without any connection, in [`head`] and
//! [`crate::http1::body`].

pub mod answer_head;
pub mod body;
pub mod connection;
pub mod head;
#[cfg(test)]
mod tests;
pub mod wire;
pub mod writing;
