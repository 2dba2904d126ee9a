//! One run of a sweep: its folder tells whether it is still to be done.

use crate::child::{self, Figures, RunOutcome};
use anyhow::{Context as _, Result, bail};
use lagrange::{Config, write_file};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A run of `config` in `folder`.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) folder: PathBuf,
    pub(super) config: Config,
    /// SHA-256 of the dataset, in hexadecimal.
    pub(super) dataset: String,
}

/// Configuration of the run, written before it begins.
const ASKED: &str = "sweep.toml";
/// Result of the run, written when it has ended: [`Kept`].
const DONE: &str = "cell.json";

/// Result that need not be had again. One that failed is never kept; earlier releases did so, without an
/// accuracy.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    seed: u64,
    /// Missing in what earlier releases kept.
    dataset_sha256: Option<String>,
    #[serde(flatten)]
    figures: Option<Figures>,
    #[serde(default)]
    diverged: Option<String>,
}

impl Run {
    /// How the run ended when it was done before, with the same configuration.
    ///
    /// # Errors
    /// If the folder holds a run of another configuration, or on other data.
    pub(super) fn done(&self) -> Result<Option<RunOutcome>> {
        let path = self.folder.join(ASKED);
        let theirs = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => bail!("{}: cannot be read: {error}", path.display()),
        };
        let ours = self.config.to_toml();
        if theirs != ours.as_bytes() {
            if is_torn(&theirs, &ours) {
                return Ok(None);
            }
            bail!(
                "{} holds a run of another configuration; choose a new --out",
                self.folder.display()
            );
        }
        let Ok(bytes) = std::fs::read(self.folder.join(DONE)) else {
            return Ok(None);
        };
        let kept: Option<Kept> = serde_json::from_slice(&bytes).ok();
        let dataset = kept.as_ref().and_then(|kept| kept.dataset_sha256.as_ref());
        if dataset.is_some_and(|dataset| *dataset != self.dataset) {
            bail!(
                "{} holds a run on another dataset; give its --data, or choose a new --out",
                self.folder.display()
            );
        }
        Ok(kept.and_then(Kept::outcome))
    }

    /// Runs it afresh with `flags`; what is in its folder of an unfinished run goes.
    pub(super) async fn run(&self, flags: &[OsString]) -> RunOutcome {
        let outcome = match self.try_run(flags).await {
            Ok(outcome) => outcome.evaluated(|figures| figures.validation_accuracy),
            Err(error) => RunOutcome::Failed(format!("{error:#}")),
        };
        match self.keep(&outcome) {
            Ok(()) => outcome,
            Err(error) => RunOutcome::Failed(format!("{error:#}")),
        }
    }

    async fn try_run(&self, flags: &[OsString]) -> Result<RunOutcome> {
        let run_dir = self.folder.join("run");
        child::clear(&run_dir).await?;
        let failed = || format!("{}: cannot be written", self.folder.display());
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).with_context(failed)?;
        }
        std::fs::create_dir_all(&self.folder).with_context(failed)?;
        let config = self.folder.join(ASKED);
        write_file(&config, self.config.to_toml().as_bytes())?;
        let mut command = child::command()?;
        command
            .args(["train", "--json", "--quiet", "--config"])
            .arg(&config)
            .arg("--run-dir")
            .arg(&run_dir)
            .args(flags);
        Ok(child::run(command).await)
    }

    /// Keeps an outcome that would come again.
    fn keep(&self, outcome: &RunOutcome) -> Result<()> {
        let (figures, diverged) = match outcome {
            RunOutcome::Finished(figures) => (Some(figures.clone()), None),
            RunOutcome::Diverged(words) => (None, Some(words.clone())),
            RunOutcome::Failed(_) => return Ok(()),
        };
        let kept = Kept {
            seed: self.config.seed,
            dataset_sha256: Some(self.dataset.clone()),
            figures,
            diverged,
        };
        Ok(write_file(
            &self.folder.join(DONE),
            &serde_json::to_vec(&kept)?,
        )?)
    }
}

