//! What stands for back-propagation in a build without it.

use anyhow::{Result, bail};
use lagrange::Config;
use lagrange_baseline::{Problem, Score};

/// There is none.
pub(super) enum Method {}

impl Method {
    pub(super) fn vanilla(_: &Config) -> Result<Self> {
        bail!(
            "this build has no back-propagation; build it with `cargo build --release --features back-propagation`"
        )
    }

    pub(super) fn adam(config: &Config) -> Result<Self> {
        Self::vanilla(config)
    }

    pub(super) fn check(&self, _: &Problem) -> Result<()> {
        match *self {}
    }

    pub(super) fn fit(&self, _: &Problem, _: u64) -> Result<Score> {
        match *self {}
    }
}
