//! Short runs with 1, 2, .. worker processes.

use super::BenchArgs;
use super::{FailedRun, Scaling};
use crate::child::{self, RunOutcome};
use crate::statistics::median;
use anyhow::{Context as _, Result, bail};
use lagrange::Config;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Steps of a run, about.
const STEPS: u64 = 100;

/// Configuration of all runs, in their folder.
const CONFIG: &str = "bench.toml";

/// A line of `metrics.jsonl`, as far as it is of use here.
#[derive(Debug, Deserialize)]
struct Line {
    event: String,
    seconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
    wait_seconds: f64,
    work_seconds: f64,
}

/// Runs with 1, 2, 4, .. workers, up to one per core; and those of them that failed.
pub(super) async fn measure(
    config: &Config,
    args: &BenchArgs,
    cores: usize,
) -> Result<(Vec<Scaling>, Vec<FailedRun>)> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut short = config.clone();
    let images = STEPS as usize * config.schedule.batch;
    short.train_limit = Some(config.train_limit.map_or(images, |limit| limit.min(images)));
    short.schedule.epochs = 1.0;
    std::fs::write(folder.path().join(CONFIG), short.to_toml())?;
    let counts = std::iter::successors(Some(1), |&count| {
        (count < cores).then_some((2 * count).min(cores))
    });
    let (mut rows, mut failed) = (Vec::<Scaling>::new(), Vec::new());
    for workers in counts {
        let measured = run(folder.path(), args, workers).await;
        let measured = measured.and_then(|run_dir| read(&run_dir, workers, config.schedule.batch));
        match measured {
            Ok(row) => rows.push(row),
            Err(error) => failed.push(FailedRun {
                workers,
                reason: format!("{error:#}"),
            }),
        }
    }
    let alone = rows.iter().find(|row| row.workers == 1);
    if let Some(alone) = alone.map(|row| row.images_per_second) {
        for row in &mut rows {
            row.speed_up = Some(row.images_per_second / alone);
        }
    }
    Ok((rows, failed))
}

/// Does one run, and tells where its metrics are.
async fn run(folder: &Path, args: &BenchArgs, workers: usize) -> Result<PathBuf> {
    let run_dir = folder.join(workers.to_string());
    let mut command = child::command()?;
    command
        .args(["train", "--json", "--quiet", "--threads", "1"])
        .args(["--workers", &workers.to_string()])
        .arg("--config")
        .arg(folder.join(CONFIG))
        .arg("--run-dir")
        .arg(&run_dir);
    command.args(args.run.data.flags());
    match child::run(command).await {
        RunOutcome::Finished(_) => Ok(run_dir),
        RunOutcome::Diverged(reason) | RunOutcome::Failed(reason) => bail!(reason),
    }
}

fn read(run_dir: &Path, workers: usize, batch: usize) -> Result<Scaling> {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl"))?;
    let lines = text
        .lines()
        .map(serde_json::from_str::<Line>)
        .collect::<Result<Vec<_>, _>>()?;
    let steps: Vec<&Line> = lines.iter().filter(|line| line.event == "step").collect();
    let (Some(first), Some(last), true) = (steps.first(), steps.last(), steps.len() > 1) else {
        bail!("a run of {} steps is too short to be measured", steps.len());
    };
    let count = (steps.len() - 1) as f64;
    let bytes = |line: &Line| (line.bytes_sent + line.bytes_received) as f64;
    Ok(Scaling {
        workers,
        images_per_second: count * batch as f64 / (last.seconds - first.seconds),
        speed_up: None,
        wait_ms: median(steps.iter().map(|line| 1e3 * line.wait_seconds)),
        work_ms: median(steps.iter().map(|line| 1e3 * line.work_seconds)),
        bytes_per_step: (bytes(last) - bytes(first)) / count,
    })
}
