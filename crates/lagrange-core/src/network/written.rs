//! The written forms of a specification: what words, numbers and tables stand for.

use super::presets::preset;
use super::{Activation, Kernel, LayerSpec, NetworkSpec, Padding, StageSpec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Padding as it is written: a word or a number.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "padding must be \"valid\", \"same\" or a number of zeros"
)]
enum WrittenPadding {
    Word(PaddingWord),
    Zeros(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PaddingWord {
    Valid,
    Same,
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Valid => WrittenPadding::Word(PaddingWord::Valid),
            Self::Same => WrittenPadding::Word(PaddingWord::Same),
            Self::Zeros(zeros) => WrittenPadding::Zeros(zeros),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WrittenPadding::deserialize(deserializer)? {
            WrittenPadding::Word(PaddingWord::Valid) => Self::Valid,
            WrittenPadding::Word(PaddingWord::Same) => Self::Same,
            WrittenPadding::Zeros(zeros) => Self::Zeros(zeros),
        })
    }
}

/// Kernel as it is written: one number, or two.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "kernel must be a number, or two: [rows, columns]"
)]
pub(super) enum WrittenKernel {
    Square(usize),
    Sides([usize; 2]),
}

impl From<WrittenKernel> for Kernel {
    fn from(written: WrittenKernel) -> Self {
        match written {
            WrittenKernel::Square(side) => Self::square(side),
            WrittenKernel::Sides([height, width]) => Self { height, width },
        }
    }
}

impl From<Kernel> for WrittenKernel {
    fn from(kernel: Kernel) -> Self {
        match kernel.height == kernel.width {
            true => Self::Square(kernel.height),
            false => Self::Sides([kernel.height, kernel.width]),
        }
    }
}

/// A network as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stages: Option<Vec<StageSpec>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation: Option<Activation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerSpec>>,
}

impl Serialize for NetworkSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stages, activation) = self.stages().unzip();
        let layers = stages.is_none().then(|| self.layers.clone());
        let written = Written {
            preset: None,
            stages,
            activation,
            layers,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NetworkSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        written.network().map_err(serde::de::Error::custom)
    }
}

impl Written {
    fn network(self) -> Result<NetworkSpec, String> {
        let given = [
            ("preset", self.preset.is_some()),
            ("stages", self.stages.is_some()),
            ("layers", self.layers.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).collect();
        if let [(one, _), (other, _), ..] = given[..] {
            return Err(format!(
                "network.{one} and network.{other} are given: keep one of them"
            ));
        }
        if self.layers.is_some() && self.activation.is_some() {
            return Err(
                "network.activation belongs to stages: give each of network.layers its own".into(),
            );
        }
        let network = match (self.layers, self.stages, self.preset) {
            (Some(layers), ..) => NetworkSpec { layers },
            (_, Some(stages), _) => NetworkSpec::of_stages(&stages),
            (.., Some(name)) => preset(&name)?,
            (None, None, None) => NetworkSpec::default(),
        };
        Ok(match self.activation {
            Some(activation) => network.with_activation(activation),
            None => network,
        })
    }
}
