//! Progress on stderr: a bar on a terminal, a line per evaluation elsewhere.

use crate::output::{has_terminal, tell};
use indicatif::{ProgressBar, ProgressStyle};
use lagrange_coordinator::{Observed, Report};

/// Shows a run as it goes.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    accuracy: Option<f64>,
    total: u64,
}

impl Progress {
    /// For a run that has done some of its steps; silent if `quiet`.
    #[must_use]
    pub fn new((done, total): (u64, u64), quiet: bool) -> Self {
        let terminal = has_terminal();
        if done > 0 && !quiet {
            tell(format_args!("resuming behind step {done}/{total}"));
        }
        // Whatever the library makes of the terminal: a bar that it hides would hide the lines as well.
        let bar = (terminal && !quiet)
            .then(|| bar(total))
            .filter(|bar| !bar.is_hidden());
        Self {
            lines: bar.is_none() && !quiet,
            bar,
            accuracy: None,
            total,
        }
    }

    /// Shows one report.
    pub fn show(&mut self, observed: &Observed) {
        match &observed.report {
            Report::Membership { workers, change } => {
                self.line(&format!("{change} ({workers} connected)"));
            }
            Report::Start { stage, round } => {
                self.message(format!("k-means start: stage {} {round}", stage + 1));
            }
            Report::Step(step) => {
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
            Report::Rollback {
                step,
                to,
                rate_factor,
                reason,
            } => self.line(&format!(
                "step {step}/{}: {reason}; going on from step {to} with steps {rate_factor} times as long",
                self.total
            )),
            Report::Evaluation(evaluation) => {
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

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
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
            None if self.lines => tell(text),
            None => {}
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} step {pos}/{len}  {msg}  {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
