//! The command line.

use crate::certs::certifiable;
use crate::compare::Row;
use crate::seeds::Seeds;
use crate::sweep::Grid;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lagrange_coordinator::Rules;
use lagrange_data::Task;
use lagrange_protocol::{Address, Host, listen_address};
use serde::Serialize;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 training diverged, 130 interrupted (what there is, is saved).";

/// Trains convolutional networks without back-propagation, by ADMM, across processes and machines.
#[derive(Debug, Parser)]
#[command(name = "lagrange", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Log filter for stderr, for example `info` or `warn,lagrange_coordinator=debug`.
    #[arg(
        long,
        global = true,
        env = "LAGRANGE_LOG",
        default_value = "warn",
        value_name = "FILTER",
        value_parser = log_filter
    )]
    pub log: String,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train on this machine: a coordinator and local worker processes, in one command.
    Train(TrainArgs),
    /// Run a coordinator that workers elsewhere dial.
    Coordinator(CoordinatorArgs),
    /// Run a worker of a coordinator elsewhere.
    Worker(WorkerArgs),
    /// Measure a trained model: accuracy and confusion matrix.
    Evaluate(EvaluateArgs),
    /// Train every system on the same data and print one table: ADMM old and new, back-propagation, closed forms.
    Compare(CompareArgs),
    /// Train settings x seeds and summarise them on held-out images; goes on where it was stopped.
    Sweep(SweepArgs),
    /// Train one of the systems that ADMM is compared with.
    Baseline(BaselineArgs),
    /// Measure this machine: every kernel against matrix multiplication, and short runs with 1, 2, .. workers.
    Bench(BenchArgs),
    /// Show configurations.
    Config(ConfigArgs),
    /// Make a private authority, certificates for coordinator and workers, and a join token.
    Certs(CertsArgs),
}

/// Flags that a resumed run has decided already.
pub(crate) const DECIDED: [&str; 8] = [
    "preset",
    "config",
    "set",
    "task",
    "seed",
    "train_limit",
    "validation",
    "run_dir",
];

/// What decides a run, and where its results go.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Named configuration to start from [default: the task's name]; see `lagrange config presets`.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one configuration key; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What the network is asked: odd-even or digits.
    #[arg(long)]
    pub task: Option<Task>,
    /// Key of every random draw.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub seed: Option<u64>,
    /// Passes over the training data; a part of one, such as 0.5, will do. With --resume: passes of the whole run, those
    /// done counted; step lengths go on where a run of that length has them, and fall to 0 at its end.
    #[arg(long)]
    pub epochs: Option<f64>,
    /// Use only the first so many training images.
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// Hold out so many training images to choose settings on.
    #[arg(long, value_name = "N")]
    pub validation: Option<usize>,
    /// Directory with the four IDX files of an MNIST-like set of square images [default: the embedded MNIST].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder for configuration, metrics, model and result [default: runs/TASK-seedN-TIME].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// End stdout with the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub quiet: bool,
}

/// How a run treats its workers. Nothing here changes its result.
#[derive(Debug, Clone, Args)]
pub struct RuleArgs {
    /// Seconds that a worker may be silent before its share is given to others.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, env = "LAGRANGE_LEASE")]
    pub lease: Duration,
    /// Workers below which the run waits for more.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        env = "LAGRANGE_MIN_WORKERS"
    )]
    pub min_workers: NonZeroUsize,
    /// Seconds to wait for more workers once there are too few.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, env = "LAGRANGE_GRACE")]
    pub grace: Duration,
    /// Give a share also to an idle worker once it takes so many times what nine in ten took; 0 for never.
    #[arg(long, value_name = "TIMES", default_value = "3", value_parser = times)]
    pub speculate: f64,
    /// Seconds between checkpoints; 0 leaves it to --checkpoint-steps.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds_or_none)]
    pub checkpoint_seconds: Interval,
    /// Steps between checkpoints; 0 leaves it to --checkpoint-seconds.
    #[arg(long, value_name = "N", default_value = "0")]
    pub checkpoint_steps: u64,
}

