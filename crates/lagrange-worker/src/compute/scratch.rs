//! Buffers of one thread.

use lagrange_core::forward::Forward;
use lagrange_core::network::Network;
use lagrange_core::schedule::classic::LocalSweep;
use lagrange_core::schedule::streaming::LocalStep;
use lagrange_core::weights::Weights;
use lagrange_protocol::RunSpec;

/// Buffers of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) kernel: Kernel,
    /// Number of the round whose weights the forward pass has.
    pub(super) loaded: u64,
    pub(super) images: Vec<f32>,
    pub(super) targets: Vec<f32>,
}

impl Scratch {
    /// Takes the weights of round `number` for forward passes, unless they are there already: every shard of a round has the same.
    pub(super) fn load_weights(&mut self, number: u64, weights: &Weights) {
        if self.loaded != number {
            self.kernel.forward().load(weights);
            self.loaded = number;
        }
    }
}

/// The mathematics of the run's schedule, and a forward pass.
#[derive(Debug)]
pub(super) enum Kernel {
    Streaming(Box<LocalStep>),
    Classic(Box<LocalSweep>, Box<Forward>),
}

impl Kernel {
    pub(super) fn new(spec: &RunSpec, network: &Network) -> Self {
        match spec.sweep {
            None => Self::Streaming(Box::new(LocalStep::new(network, spec.step))),
            Some(sweep) => Self::Classic(
                Box::new(LocalSweep::new(network, spec.step, sweep, spec.shards)),
                Box::new(Forward::new(network, CLASSIC_BLOCK)),
            ),
        }
    }

    pub(super) fn forward(&mut self) -> &mut Forward {
        match self {
            Self::Streaming(step) => step.forward(),
            Self::Classic(_, forward) => forward,
        }
    }
}

/// Images of one forward pass where the schedule has no batch size of its own.
const CLASSIC_BLOCK: usize = 16;
