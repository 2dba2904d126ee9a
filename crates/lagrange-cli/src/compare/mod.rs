//! `lagrange compare`: every system on the same data, seeds and machine, one after the other, in one table.
//!
//! Every cell is a process of its own, started as a user would start it, so that rows neither share warmed-up state nor
//! take each other down.

mod cell;
mod rows;
mod table;

pub use rows::{ROWS, Row, named};
pub use table::Table;

use crate::args::CompareArgs;
use crate::folder::{lock, make_folder};
use crate::interrupt::Interrupt;
use crate::output::{self, tell};
use crate::statistics::commonest_share;
use crate::tally::told;
use anyhow::Result;
use cell::Cells;
use lagrange_data::Dataset;
use table::RowResult;

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
    let rows = match args.only.as_slice() {
        [] => &ROWS[..],
        only => only,
    };
    let dataset = Dataset::load(args.data_dir.as_deref())?;
    let cells = Cells { args, limit };
    cells.check(rows, &dataset).await?;
    let classes = dataset.test.labels.iter();
    let commonest = commonest_share(classes.map(|&label| args.task.class_of(label)));
    let images = dataset.train.labels.len();
    drop(dataset);
    make_folder("--out", &args.out)?;
    let _lock = lock(&args.out)?;
    let images = limit.map_or(images, |limit| limit.min(images));
    let mut table = Table::new(args.task, images, seeds);
    for &row in rows {
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
