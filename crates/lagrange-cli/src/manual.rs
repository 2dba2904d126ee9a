//! `lagrange completions` and `lagrange man`: what shells and manuals know of the command.

use crate::args::Cli;
use crate::output::print;
use anyhow::Result;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use lagrange::{make_folder, write_file};
use std::path::{Path, PathBuf};

/// `lagrange completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that reads them.
    pub shell: Shell,
}

/// `lagrange man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages, one for each command.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Prints the completions of a shell.
///
/// # Errors
/// If stdout does not take them.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lagrange", &mut script);
    Ok(print(&String::from_utf8(script)?)?)
}

/// Writes manual pages.
///
/// # Errors
/// If they cannot be written.
pub fn man(args: &ManArgs) -> Result<()> {
    make_folder("--out", &args.out)?;
    let mut command = Cli::command();
    command.build();
    pages(&command, "lagrange", &args.out)
}

/// The page of `command`, called `name`, and those of what is below it.
fn pages(command: &Command, name: &str, folder: &Path) -> Result<()> {
    let mut page = Vec::new();
    // The library asks for a name that lives for ever.
    let title: &'static str = name.to_owned().leak();
    clap_mangen::Man::new(command.clone().name(title)).render(&mut page)?;
    write_file(&folder.join(format!("{name}.1")), &page)?;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}
