//! The systems compared, each with the command that runs it.

use crate::baseline::BaselineKind;
use std::fmt;

/// A row of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Name for `--only` and for readers.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    pub(crate) system: System,
}

/// How a row is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// `lagrange train` with this preset, or with the task's own.
    Train(Option<&'static str>, &'static [&'static str]),
    /// `lagrange baseline`.
    Baseline(BaselineKind),
}

/// Every row, in the order of the table.
pub const ROWS: [Row; 13] = [
    row(
        "seed",
        "ADMM, the first report's recipe (square sampled systems)",
        train("seed"),
    ),
    row(
        "taylor",
        "ADMM, Taylor's order, Gram solver",
        train("taylor"),
    ),
    row(
        "pseudo-inverse",
        "the same, pseudo-inverse",
        train("pseudo-inverse"),
    ),
    row(
        "sampled",
        "the same, 2d sampled equations",
        train("sampled"),
    ),
    row("classic", "classic ADMM, cured", train("classic")),
    row(
        "streaming",
        "streaming ADMM (the default)",
        System::Train(None, &[]),
    ),
    row(
        "streaming-sampled",
        "the same, 4d sampled equations per step",
        System::Train(None, &["schedule.solver=sampled", "schedule.equations=4"]),
    ),
    row(
        "step",
        "streaming ADMM, step activations",
        System::Train(None, &["network.activation=step"]),
    ),
    row(
        "vanilla",
        "back-propagation, 2 layers, SGD",
        System::Baseline(BaselineKind::Vanilla),
    ),
    row(
        "adam",
        "back-propagation, same network, Adam",
        System::Baseline(BaselineKind::Adam),
    ),
    row(
        "ridge",
        "ridge regression on pixels",
        System::Baseline(BaselineKind::Ridge),
    ),
    row(
        "random-filters",
        "random kernels, ridge on the last stage",
        System::Baseline(BaselineKind::RandomFilters),
    ),
    row(
        "frozen",
        "streaming ADMM with the hidden kernels left random",
        System::Train(None, &["start.kind=he", "schedule.trust=1e-9"]),
    ),
];

const fn row(name: &'static str, what: &'static str, system: System) -> Row {
    Row { name, what, system }
}

const fn train(preset: &'static str) -> System {
    System::Train(Some(preset), &[])
}

impl Row {
    /// Whether this build can run it.
    pub(super) fn is_built(&self) -> bool {
        match self.system {
            System::Train(..) => true,
            System::Baseline(kind) => kind.is_built(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The row of a name.
///
/// # Errors
/// The names there are.
pub fn named(name: &str) -> Result<Row, String> {
    ROWS.into_iter()
        .find(|row| row.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            format!("no such row; use {}", names.join(", "))
        })
}
