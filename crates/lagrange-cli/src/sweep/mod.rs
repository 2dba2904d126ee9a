//! `lagrange sweep`: seeds x settings, one run after the other, resumable, summarised on held-out images.
//!
//! A sweep is for choosing settings, and settings are never chosen on the test set: it selects on the
//! validation split alone.

mod cell;
mod grid;
mod prepare;
mod summary;

pub use grid::Grid;
pub use summary::Summary;

use crate::args::RunArgs;
use crate::interrupt::Interrupt;
use crate::output::{self, tell};
use crate::tally::{Cell, told};
use anyhow::Result;
use cell::Run;
use clap::Args;
use lagrange::{Seeds, lock, make_folder, write_file};
use prepare::{Planned, flags, prepare};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use summary::SettingResult;

/// `lagrange sweep`
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// The runs; needs --validation.
    #[command(flatten)]
    pub run: RunArgs,
    /// A key and the values it takes; several grids are crossed.
    #[arg(long, value_name = "KEY=V1,V2")]
    pub grid: Vec<Grid>,
    /// Seeds, for example 0..5 or 0,3,7.
    #[arg(long, default_value = "0..3")]
    pub seeds: Seeds,
    /// Folder for the runs and the summary.
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    pub out: PathBuf,
    /// Also report the test accuracy of the setting that was selected.
    #[arg(long)]
    pub report_test: bool,
    /// Worker processes of each run [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads of each worker [default: cores / workers, at least 1].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
}

/// Runs the command; `interrupt` resolves when the user asks to stop.
///
/// # Errors
/// If settings are wrong, or the sweep's folder cannot be used. Runs that fail are part of the summary.
pub async fn run(args: &SweepArgs, interrupt: impl Future<Output = ()>) -> Result<Summary> {
    let interrupt = Interrupt::listen(interrupt, &args.out).await?;
    let planned = prepare(args)?;
    make_folder("--out", &args.out)?;
    let _lock = lock(&args.out)?;
    for run in planned.iter().flat_map(|setting| &setting.runs) {
        run.done()?;
    }
    let flags = flags(args);
    let settings = interrupt.or(run_all(&planned, &flags, args.run.quiet));
    Ok(Summary::new(settings.await?, args.report_test))
}

async fn run_all(
    planned: &[Planned],
    flags: &[OsString],
    quiet: bool,
) -> Result<Vec<SettingResult>> {
    let mut settings = Vec::new();
    for setting in planned {
        let mut cells = Vec::new();
        for run in &setting.runs {
            cells.push(result_of(run, flags, quiet).await?);
        }
        settings.push(SettingResult::new(&setting.name, &cells, setting.commonest));
    }
    Ok(settings)
}

/// The result of a run: the one that is kept, or that of running it now.
async fn result_of(run: &Run, flags: &[OsString], quiet: bool) -> Result<Cell> {
    let outcome = match run.done()? {
        Some(outcome) => outcome,
        None => run.run(flags).await,
    };
    if !quiet {
        let told = told(&outcome, "validation", |f| f.validation_accuracy);
        tell(format_args!("{}: {told}", run.folder.display()));
    }
    Ok(Cell {
        seed: run.config.seed,
        outcome,
    })
}

/// Prints the summary, a table for people or one line of JSON, and then keeps it in the sweep's folder.
///
/// # Errors
/// If it cannot be written there.
pub fn print(summary: &Summary, out: &Path, json: bool) -> Result<()> {
    match json {
        true => output::print_json(summary)?,
        false => output::print(&summary.to_text())?,
    }
    let text = serde_json::to_vec_pretty(summary)?;
    Ok(write_file(&out.join("summary.json"), &text)?)
}
