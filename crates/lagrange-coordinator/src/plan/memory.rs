//! A plan between two steps, into a checkpoint and out of it.

use super::Plan;
use crate::checkpoint::{Arrays, CheckpointError};
use crate::guard::{Guard, GuardFacts};
use crate::iterate::Numbers;
use crate::report::Evaluation;
use lagrange_core::check::{Certificate, Check, Entry, Place, Tally};
use lagrange_data::Split;
use lagrange_protocol::RunSpec;
use serde::{Deserialize, Serialize};

/// The small part of a plan in a checkpoint. Numbers whose bits count are kept as bits: decimal digits might
/// not bring them back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct PlanFacts {
    /// Steps completed, and steps of the whole run.
    pub(crate) step: u64,
    pub(crate) total_steps: u64,
    /// Splits that are still to be evaluated at this step.
    due: Vec<Split>,
    evaluations: Vec<EvaluationFacts>,
    equations: u64,
    /// None in checkpoints of releases that checked nothing.
    #[serde(default)]
    certificate: Option<CertificateFacts>,
    schedule: Numbers,
    guard: GuardFacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct EvaluationFacts {
    step: u64,
    split: Split,
    samples: u64,
    correct: u64,
    /// f64
    loss: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CertificateFacts {
    since: u64,
    entries: Vec<EntryFacts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct EntryFacts {
    check: Check,
    stage: usize,
    ran: u64,
    held: u64,
    /// f64
    worst: u64,
    step: u64,
    shard: Option<u32>,
}

impl Plan {
    /// Puts its arrays down; the facts that go with them. `None` within a step, and before the first.
    pub(crate) fn save(&self, arrays: &mut Arrays) -> Option<PlanFacts> {
        let settled = self.start.is_none() && self.now.schedule.is_between_steps();
        (settled && self.step > 0).then(|| PlanFacts {
            step: self.step,
            total_steps: self.total_steps,
            due: self.due(),
            evaluations: self.evaluations.iter().map(EvaluationFacts::from).collect(),
            equations: self.equations,
            certificate: Some(CertificateFacts::from(&self.certificate)),
            schedule: self.now.save("", arrays),
            guard: self.guard.save(arrays),
        })
    }

    /// The plan of `spec` that [`Plan::save`] put down.
    ///
    /// # Errors
    /// [`CheckpointError`] if no plan of this run comes to that.
    pub(crate) fn load(
        spec: RunSpec,
        facts: &PlanFacts,
        arrays: &Arrays,
    ) -> Result<Self, CheckpointError> {
        let mut plan = Self::new(spec);
        let (step, total) = (facts.step, plan.total_steps);
        if total < step {
            return Err(CheckpointError::TooFar { step, total });
        }
        let cannot_be = |what| Err(CheckpointError::damaged(format!("{what} cannot be")));
        if !(1..=facts.total_steps).contains(&step) {
            return cannot_be("its step");
        }
        if facts.equations > u64::MAX / 2 {
            return cannot_be("its number of equations");
        }
        plan.guard = Guard::load(&facts.guard, &plan.network, &plan.now, arrays)?;
        plan.now.load(&plan.network, "", &facts.schedule, arrays)?;
        plan.start = None;
        plan.step = step;
        // A run that is made longer or shorter has other evaluations behind the same step.
        match total == facts.total_steps {
            true => plan.due = facts.due.iter().copied().collect(),
            false => plan.schedule_evaluations(),
        }
        plan.evaluations = facts.evaluations.iter().map(Evaluation::from).collect();
        plan.equations = facts.equations;
        plan.certificate = match &facts.certificate {
            None => Certificate::since(step),
            Some(facts) => match facts.certificate(plan.network.len()) {
                Some(certificate) => certificate,
                None => return cannot_be("its certificate"),
            },
        };
        Ok(plan)
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

impl From<&Certificate> for CertificateFacts {
    fn from(certificate: &Certificate) -> Self {
        let entry = |Entry { tally, worst_at }: &Entry| EntryFacts {
            check: tally.check,
            stage: tally.stage,
            ran: tally.ran,
            held: tally.held,
            worst: tally.worst.to_bits(),
            step: worst_at.step,
            shard: worst_at.shard,
        };
        Self {
            since: certificate.counted_since(),
            entries: certificate.entries().iter().map(entry).collect(),
        }
    }
}

impl CertificateFacts {
    /// The certificate of a network with `stages` stages; `None` if there can be none.
    fn certificate(&self, stages: usize) -> Option<Certificate> {
        let entry = |facts: &EntryFacts| Entry {
            tally: Tally {
                check: facts.check,
                stage: facts.stage,
                ran: facts.ran,
                held: facts.held,
                worst: f64::from_bits(facts.worst),
            },
            worst_at: Place {
                step: facts.step,
                shard: facts.shard,
            },
        };
        let entries = self.entries.iter().map(entry).collect();
        Certificate::of(self.since, entries, stages)
    }
}
