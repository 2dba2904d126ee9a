//! `lagrange compare`: every system on the same data, seeds and machine, one after the other, in one table.
//!
//! Every cell is a process of its own, started as a user would start it, so that rows neither share warmed-up state nor
//! take each other down.

mod rows;
mod table;

pub use rows::{ROWS, Row, named};
pub use table::Table;

use crate::args::CompareArgs;
use crate::child;
use crate::interrupt::Interrupted;
use anyhow::{Context as _, Result};
use lagrange_data::Dataset;
use rows::System;
use serde::{Deserialize, Serialize};
use std::path::Path;
use table::RowResult;

/// Training images of `--quick`.
const QUICK_IMAGES: usize = 10_000;

/// What one run of a row came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its seed.
    pub seed: u64,
    /// Share of the test images predicted correctly; none if the run failed.
    pub accuracy: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Equations that weight updates were fitted to.
    pub equations: Option<u64>,
    /// Bytes between coordinator and workers.
    pub bytes: Option<u64>,
    /// What a failed run said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Runs the command; `interrupt` resolves when the user asks to stop.
///
/// # Errors
/// If a run cannot be started, or the results cannot be written.
pub async fn run(args: &CompareArgs, interrupt: impl Future<Output = ()>) -> Result<Table> {
    let (limit, seeds) = match args.quick {
        true => (
            Some(args.train_limit.unwrap_or(QUICK_IMAGES)),
            &args.seeds.as_slice()[..1],
        ),
        false => (args.train_limit, args.seeds.as_slice()),
    };
    let dataset = Dataset::load(args.data_dir.as_deref())?;
    let classes = dataset.test.labels.iter();
    let commonest =
        crate::statistics::commonest_share(classes.map(|&label| args.task.class_of(label)));
    let images = dataset.train.labels.len();
    drop(dataset);
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("--out {}: cannot be written", args.out.display()))?;
    let rows: Vec<Row> = match args.only.as_slice() {
        [] => ROWS.to_vec(),
        only => only.to_vec(),
    };
    let mut table = Table::new(
        args.task,
        limit.map_or(images, |limit| limit.min(images)),
        seeds,
    );
    let all = async {
        for row in rows {
            let mut cells = Vec::new();
            for &seed in seeds {
                let cell = run_cell(args, row, seed, limit).await?;
                if !args.quiet {
                    eprintln!("{}", table::progress(row, &cell));
                }
                cells.push(cell);
            }
            table.push(RowResult::new(row, cells, commonest));
            table.save(&args.out)?;
        }
        Ok(())
    };
    tokio::select! {
        result = all => result.map(|()| table),
        () = interrupt => Err(Interrupted(args.out.clone()).into()),
    }
}

async fn run_cell(args: &CompareArgs, row: Row, seed: u64, limit: Option<usize>) -> Result<Cell> {
    let folder = args.out.join("runs").join(format!("{row}-seed{seed}"));
    let mut command = child::command()?;
    match row.system {
        System::Train(preset, settings) => {
            // A folder left by an interrupted comparison is of no use to this one.
            let _ = std::fs::remove_dir_all(&folder);
            command.arg("train").arg("--run-dir").arg(&folder);
            if let Some(preset) = preset {
                command.args(["--preset", preset]);
            }
            for setting in settings {
                command.args(["--set", setting]);
            }
        }
        System::Baseline(kind) => {
            command.args(["baseline", &kind.to_string()]);
            // One thread per core as the trainer has; the library behind back-propagation looks this up at every product.
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            command.env("RAYON_NUM_THREADS", cores.to_string());
        }
    }
    command
        .args(["--json", "--quiet", "--seed", &seed.to_string()])
        .args(["--task", &args.task.to_string()]);
    if let Some(limit) = limit {
        command.args(["--train-limit", &limit.to_string()]);
    }
    if let Some(directory) = &args.data_dir {
        command.arg("--data-dir").arg(directory);
    }
    Ok(match child::run(command).await? {
        Ok(line) if line.interrupted => return Err(Interrupted(args.out.clone()).into()),
        Ok(line) => Cell {
            seed,
            accuracy: line.test_accuracy,
            seconds: line.seconds,
            equations: line.equations,
            bytes: line.bytes_sent,
            error: None,
        },
        Err(error) => Cell {
            seed,
            accuracy: None,
            seconds: 0.0,
            equations: None,
            bytes: None,
            error: Some(error),
        },
    })
}

/// Prints the table, or one line of JSON.
///
/// # Errors
/// If JSON cannot be written.
pub fn print(table: &Table, out: &Path, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(table)?);
    } else {
        println!("{}", table.to_markdown());
        eprintln!("saved in {}", out.display());
    }
    Ok(())
}
