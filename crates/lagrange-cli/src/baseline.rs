//! `lagrange baseline`: one system that the trainer is compared with, on the same data.

use crate::args::{BaselineArgs, BaselineKind};
use crate::config::Config;
use crate::output;
use anyhow::{Result, bail};
use lagrange_baseline::{
    AdamOptions, Optimiser, Problem, Score, SgdOptions, back_propagation, random_filters,
    ridge_on_pixels, vanilla_network,
};
use lagrange_core::network::NetworkSpec;
use lagrange_data::{Dataset, Task};
use serde::Serialize;

/// Ridge of the closed forms, relative to the mean of the Gram diagonal. Not tuned: from 1e-4 to 1e-2 accuracy moves by 0.4 points at most.
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

/// A number of epochs for those that only know whole ones.
fn whole(epochs: f64) -> Result<usize> {
    if epochs.fract() == 0.0 && (1.0..=1e6).contains(&epochs) {
        return Ok(epochs as usize);
    }
    bail!("schedule.epochs is {epochs}: baselines train for whole epochs, at least 1")
}

/// How a baseline is fitted.
enum Method {
    BackPropagation(NetworkSpec, Optimiser),
    RidgeOnPixels,
    RandomFilters(NetworkSpec),
}

impl Method {
    fn new(kind: BaselineKind, config: &Config) -> Result<Self> {
        let epochs = whole(config.schedule.epochs)?;
        Ok(match kind {
            BaselineKind::Vanilla => {
                let options = SgdOptions {
                    epochs,
                    ..SgdOptions::default()
                };
                Self::BackPropagation(vanilla_network(), Optimiser::Sgd(options))
            }
            BaselineKind::Adam => {
                let options = AdamOptions {
                    epochs,
                    ..AdamOptions::default()
                };
                Self::BackPropagation(config.network.clone(), Optimiser::Adam(options))
            }
            BaselineKind::Ridge => Self::RidgeOnPixels,
            BaselineKind::RandomFilters => Self::RandomFilters(config.network.clone()),
        })
    }
}

/// Checks what can be known before the baseline is fitted.
///
/// # Errors
/// What it would say itself.
pub(crate) fn check(kind: BaselineKind, config: &Config, problem: &Problem) -> Result<()> {
    match Method::new(kind, config)? {
        Method::BackPropagation(spec, optimiser) => {
            problem.network(&spec)?;
            optimiser.check(problem.train.len())?;
        }
        Method::RidgeOnPixels => {}
        Method::RandomFilters(spec) => {
            problem.network(&spec)?;
        }
    }
    Ok(())
}

/// Runs the command.
///
/// # Errors
/// If the configuration or the data are wrong, or training diverges.
pub fn run(args: &BaselineArgs) -> Result<BaselineResult> {
    let config = Config::resolve(&args.run)?;
    let dataset = Dataset::load(args.run.data_dir.as_deref())?;
    let problem = Problem::new(&dataset, config.task, config.train_limit, config.validation)?;
    drop(dataset);
    let only = |scores: Vec<Score>| match scores.first() {
        Some(score) => Ok(*score),
        None => bail!("the closed form gave no score"),
    };
    let score = match Method::new(args.kind, &config)? {
        Method::BackPropagation(spec, optimiser) => {
            let network = problem.network(&spec)?;
            back_propagation(&problem, &network, &optimiser, config.seed)?.score
        }
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
