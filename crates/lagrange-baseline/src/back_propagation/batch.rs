//! The loss of a batch and its gradient: the sum over parts of the batch, which run side by side.
//!
//! Left to itself, candle spreads every operation on many values over threads of its own, which wait for each
//! other by spinning; parts below that size leave its operations whole and the processors to the parts. How a
//! batch is cut depends on the network alone, never on the number of threads.

use super::conv_net::ConvNet;
use crate::Problem;
use crate::problem::Samples;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor};
use candle_nn::loss::cross_entropy;
use lagrange_core::network::{Network, Shape, Stage};
use lagrange_data::Positions;
use rayon::prelude::*;

/// Values of a tensor from which on candle uses its own threads.
const MANY: usize = 64 * 1024;

/// Images of a part: as many as keep every tensor below [`MANY`] values, and at least one.
fn part_len(network: &Network) -> usize {
    let values = |stage: &Stage| (stage.rows() * stage.unknowns()).max(stage.conv.len());
    let largest = network.stages().iter().map(values).max().unwrap_or(MANY);
    ((MANY - 1) / largest).max(1)
}

/// The mean loss of the training images at `positions`, and its gradient.
pub(super) fn loss_and_gradient(
    net: &ConvNet,
    problem: &Problem,
    positions: Positions<'_>,
) -> Result<(f32, GradStore)> {
    let parts: Vec<(f32, GradStore)> = positions
        .par_chunks(part_len(net.network()))
        .map(|part| part_of(net, problem, part, positions.len()))
        .collect::<Result<_>>()?;
    let mut parts = parts.into_iter();
    let (mut loss, mut gradients) = parts.next().unwrap_or_default();
    for (part, summands) in parts {
        loss += part;
        for variable in net.variables() {
            if let (Some(sum), Some(summand)) = (gradients.get(variable), summands.get(variable)) {
                let sum = (sum + summand)?;
                gradients.insert(variable, sum);
            }
        }
    }
    Ok((loss, gradients))
}

/// What the images at `positions` add to the mean loss of `batch` images, and its gradient.
fn part_of(
    net: &ConvNet,
    problem: &Problem,
    positions: Positions<'_>,
    batch: usize,
) -> Result<(f32, GradStore)> {
    let (images, classes) = gather(problem, positions)?;
    let logits = logits(&net.forward(&images)?)?;
    let share = positions.len() as f64 / batch as f64;
    let loss = (cross_entropy(&logits, &classes)? * share)?;
    Ok((loss.to_scalar()?, loss.backward()?))
}

/// The images `[n, H, W, C]` and classes `[n]` at `positions`.
fn gather(problem: &Problem, positions: Positions<'_>) -> Result<(Tensor, Tensor)> {
    let Samples { images, labels } = &problem.train;
    let mut pixels: Vec<f32> = Vec::with_capacity(positions.len() * images.ncols());
    let mut classes = Vec::with_capacity(positions.len());
    for &position in positions {
        pixels.extend(images.row(position as usize));
        classes.push(problem.question.class_of(labels[position as usize]) as u32);
    }
    let Shape {
        height,
        width,
        channels,
    } = problem.shape;
    let shape = (positions.len(), height, width, channels);
    Ok((
        Tensor::from_vec(pixels, shape, &Device::Cpu)?,
        Tensor::new(classes, &Device::Cpu)?,
    ))
}

/// One logit per class `[n, classes]`, from outputs `[n, O]`. The logistic loss of an output z is the
/// cross-entropy of the logits 0 and z, which candle computes without overflow.
fn logits(outputs: &Tensor) -> Result<Tensor> {
    match outputs.dim(1)? {
        1 => Tensor::cat(&[&outputs.zeros_like()?, outputs], 1),
        _ => Ok(outputs.clone()),
    }
}
