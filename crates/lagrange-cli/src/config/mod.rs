//! One configuration: what decides a run's result, as TOML, flags and environment alike.

mod merge;

pub use merge::PRESETS;

use lagrange_coordinator::{RunPlan, StartKind};
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::loss::Loss;
use lagrange_core::network::NetworkSpec;
use lagrange_core::schedule::streaming::{StepParams, UpdateParams};
use lagrange_data::Task;
use lagrange_protocol::RunSpec;
use serde::{Deserialize, Serialize};

/// Everything that decides a run's result.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// What the network is asked.
    pub task: Task,
    /// Key of every random draw.
    pub seed: u64,
    /// Hold out so many of the last training images, to choose settings on.
    pub validation: usize,
    /// Use only the first so many training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Hidden stages.
    pub network: NetworkSpec,
    /// Cut of the data.
    pub data: DataConfig,
    /// Where the weights start.
    pub start: StartConfig,
    /// How they are trained.
    pub schedule: ScheduleConfig,
}

/// Cut of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DataConfig {
    /// Logical shards. Part of the result: sums run over shards in a fixed tree.
    pub shards: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { shards: 16 }
    }
}

/// Where the weights start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StartConfig {
    /// `k-means` or `he`.
    pub kind: StartKind,
    /// Images that k-means looks at, over all shards.
    pub images: usize,
    /// Patches that k-means clusters, over all shards.
    pub patches: usize,
}

impl Default for StartConfig {
    fn default() -> Self {
        Self {
            kind: StartKind::default(),
            images: 2_000,
            patches: 16_000,
        }
    }
}

/// Streaming ADMM. See `lagrange_core::schedule::streaming` for the formulas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScheduleConfig {
    /// Passes over the training data.
    pub epochs: u64,
    /// Samples of a step, over all shards.
    pub batch: usize,
    /// `squared`, `squared-hinge` or `hinge`.
    pub loss: Loss,
    /// Penalty of hidden output constraints z = W a.
    pub beta: f32,
    /// Penalty of activation constraints a = h(z).
    pub gamma: f32,
    /// Penalty of the last output constraint.
    pub beta_output: f32,
    /// `one-step` or `exact`.
    pub activation: ActivationUpdate,
    /// Toeplitz rows sampled for a hidden stage's Gram matrix, over all shards.
    pub gram_rows: usize,
    /// Steps between refreshes of the Gram matrices.
    pub gram_every: u64,
    /// Share of the running Gram matrix that a refresh keeps.
    pub gram_decay: f32,
    /// Ridge relative to the mean of the Gram diagonal.
    pub ridge: f32,
    /// Share of the running cross moments that a step keeps.
    pub momentum: f32,
    /// Relative change of a hidden stage's outputs in one step.
    pub trust: f32,
    /// Share of the last stage's least-squares step taken.
    pub output_rate: f32,
    /// Step of the multipliers relative to beta-output; 0 switches them off.
    pub dual_step: f32,
    /// Share of the multipliers that an update keeps.
    pub dual_decay: f32,
    /// Steps between evaluations; 0 evaluates after every epoch.
    pub evaluate_every: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        let update = UpdateParams::default();
        Self {
            epochs: 4,
            batch: 256,
            loss: Loss::default(),
            beta: 1.0,
            gamma: 1.0,
            beta_output: 1.0,
            activation: ActivationUpdate::default(),
            gram_rows: 1024,
            gram_every: 4,
            gram_decay: update.gram_decay,
            ridge: update.ridge,
            momentum: update.momentum,
            trust: update.trust,
            output_rate: update.output_rate,
            dual_step: update.dual_step,
            dual_decay: update.dual_decay,
            evaluate_every: 0,
        }
    }
}

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key or value is wrong.
    #[error("configuration: {0}; `lagrange config show` prints every key")]
    Invalid(String),
    /// No preset of that name.
    #[error("unknown preset `{name}`: use one of {known}")]
    UnknownPreset {
        /// The name given.
        name: String,
        /// Names there are.
        known: String,
    },
    /// `--set` without a value.
    #[error("--set {0}: give KEY=VALUE, for example --set schedule.trust=0.02")]
    BadOverride(String),
    /// Samples that cannot be shared equally.
    #[error(
        "{key} = {value} is not a multiple of data.shards = {shards}: every shard takes an equal part; use {below} or {above}"
    )]
    NotMultiple {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Number of shards.
        shards: usize,
        /// Next smaller multiple (at least one per shard).
        below: usize,
        /// Next larger multiple.
        above: usize,
    },
    /// A number outside its range.
    #[error("{key} = {value}: it must be between {low} and {high}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Smallest value.
        low: usize,
        /// Largest value.
        high: usize,
    },
}

impl Config {
    /// The run for images of `side` x `side` pixels.
    ///
    /// # Errors
    /// [`ConfigError`] if counts cannot be shared equally by the shards.
    pub fn plan(&self, side: usize) -> Result<RunPlan, ConfigError> {
        let shards = self.data.shards;
        let most = lagrange_protocol::limits::MAX_SHARDS as usize;
        if !(1..=most).contains(&shards) {
            return Err(ConfigError::OutOfRange {
                key: "data.shards",
                value: shards,
                low: 1,
                high: most,
            });
        }
        let per_shard = |key, value: usize| {
            if value.is_multiple_of(shards) && value > 0 {
                return Ok(value / shards);
            }
            Err(ConfigError::NotMultiple {
                key,
                value,
                shards,
                below: (value / shards).max(1) * shards,
                above: (value / shards + 1) * shards,
            })
        };
        let schedule = &self.schedule;
        Ok(RunPlan {
            spec: RunSpec {
                seed: self.seed,
                task: self.task,
                shards,
                train_limit: self.train_limit,
                validation: self.validation,
                network: self.network.clone(),
                side,
                batch_per_shard: per_shard("schedule.batch", schedule.batch)?,
                step: StepParams {
                    loss: schedule.loss,
                    beta: schedule.beta,
                    gamma: schedule.gamma,
                    beta_output: schedule.beta_output,
                    activation: schedule.activation,
                    gram_rows: per_shard("schedule.gram-rows", schedule.gram_rows)?,
                },
                start_images: per_shard("start.images", self.start.images)?,
                start_patches: per_shard("start.patches", self.start.patches)?,
            },
            update: UpdateParams {
                ridge: schedule.ridge,
                gram_decay: schedule.gram_decay,
                momentum: schedule.momentum,
                trust: schedule.trust,
                output_rate: schedule.output_rate,
                dual_step: schedule.dual_step,
                dual_decay: schedule.dual_decay,
            },
            epochs: schedule.epochs,
            gram_every: schedule.gram_every,
            start: self.start.kind,
            evaluate_every: schedule.evaluate_every,
        })
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// Never for a configuration that was resolved.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unequal_shares_are_refused_with_the_neighbours() {
        let mut config = Config::default();
        config.schedule.batch = 250;
        let message = config.plan(28).expect_err("refused").to_string();
        assert!(message.contains("use 240 or 256"), "{message}");
    }
}
