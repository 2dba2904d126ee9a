//! Everything that a sweep is asked for, checked before its first run.

use super::SweepArgs;
use super::cell::Run;
use super::grid::{Grid, Setting, settings};
use crate::args::RunArgs;
use crate::statistics::commonest_share;
use crate::train::check_workers;
use anyhow::{Result, bail};
use lagrange::{Config, DatasetSummary, RunSpec, run_spec, summarise};
use lagrange_coordinator::hexadecimal;
use std::ffi::OsString;

/// A setting and its runs, one a seed.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    /// Share of the commonest class among the images held out.
    pub(super) commonest: f64,
    pub(super) runs: Vec<Run>,
}

/// All runs, setting by setting.
///
/// # Errors
/// If the flags contradict each other, or a configuration is none that can be run, naming its grid values.
pub(super) fn prepare(args: &SweepArgs) -> Result<Vec<Planned>> {
    if args.run.seed.is_some() || args.run.run_dir.is_some() {
        bail!(
            "a sweep has many seeds and folders: use --seeds instead of --seed, --out instead of --run-dir"
        );
    }
    for key in args.grid.iter().map(Grid::key) {
        if let Some(flag) = decided_by(&args.run, key) {
            bail!("--grid {key} is of no effect, because {flag} decides it: leave out one of them");
        }
    }
    args.workers.map_or(Ok(()), |n| check_workers(n.into()))?;
    let settings = settings(&args.grid)?;
    let dataset = summarise(args.run.data.source().as_ref())?.dataset;
    let seed = args.seeds.as_slice()[0];
    let without_grid = configuration(&args.run, &[], seed).and_then(|c| check(&c, &dataset));
    let mut planned: Vec<Planned> = Vec::with_capacity(settings.len());
    for setting in settings {
        let values = setting.overrides.join(" --grid ");
        planned.push(
            plan(args, setting, &dataset).map_err(|error| match &without_grid {
                // Its values are not to blame.
                Err(same) if same.to_string() == error.to_string() => error,
                _ => error.context(format!("--grid {values}")),
            })?,
        );
    }
    for (index, setting) in planned.iter().enumerate() {
        let same = |other: &&Planned| other.runs[0].config == setting.runs[0].config;
        if let Some(other) = planned[..index].iter().find(same) {
            bail!(
                "--grid: {} and {} are the same setting; leave out one of them",
                other.name,
                setting.name
            );
        }
    }
    Ok(planned)
}

fn plan(args: &SweepArgs, setting: Setting, dataset: &DatasetSummary) -> Result<Planned> {
    let folder = args.out.join(&setting.name);
    let runs = args.seeds.as_slice().iter().map(|&seed| {
        Ok(Run {
            folder: folder.join(format!("seed-{seed}")),
            config: configuration(&args.run, &setting.overrides, seed)?,
            dataset: hexadecimal(&dataset.sha256),
        })
    });
    let runs = runs.collect::<Result<Vec<Run>>>()?;
    // Seeds make no difference to what can be run.
    let config = &runs[0].config;
    let spec = check(config, dataset)?;
    let question = spec.question();
    let held_out = match spec.held_out() {
        0 => &dataset.validation[..],
        count => &dataset.train[dataset.train.len().saturating_sub(count)..],
    };
    let classes = held_out.iter().map(|&label| question.class_of(label));
    Ok(Planned {
        name: setting.name,
        commonest: commonest_share(classes),
        runs,
    })
}

fn configuration(run: &RunArgs, overrides: &[String], seed: u64) -> Result<Config> {
    let mut run = run.clone();
    run.set.extend(overrides.iter().cloned());
    run.seed = Some(seed);
    run.configuration()
}

fn check(config: &Config, dataset: &DatasetSummary) -> Result<RunSpec> {
    let spec = run_spec(config.clone(), dataset)?;
    if !spec.has_validation() {
        bail!(
            "a sweep selects settings on held-out images, never on the test set: pass --validation, for example 0.1"
        );
    }
    Ok(spec)
}

/// The flag that overrides a configuration key, if it is given.
fn decided_by(run: &RunArgs, key: &str) -> Option<&'static str> {
    let (flag, given) = match key {
        "seed" => ("--seeds", true),
        "task" => ("--task", run.task.is_some()),
        "class-weights" => ("--class-weights", run.class_weights.is_some()),
        "network.preset" | "network.stages" | "network.layers" => {
            ("--network", run.network.is_some())
        }
        "positive" => ("--positive", !run.positive.is_empty()),
        "schedule.epochs" => ("--epochs", run.epochs.is_some()),
        "train-limit" => ("--train-limit", run.train_limit.is_some()),
        "validation" => ("--validation", run.validation.is_some()),
        _ => return None,
    };
    given.then_some(flag)
}

/// Flags of every run that are no configuration.
pub(super) fn flags(args: &SweepArgs) -> Vec<OsString> {
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.extend([name.into(), value]);
        }
    };
    flag("--workers", args.workers.map(|n| n.to_string().into()));
    flag("--threads", args.threads.map(|n| n.to_string().into()));
    flags.extend(args.run.data.flags());
    flags
}
