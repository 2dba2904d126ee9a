//! One configuration: defaults, then a preset, a file, the environment and flags, each overriding those before it.

use crate::args::RunArgs;
use lagrange_coordinator::{RunPlan, StartKind};
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::loss::Loss;
use lagrange_core::network::NetworkSpec;
use lagrange_core::schedule::streaming::{StepParams, UpdateParams};
use lagrange_data::Task;
use lagrange_protocol::RunSpec;
use serde::{Deserialize, Serialize};

/// Presets by name.
pub const PRESETS: [(&str, &str); 3] = [
    ("odd-even", include_str!("../presets/odd-even.toml")),
    ("digits", include_str!("../presets/digits.toml")),
    ("quick", include_str!("../presets/quick.toml")),
];

/// Environment variables that are no configuration keys: flags of one command or other.
const OTHER_VARIABLES: [&str; 7] = [
    "LAGRANGE_WORKERS",
    "LAGRANGE_THREADS",
    "LAGRANGE_DATA_DIR",
    "LAGRANGE_RUN_DIR",
    "LAGRANGE_LISTEN",
    "LAGRANGE_CONNECT",
    "LAGRANGE_LOG",
];

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
    /// Merges all sources that `args` and the environment name.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key.
    pub fn resolve(args: &RunArgs) -> Result<Self, ConfigError> {
        Self::merge(args, std::env::vars().collect())
    }

    fn merge(args: &RunArgs, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        use config::{Case, Environment, File, FileFormat};
        let variables = environment
            .into_iter()
            .filter(|(name, _)| !OTHER_VARIABLES.contains(&name.as_str()))
            .collect();
        let environment = Environment::with_prefix("LAGRANGE")
            .prefix_separator("_")
            .separator("__")
            .convert_case(Case::Kebab)
            .try_parsing(true)
            .source(Some(variables));
        let mut above = config::Config::builder();
        if let Some(path) = &args.config {
            above = above.add_source(File::new(&path.display().to_string(), FileFormat::Toml));
        }
        above = above.add_source(environment);
        for (key, value) in args.overrides()? {
            above = above.set_override(&key, value).map_err(|e| invalid(&e))?;
        }
        let above = above.build().map_err(|e| invalid(&e))?;
        // The task brings its preset along, unless one is named.
        let name = match &args.preset {
            Some(name) => name.clone(),
            None => above
                .get_string("task")
                .unwrap_or_else(|_| Task::default().to_string()),
        };
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        let preset = match (preset, &args.preset) {
            (Some((_, text)), _) => *text,
            // A wrong task is reported as such below.
            (None, None) => "",
            (None, Some(_)) => return Err(unknown_preset(name)),
        };
        config::Config::builder()
            .add_source(File::from_str(preset, FileFormat::Toml))
            .add_source(above)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|e| invalid(&e))
    }

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

fn unknown_preset(name: String) -> ConfigError {
    ConfigError::UnknownPreset {
        name,
        known: PRESETS.map(|(name, _)| name).join(", "),
    }
}

/// The library's message on one line.
fn invalid(error: &config::ConfigError) -> ConfigError {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    ConfigError::Invalid(lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(args: RunArgs, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::merge(&args, environment.collect())
    }

    fn with_file(text: &str) -> (tempfile::NamedTempFile, RunArgs) {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("written");
        let args = RunArgs {
            config: Some(file.path().to_owned()),
            ..RunArgs::default()
        };
        (file, args)
    }

    #[test]
    fn every_preset_is_valid_and_its_configuration_survives_its_file() {
        for (name, _) in PRESETS {
            let args = RunArgs {
                preset: Some(name.to_owned()),
                ..RunArgs::default()
            };
            let config = merge(args, &[]).expect(name);
            config.plan(28).expect(name).spec.resolve().expect(name);
            let (_file, args) = with_file(&config.to_toml().expect("serialises"));
            assert_eq!(merge(args, &[]).expect(name), config);
        }
    }

    #[test]
    fn flags_override_the_environment_and_that_the_file() {
        let (_file, mut args) =
            with_file("seed = 1\n[schedule]\nepochs = 1\ntrust = 0.5\nbatch = 512");
        let environment = [
            ("LAGRANGE_SEED", "2"),
            ("LAGRANGE_SCHEDULE__EPOCHS", "2"),
            ("LAGRANGE_WORKERS", "3"),
        ];
        args.seed = Some(3);
        args.set = vec!["schedule.trust=0.25".to_owned()];
        let config = merge(args, &environment).expect("valid");
        assert_eq!(
            (config.seed, config.schedule.epochs, config.schedule.batch),
            (3, 2, 512)
        );
        assert_eq!(config.schedule.trust, 0.25);
    }

    #[test]
    fn the_task_brings_its_preset() {
        let args = RunArgs {
            task: Some(Task::Digits),
            ..RunArgs::default()
        };
        let preset = RunArgs {
            preset: Some("digits".to_owned()),
            ..RunArgs::default()
        };
        assert_eq!(
            merge(args, &[]).expect("valid"),
            merge(preset, &[]).expect("valid")
        );
    }

    #[test]
    fn mistakes_are_named_on_one_line() {
        let message = |text: &str| {
            let (_file, args) = with_file(text);
            let message = merge(args, &[]).expect_err(text).to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        };
        assert!(message("[schedule]\ntusk = 1").contains("tusk"));
        assert!(message("tusk = 1").contains("tusk"));
        assert!(message("[schedule]\nepochs = \"many\"").contains("schedule.epochs"));
        assert!(message("[schedule]\nloss = \"cubic\"").contains("cubic"));
        assert!(message("task = \"prime\"").contains("prime"));
        assert!(message("[schedule").contains("schedule"));
        let args = RunArgs {
            set: vec!["trust".to_owned()],
            ..RunArgs::default()
        };
        assert!(matches!(merge(args, &[]), Err(ConfigError::BadOverride(_))));
        let args = RunArgs {
            preset: Some("best".to_owned()),
            ..RunArgs::default()
        };
        assert!(matches!(
            merge(args, &[]),
            Err(ConfigError::UnknownPreset { .. })
        ));
        assert!(merge(RunArgs::default(), &[("LAGRANGE_SEDE", "1")]).is_err());
    }

    #[test]
    fn unequal_shares_are_refused_with_the_neighbours() {
        let mut config = Config::default();
        config.schedule.batch = 250;
        let message = config.plan(28).expect_err("refused").to_string();
        assert!(message.contains("use 240 or 256"), "{message}");
    }
}
