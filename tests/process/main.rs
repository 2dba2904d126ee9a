//! Tests of the built binary: processes as a user starts them, and what befalls them.
//!
//! They lie with the other cluster tests, but are compiled as a test of `lagrange-cli`: only there does cargo
//! build the binary with them.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod binary;
mod by_hand;
mod chaos;
mod command_line;
mod dashboard;
mod data_names;
mod failed_runs;
mod full_disk;
mod guide;
mod handshake;
mod health;
#[cfg(target_os = "linux")]
mod limits;
mod looking;
mod mishaps;
mod pictures;
mod processes;
mod proof;
mod put_to_use;
mod recovery;
mod resume;
mod screen;
mod security;
mod serve;
mod signals;
mod studies;
mod take_away;
mod tls_errors;