impl Kept {
    fn outcome(self) -> Option<RunOutcome> {
        match (self.diverged, self.figures) {
            (Some(words), _) => Some(RunOutcome::Diverged(words)),
            (None, Some(figures)) if figures.validation_accuracy.is_some() => {
                Some(RunOutcome::Finished(figures))
            }
            (None, _) => None,
        }
    }
}

/// Whether a configuration's file is only the beginning of what was to be written, or no configuration at
/// all: a full disk or a loss of power left it so, and nothing that is of use lies beside it.
fn is_torn(theirs: &[u8], ours: &str) -> bool {
    let text = std::str::from_utf8(theirs);
    ours.as_bytes().starts_with(theirs) || !text.is_ok_and(|t| t.parse::<toml::Table>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> (tempfile::TempDir, Run) {
        let folder = tempfile::tempdir().expect("folder");
        let run = Run {
            folder: folder.path().to_owned(),
            config: Config::default(),
            dataset: "abc".to_owned(),
        };
        (folder, run)
    }

    fn write(run: &Run, name: &str, bytes: &[u8]) {
        std::fs::write(run.folder.join(name), bytes).expect("written");
    }

    #[test]
    fn a_result_is_believed_and_a_failure_of_any_release_is_not() {
        let (_folder, run) = run();
        assert_eq!(run.done().expect("empty"), None);
        write(&run, ASKED, run.config.to_toml().as_bytes());
        let kept = |cell: &str| {
            write(&run, DONE, cell.as_bytes());
            run.done().expect("the same configuration")
        };
        let old = r#"{"seed":0,"validation_accuracy":0.6,"test_accuracy":0.5,"seconds":1.5,"error":null}"#;
        let figures = kept(old).expect("a result of an earlier release");
        let figures = figures.figures().expect("finished");
        assert_eq!(
            (figures.validation_accuracy, figures.seconds),
            (Some(0.6), 1.5)
        );
        for cell in [
            r#"{"seed":0,"validation_accuracy":null,"test_accuracy":null,"seconds":0.0,"error":"x"}"#,
            &old[..20],
            "",
        ] {
            assert_eq!(kept(cell), None, "{cell}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let (_folder, run) = run();
        write(&run, ASKED, run.config.to_toml().as_bytes());
        let diverged = RunOutcome::Diverged("training diverged".to_owned());
        let finished = RunOutcome::Finished(Figures {
            test_accuracy: Some(0.5),
            validation_accuracy: Some(0.6),
            seconds: 1.5,
            equations: Some(7),
            bytes_sent: Some(8),
        });
        for outcome in [diverged, finished] {
            run.keep(&outcome).expect("kept");
            assert_eq!(run.done().expect("the same configuration"), Some(outcome));
        }
        let other = Run {
            dataset: "def".to_owned(),
            ..run
        };
        let error = other.done().expect_err("other data").to_string();
        assert!(error.contains("--data"), "{error}");
    }

    #[test]
    fn a_torn_configuration_is_written_again_and_another_one_respected() {
        let (_folder, run) = run();
        let text = run.config.to_toml();
        write(
            &run,
            DONE,
            br#"{"seed":0,"validation_accuracy":0.6,"seconds":1.5}"#,
        );
        for torn in ["", &text[..text.len() / 2], "\0\0\0\0"] {
            write(&run, ASKED, torn.as_bytes());
            assert_eq!(run.done().expect("torn"), None, "{torn:?}");
        }
        write(&run, ASKED, text.replace("seed = 0", "seed = 1").as_bytes());
        let error = run.done().expect_err("another one").to_string();
        assert!(error.contains("another configuration"), "{error}");
        write(&run, ASKED, b"key-of-another-release = 1\n");
        assert!(run.done().is_err());
    }
}
