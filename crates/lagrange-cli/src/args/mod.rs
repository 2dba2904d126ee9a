//! The command line: what all subcommands share. Each has its own flags beside what it does.

mod rules;
mod run;
mod security;
mod source;
mod start;
mod view;

pub use rules::{RuleArgs, seconds};
pub use run::{DECIDED, RunArgs};
pub use security::SecurityArgs;
pub use source::{ReadingArgs, SourceArgs};
pub use start::StartArgs;
pub use view::{ProgressKind, ViewArgs};

use crate::baseline::BaselineArgs;
use crate::bench::BenchArgs;
use crate::certs::CertsArgs;
use crate::compare::CompareArgs;
use crate::config::ConfigArgs;
use crate::coordinator::CoordinatorArgs;
use crate::data::DataArgs;
use crate::evaluate::EvaluateArgs;
use crate::export::ExportArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::network::NetworkArgs;
use crate::predict::PredictArgs;
use crate::replay::ReplayArgs;
use crate::report::ReportArgs;
use crate::runs::RunsArgs;
use crate::serve::ServeArgs;
use crate::sweep::SweepArgs;
use crate::train::TrainArgs;
use crate::worker::WorkerArgs;
use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 training diverged, 130 interrupted (what there is, is saved).";

/// Trains convolutional networks without back-propagation, by ADMM, across processes and machines.
#[derive(Debug, Parser)]
#[command(name = "lagrange", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Log filter for stderr, for example `info` or `warn,lagrange_coordinator=debug`.
    #[arg(
        long,
        global = true,
        env = "LAGRANGE_LOG",
        default_value = "warn",
        value_name = "FILTER",
        value_parser = log_filter
    )]
    pub log: String,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train on this machine: a coordinator and local worker processes, in one command.
    Train(TrainArgs),
    /// Run a coordinator that workers elsewhere dial.
    Coordinator(CoordinatorArgs),
    /// Run a worker of a coordinator elsewhere.
    Worker(WorkerArgs),
    /// Look at a data set, or import it: folders of pictures, arrays, tables, archives.
    Data(DataArgs),
    /// Measure a trained model: accuracy and confusion matrix.
    Evaluate(EvaluateArgs),
    /// Say what pictures show, by a trained model.
    Predict(PredictArgs),
    /// Answer what pictures show over HTTP, by a trained model.
    Serve(ServeArgs),
    /// Write a report of a run as one HTML file, or of several beside each other.
    Report(ReportArgs),
    /// Do a step of a run again, and compare it bit for bit with what the run recorded of each shard.
    Replay(ReplayArgs),
    /// Write a trained model for another program: ONNX, PyTorch, NumPy.
    Export(ExportArgs),
    /// Train every system on the same data and print one table: ADMM old and new, back-propagation, closed
    /// forms.
    Compare(CompareArgs),
    /// Train settings x seeds and summarise them on held-out images; goes on where it was stopped.
    Sweep(SweepArgs),
    /// Train one of the systems that ADMM is compared with.
    Baseline(BaselineArgs),
    /// Measure this machine: every kernel against matrix multiplication, and short runs with 1, 2, ..
    /// workers.
    Bench(BenchArgs),
    /// Show configurations.
    Config(ConfigArgs),
    /// Show a network: layers, shapes, weights, equations and bytes of a step.
    Network(NetworkArgs),
    /// List the runs of a folder, with what they came to.
    Runs(RunsArgs),
    /// Print what a shell needs to complete this command.
    Completions(CompletionsArgs),
    /// Write manual pages.
    Man(ManArgs),
    /// Make a private authority, certificates for coordinator and workers, and a join token.
    Certs(CertsArgs),
}

/// A filter that means something: a word that is no level would be taken for the name of a module, and hide
/// warnings.
fn log_filter(text: &str) -> Result<String, String> {
    let advice =
        "give a level (off, error, warn, info, debug, trace), or MODULE=LEVEL, separated by commas";
    let plain = |part: &str| {
        let level = part
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok();
        level || part.contains(['=', '[']) || part.starts_with("lagrange")
    };
    let filter =
        tracing_subscriber::EnvFilter::try_new(text).map_err(|e| format!("{e}; {advice}"))?;
    match text.split(',').find(|part| !plain(part.trim())) {
        Some(word) => Err(format!("`{word}` is no level; {advice}")),
        None => Ok(filter.to_string()),
    }
}
