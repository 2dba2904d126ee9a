//! Configuration of a run, written in TOML: everything but the data that decides its result.

use crate::limits::MAX_SHARDS;
use lagrange_core::network::NetworkSpec;
use lagrange_core::schedule::{ClassicParams, ParamError, ScheduleParams, ranged};
use lagrange_core::start::StartParams;
use lagrange_data::{Augment, ClassWeights, HeldOut, PartitionError, Task};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Configuration of a run: everything but the data that decides its result, to the bit.
///
/// ```
/// let config: lagrange_protocol::Config = toml::from_str("seed = 1\n[schedule]\nepochs = 2")?;
/// assert_eq!(config.schedule.trust, 0.02);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Classification task.
    pub task: Task,
    /// Names of the positive classes of the task `positive`: an array, or one text with commas.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub positive: Vec<String>,
    /// Seed of all random draws.
    pub seed: u64,
    /// The last training images, so many or such a share, held out to choose settings on; 0 leaves that to a
    /// validation split of the dataset's own, if there is one.
    pub validation: HeldOut,
    /// Number of the first training images to use; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Weights of classes in the loss: `none`, `balanced`, or a table by the names of the task's classes.
    pub class_weights: ClassWeights,
    /// Hidden stages.
    pub network: NetworkSpec,
    /// Division of the data.
    pub data: DataConfig,
    /// Random movements of training images.
    pub augment: Augment,
    /// Initial weights.
    pub start: StartParams,
    /// Schedule and its parameters.
    pub schedule: ScheduleParams,
    /// Further parameters of the classic schedule.
    pub classic: ClassicParams,
}

/// Division of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DataConfig {
    /// Number of logical shards. It affects the result: sums run over shards in a fixed tree.
    pub shards: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { shards: 16 }
    }
}

/// Error of a configuration check.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A parameter of the schedule, the start or the augmentation.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Samples that cannot be divided equally among shards.
    #[error(
        "{key} = {value} is not a multiple of data.shards = {shards}: every shard takes an equal part; use {}", either(*below, *above)
    )]
    NotMultiple {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Number of shards.
        shards: usize,
        /// Next smaller multiple; at least one per shard.
        below: usize,
        /// Next larger multiple.
        above: usize,
    },
    /// An error of the network.
    #[error(transparent)]
    Network(#[from] lagrange_core::network::NetworkError),
    /// An error of the division of the data.
    #[error(transparent)]
    Partition(#[from] PartitionError),
}

/// One number or two.
fn either(below: usize, above: usize) -> String {
    match below == above {
        true => above.to_string(),
        false => format!("{below} or {above}"),
    }
}

/// Names as an array, or as one text with commas.
fn names<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "an array of names, or one text with commas between them"
    )]
    enum Names {
        Text(String),
        Array(Vec<String>),
    }
    Ok(match Names::deserialize(source)? {
        Names::Text(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        Names::Array(names) => names,
    })
}

/// Largest share of one shard, where memory is proportional to it.
const MOST_PER_SHARD: usize = 1 << 20;

impl Config {
    /// Checks all ranges, and that samples can be divided equally among shards.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and the remedy.
    pub fn check(&self) -> Result<(), ConfigError> {
        let shards = self.data.shards;
        let sound = (1..=MAX_SHARDS as usize).contains(&shards);
        ranged("data.shards", shards as f64, sound, "between 1 and 4096")?;
        self.schedule.check()?;
        self.classic.check(&self.schedule)?;
        if let (HeldOut::Share(share), Some(range)) = (self.validation, self.validation.fault()) {
            ranged("validation", share, false, range)?;
        }
        if let Some((key, value, range)) = self.augment.fault() {
            ranged(key, value, false, range)?;
        }
        for (key, value) in [
            ("schedule.gram-rows", self.schedule.gram_rows),
            ("schedule.batch", self.schedule.batch),
            ("start.images", self.start.images),
            ("start.patches", self.start.patches),
        ] {
            // A batch of 0 takes all samples.
            if key != "schedule.batch" || value > 0 {
                check_share(key, value, shards)?;
            }
        }
        Ok(())
    }

