//! Runs small enough to be computed thousands of times.

use crate::{Prepared, bars, small_config};
use lagrange::Config;
use lagrange_coordinator::{Command, Event, Rules, Snapshot, Training};
use lagrange_core::network::{Activation, NetworkSpec, Padding, StageSpec};
use lagrange_core::schedule::{BlockOrder, ClassicUpdate, ScheduleKind, SolverKind};
use lagrange_core::start::StartKind;
use lagrange_data::{Dataset, DatasetSummary, HeldOut};
use lagrange_protocol::{Reply, RunSpec, Work};
use lagrange_worker::{Compute, DataSource, ShardStore};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A run, its data and what is needed to take part in it.
#[derive(Debug, Clone)]
pub struct TinyRun {
    /// The run.
    pub prepared: Prepared,
    /// What a coordinator knows of the data.
    pub summary: DatasetSummary,
    dataset: Arc<Dataset>,
}

const IMAGES: usize = 24;
const SHARDS: usize = 3;

/// Runs of every schedule and solver.
#[must_use]
pub fn tiny_runs() -> &'static [TinyRun] {
    static RUNS: LazyLock<Vec<TinyRun>> = LazyLock::new(|| {
        let dataset = Arc::new(bars(IMAGES, 6));
        configurations()
            .iter()
            .map(|config| TinyRun::new(config, &dataset))
            .collect()
    });
    &RUNS
}

fn configurations() -> Vec<Config> {
    let stage = |kernel, channels, padding| StageSpec {
        kernel,
        channels,
        padding,
    };
    let mut plain = small_config(SHARDS);
    plain.network =
        NetworkSpec::of_stages(&[stage(3, 2, Padding::Valid), stage(3, 3, Padding::Same)]);
    plain.validation = HeldOut::Count(3);
    plain.schedule.batch = 2 * SHARDS;
    // Beyond the first steps, which all refresh the Gram matrices.
    plain.schedule.epochs = 5.0;
    plain.schedule.balance = 10.0;
    let changed = |change: &dyn Fn(&mut Config)| {
        let mut config = plain.clone();
        change(&mut config);
        config
    };
    let classic = |change: &dyn Fn(&mut Config)| {
        changed(&|config| {
            config.schedule.kind = ScheduleKind::Classic;
            config.schedule.balance = 0.0;
            change(config);
        })
    };
    vec![
        plain.clone(),
        changed(&|c| {
            c.task = lagrange_data::Task::Digits;
            c.network = c.network.clone().with_activation(Activation::Step);
            c.start.kind = StartKind::He;
        }),
        changed(&|c| c.schedule.solver = SolverKind::Sampled),
        classic(&|_| {}),
        classic(&|c| c.classic.order = BlockOrder::OutputFirst),
        classic(&|c| c.schedule.solver = SolverKind::Sampled),
        classic(&|c| c.schedule.solver = SolverKind::PseudoInverse),
        classic(&|c| {
            c.classic.order = BlockOrder::InputFirst;
            c.classic.update = ClassicUpdate::Step;
            c.classic.audit_every = 1;
        }),
    ]
}

impl TinyRun {
    fn new(config: &Config, dataset: &Arc<Dataset>) -> Self {
        Self {
            prepared: Prepared::new(config, dataset),
            summary: DatasetSummary::of(dataset).expect("contrast"),
            dataset: Arc::clone(dataset),
        }
    }

