//! `lagrange baseline`: one system that the trainer is compared with, on the same data.

#[cfg(feature = "back-propagation")]
mod back_propagation;
#[cfg(not(feature = "back-propagation"))]
#[path = "not_built.rs"]
mod back_propagation;

use crate::args::RunArgs;
use crate::output;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lagrange::{Config, NetworkSpec, Question, Task};
use lagrange_baseline::{Problem, Score, random_filters, ridge_on_pixels};
use serde::Serialize;

/// What the trainer is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineKind {
    /// Back-propagation with plain SGD on one hidden stage of 16 kernels.
    Vanilla,
    /// Back-propagation with Adam on the configured network.
    Adam,
    /// Ridge regression on pixels.
    Ridge,
    /// Random kernels and ridge regression on the last stage.
    RandomFilters,
}

impl std::fmt::Display for BaselineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Ok(()),
        }
    }
}

/// `lagrange baseline`
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Which one.
    pub kind: BaselineKind,
    /// The run: task, seed, data, network and epochs count; settings of ADMM are of no effect.
    #[command(flatten)]
    pub run: RunArgs,
    /// End when stdin closes: for runs started by `compare`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// Ridge of the closed forms, relative to the mean of the Gram diagonal. Not tuned: from 1e-4 to 1e-2
/// accuracy moves by 0.4 points at most.
const RIDGE: f32 = 1e-3;

/// What a baseline came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BaselineResult {
    /// Which one.
    pub baseline: BaselineKind,
    /// What was asked.
    pub task: Task,
    /// Key of every random draw.
    pub seed: u64,
    /// Accuracies and seconds.
    #[serde(flatten)]
    pub score: Score,
}

/// How a baseline is fitted.
enum Method {
    BackPropagation(back_propagation::Method),
    RidgeOnPixels,
    RandomFilters(NetworkSpec),
}

impl Method {
    fn new(kind: BaselineKind, config: &Config) -> Result<Self> {
        Ok(match kind {
            BaselineKind::Vanilla => {
                Self::BackPropagation(back_propagation::Method::vanilla(config)?)
            }
            BaselineKind::Adam => Self::BackPropagation(back_propagation::Method::adam(config)?),
            BaselineKind::Ridge => Self::RidgeOnPixels,
            BaselineKind::RandomFilters => Self::RandomFilters(config.network.clone()),
        })
    }
}

impl BaselineKind {
    /// Whether this build has it.
    pub(crate) fn is_built(self) -> bool {
        cfg!(feature = "back-propagation") || !matches!(self, Self::Vanilla | Self::Adam)
    }
}

/// Checks what can be known before the baseline is fitted.
///
/// # Errors
/// What it would say itself.
pub(crate) fn check(kind: BaselineKind, config: &Config, problem: &Problem) -> Result<()> {
    match Method::new(kind, config)? {
        Method::BackPropagation(method) => method.check(problem)?,
        Method::RidgeOnPixels => {}
        Method::RandomFilters(spec) => drop(problem.network(&spec)?),
    }
    Ok(())
}

/// Runs the command.
///
/// # Errors
/// If the configuration or the data are wrong, or training diverges.
pub fn run(args: &BaselineArgs) -> Result<BaselineResult> {
    let config = args.run.configuration()?;
    let dataset = lagrange::load(args.run.data.source().as_ref())?;
    let question = Question::new(config.task, &dataset.classes, &config.positive)?;
    let held_out = config.validation.of(dataset.counts().train);
    let problem = Problem::new(&dataset, question, config.train_limit, held_out)?;
    drop(dataset);
    let only = |scores: Vec<Score>| match scores.first() {
        Some(score) => Ok(*score),
        None => bail!("the closed form gave no score"),
    };
    let score = match Method::new(args.kind, &config)? {
        Method::BackPropagation(method) => method.fit(&problem, config.seed)?,
        Method::RidgeOnPixels => only(ridge_on_pixels(&problem, &[RIDGE])?)?,
        Method::RandomFilters(spec) => {
            let network = problem.network(&spec)?;
            only(random_filters(&problem, &network, config.seed, &[RIDGE])?)?
        }
    };
    Ok(BaselineResult {
        baseline: args.kind,
        task: config.task,
        seed: config.seed,
        score,
    })
}

/// Prints the result: a line for people, or one line of JSON.
///
/// # Errors
/// If stdout does not take it.
pub fn print(result: &BaselineResult, json: bool) -> Result<()> {
    if json {
        return output::print_json(result);
    }
    Ok(output::print(&format!(
        "{}: {} test accuracy {:.2} %, {:.1} s\n",
        result.baseline,
        result.task,
        100.0 * result.score.test_accuracy,
        result.score.seconds
    ))?)
}
