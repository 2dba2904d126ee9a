//! TensorBoard's event files: every number of the metrics as a series, and with each evaluation the weights of
//! the stages as histograms and the first kernels as a picture.
//!
//! A run writes one file. A run that is gone on with begins another one, which has readers pass over what the
//! files before it say of the steps that come again.

mod file;
mod messages;
mod scalars;
mod weights;

use super::METRICS;
use super::metrics::Kept;
use crate::{Network, Observed, RunEvent, kernel_pictures};
use file::EventFile;
pub(super) use file::event_files;
use lagrange_coordinator::Journal;
use lagrange_core::weights::Weights;
use messages::{Kind, Value};
use scalars::scalars;
use std::io;
use std::path::Path;

/// Series of live workers, which the metrics tell when it changes.
const WORKERS: &str = "cluster/workers";

/// Writes an event file into a run folder.
#[derive(Debug)]
pub(super) struct TensorBoard {
    network: Network,
    /// None once it could not be written.
    file: Option<EventFile>,
    workers: Option<u64>,
}

impl TensorBoard {
    /// Begins a file in the run folder at `folder`, for a run that goes on from `kept`, or begins.
    pub(super) fn begin(folder: &Path, network: Network, kept: Option<&Kept>) -> Self {
        // Readers forget whole steps only: if an evaluation of this step comes again, all of it is written again.
        let comes_again = kept.filter(|kept| !kept.due.is_empty());
        let from = match (comes_again, kept) {
            (Some(kept), _) => kept.step,
            (None, Some(kept)) => kept.step + 1,
            (None, None) => 0,
        };
        let mut events = Self {
            network,
            file: None,
            workers: None,
        };
        match EventFile::create(folder, from) {
            Ok(file) => events.file = Some(file),
            Err(error) => events.end_with(&error),
        }
        if let Some(kept) = comes_again {
            events.repeat(&folder.join(METRICS), kept.step);
        }
        events
    }

    /// Writes what the metrics say of `step`.
    fn repeat(&mut self, metrics: &Path, step: u64) {
        let metrics = std::fs::read_to_string(metrics);
        for line in metrics.unwrap_or_default().lines() {
            let line = serde_json::from_str(line).unwrap_or_default();
            match self.values(&line) {
                Some((of, values)) if of == step => self.write(step, values),
                _ => {}
            }
        }
    }

    /// The series that a line of the metrics goes on with.
    fn values(&mut self, line: &serde_json::Value) -> Option<(u64, Vec<Value>)> {
        if line["event"] == "membership" {
            self.workers = line["workers"].as_u64();
        }
        let (step, mut values) = scalars(line)?;
        if line["event"] == "step" {
            values.extend(self.workers.map(|count| (WORKERS.to_owned(), count as f64)));
        }
        let value = |(tag, value)| named(tag, Kind::Scalar(value as f32));
        Some((step, values.into_iter().map(value).collect()))
    }

    /// Histograms and pictures of `weights`.
    fn drawn(&self, weights: &Weights) -> Vec<Value> {
        let histograms = self.network.stages().iter().enumerate();
        let histograms = histograms.flat_map(|(index, stage)| {
            // The last row is the bias.
            let (kernels, bias) = weights
                .stage(index)
                .split_at(ndarray::Axis(0), stage.patch());
            [("kernels", kernels), ("bias", bias)].map(|(name, part)| {
                let counts = weights::histogram(part.iter().copied());
                named(
                    format!("weights/stage{}/{name}", index + 1),
                    Kind::Histogram(counts),
                )
            })
        });
        let sheet = weights::sheet(&kernel_pictures(&self.network, weights));
        let sheet = sheet.map(|sheet| named("kernels/stage1".to_owned(), Kind::Image(sheet)));
        histograms.chain(sheet).collect()
    }

    fn write(&mut self, step: u64, values: Vec<Value>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write(step, values) {
            self.end_with(&error);
        }
    }

    /// A disk that is full must not cost the run its result: the events end there, the run goes on.
    fn end_with(&mut self, error: &io::Error) {
        tracing::warn!(%error, "TensorBoard's events cannot be written; the run goes on without");
        self.file = None;
    }
}

impl Journal for TensorBoard {
    fn keep(&mut self, observed: &Observed) {
        if self.file.is_none() {
            return;
        }
        let made = match &observed.event {
            RunEvent::Iterate { step, weights } => Some((*step, self.drawn(weights))),
            _ => self.values(&serde_json::to_value(observed).unwrap_or_default()),
        };
        if let Some((step, values)) = made {
            self.write(step, values);
        }
    }
}

