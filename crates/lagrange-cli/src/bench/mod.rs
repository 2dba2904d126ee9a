//! `lagrange bench`: what this machine makes of a configuration, kernel by kernel and with 1, 2, .. workers.

mod kernels;
mod scaling;

use crate::args::RunArgs;
use crate::output;
use anyhow::{Result, bail};
use clap::Args;
use lagrange::{DatasetFacts, RunSpec, summarise};
use lagrange_core::blas;
use lagrange_core::schedule::ScheduleKind;
use serde::Serialize;
use std::fmt::Write as _;

/// `lagrange bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure: network, batch and schedule; --run-dir and --quiet are of no effect.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Processors that this process may use.
    pub cores: usize,
    /// OpenBLAS kernels.
    pub blas: String,
    /// The yardstick: GFLOP/s of a product of two 1024 x 1024 matrices on one thread, and of one on every
    /// core at once.
    pub gemm_gflops: [f64; 2],
    /// One thread's work, part by part.
    pub kernels: Vec<KernelTime>,
    /// Whole runs.
    pub scaling: Vec<Scaling>,
    /// Runs that failed, which are not among them.
    pub failed: Vec<FailedRun>,
}

impl Measured {
    /// Whether no run failed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

/// A run that came to no end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedRun {
    /// Its worker processes.
    pub workers: usize,
    /// What kept it from its end.
    pub reason: String,
}

/// One part of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// What it does.
    pub name: String,
    /// Microseconds per image, or per step at the coordinator.
    pub micros: f64,
    /// Floating-point operations per second, where they are what it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflops: Option<f64>,
    /// The same as a share of one thread's GEMM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_gemm: Option<f64>,
}

/// A short run with a number of workers of one thread each. Medians over its steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    /// Worker processes.
    pub workers: usize,
    /// Images per second, from the first step to the last.
    pub images_per_second: f64,
    /// How much faster than one worker; none where that run failed.
    pub speed_up: Option<f64>,
    /// Milliseconds of a step that the coordinator waits for workers and the wire.
    pub wait_ms: f64,
    /// Milliseconds of a step that the coordinator works itself.
    pub work_ms: f64,
    /// Bytes on the wire per step, both ways, over all workers.
    pub bytes_per_step: f64,
}

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong. Runs that fail are part of what is measured.
pub async fn run(args: &BenchArgs) -> Result<Measured> {
    let config = args.run.configuration()?;
    if config.schedule.kind != ScheduleKind::Streaming {
        bail!("schedule.kind: bench measures the streaming schedule; choose another --preset");
    }
    let dataset = summarise(args.run.data.source().as_ref())?.dataset;
    let spec = RunSpec::new(config, DatasetFacts::of(&dataset))?;
    let cores = lagrange::machine::cores();
    let gemm_gflops = [kernels::gemm(1), kernels::gemm(cores)];
    let kernels = kernels::measure(&spec, gemm_gflops[0])?;
    let (scaling, failed) = scaling::measure(spec.config(), args, cores).await?;
    Ok(Measured {
        cores,
        blas: blas::core_name(),
        gemm_gflops,
        kernels,
        scaling,
        failed,
    })
}

/// Prints it: tables for people, or one line of JSON.
///
/// # Errors
/// If stdout does not take it.
pub fn print(measured: &Measured, json: bool) -> Result<()> {
    if json {
        return output::print_json(measured);
    }
    let [one, all] = measured.gemm_gflops;
    let mut text = format!(
        "{} cores, OpenBLAS kernels {}, GEMM {one:.0} GFLOP/s on one thread, {all:.0} on {}\n\n\
         {:<34} {:>9} {:>9} {:>8}\n",
        measured.cores, measured.blas, measured.cores, "one thread", "us", "GFLOP/s", "of GEMM"
    );
    // Writing to a string cannot fail.
    for kernel in &measured.kernels {
        let rate = match (kernel.gflops, kernel.of_gemm) {
            (Some(gflops), Some(share)) => format!("{gflops:>9.1} {:>6.0} %", 100.0 * share),
            _ => String::new(),
        };
        let _ = writeln!(text, "{:<34} {:>9.1} {rate}", kernel.name, kernel.micros);
    }
    let _ = writeln!(
        text,
        "\n{:<8} {:>9} {:>9} {:>9} {:>9} {:>11}",
        "workers", "images/s", "speed-up", "wait ms", "work ms", "kB per step"
    );
    for row in &measured.scaling {
        let speed_up = row.speed_up.map(|times| format!("{times:.2}"));
        let _ = writeln!(
            text,
            "{:<8} {:>9.0} {:>9} {:>9.1} {:>9.1} {:>11.0}",
            row.workers,
            row.images_per_second,
            speed_up.unwrap_or_else(|| "-".to_owned()),
            row.wait_ms,
            row.work_ms,
            row.bytes_per_step / 1e3
        );
    }
    for FailedRun { workers, reason } in &measured.failed {
        let _ = writeln!(text, "{workers:<8} failed: {reason}");
    }
    Ok(output::print(&text)?)
}
