//! What a run says of itself, line by line.

use lagrange::{Observed, RunEvent, failure};
use std::collections::VecDeque;

/// Most lines that are kept.
const KEPT: usize = 200;
/// Most characters of a line.
const LONGEST: usize = 400;

/// A line, and when it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Seconds since the coordinator was ready.
    pub seconds: f64,
    /// The words, without control characters.
    pub text: String,
}

/// The last lines that a run said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lines(VecDeque<Line>);

impl Lines {
    /// Adds a line; what is no text in it, colours of a terminal for one, is left out.
    pub fn push(&mut self, text: &str, seconds: f64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        let text = plain(text);
        self.0.push_back(Line { seconds, text });
    }

    pub(crate) fn extend(&mut self, lines: impl IntoIterator<Item = String>, seconds: f64) {
        lines.into_iter().for_each(|line| self.push(&line, seconds));
    }

    /// The lines, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.0.iter()
    }
}

/// `text` without the sequences that colour a terminal, and without other control characters.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars().take(4 * LONGEST).peekable();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                // Up to the letter that ends it.
                while rest.next().is_some_and(|of| !of.is_ascii_alphabetic()) {}
            }
            '\t' => plain.push(' '),
            next if next.is_control() => {}
            next => plain.push(next),
        }
    }
    match plain.char_indices().nth(LONGEST) {
        None => plain,
        Some((end, _)) => format!("{} ..", &plain[..end]),
    }
}

/// What is said of an event, if anything, in a run of `total` steps.
#[must_use]
pub fn sentence(observed: &Observed, total: u64) -> Option<String> {
    match &observed.event {
        RunEvent::Membership { workers, change } => Some(format!("{change} ({workers} connected)")),
        RunEvent::Rollback {
            step,
            to,
            rate_factor,
            reason,
        } => Some(format!(
            "step {step}/{total}: {reason}; going on from step {to} with steps {rate_factor} times as long"
        )),
        RunEvent::Evaluation(evaluation) => Some(format!(
            "step {}/{total}: {:?} accuracy {:.2} %  loss {:.4}  {:.1} s",
            evaluation.step,
            evaluation.split,
            100.0 * evaluation.accuracy,
            evaluation.loss,
            observed.seconds,
        )),
        RunEvent::FailedCheck(failed) => Some(format!(
            "warning: a check of optimality failed: {}; more of its kind are in the certificate only",
            failure(&failed.failed)
        )),
        _ => None,
    }
}

/// What is said of a run that goes on.
#[must_use]
pub fn resumed((done, total): (u64, u64)) -> Option<String> {
    (done > 0).then(|| format!("resuming behind step {done}/{total}"))
}

/// What is said of a coordinator that waits at `address`.
#[must_use]
pub fn listening(address: impl std::fmt::Display, workers: usize) -> String {
    format!("listening on {address}; waiting for {workers} workers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_short_and_plain() {
        let mut lines = Lines::default();
        lines.push("\u{1b}[33m WARN\u{1b}[0m a\tb\r\u{7}\u{1b}", 1.0);
        assert_eq!(lines.iter().next_back().expect("one").text, " WARN a b");
        lines.push(&"x".repeat(10_000), 2.0);
        let long = &lines.iter().next_back().expect("one").text;
        assert_eq!(long.len(), LONGEST + 3);
        for number in 0..1000 {
            lines.push(&number.to_string(), 3.0);
        }
        assert_eq!(lines.iter().count(), KEPT);
        assert_eq!(lines.iter().next_back().expect("one").text, "999");
    }
}
