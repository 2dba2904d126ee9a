//! A plan's state, into a checkpoint and out of it.

use super::facts::EvaluationFacts;
use super::{CheckpointError, Facts, GuardFacts, PointFacts, Snapshot, StageFacts};
use crate::guard::{Guard, Point};
use crate::multipliers::Multipliers;
use crate::plan::{Plan, Steps};
use crate::report::Evaluation;
use crate::run_plan::RunPlan;
use lagrange_core::finite::all_finite;
use lagrange_core::schedule::streaming::{StageMemory, WeightUpdate};
use lagrange_core::weights::Weights;
use lagrange_data::Partition;
use std::collections::BTreeMap;

/// Named arrays in the making, and the facts that go with them.
#[derive(Debug, Default)]
struct Writer {
    tensors: BTreeMap<String, Vec<f32>>,
    updates: BTreeMap<String, Vec<StageFacts>>,
}

impl Writer {
    fn add(&mut self, name: String, values: &[f32]) {
        self.tensors.insert(name, values.to_vec());
    }

    fn add_update(&mut self, name: &str, update: &WeightUpdate) {
        let mut facts = Vec::new();
        for (stage, memory) in update.memory().into_iter().enumerate() {
            facts.push(StageFacts {
                square: memory.square.to_bits(),
                refreshes: memory.refreshes,
                stale: memory.stale,
            });
            self.tensors
                .insert(format!("{name}.{stage}.gram"), memory.gram);
            self.tensors
                .insert(format!("{name}.{stage}.velocity"), memory.velocity);
        }
        self.updates.insert(name.to_owned(), facts);
    }

    fn add_point(&mut self, name: &str, point: &Point) {
        self.add(format!("{name}.weights"), point.weights.as_slice());
        self.tensors
            .insert(format!("{name}.multipliers"), point.multipliers.flat());
        self.add_update(&format!("{name}.update"), &point.update);
    }
}

impl Plan {
    /// The plan between two steps, without what its owner knows; `None` within one, and before the first.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let settled = match &self.steps {
            Steps::Streaming(_) => true,
            Steps::Classic(steps) => steps.is_between_steps(),
        };
        if self.start.is_some() || !settled || self.step == 0 {
            return None;
        }
        let mut writer = Writer::default();
        writer.add("weights".to_owned(), self.weights.as_slice());
        writer
            .tensors
            .insert("multipliers".to_owned(), self.multipliers.flat());
        if let Some(update) = self.update() {
            writer.add_update("update", update);
        }
        let guard = self.guard.facts();
        for (name, point) in self.guard.points() {
            writer.add_point(&format!("guard.{name}"), point);
        }
        Some(Snapshot {
            facts: Facts {
                run: String::new(),
                configuration: String::new(),
                dataset_sha256: String::new(),
                round: 0,
                step: self.step,
                total_steps: self.total_steps,
                due: self.due.iter().copied().collect(),
                evaluations: self.evaluations.iter().map(EvaluationFacts::from).collect(),
                equations: self.equations,
                normalisation: self.spec().normalisation.into(),
                balance: self.balance.factor().to_bits(),
                guard,
                updates: writer.updates,
                history: Vec::new(),
            },
            tensors: writer.tensors,
        })
    }

    /// The weight update that has a memory, if there is one.
    fn update(&self) -> Option<&WeightUpdate> {
        match &self.steps {
            Steps::Streaming(update) => Some(update),
            Steps::Classic(steps) => steps.update(),
        }
    }

    /// The plan of `run` as it was when `snapshot` was taken.
    ///
    /// # Errors
    /// [`CheckpointError`] if it was taken of another run, or the run cannot be planned.
    pub fn resume(
        mut run: RunPlan,
        partition: Partition,
        snapshot: &Snapshot,
    ) -> Result<Self, CheckpointError> {
        let damaged = |error: &dyn std::fmt::Display| CheckpointError::Damaged(error.to_string());
        let facts = &snapshot.facts;
        let normalisation = facts.normalisation.normalisation();
        run.spec.normalisation =
            normalisation.ok_or_else(|| damaged(&"its normalisation cannot be"))?;
        let mut plan = Self::new(run, partition).map_err(|error| damaged(&error))?;
        if plan.total_steps < facts.step {
            return Err(CheckpointError::TooFar {
                step: facts.step,
                total: plan.total_steps,
            });
        }
        if let Some(fact) = fault(facts) {
            return Err(CheckpointError::Damaged(format!("{fact} cannot be")));
        }
        let reader = Reader {
            snapshot,
            plan: &plan,
        };
        let weights = reader.weights("weights")?;
        let multipliers = reader.multipliers("multipliers")?;
        let guard = Guard::from_facts(&facts.guard, |name| reader.point(&format!("guard.{name}")))?;
        let memory = match plan.update() {
            Some(_) => Some(reader.memory("update")?),
            None => None,
        };
        plan.weights = weights;
        plan.multipliers = multipliers;
        plan.guard = guard;
        if let Some(memory) = memory {
            let update = match &mut plan.steps {
                Steps::Streaming(update) => Some(&mut **update),
                Steps::Classic(steps) => steps.update_mut(),
            };
            if let Some(update) = update {
                update.remember(&memory).map_err(|error| damaged(&error))?;
            }
        }
        plan.start = None;
        plan.step = facts.step;
        // A run that is made longer or shorter has other evaluations behind the same step.
        match plan.total_steps == facts.total_steps {
            true => plan.due = facts.due.iter().copied().collect(),
            false => plan.schedule_evaluations(),
        }
        plan.evaluations = facts.evaluations.iter().map(Evaluation::from).collect();
        plan.equations = facts.equations;
        match plan.balance.set_factor(f32::from_bits(facts.balance)) {
            true => Ok(plan),
            false => Err(CheckpointError::Damaged("its balance cannot be".to_owned())),
        }
    }
}

