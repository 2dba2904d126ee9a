//! One run of a row: the command that a user would type, its check, and how it ended.

use super::CompareArgs;
use super::rows::{Row, System};
use crate::baseline;
use crate::child::{self, RunOutcome};
use crate::tally::Cell;
use anyhow::{Context as _, Result, bail};
use lagrange::machine::cores;
use lagrange::{Config, Dataset, DatasetSummary, Question, run_spec};
use lagrange_baseline::Problem;
use std::ffi::OsString;

/// What all runs of a comparison have in common.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    pub(super) args: &'a CompareArgs,
    /// Training images, if not all.
    pub(super) limit: Option<usize>,
}

impl Cells<'_> {
    /// Checks what can be known of every row before the first run.
    ///
    /// # Errors
    /// What the first row that cannot be run would say.
    pub(super) async fn check(
        &self,
        rows: &[Row],
        dataset: &Dataset,
        question: &Question,
    ) -> Result<()> {
        let summary = DatasetSummary::of(dataset)?;
        let problem = Problem::new(dataset, question.clone(), self.limit, 0)?;
        for row in rows {
            let config = self.configuration(*row).await?;
            match row.system {
                System::Train(..) => run_spec(config, &summary).map(drop).map_err(Into::into),
                System::Baseline(kind) => baseline::check(kind, &config, &problem),
            }
            .with_context(|| format!("row {row}"))?;
        }
        Ok(())
    }

    /// The configuration of a row's runs, as they themselves will find it.
    async fn configuration(&self, row: Row) -> Result<Config> {
        let mut command = child::command()?;
        command.args(["config", "show"]).args(self.flags(row));
        let output = child::output(command).await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{row}: {}", words.trim().trim_start_matches("error: "));
        }
        Ok(toml::from_str(&String::from_utf8_lossy(&output.stdout))?)
    }

    /// Flags that decide a row's configuration, but for the seed.
    fn flags(&self, row: Row) -> Vec<OsString> {
        let mut flags: Vec<OsString> = vec!["--task".into(), self.args.task.to_string().into()];
        if let System::Train(preset, settings) = row.system {
            let settings = settings.iter().map(|&setting| ("--set", setting));
            for (flag, value) in preset
                .map(|name| ("--preset", name))
                .into_iter()
                .chain(settings)
            {
                flags.extend([flag.into(), value.into()]);
            }
        }
        if let Some(limit) = self.limit {
            flags.extend(["--train-limit".into(), limit.to_string().into()]);
        }
        flags
    }

    /// Runs one cell.
    pub(super) async fn run(&self, row: Row, seed: u64) -> Cell {
        let outcome = self.try_run(row, seed).await;
        let outcome = outcome.unwrap_or_else(|error| RunOutcome::Failed(format!("{error:#}")));
        Cell {
            seed,
            outcome: outcome.evaluated(|figures| figures.test_accuracy),
        }
    }

    async fn try_run(&self, row: Row, seed: u64) -> Result<RunOutcome> {
        let mut command = child::command()?;
        match row.system {
            System::Train(..) => {
                let name = format!("{row}-seed{seed}");
                let folder = self.args.out.join("runs").join(name);
                // A folder left by an earlier comparison is of no use to this one.
                child::clear(&folder).await?;
                command.arg("train").arg("--run-dir").arg(&folder);
            }
            System::Baseline(kind) => {
                command.args(["baseline", &kind.to_string()]);
                // One thread per core as the trainer has; the library behind back-propagation looks this up
                // at every product.
                command.env("RAYON_NUM_THREADS", cores().to_string());
            }
        }
        command
            .args(["--json", "--quiet", "--seed", &seed.to_string()])
            .args(self.flags(row));
        command.args(self.args.data.flags());
        Ok(child::run(command).await)
    }
}
