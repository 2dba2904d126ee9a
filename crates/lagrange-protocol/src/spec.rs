//! What every worker must know of a run, validated on both sides.

use crate::limits::MAX_SHARDS;
use crate::{ConversionError, v1};
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::loss::Loss;
use lagrange_core::network::{Network, NetworkError, NetworkSpec, Padding, Shape, StageSpec};
use lagrange_core::schedule::streaming::StepParams;
use lagrange_data::Task;

/// A run as its workers see it. Fixed for its whole length.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    /// Key of every random draw.
    pub seed: u64,
    /// What the network is asked.
    pub task: Task,
    /// Logical shards.
    pub shards: usize,
    /// Use only the first so many training images.
    pub train_limit: Option<usize>,
    /// Hold out so many of the last training images.
    pub validation: usize,
    /// Hidden stages.
    pub network: NetworkSpec,
    /// Side of the square, one-channel images.
    pub side: usize,
    /// Samples a step takes of every shard.
    pub batch_per_shard: usize,
    /// Parameters of a shard's part of a step.
    pub step: StepParams,
    /// Images each shard samples for the k-means start.
    pub start_images: usize,
    /// Patches each shard samples for the k-means start.
    pub start_patches: usize,
}

/// Largest count accepted where memory is proportional to it.
const MAX_COUNT: u32 = 1 << 20;

impl RunSpec {
    /// The network of this run.
    ///
    /// # Errors
    /// [`NetworkError`], naming the stage and the field at fault.
    pub fn resolve(&self) -> Result<Network, NetworkError> {
        let input = Shape {
            height: self.side,
            width: self.side,
            channels: 1,
        };
        Network::resolve(&self.network, input, self.task.outputs())
    }
}

impl From<&RunSpec> for v1::RunSpec {
    fn from(spec: &RunSpec) -> Self {
        let stages = spec.network.stages.iter().map(|stage| v1::StageSpec {
            kernel: stage.kernel as u32,
            channels: stage.channels as u32,
            padding: match stage.padding {
                Padding::Valid => v1::Padding::Valid,
                Padding::Same => v1::Padding::Same,
            }
            .into(),
        });
        Self {
            seed: spec.seed,
            task: match spec.task {
                Task::OddEven => v1::Task::OddEven,
                Task::Digits => v1::Task::Digits,
            }
            .into(),
            shards: spec.shards as u32,
            train_limit: spec.train_limit.unwrap_or(0) as u64,
            validation: spec.validation as u64,
            stages: stages.collect(),
            side: spec.side as u32,
            batch_per_shard: spec.batch_per_shard as u32,
            step: Some(step_to_wire(&spec.step)),
            start_images: spec.start_images as u32,
            start_patches: spec.start_patches as u32,
        }
    }
}

impl TryFrom<v1::RunSpec> for RunSpec {
    type Error = ConversionError;

    fn try_from(spec: v1::RunSpec) -> Result<Self, ConversionError> {
        let task = match spec.task() {
            v1::Task::OddEven => Task::OddEven,
            v1::Task::Digits => Task::Digits,
            v1::Task::Unspecified => return Err(unknown("spec.task", spec.task)),
        };
        let stages = spec.stages.iter().map(stage_from_wire);
        Ok(Self {
            seed: spec.seed,
            task,
            shards: within("spec.shards", spec.shards, 1, MAX_SHARDS)?,
            train_limit: match size("spec.train_limit", spec.train_limit)? {
                0 => None,
                limit => Some(limit),
            },
            validation: size("spec.validation", spec.validation)?,
            network: NetworkSpec {
                stages: stages.collect::<Result<_, _>>()?,
            },
            side: within("spec.side", spec.side, 1, 4096)?,
            batch_per_shard: within("spec.batch_per_shard", spec.batch_per_shard, 1, MAX_COUNT)?,
            step: step_from_wire(&spec.step.ok_or(ConversionError::Missing("spec.step"))?)?,
            start_images: within("spec.start_images", spec.start_images, 1, MAX_COUNT)?,
            start_patches: within("spec.start_patches", spec.start_patches, 1, MAX_COUNT)?,
        })
    }
}

fn stage_from_wire(stage: &v1::StageSpec) -> Result<StageSpec, ConversionError> {
    Ok(StageSpec {
        kernel: within("spec.stages.kernel", stage.kernel, 1, 255)?,
        channels: within("spec.stages.channels", stage.channels, 1, 4096)?,
        padding: match stage.padding() {
            v1::Padding::Valid => Padding::Valid,
            v1::Padding::Same => Padding::Same,
            v1::Padding::Unspecified => {
                return Err(unknown("spec.stages.padding", stage.padding));
            }
        },
    })
}

