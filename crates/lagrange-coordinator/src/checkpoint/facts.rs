//! The small facts of a checkpoint.

use lagrange_core::schedule::classic::SweepRound;
use lagrange_data::Split;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything small that a run needs to go on. Numbers whose bits count are kept as bits: decimal digits might not bring them back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Name of the run: workers that outlive a coordinator know it by that.
    pub run: String,
    /// The whole configuration, as the run's owner writes it down.
    pub configuration: String,
    /// SHA-256 of the dataset, in hexadecimal.
    pub dataset_sha256: String,
    /// Rounds begun.
    pub round: u64,
    /// Steps completed.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Splits that are still to be evaluated at this step.
    pub due: Vec<Split>,
    pub(crate) evaluations: Vec<EvaluationFacts>,
    pub(crate) equations: u64,
    /// f32
    pub(crate) balance: u32,
    pub(crate) guard: GuardFacts,
    /// Per stage, of each weight update in the checkpoint.
    pub(crate) updates: BTreeMap<String, Vec<StageFacts>>,
    /// Rounds whose z and a are on the workers.
    pub(crate) history: Vec<RoundFacts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct EvaluationFacts {
    pub(crate) step: u64,
    pub(crate) split: Split,
    pub(crate) samples: u64,
    pub(crate) correct: u64,
    /// f64
    pub(crate) loss: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageFacts {
    /// f64
    pub(crate) square: u64,
    pub(crate) refreshes: u16,
    pub(crate) stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct GuardFacts {
    /// f64
    pub(crate) sum: u64,
    pub(crate) count: u32,
    /// f64
    pub(crate) first: Option<u64>,
    pub(crate) best: Option<PointFacts>,
    pub(crate) candidate: Option<PointFacts>,
    pub(crate) returns: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointFacts {
    /// f64
    pub(crate) loss: u64,
    pub(crate) step: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoundFacts {
    pub(crate) step: u64,
    pub(crate) stage: usize,
    pub(crate) audit: bool,
}

impl From<SweepRound> for RoundFacts {
    fn from(round: SweepRound) -> Self {
        Self {
            step: round.step,
            stage: round.stage,
            audit: round.audit,
        }
    }
}

impl From<RoundFacts> for SweepRound {
    fn from(round: RoundFacts) -> Self {
        Self {
            step: round.step,
            stage: round.stage,
            audit: round.audit,
        }
    }
}
