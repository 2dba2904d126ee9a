//! Reports of training runs: one HTML file that needs nothing else, neither a network nor scripts.
//!
//! [`Run::read`] takes what a run folder holds; [`Verdict::of`] has the run's model judge a test set; [`page`]
//! draws both, for one run or for several beside each other.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `run` | [`Run`]: result, configuration and metrics of a run folder |
//! | `verdict` | [`Verdict`]: confusion, figures of classes, the worst mistakes |
//! | `certificate` | checks of optimality that ran |
//! | `comparison` | [`Comparison`]: what differs between runs |
//! | `series` | curves, thinned out to what can be drawn |
//! | `chart` | one chart as SVG |
//! | `pictures` | kernels and images as PNG files within the page |
//! | `page`, `several` | [`page`]: the HTML, of one run and of several |

mod certificate;
mod chart;
mod comparison;
mod page;
mod pictures;
mod run;
mod series;
mod several;
mod verdict;

pub use comparison::{Comparison, Row};
pub use page::page;
pub use run::{ReportError, Run, tell_apart};
pub use verdict::{Mistake, Verdict};
