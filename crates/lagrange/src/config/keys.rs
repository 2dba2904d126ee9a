//! The configuration's keys by name: dotted paths into its tables.

use lagrange_protocol::Config;
use std::collections::BTreeMap;

/// Every key, with its default.
#[derive(Debug)]
pub(super) struct Keys(BTreeMap<String, String>);

impl Keys {
    /// Those there are, set by default or not.
    pub(super) fn all() -> Self {
        let all = Config {
            train_limit: Some(0),
            positive: vec![String::new()],
            ..Config::default()
        };
        Self(all.values())
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

/// What to say of the name that may have been meant.
pub(super) fn hint(name: Option<String>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
