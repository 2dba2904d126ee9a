//! The `lagrange` binary as a user runs it.
#![allow(clippy::print_stdout, reason = "a test that fails tells its story")]

pub mod authority;
pub mod cluster;
pub mod coordinator;
pub mod play;
pub mod process;
pub mod run_files;
pub mod studies;

use std::path::Path;
use std::process::{Command, Output};

/// A command line of the built binary, free of the caller's LAGRANGE_ variables.
#[must_use]
pub fn lagrange(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lagrange"));
    command.args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LAGRANGE_")) {
        command.env_remove(name);
    }
    command
}

/// A run of four steps that is written to `run_dir`.
#[must_use]
pub fn four_steps(run_dir: &Path) -> Command {
    let mut command = lagrange(&[
        "train",
        "--json",
        "--train-limit",
        "2048",
        "--epochs",
        "0.5",
    ]);
    command.arg("--run-dir").arg(run_dir);
    command
}

/// Runs it and expects success; returns the last line of stdout as JSON.
#[must_use]
pub fn json(arguments: &[&str]) -> serde_json::Value {
    let output = lagrange(arguments).output().expect("runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    last_json(&output)
}

/// The last line of stdout as JSON.
#[must_use]
pub fn last_json(output: &Output) -> serde_json::Value {
    let stdout = text(&output.stdout);
    let line = stdout.lines().last().expect("a line on stdout");
    serde_json::from_str(line).expect("JSON")
}

/// Runs it and expects exit code `code`; returns stderr.
#[must_use]
pub fn failure(arguments: &[&str], code: i32) -> String {
    let output = lagrange(arguments).output().expect("runs");
    let stderr = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

/// What it said on stderr.
#[must_use]
pub fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

/// A path as an argument.
#[must_use]
pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What a process wrote.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
