//! Sizes of a job's messages, which bound every payload before it is allocated.

use crate::limits::MAX_VALUES;
use crate::{ConversionError, Job, RunSpec};
use lagrange_core::network::{Network, Stage};
use lagrange_core::schedule::{Schedule, Sizes};

/// Samples, correct predictions and summed loss of an evaluation.
const EVALUATION_SCALARS: usize = 3;

/// Sizes of `job` in the run of `spec` with its `network` and `schedule`.
///
/// ```
/// # use lagrange_protocol::{Config, DatasetFacts, RunSpec};
/// # let spec = RunSpec::new(Config::default(), DatasetFacts::mnist())?;
/// use lagrange_protocol::{Job, sizes_of};
///
/// let network = spec.network();
/// let schedule = spec.schedule(&network);
/// // Sum and sum of squares of each of 32 channels.
/// let sizes = sizes_of(Job::Moments { stage: 1 }, &spec, &network, &*schedule)?;
/// assert_eq!((sizes.shared, sizes.sums), (network.weights(), 2 * 32));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConversionError::OutOfRange`] if the run has no such job, or it is too large.
pub fn sizes_of(
    job: Job,
    spec: &RunSpec,
    network: &Network,
    schedule: &dyn Schedule,
) -> Result<Sizes, ConversionError> {
    let sizes = unbounded(job, network, schedule)?;
    // Values drawn by a shard, sent or not.
    let widest = network
        .stages()
        .iter()
        .map(Stage::unknowns)
        .max()
        .unwrap_or(0);
    let config = spec.config();
    let drawn = config.schedule.gram_rows.max(config.start.patches) / spec.shards() * widest;
    let all = [
        sizes.shared,
        sizes.rows_in,
        sizes.sums,
        sizes.rows_out,
        drawn,
    ];
    match all.iter().any(|&size| size > MAX_VALUES) {
        true => Err(ConversionError::OutOfRange("job")),
        false => Ok(sizes),
    }
}

fn unbounded(
    job: Job,
    network: &Network,
    schedule: &dyn Schedule,
) -> Result<Sizes, ConversionError> {
    let hidden = |stage: usize| {
        let stage = network.hidden().get(stage);
        stage.ok_or(ConversionError::OutOfRange("job.stage"))
    };
    let plain = Sizes {
        shared: network.weights(),
        ..Sizes::default()
    };
    Ok(match job {
        Job::InitialCentroids { stage } => {
            let stage = hidden(stage)?;
            Sizes {
                sums: stage.conv.channels * stage.patch(),
                ..plain
            }
        }
        Job::Cluster { stage } => {
            let stage = hidden(stage)?;
            Sizes {
                shared: plain.shared + stage.conv.channels * stage.patch(),
                sums: stage.conv.channels * stage.unknowns(),
                ..plain
            }
        }
        Job::Moments { stage } => Sizes {
            sums: 2 * hidden(stage)?.conv.channels,
            ..plain
        },
        Job::Round(round) => schedule
            .sizes(round)
            .ok_or(ConversionError::OutOfRange("job.round"))?,
        Job::Evaluate { .. } => Sizes {
            scalars: EVALUATION_SCALARS,
            ..plain
        },
    })
}