    /// The configuration as TOML, defaults included.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| unreachable!("plain values: {error}"))
    }

    /// Every value by its key, a dotted path such as `schedule.trust`, as TOML. Options that are not given
    /// are left out.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        let table = toml::Value::try_from(self);
        let table = table.unwrap_or_else(|error| unreachable!("plain values: {error}"));
        flatten("", &table, &mut values);
        values
    }

    /// The first key whose values differ here and in `other`: key, value here, value there.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (ours, theirs) = (self.values(), other.values());
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let key = keys
            .into_iter()
            .find(|&key| ours.get(key) != theirs.get(key))?;
        let value = |values: &BTreeMap<String, String>| {
            values
                .get(key)
                .cloned()
                .unwrap_or_else(|| "not set".to_owned())
        };
        Some((key.clone(), value(&ours), value(&theirs)))
    }
}

/// All values below `value` by dotted path, as TOML.
fn flatten(prefix: &str, value: &toml::Value, values: &mut BTreeMap<String, String>) {
    let toml::Value::Table(table) = value else {
        values.insert(prefix.to_owned(), value.to_string());
        return;
    };
    for (key, value) in table {
        let key = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        flatten(&key, value, values);
    }
}

fn check_share(key: &'static str, value: usize, shards: usize) -> Result<(), ConfigError> {
    if !value.is_multiple_of(shards) || value == 0 {
        return Err(ConfigError::NotMultiple {
            key,
            value,
            shards,
            below: (value / shards).max(1) * shards,
            above: (value / shards + 1) * shards,
        });
    }
    let sound = value / shards <= MOST_PER_SHARD;
    Ok(ranged(
        key,
        value as f64,
        sound,
        "at least 1 per shard and at most 1048576",
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_with_both_values() {
        let one = Config::default();
        assert_eq!(one.difference(&one), None);
        let other = Config {
            train_limit: Some(5),
            ..Config::default()
        };
        let strings = ["train-limit", "not set", "5"].map(str::to_owned);
        let found = one.difference(&other).expect("they differ");
        assert_eq!([found.0, found.1, found.2], strings);
        assert_eq!(one.values()["schedule.batch"], "256");
    }

    #[test]
    fn names_are_an_array_or_one_text() {
        for text in [
            "positive = [\"cat\", \"big dog\"]",
            "positive = \"cat, big dog\"",
        ] {
            let config: Config = toml::from_str(text).expect(text);
            assert_eq!(config.positive, ["cat", "big dog"]);
            assert_eq!(config.values()["positive"], "[\"cat\", \"big dog\"]");
        }
        assert!(toml::from_str::<Config>("positive = 3").is_err());
        assert!(!Config::default().values().contains_key("positive"));
    }

    #[test]
    fn weights_of_classes_are_a_word_or_a_table() {
        assert_eq!(Config::default().values()["class-weights"], "\"none\"");
        let text = "class-weights = { cat = 2, \"big dog\" = 0.5 }";
        let config: Config = toml::from_str(text).expect(text);
        assert_eq!(config.values()["class-weights.big dog"], "0.5");
        let again: Config = toml::from_str(&config.to_toml()).expect("its own text");
        assert_eq!(again, config);
    }

    #[test]
    fn unequal_shares_are_refused_with_the_neighbours() {
        let mut config = Config::default();
        assert_eq!(config.check(), Ok(()));
        config.schedule.batch = 250;
        let message = config.check().expect_err("refused").to_string();
        assert!(message.contains("use 240 or 256"), "{message}");
        config.schedule.batch = 256;
        config.schedule.trust = f32::NAN;
        let message = config.check().expect_err("refused").to_string();
        assert!(
            message.contains("schedule.trust is NaN: it must be a finite number above 0"),
            "{message}"
        );
    }
}
