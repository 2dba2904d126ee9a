//! `lagrange runs`: the runs of a folder, and what differs between some.

mod compare;
mod list;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `lagrange runs`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Folder of run folders, at any depth.
    #[arg(default_value = "runs", value_name = "DIR")]
    pub folder: PathBuf,
    /// Print the runs as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lagrange runs ...`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Print what differs between runs: keys of their configurations, and what they came to.
    Compare(compare::CompareArgs),
}

/// Runs the command.
///
/// # Errors
/// If the folder cannot be listed, or one of the runs not be read.
pub fn run(args: &RunsArgs) -> Result<()> {
    match &args.command {
        Some(RunsCommand::Compare(args)) => compare::run(args),
        None => list::run(&args.folder, args.json),
    }
}
