//! Flags about what people see of a run while it goes.

use clap::{Args, ValueEnum};
use lagrange_protocol::listen_address;
use std::net::SocketAddr;

/// How progress is shown on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressKind {
    /// A bar on a terminal, a line per evaluation elsewhere.
    #[default]
    Auto,
    /// A bar, if there is a terminal.
    Bar,
    /// The whole terminal, if there is one: curves, workers, what a step costs; q stops the run.
    Tui,
    /// A line per evaluation.
    Plain,
    /// Nothing but warnings.
    None,
}

/// What shows a run while it goes.
#[derive(Debug, Clone, Args)]
pub struct ViewArgs {
    /// How progress is shown on stderr. Where there is no terminal, bar and tui become plain.
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        default_value_t,
        conflicts_with = "quiet"
    )]
    pub progress: ProgressKind,
    /// Serve a page at this address that shows the run while it goes: curves, residuals, workers, shards. It
    /// asks for the join token if there is one; an address that other machines reach needs --tls.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    pub dashboard: Option<SocketAddr>,
}
