//! Classic ADMM: z and a persist from step to step and are swept layer by layer, as in Taylor et al. 2016.
//!
//! In Taylor's order a step takes a round per stage and one more: the coordinator solves W_l from the equations `[T(a_{l-1}) | z_l]`, then
//! the workers move a_l and z_l, then W_{l+1} is due; z_L comes last. Output-first, the workers move z_L, then a_l and
//! z_l backwards, in one round, and the coordinator solves every stage from it. With a forward reset in every step that is the
//! streaming schedule, block by block.

mod collect;
mod global;
mod local;
mod state;

pub use collect::{Collected, rows_per_shard};
pub use global::{FullUpdate, StageSolve};
pub use local::{LocalSweep, SweepInput, SweepOutput};
pub use state::{ShardState, StateLost};

use crate::equations::EquationLayout;
use crate::network::Network;
use serde::{Deserialize, Serialize};

/// In which order a step visits its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// W_1, a_1, z_1, W_2, .. , W_L, z_L: the order of Taylor et al.
    #[default]
    Taylor,
    /// z_L, a_{L-1}, z_{L-1}, .. , z_1, then every W: labels reach a stage before its weights are fitted.
    OutputFirst,
    /// a_1, z_1, .. , a_{L-1}, z_{L-1}, z_L, then every W: Taylor's order of z and a, in one round.
    InputFirst,
}

/// Which activations the weights are fitted on, in the orders other than Taylor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Those from before the sweep: what the network will compute again in its next forward pass.
    #[default]
    Forward,
    /// Those that the sweep has just moved (Gauss-Seidel).
    Updated,
}

/// What z and a are before a sample's first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialState {
    /// A forward pass: every constraint holds.
    #[default]
    Forward,
    /// Standard normal values, a = h(z): the seed's.
    Random,
}

/// How the equations of a weight update are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverKind {
    /// The normal equations of all rows, with a ridge (Taylor's transpose reduction).
    #[default]
    Gram,
    /// s * d equations drawn from the Toeplitz rows.
    Sampled,
    /// The pseudo-inverse of the matrix of all rows.
    PseudoInverse,
}

/// What a worker must know to compute a shard's part of a classic step.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `order` | Taylor | order of the blocks | |
/// | `reset_every` | 0 | visits of a sample between forward resets of its z and a; 0 for never | |
/// | `fit` | forward | activations that weights are fitted on, but in Taylor's order | |
/// | `initial` | forward | z and a before a sample's first visit | |
/// | `solver` | Gram | how equations are solved | |
/// | `equations` | 1 | s: equations drawn per unknown, for the sampled solver | 1..=10000 |
/// | `screen` | true | whether drawn equations are screened for rank | |
/// | `growth` | 1 | factor of beta from step to step | 0.1..=10 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepParams {
    /// Order of the blocks.
    pub order: Order,
    /// A sample's z and a are reset by a forward pass once in so many of its visits; 0 means never.
    pub reset_every: u64,
    /// Activations that weights are fitted on, in the orders other than Taylor's.
    pub fit: Fit,
    /// z and a before the first step.
    pub initial: InitialState,
    /// What the equations are collected for.
    pub solver: SolverKind,
    /// s: equations drawn per unknown, for the sampled solver.
    pub equations: f32,
    /// Whether drawn rows are screened: duplicates are dropped, and twice as many are sent for the coordinator to choose from.
    pub screen: bool,
    /// Factor of beta from step to step, at most 1000 in all.
    pub growth: f32,
}

impl SweepParams {
    /// Whether a step needs nothing of the steps before it: every visit starts with a forward pass.
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.order == Order::OutputFirst
            && self.reset_every == 1
            && self.initial == InitialState::Forward
    }

    /// Factor of the penalties beta in `step`.
    #[must_use]
    pub fn penalty_factor(&self, step: u64) -> f32 {
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        self.growth.powi(exponent).clamp(1e-3, 1e3)
    }
}

/// One round of a classic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepRound {
    /// Step of the run, from 0.
    pub step: u64,
    /// In Taylor's order: a_{l-1} and z_{l-1} move (z_L where this is the number of stages), then stage l's equations are collected.
    /// In the other orders: 0.
    pub stage: usize,
    /// Whether Gram matrices are wanted beside what the solver needs, to audit it.
    pub audit: bool,
}

impl SweepRound {
    /// Whether this round moves z_L, and so takes multipliers and gives residuals.
    #[must_use]
    pub fn moves_outputs(&self, order: Order, stages: usize) -> bool {
        order != Order::Taylor || self.stage == stages
    }

    /// Stages whose equations this round collects.
    #[must_use]
    pub fn collects(&self, order: Order, stages: usize) -> std::ops::Range<usize> {
        match order {
            Order::OutputFirst | Order::InputFirst => 0..stages,
            Order::Taylor => self.stage.min(stages)..(self.stage + 1).min(stages),
        }
    }
}

/// Layout of a round's sums: for the Gram solver and for audits, those of the stages collected; otherwise there are none.
#[must_use]
pub fn sweep_layout(network: &Network, params: &SweepParams, round: SweepRound) -> EquationLayout {
    if params.solver == SolverKind::Gram || round.audit {
        let stages = round.collects(params.order, network.len());
        EquationLayout::of_stages(network, stages, true)
    } else {
        EquationLayout::of_stages(network, 0..0, false)
    }
}
