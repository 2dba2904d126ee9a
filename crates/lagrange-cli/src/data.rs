//! `lagrange data`: what a path holds, and its import into a packed set.

use crate::args::ReadingArgs;
use crate::output::{print, tell};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lagrange::{lock, make_folder, write_file};
use lagrange_import::{Imported, PackedSet, Report, contact_sheet, pack, read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// `lagrange data`
#[derive(Debug, Args)]
pub struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// `lagrange data ...`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Say what a path holds: format, classes, splits, sizes, pictures that cannot be read or are in two
    /// splits.
    Inspect(InspectArgs),
    /// Decode a set once, and pack it for training: blocks with hashes, of which a worker reads its own.
    Import(ImportArgs),
}

/// `lagrange data inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The set: a folder, an archive, a table, an array file.
    pub path: PathBuf,
    /// How to read it.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Write a PNG with pictures of every class.
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
}

/// `lagrange data import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The set: a folder, an archive, a table, an array file.
    pub path: PathBuf,
    /// Folder of the packed set, to be given to --data afterwards.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to read it.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Pictures of a block [default: as many as make about 4 MB].
    #[arg(long, value_name = "N")]
    pub block: Option<NonZeroUsize>,
}

/// Runs the command.
///
/// # Errors
/// If the set cannot be read, or the result not be written.
pub fn run(args: &DataArgs) -> Result<()> {
    match &args.command {
        DataCommand::Inspect(args) => inspect(args),
        DataCommand::Import(args) => import(args),
    }
}

fn inspect(args: &InspectArgs) -> Result<()> {
    let (set, report) = found(&args.path, &args.reading)?;
    if let Some(path) = &args.sheet {
        write_file(path, &contact_sheet(&set, PICTURES)?)?;
        tell(format!("pictures of every class: {}", path.display()));
    }
    Ok(print(&format!("{report}\n{}", report.table()))?)
}

/// Pictures of each class on a sheet.
const PICTURES: usize = 10;

fn import(args: &ImportArgs) -> Result<()> {
    // Before everything is decoded.
    PackedSet::check_absent(&args.out)?;
    let (set, report) = found(&args.path, &args.reading)?;
    make_folder("--out", &args.out)?;
    let _lock = lock(&args.out)?;
    let packed = pack(&set, &args.out, args.block)?;
    let blocks = packed.manifest().blocks.len();
    let text = format!(
        "{report}\n{} blocks in {}, set {}\n",
        blocks,
        args.out.display(),
        packed.identity()
    );
    Ok(print(&text)?)
}

/// The set at `path`.
fn found(path: &Path, reading: &ReadingArgs) -> Result<(Imported, Report)> {
    if PackedSet::is_in(path) {
        bail!(
            "{}: a packed set already: give it to --data",
            path.display()
        );
    }
    Ok(read(path, &reading.options())?)
}