/// The first of the numbers that no run comes to.
fn fault(facts: &Facts) -> Option<&'static str> {
    let (most, guard) = (u64::MAX / 2, &facts.guard);
    [
        ("its step", !(1..=facts.total_steps).contains(&facts.step)),
        ("its round", facts.round > most),
        ("its number of equations", facts.equations > most),
        (
            "what its guard has counted",
            !Guard::counts_to(guard.count, guard.returns),
        ),
    ]
    .into_iter()
    .find_map(|(fact, wrong)| wrong.then_some(fact))
}

/// Reads arrays of the plan's sizes.
struct Reader<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
}

impl Reader<'_> {
    fn values(&self, name: &str) -> Result<&Vec<f32>, CheckpointError> {
        let missing = || CheckpointError::Damaged(format!("{name} is missing"));
        let values = self.snapshot.tensors.get(name).ok_or_else(missing)?;
        match all_finite(values) {
            true => Ok(values),
            false => Err(CheckpointError::Damaged(format!(
                "{name} holds values that are no numbers"
            ))),
        }
    }

    fn weights(&self, name: &str) -> Result<Weights, CheckpointError> {
        let values = self.values(name)?.clone();
        Weights::from_flat(&self.plan.network, values).ok_or_else(|| self.other_size(name))
    }

    fn multipliers(&self, name: &str) -> Result<Multipliers, CheckpointError> {
        let mut multipliers = self.plan.multipliers.clone();
        match multipliers.set_flat(self.values(name)?) {
            true => Ok(multipliers),
            false => Err(self.other_size(name)),
        }
    }

    fn memory(&self, name: &str) -> Result<Vec<StageMemory>, CheckpointError> {
        let missing = || CheckpointError::Damaged(format!("{name} is missing"));
        let facts = self.snapshot.facts.updates.get(name).ok_or_else(missing)?;
        let memory = facts.iter().enumerate().map(|(stage, facts)| {
            Ok(StageMemory {
                gram: self.values(&format!("{name}.{stage}.gram"))?.clone(),
                velocity: self.values(&format!("{name}.{stage}.velocity"))?.clone(),
                square: f64::from_bits(facts.square),
                refreshes: facts.refreshes,
                stale: facts.stale,
            })
        });
        memory.collect()
    }

    fn point(&self, name: &str) -> Result<Point, CheckpointError> {
        let Steps::Streaming(update) = &self.plan.steps else {
            return Err(self.other_size(name));
        };
        let mut update = (**update).clone();
        let memory = self.memory(&format!("{name}.update"))?;
        update
            .remember(&memory)
            .map_err(|error| CheckpointError::Damaged(format!("{name}: {error}")))?;
        Ok(Point {
            weights: self.weights(&format!("{name}.weights"))?,
            multipliers: self.multipliers(&format!("{name}.multipliers"))?,
            update,
        })
    }

    fn other_size(&self, name: &str) -> CheckpointError {
        CheckpointError::Damaged(format!("{name} is not of this network"))
    }
}

impl From<&Evaluation> for EvaluationFacts {
    fn from(evaluation: &Evaluation) -> Self {
        Self {
            step: evaluation.step,
            split: evaluation.split,
            samples: evaluation.samples,
            correct: evaluation.correct,
            loss: evaluation.loss.to_bits(),
        }
    }
}

impl From<&EvaluationFacts> for Evaluation {
    fn from(facts: &EvaluationFacts) -> Self {
        Self {
            step: facts.step,
            split: facts.split,
            samples: facts.samples,
            correct: facts.correct,
            accuracy: facts.correct as f64 / (facts.samples as f64).max(1.0),
            loss: f64::from_bits(facts.loss),
        }
    }
}

impl PointFacts {
    pub(crate) fn new(loss: f64, step: u64) -> Self {
        Self {
            loss: loss.to_bits(),
            step,
        }
    }
}

impl Guard {
    /// Its numbers.
    fn facts(&self) -> GuardFacts {
        let of_point =
            |point: Option<(f64, u64)>| point.map(|(loss, step)| PointFacts::new(loss, step));
        let [best, candidate] = self.losses();
        let (sum, count, first, returns) = self.counts();
        GuardFacts {
            sum: sum.to_bits(),
            count,
            first: first.map(f64::to_bits),
            best: of_point(best),
            candidate: of_point(candidate),
            returns,
        }
    }

    fn from_facts(
        facts: &GuardFacts,
        read: impl Fn(&str) -> Result<Point, CheckpointError>,
    ) -> Result<Self, CheckpointError> {
        let point = |name: &str, facts: Option<PointFacts>| match facts {
            None => Ok(None),
            Some(facts) => {
                let point = Box::new(read(name)?);
                Ok(Some((f64::from_bits(facts.loss), facts.step, point)))
            }
        };
        Ok(Self::restored(
            (
                f64::from_bits(facts.sum),
                facts.count,
                facts.first.map(f64::from_bits),
                facts.returns,
            ),
            point("best", facts.best)?,
            point("candidate", facts.candidate)?,
        ))
    }
}
