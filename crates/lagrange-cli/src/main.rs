//! The `lagrange` command.
fn main() {}
