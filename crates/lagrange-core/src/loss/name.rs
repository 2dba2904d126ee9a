//! Names of losses, as configurations have them.

use super::Loss;
use super::custom::registered;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that no loss has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown loss `{name}`, expected one of {}", known())]
pub struct UnknownLoss {
    name: String,
}

/// All names, in backquotes.
fn known() -> String {
    let own = registered().into_iter().map(Loss::Custom);
    let all = Loss::BUILT_IN.into_iter().chain(own);
    let names: Vec<_> = all.map(|loss| format!("`{loss}`")).collect();
    names.join(", ")
}

impl Loss {
    /// The losses that every process knows.
    pub const BUILT_IN: [Self; 5] = [
        Self::Squared,
        Self::SquaredHinge,
        Self::Hinge,
        Self::Softmax,
        Self::MulticlassHinge,
    ];

    /// Its name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Squared => "squared",
            Self::SquaredHinge => "squared-hinge",
            Self::Hinge => "hinge",
            Self::Softmax => "softmax",
            Self::MulticlassHinge => "multiclass-hinge",
            Self::Custom(loss) => loss.name,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Loss {
    type Err = UnknownLoss;

    fn from_str(name: &str) -> Result<Self, UnknownLoss> {
        let own = registered().into_iter().map(Self::Custom);
        let mut all = Self::BUILT_IN.into_iter().chain(own);
        let found = all.find(|loss| loss.name() == name);
        found.ok_or_else(|| UnknownLoss {
            name: name.to_owned(),
        })
    }
}

impl Serialize for Loss {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}