fn named(tag: String, kind: Kind) -> Value {
    Value {
        tag,
        kind: Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evaluation, NetworkSpec, Shape, Split, StepMetrics};
    use file::tests::events_of;
    use messages::{Status, What};
    use std::collections::BTreeMap;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::Arc;

    /// What is written to the metrics and to the events, as a run folder has them.
    struct Folder {
        path: PathBuf,
        events: TensorBoard,
    }

    fn network() -> Network {
        let image = Shape {
            height: 28,
            width: 28,
            channels: 3,
        };
        Network::resolve(&NetworkSpec::default(), image, 4).expect("it fits")
    }

    impl Folder {
        fn begin(path: &Path, kept: Option<Kept>) -> Self {
            if let Some(kept) = &kept {
                let metrics = path.join(METRICS);
                let text = std::fs::read_to_string(&metrics).expect("metrics");
                std::fs::write(metrics, kept.part(&text)).expect("written");
            }
            Self {
                path: path.to_owned(),
                events: TensorBoard::begin(path, network(), kept.as_ref()),
            }
        }

        fn tell(&mut self, event: RunEvent) {
            let observed = Observed {
                seconds: 1.0,
                bytes_sent: 10,
                bytes_received: 20,
                wait_seconds: 0.5,
                work_seconds: 0.25,
                event,
            };
            self.events.keep(&observed);
            if matches!(observed.event, RunEvent::Iterate { .. }) {
                return;
            }
            let line = serde_json::to_string(&observed).expect("JSON") + "\n";
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            let mut metrics = options.open(self.path.join(METRICS)).expect("metrics");
            metrics.write_all(line.as_bytes()).expect("written");
        }

        fn join(&mut self, workers: usize) {
            let change = String::new();
            self.tell(RunEvent::Membership { workers, change });
        }

        fn step(&mut self, step: u64) {
            let stages = vec![1.0, 2.0];
            self.tell(RunEvent::Step(Box::new(StepMetrics {
                step,
                total: 9,
                loss: step as f64,
                objective: 1.0,
                output_residual: stages.clone(),
                activation_residual: vec![3.0],
                dual_residual: stages.clone(),
                weight_norm: stages.clone(),
                condition: stages,
                equations: Vec::new(),
                rank: Vec::new(),
                distance: Vec::new(),
                multiplier_rms: 0.125,
                rate: 0.5,
                checksums: Vec::new(),
            })));
        }

        fn evaluate(&mut self, step: u64) {
            let weights = Arc::new(Weights::zeros(&network()));
            self.tell(RunEvent::Iterate { step, weights });
            self.tell(RunEvent::Evaluation(Evaluation {
                step,
                split: Split::Test,
                samples: 4,
                correct: 3,
                accuracy: 0.75,
                loss: 0.5,
            }));
        }
    }

    /// The steps of every series, as a reader has them: of what is written twice, all.
    fn series(path: &Path) -> BTreeMap<String, Vec<i64>> {
        let mut files: Vec<PathBuf> = event_files(path).collect();
        files.sort_unstable();
        let mut series: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for file in files {
            for event in events_of(&std::fs::read(file).expect("read")) {
                match event.what {
                    Some(What::Session(session)) if session.status() == Status::Start => {
                        let keep = |steps: &mut Vec<i64>| steps.retain(|&step| step < event.step);
                        series.values_mut().for_each(keep);
                    }
                    Some(What::Summary(summary)) => summary.value.into_iter().for_each(|value| {
                        series.entry(value.tag).or_default().push(event.step);
                    }),
                    _ => {}
                }
            }
        }
        series
    }

    #[test]
    fn a_run_that_is_gone_on_with_has_every_step_once() {
        for (due, kept) in [(vec![Split::Test], 2), (Vec::new(), 3), (Vec::new(), 2)] {
            let folder = tempfile::tempdir().expect("folder");
            let mut run = Folder::begin(folder.path(), None);
            run.join(2);
            for step in 1..=3 {
                run.step(step);
                run.evaluate(step);
            }
            let mut again = Folder::begin(
                folder.path(),
                Some(Kept {
                    step: kept,
                    due: due.clone(),
                }),
            );
            again.join(1);
            if !due.is_empty() {
                again.evaluate(kept);
            }
            for step in kept + 1..=5 {
                again.step(step);
                again.evaluate(step);
            }
            let series = series(folder.path());
            for tag in [
                "train/loss",
                "cluster/workers",
                "residual/stage2/output",
                "solve/stage1/condition",
                "test/accuracy",
                "weights/stage1/kernels",
                "weights/stage2/bias",
                "kernels/stage1",
            ] {
                assert_eq!(series[tag], [1, 2, 3, 4, 5], "{tag}");
            }
            for (tag, steps) in series {
                assert_eq!(steps, [1, 2, 3, 4, 5], "{tag}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_written_the_run_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let gone = folder.path().join("gone");
        std::fs::create_dir(&gone).expect("folder");
        let mut run = Folder::begin(&folder.path().join("nowhere"), None);
        run.path = gone.clone();
        run.step(1);
        assert_eq!(event_files(&gone).count(), 0);
    }
}
