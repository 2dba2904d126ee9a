//! Short runs with 1, 2, .. worker processes.

use super::Scaling;
use crate::args::BenchArgs;
use crate::child;
use crate::config::Config;
use crate::statistics::median;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::path::Path;

/// Steps of a run, about.
const STEPS: u64 = 100;

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

/// Runs with 1, 2, 4, .. workers, up to one per core.
pub(super) async fn measure(
    config: &Config,
    args: &BenchArgs,
    cores: usize,
) -> Result<Vec<Scaling>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut short = config.clone();
    let images = STEPS as usize * config.schedule.batch;
    short.train_limit = Some(config.train_limit.map_or(images, |limit| limit.min(images)));
    short.schedule.epochs = 1.0;
    let file = folder.path().join("bench.toml");
    std::fs::write(&file, short.to_toml()?)?;
    let counts = std::iter::successors(Some(1), |&count| {
        (count < cores).then_some((2 * count).min(cores))
    });
    let mut rows: Vec<Scaling> = Vec::new();
    for workers in counts {
        let run_dir = folder.path().join(workers.to_string());
        let mut command = child::command()?;
        command
            .args(["train", "--json", "--quiet", "--threads", "1"])
            .args(["--workers", &workers.to_string()])
            .arg("--config")
            .arg(&file)
            .arg("--run-dir")
            .arg(&run_dir);
        if let Some(data) = &args.run.data_dir {
            command.arg("--data-dir").arg(data);
        }
        if let Err(reason) = child::run(command).await? {
            bail!("a run with {workers} workers failed: {reason}");
        }
        let mut row = read(&run_dir, workers, config.schedule.batch)?;
        let first = rows
            .first()
            .map_or(row.images_per_second, |row| row.images_per_second);
        row.speed_up = row.images_per_second / first;
        rows.push(row);
    }
    Ok(rows)
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
        speed_up: 1.0,
        wait_ms: median(steps.iter().map(|line| 1e3 * line.wait_seconds)),
        work_ms: median(steps.iter().map(|line| 1e3 * line.work_seconds)),
        bytes_per_step: (bytes(last) - bytes(first)) / count,
    })
}
