//! Baselines that are trained by back-propagation.

use anyhow::{Result, bail};
use lagrange::{Config, NetworkSpec};
use lagrange_baseline::{
    AdamOptions, Optimiser, Problem, Score, SgdOptions, back_propagation, vanilla_network,
};

/// A network, and how it is trained.
pub(super) struct Method {
    network: NetworkSpec,
    optimiser: Optimiser,
}

impl Method {
    pub(super) fn vanilla(config: &Config) -> Result<Self> {
        let options = SgdOptions {
            epochs: whole(config.schedule.epochs)?,
            ..SgdOptions::default()
        };
        Ok(Self {
            network: vanilla_network(),
            optimiser: Optimiser::Sgd(options),
        })
    }

    pub(super) fn adam(config: &Config) -> Result<Self> {
        let options = AdamOptions {
            epochs: whole(config.schedule.epochs)?,
            ..AdamOptions::default()
        };
        Ok(Self {
            network: config.network.clone(),
            optimiser: Optimiser::Adam(options),
        })
    }

    pub(super) fn check(&self, problem: &Problem) -> Result<()> {
        problem.network(&self.network)?;
        Ok(self.optimiser.check(problem.train.len())?)
    }

    pub(super) fn fit(&self, problem: &Problem, seed: u64) -> Result<Score> {
        let network = problem.network(&self.network)?;
        Ok(back_propagation(problem, &network, &self.optimiser, seed)?.score)
    }
}

/// A number of epochs for those that only know whole ones.
fn whole(epochs: f64) -> Result<usize> {
    if epochs.fract() == 0.0 && (1.0..=1e6).contains(&epochs) {
        return Ok(epochs as usize);
    }
    bail!("schedule.epochs is {epochs}: baselines train for whole epochs, at least 1")
}
