//! Reports of training runs: one HTML file that needs nothing else, neither a network nor scripts.
//!
//! [`Run::read`] takes what a run folder holds; [`Verdict::of`] has the run's model judge a test set; [`page`]
//! draws both, for one run or for several beside each other. [`Curves`], [`sections`] and [`kernel_addresses`] draw
//! the same of a run that is under way.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `run` | [`Run`]: result, configuration and metrics of a run folder |
//! | `verdict` | [`Verdict`]: confusion, figures of classes, the worst mistakes |
//! | `certificate` | checks of optimality that ran |
//! | `comparison` | [`Comparison`]: what differs between runs |
//! | `series` | one curve in bounded room |
//! | `curves` | all curves of a run, made of the lines of its metrics |
//! | `chart` | one chart as SVG, as a table, in words |
//! | `sections` | which charts a run has |
//! | `pictures` | kernels and images as PNG within the page |
//! | `page`, `several` | [`page`]: the HTML, of one run and of several |

mod certificate;
mod chart;
mod comparison;
mod curves;
mod page;
mod pictures;
mod run;
mod sections;
mod series;
mod several;
mod verdict;

pub use chart::{Chart, Scale, short};
pub use comparison::{Comparison, Row};
pub use curves::Curves;
pub use page::page;
pub use pictures::kernel_addresses;
pub use run::{ReportError, Run, tell_apart};
pub use sections::{Section, sections};
pub use series::{Point, Series};
pub use verdict::{Mistake, Verdict};

/// The style of reports: colours for light and dark, charts, tiles, tables.
pub const STYLE: &str = include_str!("style.css");
