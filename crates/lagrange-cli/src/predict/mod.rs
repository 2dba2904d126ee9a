//! `lagrange predict`: what a trained model says of pictures.

mod table;

use crate::export::model_at;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use lagrange::{Images, Model};
use lagrange_import::{Unlabelled, unlabelled};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use table::Writer;

/// `lagrange predict`
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// Pictures, folders of pictures, patterns such as 'new/*.png', .npz, .npy or IDX files; - reads paths
    /// from stdin, one a line.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How to print [default: table on a terminal, else csv].
    #[arg(long, value_enum)]
    pub format: Option<PredictFormat>,
    /// Print the most probable so many classes.
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
}

/// Format of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PredictFormat {
    /// Columns for people.
    Table,
    /// file,label,probability, and three columns more for each further class of --top.
    Csv,
    /// One array.
    Json,
    /// An object a line; in both kinds of JSON with the network's outputs, `scores`.
    Jsonl,
}

/// What a model says of one picture.
struct Prediction {
    file: String,
    /// Names and probabilities of the classes, the most probable first; none where the model says nothing.
    classes: Vec<(String, f32)>,
    /// The network's outputs.
    scores: Vec<f32>,
}

/// Runs the command; whether every picture could be read.
///
/// # Errors
/// If the model cannot be read, there is nothing at a path, or stdout does not take the result.
pub fn run(args: &PredictArgs) -> Result<bool> {
    let (_, model) = model_at(&args.model)?;
    let paths = paths(&args.paths)?;
    let mut writer = Writer::new(args.format, args.top.into())?;
    let (mut unreadable, mut failed) = (0, None);
    for path in paths {
        unlabelled(&path, model.network.input(), &mut |pictures| {
            let said = say(&model, pictures, args.top.into(), &mut unreadable);
            if let (Err(error), None) = (said.and_then(|said| writer.add(said)), &failed) {
                failed = Some(error);
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    writer.finish()?;
    Ok(unreadable == 0)
}

/// What `model` says of those pictures that could be read; the others are named on stderr.
fn say(
    model: &Model,
    pictures: Vec<Unlabelled>,
    top: usize,
    unreadable: &mut usize,
) -> Result<Vec<Prediction>> {
    let (mut files, mut pixels) = (Vec::new(), Vec::new());
    for Unlabelled { name, pixels: read } in pictures {
        match read {
            Ok(read) => {
                files.push(name);
                pixels.extend(read);
            }
            Err(fault) => {
                *unreadable += 1;
                tell(format_args!("error: {name}: {fault}"));
            }
        }
    }
    predictions(model, files, pixels, top)
}

/// What `model` says of pictures with these names, `[n, height, width, channels]`.
fn predictions(
    model: &Model,
    files: Vec<String>,
    pixels: Vec<u8>,
    top: usize,
) -> Result<Vec<Prediction>> {
    let input = model.network.input();
    let images = Images {
        height: input.height,
        width: input.width,
        channels: input.channels,
        pixels,
    };
    let scores = model.scores(&images)?;
    let outputs = scores.chunks_exact(model.network.outputs());
    let said = files
        .into_iter()
        .zip(outputs)
        .map(|(file, outputs)| Prediction {
            file,
            classes: named(model, outputs, top),
            scores: outputs.to_vec(),
        });
    Ok(said.collect())
}

/// Names and probabilities of the first `top` classes of [`Model::ranked`].
fn named(model: &Model, outputs: &[f32], top: usize) -> Vec<(String, f32)> {
    let names = model.question.names();
    let ranked = model.ranked(outputs).into_iter().take(top);
    ranked
        .map(|(class, share)| (names[class].clone(), share))
        .collect()
}

/// Paths as given, with patterns and the list on stdin written out.
fn paths(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in given {
        if path == Path::new("-") {
            for line in std::io::stdin().lock().lines() {
                let line = line.context("stdin: not a list of paths")?;
                paths.extend((!line.trim().is_empty()).then(|| PathBuf::from(line)));
            }
            continue;
        }
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
        match pattern.filter(|_| !path.exists()) {
            None => paths.push(path.clone()),
            Some(pattern) => {
                let before = paths.len();
                for found in glob::glob(pattern).with_context(|| format!("pattern {pattern}"))? {
                    paths.push(found?);
                }
                if paths.len() == before {
                    bail!("{pattern}: there is no such file");
                }
            }
        }
    }
    if paths.is_empty() {
        bail!("stdin: there is no path in it");
    }
    Ok(paths)
}
