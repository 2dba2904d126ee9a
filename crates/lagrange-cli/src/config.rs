//! `lagrange config`: shows and checks configurations.

use crate::args::RunArgs;
use crate::output::{print, print_json};
use anyhow::Result;
use clap::{Args, Subcommand};
use lagrange::{Config, RunSpec, presets, run_spec, summarise};
use serde::Serialize;

/// `lagrange config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `lagrange config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that `train` with the same flags would use.
    Show(Box<RunArgs>),
    /// Check the configuration that `train` with the same flags would use, and that it fits the data.
    Validate(Box<RunArgs>),
    /// List the presets.
    Presets,
}

/// A configuration that is in order.
#[derive(Debug, Serialize)]
struct Valid {
    task: String,
    seed: u64,
    epochs: f64,
    /// What it is on the data that are at hand, if it fits them.
    run: Option<FittedRun>,
    /// Why it does not fit the embedded MNIST, which nobody has asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_for_embedded: Option<String>,
}

/// A run of a configuration on some data.
#[derive(Debug, Serialize)]
struct FittedRun {
    data: String,
    classes: Vec<String>,
    train: usize,
    held_out: usize,
    network: String,
    weights: usize,
    batch: usize,
    steps: u64,
}

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong, or stdout does not take it.
pub fn run(args: &ConfigArgs) -> Result<()> {
    let text = match &args.command {
        ConfigCommand::Show(args) => args.configuration()?.to_toml(),
        ConfigCommand::Presets => {
            let line =
                |preset: lagrange::Preset| format!("{:<18} {}\n", preset.name, preset.about());
            presets().map(line).collect()
        }
        ConfigCommand::Validate(args) => {
            let valid = validate(args)?;
            match args.json {
                true => return print_json(&valid),
                false => written(&valid),
            }
        }
    };
    Ok(print(&text)?)
}

/// Checks the configuration of `args`: with --data also that it fits these, otherwise whether it would fit the
/// embedded MNIST, which is no error.
fn validate(args: &RunArgs) -> Result<Valid> {
    let config = args.configuration()?;
    config.check()?;
    let (run, not_for_embedded) = match (fit(args, config.clone()), &args.data.path) {
        (Ok(run), _) => (Some(run), None),
        (Err(error), Some(_)) => return Err(error),
        (Err(error), None) => (None, Some(error.to_string())),
    };
    Ok(Valid {
        task: config.task.to_string(),
        seed: config.seed,
        epochs: config.schedule.epochs,
        run,
        not_for_embedded,
    })
}

fn fit(args: &RunArgs, config: Config) -> Result<FittedRun> {
    let found = summarise(args.data.source().as_ref())?;
    let spec: RunSpec = run_spec(config, &found.dataset)?;
    let network = spec.network();
    let held_out = spec.held_out();
    let kept = spec.dataset().train - held_out;
    let limit = spec.config().train_limit;
    Ok(FittedRun {
        data: found.found.lines().next().unwrap_or_default().to_owned(),
        classes: spec.question().names().to_vec(),
        train: limit.map_or(kept, |limit| limit.min(kept)),
        held_out,
        network: network.describe(),
        weights: network.weights(),
        batch: spec.cut().samples * spec.shards(),
        steps: spec.total_steps(),
    })
}

fn written(valid: &Valid) -> String {
    let Valid {
        task, seed, epochs, ..
    } = valid;
    let mut rows = vec![
        ("configuration", "valid".to_owned()),
        ("task", task.clone()),
        ("seed", seed.to_string()),
        ("epochs", epochs.to_string()),
    ];
    if let Some(run) = &valid.run {
        let images = match run.held_out {
            0 => run.train.to_string(),
            held_out => format!("{}, {held_out} held out", run.train),
        };
        rows.extend([
            ("data", run.data.clone()),
            ("classes", run.classes.join(", ")),
            ("images", images),
            ("network", run.network.clone()),
            ("weights", run.weights.to_string()),
            ("steps", format!("{} of {} images", run.steps, run.batch)),
        ]);
    }
    if let Some(fault) = &valid.not_for_embedded {
        rows.push((
            "data",
            format!("not for the embedded MNIST ({fault}); --data PATH checks it for other data"),
        ));
    }
    let line = |(name, value): (&str, String)| format!("{name:<13}  {value}\n");
    rows.into_iter().map(line).collect()
}
