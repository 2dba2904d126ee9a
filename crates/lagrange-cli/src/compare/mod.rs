//! `lagrange compare`: every system on the same data, seeds and machine, one after the other, in one table.
//!
//! Every cell is a process of its own, started as a user would start it, so that rows neither share warmed-up
//! state nor take each other down.

mod cell;
mod rows;
mod table;

pub use rows::{ROWS, Row, named};
pub use table::Table;

use crate::args::SourceArgs;
use crate::interrupt::Interrupt;
use crate::output::{self, tell};
use crate::statistics::commonest_share;
use crate::tally::told;
use anyhow::Result;
use cell::Cells;
use clap::Args;
use lagrange::{Question, Seeds, Task, lock, make_folder};
use std::path::PathBuf;
use table::RowResult;

/// `lagrange compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What the networks are asked: odd-even, classes or digits.
    #[arg(long, default_value_t)]
    pub task: Task,
    /// Seeds, for example 0..5 or 0,3,7.
    #[arg(long, default_value = "0..5")]
    pub seeds: Seeds,
    /// Use only the first so many training images.
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// One seed and 10,000 images: minutes instead of hours.
    #[arg(long)]
    pub quick: bool,
    /// Only these rows, for example streaming,adam.
    #[arg(long, value_name = "ROWS", value_delimiter = ',', value_parser = named)]
    pub only: Vec<Row>,
    /// Folder for the table and for each run.
    #[arg(long, value_name = "DIR", default_value = "runs/compare")]
    pub out: PathBuf,
    /// The data.
    #[command(flatten)]
    pub data: SourceArgs,
    /// End stdout with the table as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub quiet: bool,
}

/// Training images of `--quick`.
const QUICK_IMAGES: usize = 10_000;

/// Runs the command; `interrupt` resolves when the user asks to stop.
///
/// # Errors
/// If a row cannot be run as asked, or the folder cannot be used. Runs that fail are part of the table.
pub async fn run(args: &CompareArgs, interrupt: impl Future<Output = ()>) -> Result<Table> {
    let interrupt = Interrupt::listen(interrupt, &args.out).await?;
    interrupt.or(compare(args)).await
}

async fn compare(args: &CompareArgs) -> Result<Table> {
    let (limit, seeds) = match args.quick {
        true => (
            Some(args.train_limit.unwrap_or(QUICK_IMAGES)),
            &args.seeds.as_slice()[..1],
        ),
        false => (args.train_limit, args.seeds.as_slice()),
    };
    let rows = rows(args);
    let dataset = lagrange::load(args.data.source().as_ref())?;
    let cells = Cells { args, limit };
    let question = Question::new(args.task, &dataset.classes, &[])?;
    cells.check(&rows, &dataset, &question).await?;
    let labels = dataset.test.labels.iter();
    let commonest = commonest_share(labels.map(|&label| question.class_of(label)));
    let images = dataset.train.labels.len();
    drop(dataset);
    make_folder("--out", &args.out)?;
    let _lock = lock(&args.out)?;
    let images = limit.map_or(images, |limit| limit.min(images));
    let mut table = Table::new(args.task, images, seeds);
    for &row in &rows {
        let mut row_cells = Vec::new();
        for &seed in seeds {
            let cell = cells.run(row, seed).await;
            if !args.quiet {
                let told = told(&cell.outcome, "test", |figures| figures.test_accuracy);
                tell(format_args!("{row} seed {seed}: {told}"));
            }
            row_cells.push(cell);
        }
        table.push(RowResult::new(row, &row_cells, commonest));
        // The rows to come are worth more than a file that the last one writes again.
        if let Err(error) = table.save(&args.out) {
            tell(format_args!("warning: {error:#}"));
        }
    }
    Ok(table)
}

/// The rows asked for, or all that this build has.
fn rows(args: &CompareArgs) -> Vec<Row> {
    if !args.only.is_empty() {
        return args.only.clone();
    }
    let (rows, missing): (Vec<Row>, Vec<Row>) = ROWS.iter().partition(|row| row.is_built());
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|row| row.name).collect();
        tell(format_args!(
            "without {}: this build has no back-propagation (cargo build --release --features back-propagation)",
            names.join(" and ")
        ));
    }
    rows
}

/// Prints the table, or one line of JSON, and sees to it that the folder holds it.
///
/// # Errors
/// If it cannot be written there.
pub fn print(table: &Table, args: &CompareArgs) -> Result<()> {
    match args.json {
        true => output::print_json(table)?,
        false => output::print(&(table.to_markdown() + "\n"))?,
    }
    table.save(&args.out)?;
    if !args.json {
        tell(format_args!("saved in {}", args.out.display()));
    }
    Ok(())
}
