//! The mathematics of Lagrange: convolutional networks trained by ADMM, without back-propagation.
//!
//! This crate is pure: no clock, no IO, no threads, no global randomness. Everything it computes is a
//! function of its arguments.

pub mod network;
pub mod random;
pub mod tree;

// Links the BLAS and LAPACK that `ndarray`'s products call.
extern crate ndarray_linalg as _;
