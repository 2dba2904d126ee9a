//! `lagrange network`: the layers of a configured network, with their shapes and what a step sends for them.

use crate::args::RunArgs;
use crate::output::{print, print_json};
use anyhow::Result;
use clap::Args;
use lagrange::{RunSpec, run_spec, summarise};
use lagrange_core::equations::EquationLayout;
use lagrange_core::network::{NETWORK_PRESETS, Stage};
use serde::Serialize;
use std::fmt::Write as _;

/// `lagrange network`
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The run whose network is shown; --run-dir and --quiet are of no effect.
    #[command(flatten)]
    pub run: RunArgs,
    /// List the networks that have a name.
    #[arg(long)]
    pub list: bool,
}

/// A network and its costs.
#[derive(Debug, Serialize)]
struct Summary {
    /// One line, as in the model file.
    network: String,
    layers: Vec<Layer>,
    weights: usize,
    /// Bytes of all weights: what a step sends to each worker.
    weight_bytes: usize,
    /// Bytes of a step's sums: what each worker sends back, plain and with Gram matrices.
    sum_bytes: usize,
    sum_bytes_with_gram: usize,
    /// Steps between sums with Gram matrices.
    gram_every: u64,
}

/// One layer.
#[derive(Debug, Serialize)]
struct Layer {
    layer: String,
    /// Height, width and channels after pooling.
    output: [usize; 3],
    weights: usize,
    /// Toeplitz rows of one sample: equations per output channel.
    equations: usize,
    /// d: unknowns of each output channel.
    unknowns: usize,
}

/// Runs the command.
///
/// # Errors
/// If the configuration makes no network on this data.
pub fn run(args: &NetworkArgs) -> Result<()> {
    if args.list {
        let lines = NETWORK_PRESETS.iter();
        let lines = lines.map(|(name, about)| format!("{name:<10} {about}\n"));
        return Ok(print(&lines.collect::<String>())?);
    }
    let data = summarise(args.run.data.source().as_ref())?.dataset;
    let summary = summary(&run_spec(args.run.configuration()?, &data)?);
    match args.run.json {
        true => Ok(print_json(&summary)?),
        false => Ok(print(&table(&summary))?),
    }
}

fn summary(spec: &RunSpec) -> Summary {
    let network = spec.network();
    let stages = network.stages().iter().enumerate();
    let bytes = |gram| size_of::<f32>() * EquationLayout::new(&network, gram).len();
    Summary {
        network: network.describe(),
        layers: stages
            .map(|(index, stage)| layer(stage, index + 1 == network.len()))
            .collect(),
        weights: network.weights(),
        weight_bytes: size_of::<f32>() * network.weights(),
        sum_bytes: bytes(false),
        sum_bytes_with_gram: bytes(true),
        gram_every: spec.config().schedule.gram_every,
    }
}

fn layer(stage: &Stage, is_last: bool) -> Layer {
    let output = stage.output;
    Layer {
        layer: stage.describe(is_last),
        output: [output.height, output.width, output.channels],
        weights: stage.weights(),
        equations: stage.rows(),
        unknowns: stage.unknowns(),
    }
}

fn table(summary: &Summary) -> String {
    let mut text = format!(
        "{:<44} {:>14} {:>10} {:>10} {:>9}\n",
        "layer", "output", "weights", "equations", "unknowns"
    );
    for layer in &summary.layers {
        let [height, width, channels] = layer.output;
        let output = format!("{height} x {width} x {channels}");
        let _ = writeln!(
            text,
            "{:<44} {output:>14} {:>10} {:>10} {:>9}",
            layer.layer, layer.weights, layer.equations, layer.unknowns
        );
    }
    let mega = |bytes: usize| bytes as f64 / 1e6;
    let _ = writeln!(
        text,
        "{} weights. Equations are those of one sample and output channel. A step sends every worker {:.2} MB and\n\
         gets {:.2} MB from it, every {} steps {:.2} MB with the Gram matrices.",
        summary.weights,
        mega(summary.weight_bytes),
        mega(summary.sum_bytes),
        summary.gram_every,
        mega(summary.sum_bytes_with_gram)
    );
    text
}
