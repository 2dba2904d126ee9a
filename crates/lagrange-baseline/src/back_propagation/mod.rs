//! Back-propagation by candle: the ADMM trainer's network, start, batches and scoring, with another way to
//! the weights.

mod batch;
mod conv_net;
mod max_pool;
mod options;
#[cfg(test)]
mod tests;
mod unfold;

pub use options::{AdamOptions, Optimiser, SgdOptions};

use crate::problem::{Samples, Score};
use crate::{BaselineError, Problem};
use batch::loss_and_gradient;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Layout, Var, bail};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, SGD};
use conv_net::ConvNet;
use lagrange_core::forward::Forward;
use lagrange_core::network::{Link, Network};
use lagrange_core::start;
use lagrange_core::weights::Weights;
use lagrange_data::{BatchOrder, Question};
use std::time::Instant;

/// What back-propagation has reached.
#[derive(Debug, Clone, PartialEq)]
pub struct BackPropagated {
    /// How well the weights do, by the trainer's own forward pass.
    pub score: Score,
    /// The weights, in the trainer's layout.
    pub weights: Weights,
}

/// Trains `network` from He's random start of `seed`, as the trainer's own, on the logistic loss of one
/// output, or the softmax cross-entropy of several.
///
/// Batches are shuffled per epoch from `seed`; what does not fill a batch sits the epoch out. The threads are
/// rayon's: as many as `RAYON_NUM_THREADS` says, or one per processor. Their number does not change the
/// weights. Where that variable is not set, candle asks the system for the number of processors at every
/// product of matrices, which can double the time: set it to compare times.
///
/// # Errors
/// [`BaselineError::Option`] and [`BaselineError::BatchTooLarge`] for settings out of range,
/// [`BaselineError::Mismatch`] and [`BaselineError::Link`] for a network that cannot be trained
/// so, [`BaselineError::Diverged`] once the loss or a weight is not finite, [`BaselineError::Library`] if
/// candle fails.
pub fn back_propagation(
    problem: &Problem,
    network: &Network,
    optimiser: &Optimiser,
    seed: u64,
) -> Result<BackPropagated, BaselineError> {
    problem.check(network)?;
    optimiser.check(problem.train.len())?;
    if let Some(stage) = network.hidden().iter().find(|s| s.link != Link::MAX_RELU) {
        return Err(BaselineError::Link { link: stage.link });
    }
    let start = Instant::now();
    let weights = train(problem, network, optimiser, seed)?;
    let seconds = start.elapsed().as_secs_f64();
    let accuracy = |samples| accuracy(&problem.question, network, &weights, samples);
    Ok(BackPropagated {
        score: Score {
            test_accuracy: accuracy(&problem.test),
            validation_accuracy: (!problem.validation.is_empty())
                .then(|| accuracy(&problem.validation)),
            seconds,
        },
        weights,
    })
}

fn train(
    problem: &Problem,
    network: &Network,
    optimiser: &Optimiser,
    seed: u64,
) -> Result<Weights, BaselineError> {
    let net = ConvNet::new(network, &start::he(network, seed))?;
    let mut update = Update::new(optimiser, net.variables().to_vec())?;
    let (train, batch) = (problem.train.len(), optimiser.batch());
    let per_epoch = (train / batch) as u64;
    let steps = per_epoch.saturating_mul(optimiser.epochs() as u64);
    let mut order = BatchOrder::new(seed, 0, train, batch, per_epoch);
    let diverged = |step, quantity| BaselineError::Diverged {
        step,
        steps,
        quantity,
    };
    for step in 0..steps {
        let (loss, gradients) = loss_and_gradient(&net, problem, order.positions(step))?;
        if !loss.is_finite() {
            return Err(diverged(step, "the loss is"));
        }
        update.step(&gradients, optimiser.rate(step, steps))?;
    }
    let values = net.values()?;
    if !values.iter().all(|value| value.is_finite()) {
        return Err(diverged(steps, "weights are"));
    }
    Ok(Weights::from_flat(network, values)
        .unwrap_or_else(|| unreachable!("as many weights came out as went in")))
}

/// The values of a tensor that was made contiguous.
fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("contiguous values are needed"),
    }
}

/// candle's optimisers behind one face.
enum Update {
    Sgd(SGD),
    Adam(AdamW),
}

impl Update {
    fn new(optimiser: &Optimiser, variables: Vec<Var>) -> candle_core::Result<Self> {
        Ok(match optimiser {
            Optimiser::Sgd(options) => Self::Sgd(SGD::new(variables, options.rate)?),
            Optimiser::Adam(options) => {
                let params = ParamsAdamW {
                    lr: options.rate,
                    weight_decay: 0.0,
                    ..ParamsAdamW::default()
                };
                Self::Adam(AdamW::new(variables, params)?)
            }
        })
    }

    fn step(&mut self, gradients: &GradStore, rate: f64) -> candle_core::Result<()> {
        match self {
            Self::Sgd(sgd) => {
                sgd.set_learning_rate(rate);
                sgd.step(gradients)
            }
            Self::Adam(adam) => {
                adam.set_learning_rate(rate);
                adam.step(gradients)
            }
        }
    }
}

/// Images of one evaluation pass.
const BLOCK: usize = 50;

/// Share of `samples` predicted correctly; not a number where there are none.
fn accuracy(question: &Question, network: &Network, weights: &Weights, samples: &Samples) -> f64 {
    let mut forward = Forward::new(network, BLOCK);
    forward.load(weights);
    let image = network.input().len();
    let pixels = samples.images.as_slice().unwrap_or_default();
    let mut correct = 0;
    for (images, labels) in pixels
        .chunks(BLOCK * image)
        .zip(samples.labels.chunks(BLOCK))
    {
        forward.run(images);
        correct += forward
            .outputs()
            .chunks_exact(network.outputs())
            .zip(labels)
            .filter(|(outputs, label)| question.is_correct(outputs, **label))
            .count();
    }
    correct as f64 / samples.len() as f64
}
