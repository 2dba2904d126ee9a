//! One configuration: what decides a run's result, as TOML, flags and environment alike.

mod check;
mod environment;
mod file;
mod keys;
mod merge;
mod schedule;

pub(crate) use environment::configuration_variables;
pub use merge::{PRESETS, presets};
pub use schedule::{ClassicConfig, ScheduleConfig, ScheduleKind};

use lagrange_coordinator::{ClassicPlan, RunPlan, StartKind};
use lagrange_core::network::NetworkSpec;
use lagrange_core::schedule::classic::{SolverKind, SweepParams};
use lagrange_core::schedule::streaming::{StepParams, UpdateParams};
use lagrange_data::{Augment, Outline, Task};
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
    /// Random movements of training images.
    pub augment: Augment,
    /// Where the weights start.
    pub start: StartConfig,
    /// How they are trained.
    pub schedule: ScheduleConfig,
    /// What the classic schedule adds.
    pub classic: ClassicConfig,
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
            images: 1_024,
            patches: 4_800,
        }
    }
}

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key or value is wrong.
    #[error("configuration: {0}; `lagrange config show` prints every key")]
    Invalid(String),
    /// A configuration file.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A variable that is meant for this program and says nothing to it.
    #[error(
        "{name} in the environment: {fault}; unset it, or see `lagrange config show` for every key"
    )]
    Environment {
        /// Its whole name.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
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
    /// A setting of the other schedule.
    #[error("{0} needs schedule.kind = \"classic\"")]
    NeedsClassic(&'static str),
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
    /// The first key that differs from `other`, with both values.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let [ours, theirs] = [self, other].map(keys::values);
        let none = || "not set".to_owned();
        let keys = ours.keys().chain(theirs.keys());
        keys.map(|key| (key, ours.get(key), theirs.get(key)))
            .find(|(_, ours, theirs)| ours != theirs)
            .map(|(key, ours, theirs)| {
                let value = |value: Option<&String>| value.cloned().unwrap_or_else(none);
                (key.clone(), value(ours), value(theirs))
            })
    }

    /// The run on `dataset`.
    ///
    /// # Errors
    /// [`ConfigError`] if counts cannot be shared equally by the shards, or settings exclude each other.
    pub fn plan(&self, dataset: &Outline) -> Result<RunPlan, ConfigError> {
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
        let kept = dataset.train.len().saturating_sub(self.validation);
        let train = self.train_limit.map_or(kept, |limit| limit.min(kept));
        let batch_per_shard = match schedule.batch {
            // A smaller shard than the others decides: all take an equal part.
            0 => (train / shards).max(1),
            batch => per_shard("schedule.batch", batch)?,
        };
        let classic = self.classic_plan()?;
        Ok(RunPlan {
            spec: RunSpec {
                seed: self.seed,
                task: self.task,
                shards,
                train_limit: self.train_limit,
                validation: self.validation,
                network: self.network.clone(),
                side: dataset.side,
                batch_per_shard,
                step: StepParams {
                    loss: schedule.loss,
                    beta: schedule.beta,
                    gamma: schedule.gamma,
                    beta_output: schedule.beta_output,
                    activation: schedule.activation,
                    gram_rows: per_shard("schedule.gram-rows", schedule.gram_rows)?,
                    staircase: schedule.staircase,
                    equations: match schedule.solver {
                        SolverKind::Sampled => schedule.equations / shards as f32,
                        _ => 0.0,
                    },
                },
                sweep: classic.map(|classic| classic.sweep),
                augment: self.augment,
                normalisation: dataset.normalisation,
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
                metric: schedule.metric,
                hidden_step: schedule.hidden_step,
            },
            balance: schedule.balance,
            warm_start: schedule.warm_start,
            classic,
            epochs: schedule.epochs,
            gram_every: schedule.gram_every,
            start: self.start.kind,
            evaluate_every: schedule.evaluate_every,
        })
    }

    fn classic_plan(&self) -> Result<Option<ClassicPlan>, ConfigError> {
        let (schedule, classic) = (&self.schedule, &self.classic);
        match schedule.kind {
            ScheduleKind::Streaming if schedule.solver == SolverKind::PseudoInverse => Err(
                ConfigError::NeedsClassic("schedule.solver = \"pseudo-inverse\""),
            ),
            ScheduleKind::Streaming if *classic != ClassicConfig::default() => {
                Err(ConfigError::NeedsClassic("the section [classic]"))
            }
            ScheduleKind::Streaming => Ok(None),
            ScheduleKind::Classic => Ok(Some(ClassicPlan {
                sweep: SweepParams {
                    order: classic.order,
                    reset_every: classic.reset_every,
                    fit: classic.fit,
                    initial: classic.initial,
                    solver: schedule.solver,
                    equations: schedule.equations,
                    screen: classic.screen,
                    growth: classic.growth,
                },
                update: classic.update,
                audit_every: classic.audit_every,
            })),
        }
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
        let mnist = Outline::load(None).expect("embedded");
        let mut config = Config::default();
        config.schedule.batch = 250;
        let message = config.plan(&mnist).expect_err("refused").to_string();
        assert!(message.contains("use 240 or 256"), "{message}");
    }
}
