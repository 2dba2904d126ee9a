//! Runs of this program as processes of their own, for the commands that start many of them.

use crate::parse::flag_variables;
use crate::{DIVERGED, INTERRUPTED};
use anyhow::{Context as _, Result};
use lagrange::machine::executable;
use lagrange::{is_meant_for_lagrange, lock};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Figures of a run that finished: what its line of JSON says, as far as it is of use to its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of the test images predicted correctly.
    pub test_accuracy: Option<f64>,
    /// Share of the held-out images predicted correctly, where some were held out.
    pub validation_accuracy: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Equations that weight updates were fitted to.
    pub equations: Option<u64>,
    /// Bytes between coordinator and workers.
    pub bytes_sent: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    /// It trained and evaluated to its end.
    Finished(Figures),
    /// Its training diverged, and what it said. The same run would diverge again, so this is a result.
    Diverged(String),
    /// Something else kept it from its end, and what: it says nothing about its settings, and may end well
    /// when it is tried again.
    Failed(String),
}

/// How long a run that failed waits to be counted: a signal to the whole process group ends runs at once,
/// and reaches this process as well, though not always first.
const SIGNAL_DELAY: Duration = Duration::from_millis(300);

/// How long a run whose parent was killed may take to end.
const ORPHAN_END: Duration = Duration::from_secs(5);

/// A command of this program that ends stdout with a line of JSON. Configuration from the environment is kept
/// from it: what it is to do, its parent says. Its log would only be in the way of its error message.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(executable()?);
    let (flags, names) = (flag_variables(), std::env::vars_os().map(|(name, _)| name));
    for name in names.filter(|name| is_meant_for_lagrange(name) && !flags.contains(name)) {
        command.env_remove(name);
    }
    command.env("LAGRANGE_LOG", "off");
    command.stdin(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Runs `command`, a `train` or `baseline` with `--json`, to its end.
pub(crate) async fn run(mut command: Command) -> RunOutcome {
    command.arg("--child");
    let outcome = match output(command).await {
        Ok(output) => RunOutcome::of(&output),
        Err(error) => RunOutcome::Failed(format!("it cannot be started: {error}")),
    };
    if let RunOutcome::Failed(_) = outcome {
        tokio::time::sleep(SIGNAL_DELAY).await;
    }
    outcome
}

/// What `command` writes until it ends.
pub(crate) async fn output(mut command: Command) -> io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // Held open until the end: see `end_with_parent`.
    let _input = child.stdin.take();
    child.wait_with_output().await
}

/// Ends this process when its parent ends, however that comes about: the parent's end of stdin closes.
/// Otherwise a run whose sweep was killed would go on in a folder that the next sweep uses.
pub(crate) fn end_with_parent() {
    // Without a thread for it, the run goes on as one that nobody watches.
    let _ = std::thread::Builder::new().spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
}

/// Removes what an earlier run has left in `folder`.
///
/// # Errors
/// If that run is still at work, or the folder cannot be removed.
pub(crate) async fn clear(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let deadline = Instant::now() + ORPHAN_END;
    let _lock = loop {
        match lock(folder) {
            Ok(lock) => break lock,
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    std::fs::remove_dir_all(folder)
        .with_context(|| format!("{}: cannot be removed", folder.display()))
}

impl RunOutcome {
    fn of(output: &Output) -> Self {
        let said = last_words(&String::from_utf8_lossy(&output.stderr));
        let code = output.status.code();
        if code == Some(DIVERGED.into()) {
            return Self::Diverged(said.unwrap_or_else(|| "training diverged".to_owned()));
        }
        if !output.status.success() {
            return Self::Failed(reason(output.status, said));
        }
        let out = String::from_utf8_lossy(&output.stdout);
        let figures = out.lines().last().map(serde_json::from_str);
        match figures {
            Some(Ok(figures)) => Self::Finished(figures),
            _ => Self::Failed("it ended without a result".to_owned()),
        }
    }

    /// A run that finished without an `accuracy` has failed: something is amiss that is not its training.
    pub(crate) fn evaluated(self, accuracy: fn(&Figures) -> Option<f64>) -> Self {
        match &self {
            Self::Finished(figures) if accuracy(figures).is_none() => {
                Self::Failed("it ended without an accuracy".to_owned())
            }
            _ => self,
        }
    }

    /// The figures, if it finished.
    #[must_use]
    pub fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Finished(figures) => Some(figures),
            Self::Diverged(_) | Self::Failed(_) => None,
        }
    }
}

