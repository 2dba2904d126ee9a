//! `lagrange config`: shows configurations.

use crate::args::RunArgs;
use crate::output::print;
use anyhow::Result;
use clap::{Args, Subcommand};
use lagrange::presets;

/// `lagrange config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `lagrange config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that `train` with the same flags would use.
    Show(Box<RunArgs>),
    /// List the presets.
    Presets,
}

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong, or stdout does not take it.
pub fn run(args: &ConfigArgs) -> Result<()> {
    let text = match &args.command {
        ConfigCommand::Show(args) => args.configuration()?.to_toml(),
        ConfigCommand::Presets => {
            let line =
                |preset: lagrange::Preset| format!("{:<18} {}\n", preset.name, preset.about());
            presets().map(line).collect()
        }
    };
    Ok(print(&text)?)
}
