//! Stages from a specification, with the checks of every size.

use super::error::MAX_VALUES;
use super::{
    Kernel, LayerSpec, Link, Network, NetworkError, NetworkSpec, Padding, Place, Pool, Shape, Stage,
};

/// Largest side of an input, and largest number of channels and outputs.
pub(super) const MOST: usize = 4096;
/// Largest side of a kernel, and largest stride.
const MOST_KERNEL: usize = 255;

impl Network {
    /// Resolves `spec` for samples of shape `input` and `outputs` outputs.
    ///
    /// # Errors
    /// [`NetworkError`], naming the layer and the field at fault.
    pub fn resolve(spec: &NetworkSpec, input: Shape, outputs: usize) -> Result<Self, NetworkError> {
        let sizes = [input.height, input.width, input.channels, outputs];
        if sizes.iter().any(|size| !(1..=MOST).contains(size)) {
            return Err(NetworkError::BadInput {
                height: input.height,
                width: input.width,
                channels: input.channels,
                outputs,
            });
        }
        if spec.layers.is_empty() {
            return Err(NetworkError::NoStages);
        }
        let list = match spec.stages() {
            Some(_) => "stages",
            None => "layers",
        };
        let mut stages = Vec::with_capacity(spec.layers.len() + 1);
        let mut input = input;
        for (index, layer) in spec.layers.iter().enumerate() {
            let stage = resolve_layer(Place { list, index }, layer, input)?;
            input = stage.output;
            stages.push(stage);
        }
        let index = stages.len();
        let last = Stage::dense(input, outputs, Link::NONE);
        check_size(Place { list, index }, &last)?;
        stages.push(last);
        Ok(Self { stages })
    }
}

fn resolve_layer(place: Place, layer: &LayerSpec, input: Shape) -> Result<Stage, NetworkError> {
    let stage = match *layer {
        LayerSpec::Conv {
            channels,
            kernel,
            stride,
            padding,
            pool,
            activation,
        } => {
            in_range(place, "channels", channels, MOST)?;
            in_range(place, "kernel", kernel.height, MOST_KERNEL)?;
            in_range(place, "kernel", kernel.width, MOST_KERNEL)?;
            in_range(place, "stride", stride, MOST_KERNEL)?;
            check_pool(place, pool)?;
            let pad = zeros(place, padding, kernel)?;
            let link = Link { pool, activation };
            check_fit(place, input, kernel, pad)?;
            Stage::conv(input, kernel, stride, pad, channels, link)
        }
        LayerSpec::Dense {
            channels,
            activation,
        } => {
            in_range(place, "channels", channels, MOST)?;
            let pool = Pool::NONE;
            Stage::dense(input, channels, Link { pool, activation })
        }
    };
    if stage.output.is_empty() {
        return Err(does_not_fit(place, &stage));
    }
    check_size(place, &stage)?;
    Ok(stage)
}

fn in_range(
    place: Place,
    field: &'static str,
    value: usize,
    limit: usize,
) -> Result<(), NetworkError> {
    match (1..=limit).contains(&value) {
        true => Ok(()),
        false => Err(NetworkError::OutOfRange {
            place,
            field,
            value,
            limit,
        }),
    }
}

fn check_pool(place: Place, pool: Pool) -> Result<(), NetworkError> {
    match pool.most() {
        None => Ok(()),
        Some(most) => in_range(place, "pool.size", pool.size, most),
    }
}

/// Zeros on every side of the input.
fn zeros(place: Place, padding: Padding, kernel: Kernel) -> Result<usize, NetworkError> {
    match padding {
        Padding::Valid => Ok(0),
        Padding::Same if kernel.height != kernel.width || kernel.height.is_multiple_of(2) => {
            Err(NetworkError::NoSame {
                place,
                kernel: kernel.to_string(),
            })
        }
        Padding::Same => Ok((kernel.height - 1) / 2),
        Padding::Zeros(0) => Ok(0),
        // Patches that lie wholly in the padding are equations of the bias alone.
        Padding::Zeros(zeros) => {
            let limit = kernel.height.min(kernel.width) - 1;
            in_range(place, "padding", zeros, limit)?;
            Ok(zeros)
        }
    }
}

fn check_fit(place: Place, input: Shape, kernel: Kernel, pad: usize) -> Result<(), NetworkError> {
    let fits = |length: usize, kernel: usize| length + 2 * pad >= kernel;
    match fits(input.height, kernel.height) && fits(input.width, kernel.width) {
        true => Ok(()),
        false => Err(does_not_fit(
            place,
            &Stage::conv(input, kernel, 1, pad, 1, Link::NONE),
        )),
    }
}

fn does_not_fit(place: Place, stage: &Stage) -> NetworkError {
    NetworkError::DoesNotFit {
        place,
        height: stage.input.height,
        width: stage.input.width,
        kernel: stage.kernel.to_string(),
        window: stage.link.window(stage.conv).0,
    }
}

fn check_size(place: Place, stage: &Stage) -> Result<(), NetworkError> {
    // A last stage may cover a huge input: its Gram matrix alone can exceed what a usize counts.
    let unknowns = stage.unknowns();
    let values = stage
        .rows()
        .saturating_mul(unknowns)
        .max(stage.weights())
        .max(stage.conv.len())
        .max(unknowns.saturating_mul(unknowns + 1) / 2);
    match values > MAX_VALUES {
        true => Err(NetworkError::TooLarge { place, values }),
        false => Ok(()),
    }
}
