//! `lagrange sweep`: seeds x settings, one run after the other, resumable, summarised on held-out images.
//!
//! A sweep is for choosing settings, and settings are never chosen on the test set: it selects on the validation split alone.

mod cell;
mod grid;
mod summary;

pub use cell::Cell;
pub use grid::{Grid, GridError, Setting, settings};
pub use summary::Summary;

use crate::args::{RunArgs, SweepArgs};
use crate::config::Config;
use crate::interrupt::Interrupted;
use crate::statistics::commonest_share;
use anyhow::{Context as _, Result, bail};
use cell::Run;
use lagrange_data::Outline;
use std::ffi::OsString;

/// Runs the command; `interrupt` resolves when the user asks to stop.
///
/// # Errors
/// If settings are wrong, a run cannot be started, or results cannot be written.
pub async fn run(args: &SweepArgs, interrupt: impl Future<Output = ()>) -> Result<Summary> {
    if args.run.seed.is_some() || args.run.run_dir.is_some() {
        bail!(
            "a sweep has many seeds and folders: use --seeds instead of --seed, --out instead of --run-dir"
        );
    }
    let settings = settings(&args.grid)?;
    let dataset = Outline::load(args.run.data_dir.as_deref())?;
    let images = dataset.train.len();
    // Every configuration is checked before the first run.
    let mut runs = Vec::new();
    for setting in &settings {
        for &seed in args.seeds.as_slice() {
            let config = configuration(&args.run, setting, seed)?;
            if config.validation == 0 {
                bail!(
                    "a sweep selects settings on held-out images, never on the test set: pass --validation N, for example 10000"
                );
            }
            config.plan(&dataset)?;
            runs.push(Run {
                folder: args.out.join(&setting.name).join(format!("seed-{seed}")),
                config,
            });
        }
    }
    let first = &runs[0].config;
    let held_out = &dataset.train[images.saturating_sub(first.validation)..];
    let commonest = commonest_share(held_out.iter().map(|&label| first.task.class_of(label)));
    drop(dataset);
    let flags = flags(args);
    let all = async {
        let mut cells = Vec::new();
        for run in &runs {
            let cell = match run.done()? {
                Some(cell) => cell,
                None => run.run(&flags).await?,
            };
            if !args.run.quiet {
                eprintln!("{}: {}", run.folder.display(), told(&cell));
            }
            cells.push(cell);
        }
        Ok::<_, anyhow::Error>(cells)
    };
    let cells = tokio::select! {
        cells = all => cells?,
        () = interrupt => return Err(Interrupted(args.out.clone()).into()),
    };
    let mut rest = cells.into_iter();
    let by_setting: Vec<(String, Vec<Cell>)> = settings
        .into_iter()
        .map(|setting| {
            let cells = rest.by_ref().take(args.seeds.as_slice().len()).collect();
            (setting.name, cells)
        })
        .collect();
    let summary = Summary::new(&by_setting, commonest, args.report_test);
    let path = args.out.join("summary.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&summary)?)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(summary)
}

fn configuration(run: &RunArgs, setting: &Setting, seed: u64) -> Result<Config> {
    let mut run = run.clone();
    run.set.extend(setting.overrides.iter().cloned());
    run.seed = Some(seed);
    Ok(Config::resolve(&run)?)
}

/// Flags of every run that are no configuration.
fn flags(args: &SweepArgs) -> Vec<OsString> {
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.extend([name.into(), value]);
        }
    };
    flag("--data-dir", args.run.data_dir.clone().map(Into::into));
    flag("--workers", args.workers.map(|n| n.to_string().into()));
    flag("--threads", args.threads.map(|n| n.to_string().into()));
    flags
}

fn told(cell: &Cell) -> String {
    match (cell.validation_accuracy, &cell.error) {
        (Some(accuracy), _) => format!(
            "validation {:.2} % in {:.1} s",
            100.0 * accuracy,
            cell.seconds
        ),
        (None, Some(error)) => error.clone(),
        (None, None) => "not evaluated".to_owned(),
    }
}

/// Prints the summary: a table for people, or one line of JSON.
///
/// # Errors
/// If JSON cannot be written.
pub fn print(summary: &Summary, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(summary)?);
    } else {
        print!("{}", summary.to_text());
    }
    Ok(())
}
