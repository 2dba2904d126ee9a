//! Flags that decide a run, and the configuration that they make with everything beneath them.

use super::SourceArgs;
use crate::parse::flag_variables;
use anyhow::{Context as _, Result};
use clap::Args;
use lagrange::{ClassWeights, Config, HeldOut, Sources, Task};
use std::path::PathBuf;

/// Flags that a resumed run has decided already.
pub const DECIDED: [&str; 11] = [
    "preset",
    "config",
    "set",
    "task",
    "positive",
    "class_weights",
    "network",
    "seed",
    "train_limit",
    "validation",
    "run_dir",
];

/// What decides a run, and where its results go.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Named configuration to start from [default: the task's name]; see `lagrange config presets`.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one configuration key; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What the network is asked: odd-even, classes, digits or positive [default: odd-even of the embedded
    /// MNIST, classes of other data].
    #[arg(long)]
    pub task: Option<Task>,
    /// Names of the classes to tell from all others, the task positive.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub positive: Vec<String>,
    /// Weights of classes in the loss: none, balanced (rare classes count more), or NAME=WEIGHT,..
    #[arg(long, value_name = "WEIGHTS")]
    pub class_weights: Option<ClassWeights>,
    /// Network by its name, see `lagrange network --list`; others are written in a configuration file.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Key of every random draw.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub seed: Option<u64>,
    /// Passes over the training data; a part of one, such as 0.5, will do. With --resume: passes of the whole
    /// run, those done counted; step lengths go on where a run of that length has them, and fall to 0 at its
    /// end.
    #[arg(long)]
    pub epochs: Option<f64>,
    /// Use only the first so many training images.
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// Hold out so many of the last training images, or such a share of them, to choose settings on: the
    /// model that does best on them is kept beside the last [default: 0, and the data's own validation split
    /// if it has one].
    #[arg(long, value_name = "N|SHARE")]
    pub validation: Option<HeldOut>,
    /// The data.
    #[command(flatten)]
    pub data: SourceArgs,
    /// Folder for configuration, metrics, model and result [default: runs/TASK-seedN-TIME].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// End stdout with the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub quiet: bool,
}

/// Integers of a TOML file go no further.
const LARGEST_SEED: u64 = i64::MAX as u64;

impl RunArgs {
    /// The configuration that these flags make with preset, file and environment.
    ///
    /// # Errors
    /// If there is none, naming the key and where it was set.
    pub fn configuration(&self) -> Result<Config> {
        let mut sources = Sources::default();
        if let Some(name) = &self.preset {
            sources = sources.preset(name);
        }
        if let Some(path) = &self.config {
            sources = sources.file(path)?;
        }
        sources = sources.environment(std::env::vars_os(), &flag_variables())?;
        for setting in &self.set {
            sources = sources.set(setting).context("--set")?;
        }
        if let Some(task) = self.task {
            sources = sources.key("task", task.to_string());
        }
        if self.data.path.is_some() {
            sources = sources.default_task(Task::Classes);
        }
        if !self.positive.is_empty() {
            sources = sources.key("positive", self.positive.clone());
        }
        if let Some(weights) = &self.class_weights {
            sources = sources.key("class-weights", toml::Value::try_from(weights)?);
        }
        if let Some(name) = &self.network {
            sources = sources.key("network.preset", name.as_str());
        }
        if let Some(epochs) = self.epochs {
            sources = sources.key("schedule.epochs", epochs);
        }
        if let Some(held_out) = self.validation {
            sources = sources.key("validation", toml::Value::try_from(held_out)?);
        }
        let numbers = [
            ("seed", self.seed),
            ("train-limit", self.train_limit.map(|n| n as u64)),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                sources = sources.key(key, i64::try_from(number).unwrap_or(i64::MAX));
            }
        }
        Ok(sources.resolve()?)
    }
}
