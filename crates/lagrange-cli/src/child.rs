//! Commands of this program as processes of their own, for those that run many of them.

use crate::config::configuration_variables;
use crate::machine;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::process::Stdio;
use tokio::process::Command;

/// The line of JSON that a run ends with, as far as it is of use to its parent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Line {
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) equations: Option<u64>,
    pub(crate) bytes_sent: Option<u64>,
    #[serde(default)]
    pub(crate) interrupted: bool,
}

/// A command of this program that ends stdout with a line of JSON. Configuration from the environment is kept from it: what it is to
/// do, its parent says.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(machine::executable()?);
    for name in configuration_variables() {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs `command` to its end: its line, or the last thing it said on stderr.
///
/// # Errors
/// If it cannot be started.
pub(crate) async fn run(mut command: Command) -> Result<Result<Line, String>> {
    let output = command
        .output()
        .await
        .context("cannot start a run of this program")?;
    let out = String::from_utf8_lossy(&output.stdout);
    let line = out.lines().last().map(serde_json::from_str::<Line>);
    Ok(match line {
        Some(Ok(line)) => Ok(line),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or("it said nothing");
            Err(last.trim_start_matches("error: ").to_owned())
        }
    })
}
