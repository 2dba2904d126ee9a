//! `lagrange predict`: what a trained model says of pictures.

mod table;

use crate::output::tell;
use crate::trained::model_at;
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use lagrange::{Images, Model};
use lagrange_import::{Unlabelled, unlabelled};
use std::io::BufRead as _;
use std::ops::ControlFlow;
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
/// If the model cannot be read, a pattern or the list is none, or stdout does not take the result.
pub fn run(args: &PredictArgs) -> Result<bool> {
    let (_, model) = model_at(&args.model)?;
    let mut writer = Writer::new(args.format, args.top.into())?;
    let (mut unreadable, mut failed) = (0, None);
    let paths = &mut |path: &Path| {
        let seen = unlabelled(path, model.network.input(), &mut |pictures| {
            let said = say(&model, pictures, args.top.into(), &mut unreadable);
            said.and_then(|said| writer.add(said))
                .unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
        });
        seen.unwrap_or_else(|error| {
            unreadable += 1;
            tell(format_args!("error: {error}"));
            ControlFlow::Continue(())
        })
    };
    each_path(&args.paths, paths)?;
    if let Some(error) = failed {
        return Err(error);
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

/// Gives paths to `each`, with patterns and the list on stdin written out, until it breaks.
fn each_path(given: &[PathBuf], each: &mut dyn FnMut(&Path) -> ControlFlow<()>) -> Result<()> {
    for path in given {
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
        let flow = match pattern.filter(|_| !path.exists()) {
            None if path == Path::new("-") => each_listed(each)?,
            None => each(path),
            Some(pattern) => matching(pattern)?.iter().try_for_each(|path| each(path)),
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Gives the paths on stdin, one a line, to `each` as they come.
fn each_listed(each: &mut dyn FnMut(&Path) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
    let (mut stdin, mut line, mut count) = (std::io::stdin().lock(), Vec::new(), 0);
    loop {
        line.clear();
        let read = stdin.read_until(b'\n', &mut line);
        if read.context("stdin: cannot be read")? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.trim_ascii().is_empty() {
            continue;
        }
        count += 1;
        if each(&path_of(text)?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    match count {
        0 => bail!("stdin: there is no path in it"),
        _ => Ok(ControlFlow::Continue(())),
    }
}

/// A path as its bytes, which need not be UTF-8.
#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    Ok(std::str::from_utf8(bytes)
        .context("stdin: a path is not UTF-8")?
        .into())
}

/// The files that a pattern stands for.
fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let found = glob::glob(pattern).with_context(|| format!("pattern {pattern}"))?;
    let paths: Vec<PathBuf> = found.collect::<Result<_, _>>()?;
    if paths.is_empty() {
        bail!("{pattern}: there is no such file");
    }
    Ok(paths)
}
