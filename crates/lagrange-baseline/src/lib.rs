//! What the ADMM trainer is compared with, on the same data and the same network:
//!
//! - `back_propagation`, with the feature `back-propagation`: the network trained by back-propagation, with
//!   plain SGD or Adam, by the library candle;
//! - [`ridge_on_pixels`]: one linear map of the pixels, in closed form;
//! - [`random_filters`]: the network with its hidden kernels left random, and the last stage in closed form.
//!
//! All are scored by the same rule, [`lagrange_data::Question::predict`], on the same cut of the data as a
//! training run.

#[cfg(feature = "back-propagation")]
mod back_propagation;
mod closed_form;
mod error;
mod problem;
mod random_filters;
mod ridge;
mod vanilla;

#[cfg(feature = "back-propagation")]
pub use back_propagation::{AdamOptions, BackPropagated, Optimiser, SgdOptions, back_propagation};
pub use error::BaselineError;
pub use problem::{Problem, Samples, Score};
pub use random_filters::{random_filters, ridge_on_features};
pub use ridge::ridge_on_pixels;
pub use vanilla::vanilla_network;
