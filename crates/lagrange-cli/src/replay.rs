//! `lagrange replay`: a step of a run done again, and compared bit for bit with what the run recorded.

use crate::args::SourceArgs;
use crate::output::{print, print_json, tell};
use anyhow::Result;
use clap::{ArgGroup, Args};
use lagrange::machine::cores;
use lagrange::{DataSource, Replay, Replayed};
use serde::Serialize;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// `lagrange replay`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["shard", "all"]))]
pub struct ReplayArgs {
    /// A run folder, complete or not.
    pub run: PathBuf,
    /// The step to do again, from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub step: u64,
    /// The shard to compare, from 0.
    #[arg(long, value_name = "K")]
    pub shard: Option<u32>,
    /// Compare every shard.
    #[arg(long)]
    pub all: bool,
    /// The run's data.
    #[command(flatten)]
    pub data: SourceArgs,
    /// Threads to compute on, whatever the run had [default: all cores].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

impl ReplayArgs {
    /// Threads that it computes on.
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(cores, usize::from)
    }
}

/// What the command prints as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    replayed: &'a Replayed,
    agrees: bool,
}

/// Runs the command; whether what was asked for came out as recorded.
///
/// # Errors
/// If the run, its record, the step or the shard is not there, or the data are others.
pub fn run(args: &ReplayArgs) -> Result<bool> {
    let replay = Replay {
        step: args.step,
        shard: args.shard,
        threads: args.threads(),
    };
    let data = DataSource::Files(args.data.source());
    let replayed = replay.run(&args.run, &data)?;
    let agrees = replayed.agrees();
    if !replayed.has_same_kernels() {
        tell(kernels_differ(&replayed));
    }
    match args.json {
        true => print_json(&Told {
            replayed: &replayed,
            agrees,
        })?,
        false => print(&told(&replayed))?,
    }
    Ok(agrees)
}

fn kernels_differ(replayed: &Replayed) -> String {
    let (theirs, ours) = (&replayed.recorded_kernels, &replayed.kernels);
    let variable = lagrange_core::blas::CORE_VARIABLE;
    format!(
        "warning: the run was computed with the OpenBLAS kernels {theirs}, and this is {ours}: last bits may differ \
         without a fault; set {variable}={theirs}"
    )
}

/// The result for people: a line for each shard, and the first difference of all.
fn told(replayed: &Replayed) -> String {
    let from = match replayed.from_step {
        0 => "the beginning".to_owned(),
        step => format!("the checkpoint of step {step}"),
    };
    let mut text = format!(
        "step           {}, computed again from {from}\nkernels        {}\n",
        replayed.step, replayed.kernels
    );
    for shard in &replayed.shards {
        let word = match shard.recorded == shard.computed {
            true => "equal",
            false => "DIFFERENT",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "shard {:<8} recorded {:08x}, computed {:08x}: {word}",
            shard.shard, shard.recorded, shard.computed
        );
    }
    let _ = match replayed.first_difference {
        None => writeln!(text, "all shards of all steps computed are as recorded"),
        Some(first) => writeln!(
            text,
            "first seen     step {}, shard {}: {} shards of that step differ",
            first.step, first.shard, first.shards
        ),
    };
    text
}
