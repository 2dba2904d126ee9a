//! Progress on stderr: a bar on a terminal, a line per evaluation elsewhere.

use crate::output::{has_terminal, tell};
use indicatif::{ProgressBar, ProgressStyle};
use lagrange::{Observed, Observer, RunEvent, failure};
use std::net::SocketAddr;

/// Shows a run as it goes.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    accuracy: Option<f64>,
    total: u64,
}

impl Progress {
    /// Silent about all that is no notice if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            bar: None,
            accuracy: None,
            total: 0,
        }
    }

    fn message(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.quiet => {}
            None => tell(text),
        }
    }
}

impl Observer for Progress {
    fn begin(&mut self, (done, total): (u64, u64)) {
        self.total = total;
        if self.quiet {
            return;
        }
        if done > 0 {
            tell(format_args!("resuming behind step {done}/{total}"));
        }
        // Whatever the library makes of the terminal: a bar that it hides would hide the lines as well.
        self.bar = has_terminal()
            .then(|| bar(total))
            .filter(|bar| !bar.is_hidden());
    }

    fn listening(&mut self, address: SocketAddr, workers: usize) {
        self.line(&format!(
            "listening on {address}; waiting for {workers} workers"
        ));
    }

    fn data(&mut self, found: &str) {
        self.line(found);
    }

    fn notice(&mut self, text: &str) {
        tell(text);
    }

    fn event(&mut self, observed: &Observed) {
        match &observed.event {
            RunEvent::Membership { workers, change } => {
                self.line(&format!("{change} ({workers} connected)"));
            }
            RunEvent::Start { stage, round } => {
                self.message(format!("k-means start: stage {} {round}", stage + 1));
            }
            RunEvent::Step(step) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(step.step);
                }
                let accuracy = self
                    .accuracy
                    .map_or_else(|| "-".to_owned(), |a| format!("{:.2} %", 100.0 * a));
                let residuals: Vec<_> = step
                    .output_residual
                    .iter()
                    .map(|r| format!("{r:.1e}"))
                    .collect();
                self.message(format!(
                    "accuracy {accuracy}  loss {:.4}  |z-Wa| {}",
                    step.loss,
                    residuals.join(" ")
                ));
            }
            RunEvent::Rollback {
                step,
                to,
                rate_factor,
                reason,
            } => self.line(&format!(
                "step {step}/{}: {reason}; going on from step {to} with steps {rate_factor} times as long",
                self.total
            )),
            RunEvent::FailedCheck(failed) => tell(format_args!(
                "warning: a check of optimality failed: {}; more of its kind are in the certificate only",
                failure(&failed.failed)
            )),
            RunEvent::Best(_) | RunEvent::Iterate { .. } => {}
            RunEvent::Evaluation(evaluation) => {
                self.accuracy = Some(evaluation.accuracy);
                self.line(&format!(
                    "step {}/{}: {:?} accuracy {:.2} %  loss {:.4}  {:.1} s",
                    evaluation.step,
                    self.total,
                    evaluation.split,
                    100.0 * evaluation.accuracy,
                    evaluation.loss,
                    observed.seconds,
                ));
            }
        }
    }

    fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} step {pos}/{len}  {msg}  {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