    /// What its workers are told of it.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.prepared.spec
    }

    /// The run from its beginning.
    #[must_use]
    pub fn begin(&self) -> Training {
        self.prepared.begin(rules())
    }

    /// The run as `snapshot` has it, if it is one of this run.
    ///
    /// # Errors
    /// What [`Training::resume`] says.
    pub fn resume(
        &self,
        snapshot: &Snapshot,
    ) -> Result<Training, lagrange_coordinator::CheckpointError> {
        self.prepared.resume(snapshot, rules())
    }

    /// A worker of this run.
    #[must_use]
    pub fn worker(&self) -> Compute {
        self.worker_of(self.spec().clone())
            .expect("a run of its own")
    }

    /// A worker of another run on the same data, as a worker process would set it up.
    ///
    /// # Errors
    /// Whatever keeps it from taking part.
    pub fn worker_of(&self, spec: RunSpec) -> Result<Compute, Box<dyn std::error::Error>> {
        let source = DataSource::Shared(Arc::clone(&self.dataset));
        let store = ShardStore::new(
            source,
            Arc::clone(&self.dataset),
            self.summary.sha256,
            &spec,
        )?;
        let network = spec.network();
        Ok(Compute::new(spec, network, store))
    }

    /// The bytes of a checkpoint of this run after `steps` steps.
    #[must_use]
    pub fn checkpoint(&self, steps: u64) -> Vec<u8> {
        let mut training = self.begin();
        let mut last = None;
        let mut keep = |command| match command {
            Command::Checkpoint(snapshot) if snapshot.facts.steps().0 == steps => {
                last = Some(snapshot);
            }
            _ => {}
        };
        work_honestly(&mut training, &self.worker(), u32::MAX, &mut keep);
        last.expect("so many steps").to_bytes().expect("written")
    }
}

fn rules() -> Rules {
    Rules {
        checkpoint_steps: 1,
        ..Rules::default()
    }
}

/// Answers for `worker`, who joins now, up to `rounds` rounds; everything but work is told to `observe`.
pub(super) fn work_honestly(
    training: &mut Training,
    worker: &Compute,
    rounds: u32,
    observe: &mut impl FnMut(Command),
) {
    let now = Duration::from_millis(1);
    let mut commands = training.handle(
        now,
        Event::Joined {
            worker: 1,
            threads: 1,
        },
    );
    for _ in 0..rounds {
        let mut next = Vec::new();
        for command in commands {
            match command {
                Command::Send { .. } => {
                    next.extend(answer(worker, &command).map(|event| training.handle(now, event)));
                }
                other => observe(other),
            }
        }
        if next.is_empty() {
            return;
        }
        commands = next.into_iter().flatten().collect();
    }
}

/// What a worker answers to a command, if that is work and wants an answer.
pub(super) fn answer(compute: &Compute, command: &Command) -> Option<Event> {
    let Command::Send {
        worker,
        header,
        payload,
        ..
    } = command
    else {
        return None;
    };
    let worker = *worker;
    let work = Work {
        payload: payload.to_vec(),
        header: header.clone(),
    };
    match compute.answer(&work) {
        Ok(_) if work.header.replay => None,
        Ok(answer) => Some(Event::Replied {
            worker,
            reply: Reply {
                header: answer.header,
                payload: answer.payload.to_vec(),
            },
        }),
        Err(error) => Some(Event::Failed {
            worker,
            message: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_coordinator::RunEvent;

    /// The first point that a run can go back to has no Gram matrices, and later steps do not bring them by
    /// themselves.
    #[test]
    fn a_run_goes_back_to_its_very_beginning() {
        let run = &tiny_runs()[1];
        let (mut training, worker, mut back) = (run.begin(), run.worker(), None);
        let mut commands = training.handle(
            Duration::ZERO,
            Event::Joined {
                worker: 1,
                threads: 1,
            },
        );
        while let Some(command) = commands.pop() {
            let broken = training.steps().0 == 9 && back.is_none();
            match command {
                Command::Send { .. } => {
                    let Some(Event::Replied { worker, mut reply }) = answer(&worker, &command)
                    else {
                        panic!("a worker alone answers");
                    };
                    if broken {
                        reply.header.nodes[0].scalars[0] = f64::NAN;
                    }
                    let event = Event::Replied { worker, reply };
                    commands.extend(training.handle(Duration::ZERO, event));
                }
                Command::Report(RunEvent::Rollback { step, to, .. }) => back = Some((step, to)),
                Command::End(result) => drop(result.expect("it ends well")),
                _ => {}
            }
        }
        assert_eq!(back, Some((10, 0)));
    }
}
