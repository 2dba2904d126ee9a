//! The small facts of a checkpoint.

use lagrange_core::schedule::classic::SweepRound;
use lagrange_data::{Normalisation, Split};
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
    #[serde(default)]
    pub(crate) normalisation: NormalisationFacts,
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

/// How the run's images are normalised: it goes on as it began, whatever the release that takes it up would choose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormalisationFacts {
    /// f32
    mean: u32,
    /// f32
    standard_deviation: u32,
}

/// Releases that did not write it down normalised every set as MNIST.
impl Default for NormalisationFacts {
    fn default() -> Self {
        Normalisation::MNIST.into()
    }
}

impl From<Normalisation> for NormalisationFacts {
    fn from(normalisation: Normalisation) -> Self {
        Self {
            mean: normalisation.mean().to_bits(),
            standard_deviation: normalisation.standard_deviation().to_bits(),
        }
    }
}

impl NormalisationFacts {
    /// None of figures that no pixels have.
    pub(crate) fn normalisation(self) -> Option<Normalisation> {
        let [mean, deviation] = [self.mean, self.standard_deviation].map(f32::from_bits);
        Normalisation::new(mean, deviation)
    }
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
