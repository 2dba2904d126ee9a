//! The configuration's keys by name: dotted paths into its tables.

use lagrange_protocol::Config;
use std::collections::BTreeMap;
use toml::Table;

/// Keys of which each is a whole network: one replaces the others.
const NETWORK_FORMS: [&str; 3] = ["preset", "stages", "layers"];

/// Removes from the table `network` what a form of it in `above` replaces.
pub(super) fn replace_network(network: &mut Table, above: &Table) {
    let has = |form: &&str| above.contains_key(*form);
    if NETWORK_FORMS.iter().any(has) {
        NETWORK_FORMS
            .iter()
            .for_each(|form| drop(network.remove(*form)));
    }
    if above.contains_key("layers") {
        // Each layer has its own.
        network.remove("activation");
    }
}

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
        let mut keys = all.values();
        // Written instead of the stages that the default has.
        for form in NETWORK_FORMS {
            keys.entry(format!("network.{form}")).or_default();
        }
        Self(keys)
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