/// A time between two events, or never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval(pub Option<Duration>);

impl RuleArgs {
    /// The rules of a run that begins with `workers` workers.
    #[must_use]
    pub fn rules(&self, workers: usize) -> Rules {
        Rules {
            workers,
            minimum: self.min_workers.into(),
            grace: self.grace,
            lease: self.lease,
            speculate: self.speculate,
            checkpoint_steps: self.checkpoint_steps,
            checkpoint_interval: self.checkpoint_seconds.0,
            ..Rules::default()
        }
    }
}

/// Integers of a TOML file go no further.
const LARGEST_SEED: u64 = i64::MAX as u64;

/// A filter that means something: a word that is no level would be taken for the name of a module, and hide warnings.
fn log_filter(text: &str) -> Result<String, String> {
    let advice =
        "give a level (off, error, warn, info, debug, trace), or MODULE=LEVEL, separated by commas";
    let plain = |part: &str| {
        let level = part
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok();
        level || part.contains(['=', '[']) || part.starts_with("lagrange")
    };
    let filter =
        tracing_subscriber::EnvFilter::try_new(text).map_err(|e| format!("{e}; {advice}"))?;
    match text.split(',').find(|part| !plain(part.trim())) {
        Some(word) => Err(format!("`{word}` is no level; {advice}")),
        None => Ok(filter.to_string()),
    }
}

/// A time between a twentieth of a second and a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.05..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds between 0.05 and 86400".to_owned())
}

fn seconds_or_none(text: &str) -> Result<Interval, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(Interval(None)),
        _ => seconds(text).map(|interval| Interval(Some(interval))),
    }
}

fn times(text: &str) -> Result<f64, String> {
    let times = text.parse::<f64>().ok();
    times
        .filter(|&times| times == 0.0 || (1.0..=1e6).contains(&times))
        .ok_or_else(|| "give 0, or a number between 1 and 1000000".to_owned())
}

/// Who may join, and who may read what is sent.
#[derive(Debug, Clone, Default, Args)]
pub struct SecurityArgs {
    /// Folder with certificates as `lagrange certs` makes them: encrypts everything, and both sides must show theirs. Its file `token`, if there is one,
    /// is the join token.
    #[arg(long, value_name = "DIR", env = "LAGRANGE_TLS")]
    pub tls: Option<PathBuf>,
    /// File with the join token, which a worker must show.
    #[arg(long, value_name = "FILE", env = "LAGRANGE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Allow plain text to leave this machine: anybody on the way can then read and change it.
    #[arg(long, env = "LAGRANGE_INSECURE", value_parser = BoolishValueParser::new())]
    pub insecure: bool,
}

/// `lagrange certs`
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Folder to make them in.
    pub folder: PathBuf,
    /// Host names and addresses by which workers dial the coordinator, without ports.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_values = ["localhost", "127.0.0.1", "::1"],
        value_parser = certifiable
    )]
    pub host: Vec<Host>,
    /// Days that they are good for.
    #[arg(long, value_name = "N", default_value = "365", value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
    /// Do nothing if the folder has certificates already.
    #[arg(long)]
    pub keep: bool,
}

/// `lagrange train`
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Go on with the run of this folder, from its last checkpoint. Its configuration is the folder's; the number of workers may be
    /// another. A run that is complete goes on for more --epochs.
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Its rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// How often worker processes that die are started again, over the whole run.
    #[arg(long, value_name = "N", default_value = "16")]
    pub restarts: u32,
    /// Worker processes [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads of each worker [default: cores / workers, at least 1].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Run the workers as tasks of this process.
    #[arg(long)]
    pub in_process: bool,
    /// Address for the local coordinator; one that other machines reach needs --tls.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0",
        value_parser = listen_address,
        env = "LAGRANGE_LISTEN"
    )]
    pub listen: SocketAddr,
    /// End when stdin closes: for runs started by `sweep`, `compare` and `bench`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// `lagrange coordinator`
