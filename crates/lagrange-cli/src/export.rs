//! `lagrange export`: a trained model in the format of another program.

use crate::output::print;
use crate::trained::model_at;
use anyhow::{Result, bail};
use clap::Args;
use lagrange::{ExportFormat, make_folder, write_file};
use std::path::PathBuf;

/// `lagrange export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// What to write: a file that ends in .onnx or .npz; of torch a folder.
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// onnx, torch (safetensors, config.json and a loader) or npz [default: told by the end of --out].
    #[arg(long)]
    pub format: Option<ExportFormat>,
}

/// Runs the command.
///
/// # Errors
/// If the model cannot be read, or a file not be written; nothing is written in the model's own place.
pub fn run(args: &ExportArgs) -> Result<()> {
    let format = format(args)?;
    let (own, model) = model_at(&args.model)?;
    let files = model.export(format)?;
    let is_folder = files.len() > 1;
    let paths: Vec<PathBuf> = match is_folder {
        false => vec![args.out.clone()],
        true => files.iter().map(|file| args.out.join(file.name)).collect(),
    };
    let own = own.canonicalize().ok();
    if own.is_some() && paths.iter().any(|path| path.canonicalize().ok() == own) {
        bail!(
            "--out {}: the model itself is there; choose another",
            args.out.display()
        );
    }
    if is_folder {
        make_folder("--out", &args.out)?;
    }
    for (path, file) in paths.iter().zip(&files) {
        write_file(path, &file.bytes)?;
    }
    let lines = paths.iter().zip(&files);
    let lines =
        lines.map(|(path, file)| format!("{} {} bytes\n", path.display(), file.bytes.len()));
    Ok(print(&lines.collect::<String>())?)
}

fn format(args: &ExportArgs) -> Result<ExportFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let end = args
        .out
        .extension()
        .map(std::ffi::OsStr::to_ascii_lowercase);
    match end.as_deref().and_then(|end| end.to_str()) {
        Some("onnx") => Ok(ExportFormat::Onnx),
        Some("npz") => Ok(ExportFormat::Npz),
        None => Ok(ExportFormat::Torch),
        Some(end) => bail!("--out ..{end}: no format ends so; give --format onnx, torch or npz"),
    }
}
