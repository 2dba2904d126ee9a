//! The mathematics of Lagrange: convolutional networks trained by ADMM, without back-propagation.
//!
//! This crate is pure: no clock, no IO, no threads, no global randomness. Everything it computes is a
//! function of its arguments.

pub mod activation;
pub mod blas;
pub mod convolution;
pub mod equations;
pub mod finite;
pub mod forward;
pub mod loss;
pub mod network;
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
