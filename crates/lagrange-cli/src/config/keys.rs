//! The configuration's keys by name: dotted paths into its tables.

use super::Config;
use std::collections::BTreeMap;

/// Every key, with its default.
#[derive(Debug)]
pub(super) struct Keys(BTreeMap<String, String>);

impl Keys {
    /// Those there are, set by default or not.
    pub(super) fn all() -> Self {
        Self(values(&Config {
            train_limit: Some(0),
            ..Config::default()
        }))
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

/// All values of a configuration by key, as TOML.
pub(super) fn values(config: &Config) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    if let Ok(table) = toml::Value::try_from(config) {
        flatten("", &table, &mut keys);
    }
    keys
}

fn flatten(prefix: &str, value: &toml::Value, keys: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = match prefix {
                    "" => key.clone(),
                    prefix => format!("{prefix}.{key}"),
                };
                flatten(&key, value, keys);
            }
        }
        value => {
            keys.insert(prefix.to_owned(), value.to_string());
        }
    }
}

/// The one of `names` that is close enough to `wrong` to be meant.
pub(super) fn nearest(wrong: &str, names: impl Iterator<Item = String>) -> Option<String> {
    const CLOSE: f64 = 0.8;
    let likeness = names.map(|name| (strsim::jaro_winkler(wrong, &name), name));
    let best = likeness.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness > CLOSE)
        .map(|(_, name)| name)
}

/// What to say of the name that may have been meant.
pub(super) fn hint(name: Option<String>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
