//! `lagrange report`: what a run did, as one HTML file.

use crate::args::SourceArgs;
use crate::output::{print, tell};
use crate::trained::other_data;
use anyhow::{Result, bail};
use clap::Args;
use lagrange::{Model, write_file};
use lagrange_report::{Run, Verdict, page};
use std::path::{Path, PathBuf};

/// `lagrange report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders: of one a full report, of several their curves beside each other.
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

/// Runs the command.
///
/// # Errors
/// If a folder has no run, or the report cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    let runs = args.runs.iter().map(|path| Run::read(path));
    let runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
    let (model, verdict) = match args.runs.as_slice() {
        [folder] => judge(folder, args)?,
        _ if args.data.path.is_some() => bail!("--data: only for the report of one run"),
        _ => (None, None),
    };
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [folder]) => folder.join("report.html"),
        (None, _) => "report.html".into(),
    };
    write_file(
        &out,
        page(&runs, model.as_ref(), verdict.as_ref()).as_bytes(),
    )?;
    Ok(print(&format!("{}\n", out.display()))?)
}

/// The model of the run in `folder`, if it is complete, and what it makes of the test set, if that is at hand.
fn judge(folder: &Path, args: &ReportArgs) -> Result<(Option<Model>, Option<Verdict>)> {
    let path = folder.join("model.safetensors");
    if !path.exists() {
        return Ok((None, None));
    }
    let model = Model::load(&path)?;
    let dataset = lagrange::load(args.data.source().as_ref())?;
    let other = other_data(&path, &dataset);
    if let Some(words) = &other {
        match args.data.path {
            Some(_) => tell(words),
            None => {
                tell(format_args!(
                    "without confusion and mistakes: {words}; pass the run's --data"
                ));
                return Ok((Some(model), None));
            }
        }
    }
    let verdict = match Verdict::of(&model, &dataset, MISTAKES) {
        Ok(verdict) => Some(verdict),
        // Without --data the embedded set may just be another one.
        Err(error) if args.data.path.is_none() => {
            tell(format_args!(
                "without confusion and mistakes: {error}; pass the run's --data"
            ));
            None
        }
        Err(error) => return Err(error.into()),
    };
    Ok((Some(model), verdict))
}
