//! Bytes in, bytes out.

mod answers;
mod fields;
mod requests;
