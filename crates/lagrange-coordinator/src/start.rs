//! The start of a run: He's weights at once, or k-means kernels stage by stage, each iteration one round.

use lagrange_core::network::Network;
use lagrange_core::start::{StartKind, centroids_from, he, plain_kernels, scaled_kernels};
use lagrange_core::weights::Weights;
use lagrange_protocol::Job;
use ndarray::Array2;

/// Lloyd iterations per stage: assignments of some thousand patches barely move after ten.
const ITERATIONS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Seeds,
    Cluster(u32),
    Moments,
}

/// The k-means start in progress.
#[derive(Debug, Clone)]
pub struct KMeansStart {
    stage: usize,
    phase: Phase,
    centroids: Array2<f32>,
}

/// The weights to start from, and what is still to be done to them.
#[must_use]
pub fn begin(kind: StartKind, network: &Network, seed: u64) -> (Weights, Option<KMeansStart>) {
    let start = match kind {
        StartKind::He => None,
        StartKind::KMeans => Some(KMeansStart::at_stage(network, 0)),
    };
    (he(network, seed), start)
}

impl KMeansStart {
    fn at_stage(network: &Network, stage: usize) -> Self {
        let shape = &network.stages()[stage];
        Self {
            stage,
            phase: Phase::Seeds,
            centroids: Array2::zeros((shape.conv.channels, shape.patch())),
        }
    }

    /// The round to run next.
    #[must_use]
    pub fn job(&self) -> Job {
        let stage = self.stage;
        match self.phase {
            Phase::Seeds => Job::InitialCentroids { stage },
            Phase::Cluster(_) => Job::Cluster { stage },
            Phase::Moments => Job::Moments { stage },
        }
    }

    /// Inputs beside the weights: the centroids of a Lloyd iteration.
    #[must_use]
    pub fn inputs(&self) -> Option<Vec<f32>> {
        matches!(self.phase, Phase::Cluster(_)).then(|| self.centroids.iter().copied().collect())
    }

    /// Takes a round's sums; returns what remains to be done, or `None` when the start is complete.
    #[must_use]
    pub fn absorb(
        mut self,
        network: &Network,
        sums: &[f32],
        samples: usize,
        weights: &mut Weights,
    ) -> Option<Self> {
        match self.phase {
            Phase::Seeds => {
                self.centroids
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(to, from)| *to = *from);
                self.phase = Phase::Cluster(0);
            }
            Phase::Cluster(iteration) => {
                self.centroids = centroids_from(sums, &self.centroids);
                self.phase = Phase::Cluster(iteration + 1);
                if iteration + 1 == ITERATIONS {
                    weights.set_stage(self.stage, &plain_kernels(&self.centroids));
                    self.phase = Phase::Moments;
                }
            }
            Phase::Moments => {
                let rows = samples * network.stages()[self.stage].rows();
                weights.set_stage(self.stage, &scaled_kernels(&self.centroids, sums, rows));
                let next = self.stage + 1;
                return (next < network.hidden().len()).then(|| Self::at_stage(network, next));
            }
        }
        Some(self)
    }
}
