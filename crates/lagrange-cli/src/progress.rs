//! Progress on stderr: a bar on a terminal, a line per evaluation elsewhere.

use crate::args::ProgressKind;
use crate::output::{has_terminal, tell};
use indicatif::{ProgressBar, ProgressStyle};
use lagrange::{Observed, Observer, RunEvent};
use lagrange_watch::{listening, resumed, sentence};
use std::net::SocketAddr;

/// Shows a run as it goes.
#[derive(Debug)]
pub struct Progress {
    kind: ProgressKind,
    bar: Option<ProgressBar>,
    accuracy: Option<f64>,
    total: u64,
}

impl Progress {
    /// Silent about all that is no notice if there is to be none.
    #[must_use]
    pub fn new(kind: ProgressKind) -> Self {
        Self {
            kind,
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
            None if self.kind == ProgressKind::None => {}
            None => tell(text),
        }
    }
}

impl Observer for Progress {
    fn begin(&mut self, steps: (u64, u64)) {
        self.total = steps.1;
        resumed(steps).iter().for_each(|text| self.line(text));
        let wanted = matches!(self.kind, ProgressKind::Auto | ProgressKind::Bar);
        // Whatever the library makes of the terminal: a bar that it hides would hide the lines as well.
        self.bar = (wanted && has_terminal())
            .then(|| bar(self.total))
            .filter(|bar| !bar.is_hidden());
    }

    fn listening(&mut self, address: SocketAddr, workers: usize) {
        self.line(&listening(address, workers));
    }

    fn data(&mut self, found: &str) {
        self.line(found);
    }

    fn notice(&mut self, text: &str) {
        tell(text);
    }

    fn event(&mut self, observed: &Observed) {
        match (&observed.event, sentence(observed, self.total)) {
            (RunEvent::FailedCheck(_), Some(text)) => self.notice(&text),
            (_, text) => text.iter().for_each(|text| self.line(text)),
        }
        match &observed.event {
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
            RunEvent::Evaluation(evaluation) => self.accuracy = Some(evaluation.accuracy),
            _ => {}
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
