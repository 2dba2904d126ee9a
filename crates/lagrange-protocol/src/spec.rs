//! What every worker must know of a run, validated on both sides.

use crate::limits::MAX_SHARDS;
use crate::{ConversionError, v1};
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::loss::Loss;
use lagrange_core::network::{
    Activation, Network, NetworkError, NetworkSpec, Padding, Shape, StageSpec,
};
use lagrange_core::pooling::StaircaseUpdate;
use lagrange_core::schedule::classic::SweepParams;
use lagrange_core::schedule::streaming::StepParams;
use lagrange_data::{Augment, Normalisation, Task};

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
    /// The classic schedule, or streaming.
    pub sweep: Option<SweepParams>,
    /// Images each shard samples for the k-means start.
    pub start_images: usize,
    /// Patches each shard samples for the k-means start.
    pub start_patches: usize,
    /// Random movements of training images.
    pub augment: Augment,
    /// How pixels become inputs.
    pub normalisation: Normalisation,
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
            sweep: spec.sweep.as_ref().map(crate::sweep::to_wire),
            activation: match spec.network.activation {
                Activation::Relu => v1::Activation::Relu,
                Activation::Step => v1::Activation::Step,
                Activation::QuantisedRelu => v1::Activation::QuantisedRelu,
            }
            .into(),
            start_images: spec.start_images as u32,
            start_patches: spec.start_patches as u32,
            augment: Some(v1::Augment {
                shift: spec.augment.shift,
                rotate: spec.augment.rotate,
                scale: spec.augment.scale,
            }),
            normalisation: Some(v1::Normalisation {
                mean: spec.normalisation.mean(),
                standard_deviation: spec.normalisation.standard_deviation(),
            }),
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
                activation: match v1::Activation::try_from(spec.activation) {
                    Ok(v1::Activation::Relu) => Activation::Relu,
                    Ok(v1::Activation::Step) => Activation::Step,
                    Ok(v1::Activation::QuantisedRelu) => Activation::QuantisedRelu,
                    _ => return Err(unknown("spec.activation", spec.activation)),
                },
            },
            side: within("spec.side", spec.side, 1, 4096)?,
            batch_per_shard: within("spec.batch_per_shard", spec.batch_per_shard, 1, MAX_COUNT)?,
            step: step_from_wire(&spec.step.ok_or(ConversionError::Missing("spec.step"))?)?,
            sweep: spec
                .sweep
                .as_ref()
                .map(crate::sweep::from_wire)
                .transpose()?,
            start_images: within("spec.start_images", spec.start_images, 1, MAX_COUNT)?,
            start_patches: within("spec.start_patches", spec.start_patches, 1, MAX_COUNT)?,
            augment: augment_from_wire(spec.augment.unwrap_or_default())?,
            normalisation: normalisation_from_wire(spec.normalisation)?,
        })
    }
}

fn augment_from_wire(augment: v1::Augment) -> Result<Augment, ConversionError> {
    let augment = Augment {
        shift: augment.shift,
        rotate: augment.rotate,
        scale: augment.scale,
    };
    match augment.fault() {
        Some((field, ..)) => Err(ConversionError::OutOfRange(field)),
        None => Ok(augment),
    }
}

fn normalisation_from_wire(
    normalisation: Option<v1::Normalisation>,
) -> Result<Normalisation, ConversionError> {
    let field = "spec.normalisation";
    let wire = normalisation.ok_or(ConversionError::Missing(field))?;
    Normalisation::new(wire.mean, wire.standard_deviation).ok_or(ConversionError::OutOfRange(field))
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
        equations: step.equations,
        staircase: match step.staircase {
            StaircaseUpdate::Dithered => v1::StaircaseUpdate::Dithered,
            StaircaseUpdate::Exact => v1::StaircaseUpdate::Exact,
        }
        .into(),
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
        equations: not_negative("spec.step.equations", step.equations)?,
        staircase: match step.staircase() {
            v1::StaircaseUpdate::Dithered => StaircaseUpdate::Dithered,
            v1::StaircaseUpdate::Exact => StaircaseUpdate::Exact,
            v1::StaircaseUpdate::Unspecified => {
                return Err(unknown("spec.step.staircase", step.staircase));
            }
        },
    })
}

pub(crate) fn unknown(field: &'static str, value: i32) -> ConversionError {
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

pub(crate) fn not_negative(field: &'static str, value: f32) -> Result<f32, ConversionError> {
    if value.is_finite() && (0.0..=1e6).contains(&value) {
        Ok(value)
    } else {
        Err(ConversionError::OutOfRange(field))
    }
}

pub(crate) fn positive(field: &'static str, value: f32) -> Result<f32, ConversionError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ConversionError::OutOfRange(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_core::schedule::classic::{Fit, InitialState, Order, SolverKind};
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
                staircase: StaircaseUpdate::Exact,
                equations: 0.25,
            },
            sweep: Some(SweepParams {
                order: Order::OutputFirst,
                reset_every: 3,
                fit: Fit::Updated,
                initial: InitialState::Random,
                solver: SolverKind::PseudoInverse,
                equations: 2.0,
                screen: true,
                growth: 1.25,
            }),
            start_images: 125,
            start_patches: 940,
            augment: Augment {
                shift: 1.0,
                rotate: 5.0,
                scale: 0.1,
            },
            normalisation: Normalisation::new(0.286, 0.353).expect("sound"),
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
        assert!(broken(|w| w.normalisation = None).contains("spec.normalisation"));
        for (mean, standard_deviation) in [
            (f32::NAN, 0.3),
            (f32::INFINITY, 0.3),
            (0.1, f32::NAN),
            (0.1, f32::INFINITY),
            (0.1, 0.0),
            (0.1, -0.3),
        ] {
            let mut wire = v1::RunSpec::from(&spec());
            wire.normalisation = Some(v1::Normalisation {
                mean,
                standard_deviation,
            });
            assert_eq!(
                RunSpec::try_from(wire),
                Err(ConversionError::OutOfRange("spec.normalisation"))
            );
        }
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
