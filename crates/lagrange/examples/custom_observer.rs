//! Watches a run: the worst primal residual of every step, and the best model on held-out images.
//!
//! `cargo run --release --package lagrange --example custom_observer`

use lagrange::{Cluster, Dataset, HeldOut, Observed, Observer, RunEvent, Sources};
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// Sends the worst residual of every step to whoever listens.
struct Residuals(Sender<(u64, f64)>);

impl Observer for Residuals {
    fn event(&mut self, observed: &Observed) {
        if let RunEvent::Step(step) = &observed.event {
            let worst = step.output_residual.iter().copied().fold(0.0, f64::max);
            // Nobody may be listening any more.
            let _ = self.0.send((step.step, worst));
        }
    }

    fn notice(&mut self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Sources::default()
        .preset("quick")
        .set("train-limit=4000")?
        .resolve()?;
    config.validation = HeldOut::Share(0.1);
    let (sender, residuals) = channel();
    let data = Arc::new(Dataset::load(None)?);
    let run = Cluster::in_process(2)
        .observe(Residuals(sender))
        .train_blocking(config, data)?;
    let residuals: Vec<(u64, f64)> = residuals.iter().collect();
    let (step, worst) = residuals.last().ok_or("no step")?;
    let best = run.result.best.ok_or("nothing was held out")?;
    let mut out = std::io::stdout();
    writeln!(out, "step {step}: |z - W a| {worst:.4}")?;
    writeln!(
        out,
        "best at step {}: {:.2} %",
        best.step,
        100.0 * best.validation_accuracy
    )?;
    assert_eq!(residuals.len() as u64, run.result.steps);
    Ok(())
}
