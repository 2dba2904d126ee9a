//! What is said to people and pipes. Neither a closed terminal nor a full disk behind a log may cost a run
//! anything.

use lagrange_watch::Watch;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::sync::OnceLock;

/// Results that stdout does not take.
#[derive(Debug, thiserror::Error)]
#[error("stdout: cannot write the result: {0}")]
pub struct OutputError(pub io::Error);

/// Says a line on stderr. What nobody can be told is dropped.
pub fn tell(line: impl Display) {
    // In one piece: other processes write to the same log.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints results on stdout, in one piece.
///
/// # Errors
/// [`OutputError`], but not where the reader has gone: `lagrange evaluate RUN | head` has got what it wanted.
pub fn print(text: &str) -> Result<(), OutputError> {
    print_more(text).map(|_| ())
}

/// Prints a part of a long result, and says whether anybody reads on.
///
/// # Errors
/// As [`print`].
pub fn print_more(text: &str) -> Result<ControlFlow<()>, OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(OutputError(error)),
    }
}

/// Prints one line of JSON on stdout.
///
/// # Errors
/// As [`print`], and if the value cannot be written as JSON.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(print(&(serde_json::to_string(value)? + "\n"))?)
}

/// Who hears of what the log says, beside those who read stderr.
static LISTENER: OnceLock<Watch> = OnceLock::new();

/// Has `listener` hear of what the log says from now on: one for the whole process.
pub fn tell_as_well(listener: Watch) {
    let _ = LISTENER.set(listener);
}

/// Stderr as the log writes to it: what cannot be written counts as written.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        if let Some(listener) = LISTENER.get() {
            listener.say(String::from_utf8_lossy(bytes).trim_end());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether stderr is a terminal that understands colours and moving the cursor.
#[must_use]
pub fn has_terminal() -> bool {
    use std::io::IsTerminal as _;
    let dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    io::stderr().is_terminal() && !(cfg!(unix) && dumb)
}

/// Whether colours are wanted on stderr; see <https://no-color.org>.
#[must_use]
pub fn has_colours() -> bool {
    has_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
