//! Checks of the sub-problems' optimality while a run goes, on a small sample of its work: the run's
//! *certificate*.
//!
//! A check computes an *amount* in f64, from definitions that share nothing with the kernels: by how much the
//! optimality condition of one sub-problem is missed, relative to the size of that sub-problem. It holds if
//! the amount is at most the check's [tolerance](Check::tolerance), which covers the rounding of f32. Checks
//! read what the updates have computed and write nothing, and draw from a stream of their own: a run has the
//! same bits with and without them. Which of them run depends on (seed, step, shard) alone, so that their
//! [`Tally`]s have the same sums for any number of workers.
//!
//! With `schedule.check-every` = N, every N-th step one sample of one shard is watched through its sweep, and
//! the weight systems of that step are checked at the coordinator.
//!
//! | check | amount |
//! |---|---|
//! | sweep | `max(0, F_after - F_before) / sum of \|terms of F\|`: F is the augmented objective of the sample, before and after the update of one block |
//! | output prox | `max over p of (c(z) - c(p)) / size` for `c(z) = w loss(z) + <lambda, z> + beta_L \|z - m\|^2` and perturbations p of z |
//! | hidden prox | the same for windows of `c(z) = gamma (a - h(z))^2 + beta \|z - m\|^2` |
//! | activation step | for `q(d) = beta \|dz - W d\|^2 + gamma \|d\|^2` at `d = a - h`: the larger of `\|<grad q(d), d>\| / size` and `max(0, q(d) - q(0)) / q(0)` |
//! | normal equations | `\|A x - b\| / (\|A\| \|dW\| + \|V\|)` for `x = dW s`, `b = V s` and random signs s, with `A = G + ridge I` and right-hand sides V |
//!
//! Perturbations are steps along each coordinate (at most 16 of them), along all at once and along random
//! directions, both ways, with lengths of 0.001, 0.01, 0.1 and 1 times the size of the values.
//!
//! # Layout
//!
//! * `definition`: losses, links and linear maps as they are defined, in f64.
//! * `perturb`: the search for a better point.
//! * `amounts`: the amounts of the table.
//! * `inspector`: what watches a sample through its sweep.
//! * `solves`: the weight systems of a step.
//! * `tally`: counts and worst amounts.
//! * [`Certificate`]: the tallies of a run.

mod amounts;
mod certificate;
pub(crate) mod definition;
mod inspector;
mod perturb;
mod solves;
mod tally;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Entry, Place};
pub use tally::{Checks, Tally};

pub(crate) use amounts::{Rows, SymmetricSystem, least_squares_amount, system_amount};
pub(crate) use inspector::{HiddenUpdate, Inspector, OutputsUpdated, StepTaken};
pub(crate) use solves::SolveChecks;

use serde::{Deserialize, Serialize};
use std::fmt;

/// Optimality conditions that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The augmented objective of a sample does not rise from one block update of a sweep to the next.
    Sweep,
    /// No perturbation of z_L is cheaper.
    OutputProx,
    /// No perturbation of z_l within a window is cheaper, through pooling and activation function.
    HiddenProx,
    /// The step to a_l lowers its quadratic, and ends where it stops falling.
    ActivationStep,
    /// The solution of a stage's weight system satisfies it.
    NormalEquations,
}

impl Check {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 5] = [
        Self::Sweep,
        Self::OutputProx,
        Self::HiddenProx,
        Self::ActivationStep,
        Self::NormalEquations,
    ];

    /// Name, as files and messages have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::OutputProx => "output-prox",
            Self::HiddenProx => "hidden-prox",
            Self::ActivationStep => "activation-step",
            Self::NormalEquations => "normal-equations",
        }
    }

    /// What holds if it holds, as a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Sweep => {
                "No block update of a sweep raises the augmented objective of its sample."
            }
            Self::OutputProx => {
                "No perturbation of the last outputs lowers their loss, multiplier term and penalty."
            }
            Self::HiddenProx => {
                "No perturbation of a window's outputs lowers its penalties, through pooling and activation \
                 function."
            }
            Self::ActivationStep => {
                "The conjugate-gradient step of an activation lowers its quadratic and ends at the minimum of \
                 the line."
            }
            Self::NormalEquations => {
                "The weights solved for satisfy their normal equations (T'T + ridge) dW = T'(z - m)."
            }
        }
    }

    /// The largest amount at which it holds.
    #[must_use]
    pub fn tolerance(self) -> f64 {
        match self {
            Self::OutputProx | Self::HiddenProx => 1e-6,
            Self::Sweep | Self::NormalEquations => 1e-5,
            Self::ActivationStep => 1e-3,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
