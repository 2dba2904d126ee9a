//! The mathematics of Lagrange: convolutional networks trained by ADMM, without back-propagation.
//!
//! A network of L stages is trained as a constrained problem: minimise the loss of z_L under z_l = W_l
//! a_{l-1} and a_l = h(z_l). The constraints become penalties of an augmented objective, and one block of its
//! variables after the other (z, a and W of each stage, and the multipliers of the last) is minimised with
//! all others fixed, most of them exactly.
//!
//! This crate is pure: no clock, no IO, no threads, no global randomness. Every result is a function of its
//! arguments. Sums over shards run along a fixed tree, so results have the same bits for any number of
//! workers.
//!
//! ```
//! use lagrange_core::network::{Network, NetworkSpec, Shape};
//! use lagrange_core::{forward::Forward, start::he};
//!
//! let image = Shape { height: 28, width: 28, channels: 1 };
//! let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
//! let mut forward = Forward::new(&network, 1);
//! forward.load(&he(&network, 1));
//! forward.run(&[0.5; 28 * 28]);
//! assert_eq!(forward.outputs().len(), 10);
//! # Ok::<(), lagrange_core::network::NetworkError>(())
//! ```
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | [`network`] | specification of a network, its stages and their shapes |
//! | [`weights`], [`start`] | weights of a network; initial weights by He or k-means |
//! | [`toeplitz`], [`convolution`] | Toeplitz rows; convolution, its adjoint and the cross moment |
//! | [`pooling`] | pooling and activation functions, and the output update of hidden stages |
//! | [`loss`] | losses, and the output update of the last stage |
//! | [`activation`] | the activation update |
//! | [`forward`] | forward pass of a block of samples |
//! | [`equations`], [`solver`] | equations of the weight updates as flat sums; their solvers |
//! | [`penalties`], [`residual`] | penalties; loss, residuals and objective of a step |
//! | [`schedule`] | schedules, with their worker and coordinator halves and their parameters |
//! | [`check`] | checks of the sub-problems' optimality while a run goes |
//! | [`tree`], [`random`] | sums over shards in a fixed order; keyed random streams |
//! | [`blas`], [`finite`] | calls of OpenBLAS; test for non-finite values |
//!
//! # Glossary
//!
//! Stages count from 1 to L in formulas, and from 0 in code. Arrays are row-major; `[n, H, W, C]` is samples,
//! height, width, channels.
//!
//! * **stage**: a linear map with bias, z_l = W_l a_{l-1}; a hidden stage adds a link, a_l = h(z_l).
//! * **link**: pooling and an activation function.
//! * **kernel**: the k x k window of a stage's convolution, with its weights for all input channels.
//! * **patch**: the `k*k*C_in` inputs under one output position.
//! * **Toeplitz rows**: the matrix T(a), a row for each output position: its patch, followed by a 1 for the
//!   bias.
//! * **predicted outputs**: m = W a, or T(a) W in full: the outputs z for which the constraint holds.
//! * **correction**: z - m, the change of an output by its update.
//! * **equation**: one Toeplitz row with its outputs, `T(a) W = z`; a weight update fits W to all of them.
//! * **unknowns**: the d = `k*k*C_in + 1` weights of one output channel, the bias last.
//! * **Gram**: the matrix G = T'T, `[d, d]`, the left-hand side of the normal equations.
//! * **cross moment**: the matrix T'(z - m) or T'z, `[d, C]`, the right-hand side of the normal equations.
//! * **multiplier**: lambda, the dual variable of one output of the last stage for one sample.
//! * **penalty**: the weight of a squared constraint in the objective: beta and beta_L for z = m, gamma for a
//!   = h(z).
//! * **prox**: the exact minimiser of a function plus a squared distance, as in the output updates.
//! * **primal residual**: the distance from a constraint, |z - m| or |a - h(z)|.
//! * **dual residual**: beta times the change of outputs by a weight update.
//! * **shard**: a fixed part of the samples, computed as a unit by one worker.
//! * **round**: one exchange between the coordinator and all shards.
//! * **step**: one update of all variables for a batch of samples, in one or more rounds.
//! * **epoch**: the steps of one pass over the training samples.
//! * **schedule**: the order of updates within a step, and their division into rounds.
//! * **solver**: a method to collect and solve the equations of a weight update.
//! * **trust radius**: the largest length of a hidden stage's step, relative to the weights, in the Gram
//!   metric.

pub mod activation;
pub mod blas;
pub mod check;
pub mod convolution;
pub mod equations;
pub mod finite;
pub mod forward;
pub mod loss;
pub mod network;
pub mod penalties;
pub mod pooling;
pub mod random;
pub mod residual;
pub mod schedule;
pub mod solver;
pub mod start;
pub mod toeplitz;
pub mod tree;
pub mod weights;

// Links the BLAS and LAPACK that `ndarray`'s products call.
extern crate ndarray_linalg as _;
