//! Which charts a run has, whether it is over or under way.

use crate::chart::{Chart, Scale, chart};
use crate::curves::Curves;
use crate::series::{Point, Series};

/// Charts that belong together.
#[derive(Debug, Clone)]
pub struct Section {
    /// What they are about.
    pub title: &'static str,
    /// How to read them, where that is not plain.
    pub note: &'static str,
    /// The charts; some may have nothing to show yet.
    pub charts: Vec<Chart>,
}

/// All charts of a run.
#[must_use]
pub fn sections(curves: &Curves) -> [Section; 3] {
    [
        Section {
            title: "Accuracy and objective",
            note: "",
            charts: learning(curves),
        },
        Section {
            title: "Residuals",
            note: "A primal residual is how far the variables are from a constraint, z = W a or a = h(z), as a root \
                   mean square. The dual residual is how far the weights moved the outputs in a step. Both shrink \
                   as a run settles; a primal one that grows says that a penalty is too small, or steps too long.",
            charts: residuals(curves),
        },
        Section {
            title: "Equations and time",
            note: "",
            charts: costs(curves),
        },
    ]
}

fn learning(curves: &Curves) -> Vec<Chart> {
    let batch = curves.steps("loss").iter();
    let batch = batch.map(|series| series.clone().named("batch"));
    let losses = batch.chain(curves.evaluations("loss")).collect();
    vec![
        chart(
            "Accuracy",
            "share of images, by step",
            Scale::Linear,
            curves.evaluations("accuracy"),
        ),
        chart("Loss", "mean of a sample", Scale::Logarithmic, losses),
        chart(
            "Augmented objective",
            "mean of a sample, after the sweep",
            Scale::Logarithmic,
            curves.steps("objective").to_vec(),
        ),
        chart(
            "Step length",
            "share of the first one",
            Scale::Linear,
            curves.steps("rate").to_vec(),
        ),
    ]
}

fn residuals(curves: &Curves) -> Vec<Chart> {
    let of = |key| curves.steps(key).to_vec();
    vec![
        chart(
            "Primal residual of outputs",
            "|z - W a|",
            Scale::Logarithmic,
            of("output_residual"),
        ),
        chart(
            "Primal residual of activations",
            "|a - h(z)|",
            Scale::Logarithmic,
            of("activation_residual"),
        ),
        chart(
            "Dual residual",
            "beta |T(a) dW|",
            Scale::Logarithmic,
            of("dual_residual"),
        ),
        chart(
            "Multipliers",
            "root mean square",
            Scale::Linear,
            of("multiplier_rms"),
        ),
    ]
}

fn costs(curves: &Curves) -> Vec<Chart> {
    let milliseconds = |key, name| scaled(curves.steps(key), 1e3, name);
    let megabytes = |key, name| scaled(curves.steps(key), 1e-6, name);
    let times = milliseconds("wait_seconds", "waiting for workers");
    let times = times.chain(milliseconds("work_seconds", "coordinator's own work"));
    let bytes = megabytes("bytes_sent", "to workers");
    let bytes = bytes.chain(megabytes("bytes_received", "from workers"));
    vec![
        chart(
            "Condition of the weight systems",
            "",
            Scale::Logarithmic,
            curves.steps("condition").to_vec(),
        ),
        chart(
            "Equations of a step",
            "Toeplitz rows per output",
            Scale::Logarithmic,
            curves.steps("equations").to_vec(),
        ),
        chart("Time of a step", "ms", Scale::Linear, times.collect()),
        chart(
            "Bytes on the wire",
            "MB, in all",
            Scale::Linear,
            bytes.collect(),
        ),
    ]
}

/// Curves in another unit, under another name.
fn scaled(curves: &[Series], factor: f64, name: &'static str) -> impl Iterator<Item = Series> {
    curves.iter().map(move |curve| {
        let mut scaled = Series::new(name);
        scaled.extend(
            curve
                .points()
                .into_iter()
                .map(|Point { x, y }| Point { x, y: factor * y }),
        );
        scaled
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_chart_of_a_run_has_a_title_of_its_own_and_its_unit() {
        let events = [
            json!({ "event": "step", "step": 1, "loss": 0.5, "wait_seconds": 0.25, "bytes_sent": 2e6 }),
            json!({ "event": "evaluation", "step": 1, "split": "test", "accuracy": 0.75, "loss": 0.25 }),
        ];
        let sections = sections(&Curves::of(&events));
        let charts: Vec<&Chart> = sections.iter().flat_map(|of| &of.charts).collect();
        let mut titles: Vec<&str> = charts.iter().map(|chart| chart.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), charts.len());
        let words = |title| {
            let mut charts = charts.iter();
            charts
                .find(|chart| chart.title == title)
                .expect("there")
                .words()
        };
        assert_eq!(
            words("Time of a step"),
            "Time of a step: waiting for workers 250 at step 1"
        );
        assert_eq!(
            words("Bytes on the wire"),
            "Bytes on the wire: to workers 2 at step 1"
        );
        assert_eq!(
            words("Loss"),
            "Loss: batch 0.5 at step 1, test 0.25 at step 1"
        );
        assert_eq!(words("Dual residual"), "Dual residual");
    }
}
