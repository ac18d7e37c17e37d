//! The understudy as a process.

fn main() {}