/// Why a run failed that ended with `status`, having `said` something last.
fn reason(status: ExitStatus, said: Option<String>) -> String {
    match (status.code(), said) {
        // What others said after it was killed is not its own doing.
        (None, _) => {
            let status = status.to_string();
            let signal = status.strip_prefix("signal: ").unwrap_or(&status);
            format!("killed by signal {signal}")
        }
        (Some(_), Some(said)) => said,
        (Some(code), None) if code == i32::from(INTERRUPTED) => "it was interrupted".to_owned(),
        (Some(code), None) => format!("it ended with exit code {code} and said nothing"),
    }
}

/// The error message at the end of what a process wrote to stderr; where it has none, its panic, or its
/// last line.
fn last_words(stderr: &str) -> Option<String> {
    let lines: Vec<String> = stderr.lines().map(without_escape_codes).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let error = lines.iter().rev().find_map(|l| l.strip_prefix("error: "));
    if let Some(error) = error {
        return Some(error.to_owned());
    }
    let panic = lines
        .iter()
        .rposition(|line| line.contains(" panicked at "));
    if let Some(place) = panic {
        let message = lines.get(place + 1).copied().unwrap_or_default();
        return Some(format!("{} {message}", lines[place]).trim().to_owned());
    }
    let last = lines.iter().rfind(|line| !line.is_empty());
    last.map(|&line| line.to_owned())
}

/// A line without what colours it on a terminal: `ESC [ parameters letter`.
fn without_escape_codes(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        text += end.map_or("", |end| &part[end + 1..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_error_and_not_what_was_logged_beside_it() {
        let words = |text: &str| last_words(text).unwrap_or_default();
        let log =
            "\u{1b}[2m2026-01-01T00:00:00Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m lost the coordinator";
        assert_eq!(
            words(&format!(
                "{log}\nerror: a worker's\nerror: disk full\n{log}\n"
            )),
            "disk full"
        );
        assert_eq!(words("\u{1b}[1merror: \u{1b}[0mbold\n"), "bold");
        assert_eq!(
            words("thread 'main' panicked at src/a.rs:1:2:\nindex out of range\nnote: run with\n"),
            "thread 'main' panicked at src/a.rs:1:2: index out of range"
        );
        assert_eq!(words("Aborted\n\n"), "Aborted");
        assert_eq!(last_words("\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_a_success_with_a_result_is_finished_and_only_its_exit_code_a_divergence() {
        use std::os::unix::process::ExitStatusExt as _;
        let line = br#"{"test_accuracy":0.9,"seconds":2,"interrupted":false}"#;
        let ended = |status: i32, stdout: &[u8]| {
            RunOutcome::of(&Output {
                status: ExitStatus::from_raw(status),
                stdout: stdout.to_vec(),
                stderr: b"error: too long\n".to_vec(),
            })
        };
        let finished = ended(0, line);
        assert_eq!(finished.figures().map(|f| f.test_accuracy), Some(Some(0.9)));
        let failed = |reason: &str| RunOutcome::Failed(reason.to_owned());
        assert_eq!(
            ended(0, b"{\"seconds\":"),
            failed("it ended without a result")
        );
        assert_eq!(ended(1 << 8, line), failed("too long"));
        assert_eq!(ended(9, line), failed("killed by signal 9 (SIGKILL)"));
        assert_eq!(
            ended(i32::from(DIVERGED) << 8, b""),
            RunOutcome::Diverged("too long".to_owned())
        );
        let status = ExitStatus::from_raw(i32::from(INTERRUPTED) << 8);
        assert_eq!(reason(status, None), "it was interrupted");
    }
}