fn step_to_wire(step: &StepParams) -> v1::StepParams {
    v1::StepParams {
        loss: match step.loss {
            Loss::Squared => v1::Loss::Squared,
            Loss::SquaredHinge => v1::Loss::SquaredHinge,
            Loss::Hinge => v1::Loss::Hinge,
        }
        .into(),
        beta: step.beta,
        gamma: step.gamma,
        beta_output: step.beta_output,
        activation: match step.activation {
            ActivationUpdate::OneStep => v1::ActivationUpdate::OneStep,
            ActivationUpdate::Exact => v1::ActivationUpdate::Exact,
        }
        .into(),
        gram_rows: step.gram_rows as u32,
    }
}

fn step_from_wire(step: &v1::StepParams) -> Result<StepParams, ConversionError> {
    Ok(StepParams {
        loss: match step.loss() {
            v1::Loss::Squared => Loss::Squared,
            v1::Loss::SquaredHinge => Loss::SquaredHinge,
            v1::Loss::Hinge => Loss::Hinge,
            v1::Loss::Unspecified => return Err(unknown("spec.step.loss", step.loss)),
        },
        beta: positive("spec.step.beta", step.beta)?,
        gamma: positive("spec.step.gamma", step.gamma)?,
        beta_output: positive("spec.step.beta_output", step.beta_output)?,
        activation: match step.activation() {
            v1::ActivationUpdate::OneStep => ActivationUpdate::OneStep,
            v1::ActivationUpdate::Exact => ActivationUpdate::Exact,
            v1::ActivationUpdate::Unspecified => {
                return Err(unknown("spec.step.activation", step.activation));
            }
        },
        gram_rows: within("spec.step.gram_rows", step.gram_rows, 1, MAX_COUNT)?,
    })
}

fn unknown(field: &'static str, value: i32) -> ConversionError {
    ConversionError::UnknownValue { field, value }
}

fn within(field: &'static str, value: u32, low: u32, high: u32) -> Result<usize, ConversionError> {
    if (low..=high).contains(&value) {
        Ok(value as usize)
    } else {
        Err(ConversionError::OutOfRange(field))
    }
}

fn size(field: &'static str, value: u64) -> Result<usize, ConversionError> {
    usize::try_from(value).map_err(|_| ConversionError::OutOfRange(field))
}

fn positive(field: &'static str, value: f32) -> Result<f32, ConversionError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ConversionError::OutOfRange(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    fn spec() -> RunSpec {
        RunSpec {
            seed: 5,
            task: Task::Digits,
            shards: 16,
            train_limit: Some(1000),
            validation: 10,
            network: NetworkSpec::default(),
            side: 28,
            batch_per_shard: 16,
            step: StepParams {
                loss: Loss::Hinge,
                beta: 1.0,
                gamma: 2.0,
                beta_output: 0.5,
                activation: ActivationUpdate::Exact,
                gram_rows: 64,
            },
            start_images: 125,
            start_patches: 940,
        }
    }

    #[test]
    fn a_spec_survives_the_wire() {
        let spec = spec();
        let wire = v1::RunSpec::from(&spec);
        let decoded = v1::RunSpec::decode(wire.encode_to_vec().as_slice()).expect("decodes");
        assert_eq!(RunSpec::try_from(decoded), Ok(spec));
    }

    #[test]
    fn each_bad_field_is_named() {
        let broken = |change: fn(&mut v1::RunSpec)| {
            let mut wire = v1::RunSpec::from(&spec());
            change(&mut wire);
            RunSpec::try_from(wire).expect_err("refused").to_string()
        };
        assert!(broken(|w| w.task = 9).contains("spec.task"));
        assert!(broken(|w| w.shards = 0).contains("spec.shards"));
        assert!(broken(|w| w.batch_per_shard = u32::MAX).contains("spec.batch_per_shard"));
        assert!(broken(|w| w.stages[1].padding = 0).contains("spec.stages.padding"));
        assert!(broken(|w| w.step = None).contains("spec.step"));
        assert!(
            broken(|w| w.step.iter_mut().for_each(|s| s.beta = f32::NAN))
                .contains("spec.step.beta")
        );
        assert!(broken(|w| w.step.iter_mut().for_each(|s| s.loss = 0)).contains("spec.step.loss"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_a_spec_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(wire) = v1::RunSpec::decode(bytes.as_slice())
                && let Ok(spec) = RunSpec::try_from(wire) {
                    let _ = spec.resolve();
                }
            let _ = v1::WorkerMessage::decode(bytes.as_slice());
            let _ = v1::CoordinatorMessage::decode(bytes.as_slice());
        }
    }
}
