//! Flags about certificates and tokens.

use clap::Args;
use clap::builder::BoolishValueParser;
use std::path::PathBuf;

/// Who may join, and who may read what is sent.
#[derive(Debug, Clone, Default, Args)]
pub struct SecurityArgs {
    /// Folder with certificates as `lagrange certs` makes them: encrypts everything, and both sides must show
    /// theirs. Its file `token`, if there is one, is the join token.
    #[arg(long, value_name = "DIR", env = "LAGRANGE_TLS")]
    pub tls: Option<PathBuf>,
    /// File with the join token, which a worker must show.
    #[arg(long, value_name = "FILE", env = "LAGRANGE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Allow plain text to leave this machine: anybody on the way can then read and change it.
    #[arg(long, env = "LAGRANGE_INSECURE", value_parser = BoolishValueParser::new())]
    pub insecure: bool,
}
