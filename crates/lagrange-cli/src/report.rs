//! `lagrange report`: what a run did, as one HTML file.

use crate::args::SourceArgs;
use crate::output::{print, tell};
use crate::trained::other_data;
use anyhow::{Result, bail};
use clap::Args;
use lagrange::{Model, write_file};
use lagrange_report::{Run, Verdict, page, tell_apart};
use std::path::{Path, PathBuf};

/// `lagrange report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders: of one a full report, of several their curves over each other.
    #[arg(required = true, value_name = "RUN_FOLDER")]
    pub runs: Vec<PathBuf>,
    /// The HTML file [default: report.html in the run folder; of several runs, report.html here].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The data, whose test set the model is to judge.
    #[command(flatten)]
    pub data: SourceArgs,
}

/// Mistakes that are shown.
const MISTAKES: usize = 36;
/// Name of a run's report.
const NAME: &str = "report.html";
/// Name of a run's model.
const MODEL: &str = "model.safetensors";

/// Runs the command.
///
/// # Errors
/// If a folder has no run, or the report cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [folder]) => folder.join(NAME),
        (None, _) => NAME.into(),
    };
    match args.runs.as_slice() {
        [folder] => {
            let model = model_of(folder)?;
            let verdict = match &model {
                Some(model) if are_wanted(&args.data, folder)? => judge(model, &args.data)?,
                _ => None,
            };
            write(&out, folder, model.as_ref(), verdict)?;
        }
        _ if args.data.path.is_some() => bail!("--data: only for the report of one run"),
        folders => {
            let runs = folders.iter().map(|path| Run::read(path));
            let mut runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
            tell_apart(&mut runs);
            write_file(&out, page(&runs, None, None).as_bytes())?;
        }
    }
    Ok(print(&format!("{}\n", out.display()))?)
}

/// Whether the report of the run in `folder` is to have figures of `data`: of other data than the run's only if
/// they were asked for.
fn are_wanted(data: &SourceArgs, folder: &Path) -> Result<bool> {
    let here = lagrange::summarise(data.source().as_ref())?.dataset.sha256;
    let Some(words) = other_data(&folder.join(MODEL), &here) else {
        return Ok(true);
    };
    match data.path {
        Some(_) => tell(words),
        None => tell(format_args!(
            "without confusion and mistakes: {words}; pass the run's --data"
        )),
    }
    Ok(data.path.is_some())
}

/// Writes the report of a run that has just ended into its folder. The run is complete without: what goes wrong
/// is a warning. Data that would have to be decoded once more are left to the report command.
pub(crate) fn write_at_end(folder: &Path, data: &SourceArgs) {
    let is_at_hand = data.source().is_none_or(|source| source.is_decoded());
    let written = model_of(folder).and_then(|model| {
        let model = model.as_ref();
        let verdict = model.filter(|_| is_at_hand).map(|model| judge(model, data));
        write(
            &folder.join(NAME),
            folder,
            model,
            verdict.transpose()?.flatten(),
        )
    });
    if let Err(error) = written {
        tracing::warn!("the run is complete without {NAME}: {error:#}");
    }
}

/// Writes the report of the run in `folder` to `out`.
fn write(out: &Path, folder: &Path, model: Option<&Model>, verdict: Option<Verdict>) -> Result<()> {
    let html = page(&[Run::read(folder)?], model, verdict.as_ref());
    Ok(write_file(out, html.as_bytes())?)
}

/// The model of the run in `folder`, if it has come to one.
fn model_of(folder: &Path) -> Result<Option<Model>> {
    let path = folder.join(MODEL);
    match path.exists() {
        true => Ok(Some(Model::load(&path)?)),
        false => Ok(None),
    }
}

/// What `model` makes of the test set of `data`, if these are its own.
fn judge(model: &Model, data: &SourceArgs) -> Result<Option<Verdict>> {
    let (classes, test) = lagrange::test_set(data.source().as_ref())?;
    match Verdict::of(model, &classes, &test, MISTAKES) {
        Ok(verdict) => Ok(Some(verdict)),
        // Without --data the embedded set may just be another one.
        Err(error) if data.path.is_none() => {
            tell(format_args!(
                "without confusion and mistakes: {error}; pass the run's --data"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
