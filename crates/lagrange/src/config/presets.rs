//! Named configurations.

use lagrange_data::Task;
use toml::Table;

/// A named configuration.
///
/// ```
/// let quick = lagrange::presets().find(|preset| preset.name == "quick");
/// assert!(quick.is_some_and(|preset| preset.text.contains("epochs")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it sets, as TOML; its first line is a comment that says what it is for.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        [$(Preset {
            name: $name,
            text: include_str!(concat!("../../presets/", $name, ".toml")),
        }),+]
    };
}

const PRESETS: [Preset; 14] = presets![
    "odd-even",
    "digits",
    "quick",
    "odd-even-fast",
    "digits-fast",
    "odd-even-accurate",
    "digits-accurate",
    "deep",
    "step",
    "classic",
    "taylor",
    "sampled",
    "pseudo-inverse",
    "seed",
];

/// All presets.
pub fn presets() -> impl Iterator<Item = Preset> {
    PRESETS.into_iter()
}

impl Preset {
    /// What it is for.
    #[must_use]
    pub fn about(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches("# ")
    }

    pub(super) fn table(&self) -> Table {
        toml::from_str(self.text).unwrap_or_else(|error| unreachable!("tested: {error}"))
    }
}

/// The preset that a task brings along.
pub(super) fn preset_of(task: Task) -> &'static str {
    match task {
        Task::OddEven | Task::Positive => "odd-even",
        Task::Digits | Task::Classes => "digits",
    }
}
