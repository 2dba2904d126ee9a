//! Trains with a loss of one's own, of which only a value and a prox are needed: the smooth margin loss of
//! each output, of degree four, which no built-in loss has.
//!
//! `cargo run --release --package lagrange --example custom_loss`

use lagrange::{Cluster, Dataset, Loss, LossFunction, Sources};
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

/// Sum over outputs of max(0, 1 - y z)^4
#[derive(Debug)]
struct QuarticHinge;

impl LossFunction for QuarticHinge {
    fn value(&self, outputs: &[f32], targets: &[f32]) -> f64 {
        let gaps = outputs
            .iter()
            .zip(targets)
            .map(|(z, y)| (1.0 - y * z).max(0.0));
        gaps.map(|gap| f64::from(gap).powi(4)).sum()
    }

    /// With the gap g = 1 - y z and that of v, g_v > 0, the derivative of weight g^4 + beta (g - g_v)^2 is
    /// 4 weight g^3 + 2 beta (g - g_v). It rises from below 0 at g = 0 to above 0 at g_v, and is convex
    /// between: Newton's steps from g_v fall to its zero and never pass it.
    fn prox(&self, targets: &[f32], weight: f32, beta: f32, z: &mut [f32]) {
        for (z, &y) in z.iter_mut().zip(targets) {
            let from = 1.0 - y * *z;
            if from <= 0.0 {
                continue;
            }
            let mut gap = from;
            for _ in 0..30 {
                let slope = 4.0 * weight * gap.powi(3) + 2.0 * beta * (gap - from);
                gap -= slope / (12.0 * weight * gap * gap + 2.0 * beta);
            }
            *z = y * (1.0 - gap);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let loss = Loss::register("quartic-hinge", QuarticHinge)?;
    // Wherever a run is configured, the loss has a name: here, in a file, in a checkpoint.
    let config = Sources::default()
        .preset("digits-fast")
        .set("train-limit=5000")?
        .set(&format!("schedule.loss={loss}"))?
        .resolve()?;
    let data = Arc::new(Dataset::load(None)?);
    let run = Cluster::in_process(2).train_blocking(config, data)?;
    let accuracy = run.result.test_accuracy.ok_or("not evaluated")?;
    writeln!(std::io::stdout(), "{loss}: {:.2} %", 100.0 * accuracy)?;
    assert!(accuracy > 0.9);
    Ok(())
}