#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Go on with the run of this folder, from its last checkpoint. Its configuration is the folder's; the number of workers may be
    /// another. A run that is complete goes on for more --epochs.
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Its rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// Address to listen on; one that other machines reach needs --tls.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7400",
        value_parser = listen_address,
        env = "LAGRANGE_LISTEN"
    )]
    pub listen: SocketAddr,
    /// Workers to wait for before training starts; more may join later.
    #[arg(long, value_name = "N", default_value = "1", env = "LAGRANGE_WORKERS")]
    pub workers: NonZeroUsize,
    /// Seconds to wait for them.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub join_timeout: Duration,
}

/// `lagrange worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// Address of the coordinator.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:7400",
        env = "LAGRANGE_CONNECT"
    )]
    pub connect: Address,
    /// Threads to compute on [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Directory with the four IDX files of an MNIST-like set of square images [default: the embedded MNIST].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Seconds to keep trying to reach the coordinator, at first and whenever the connection is lost. What
    /// no further try can mend ends at once.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, env = "LAGRANGE_CONNECT_TIMEOUT")]
    pub connect_timeout: Duration,
    /// Join only a run of this configuration file's network and task.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stop when stdin closes and leave Ctrl-C to the parent: for workers started by `train`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// `lagrange evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// Directory with the four IDX files of an MNIST-like set of square images [default: the embedded MNIST].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lagrange compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What the networks are asked: odd-even or digits.
    #[arg(long, default_value_t)]
    pub task: Task,
    /// Seeds, for example 0..5 or 0,3,7.
    #[arg(long, default_value = "0..5")]
    pub seeds: Seeds,
    /// Use only the first so many training images.
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// One seed and 10,000 images: minutes instead of hours.
    #[arg(long)]
    pub quick: bool,
    /// Only these rows, for example streaming,adam.
    #[arg(long, value_name = "ROWS", value_delimiter = ',', value_parser = crate::compare::named)]
    pub only: Vec<Row>,
    /// Folder for the table and for each run.
    #[arg(long, value_name = "DIR", default_value = "runs/compare")]
    pub out: PathBuf,
    /// Directory with the four IDX files of an MNIST-like set of square images [default: the embedded MNIST].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// End stdout with the table as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub quiet: bool,
}

/// `lagrange sweep`
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// The runs; needs --validation.
    #[command(flatten)]
    pub run: RunArgs,
    /// A key and the values it takes; several grids are crossed.
    #[arg(long, value_name = "KEY=V1,V2")]
    pub grid: Vec<Grid>,
    /// Seeds, for example 0..5 or 0,3,7.
    #[arg(long, default_value = "0..3")]
    pub seeds: Seeds,
    /// Folder for the runs and the summary.
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    pub out: PathBuf,
    /// Also report the test accuracy of the setting that was selected.
    #[arg(long)]
    pub report_test: bool,
    /// Worker processes of each run [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads of each worker [default: cores / workers, at least 1].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
}

/// What the trainer is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineKind {
    /// Back-propagation with plain SGD on one hidden stage of 16 kernels.
    Vanilla,
    /// Back-propagation with Adam on the configured network.
    Adam,
    /// Ridge regression on pixels.
    Ridge,
    /// Random kernels and ridge regression on the last stage.
    RandomFilters,
}

impl std::fmt::Display for BaselineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Ok(()),
        }
    }
}

/// `lagrange baseline`
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Which one.
    pub kind: BaselineKind,
    /// The run: task, seed, data, network and epochs count; settings of ADMM are of no effect.
    #[command(flatten)]
    pub run: RunArgs,
    /// End when stdin closes: for runs started by `compare`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// `lagrange bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure: network, batch and schedule; --run-dir and --quiet are of no effect.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `lagrange config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `lagrange config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that `train` with the same flags would use.
    Show(RunArgs),
    /// List the presets.
    Presets,
}
