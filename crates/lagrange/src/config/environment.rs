//! Configuration in the environment: `LAGRANGE_SEED=1`, `LAGRANGE_SCHEDULE__TRUST=0.01`.

use super::SourceError;
use super::keys::{Keys, hint};
use lagrange_data::nearest_name;
use std::ffi::{OsStr, OsString};

/// Beginning of every name that is meant for Lagrange.
const PREFIX: &str = "LAGRANGE_";

/// One key that is set in the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its whole name.
    pub(super) name: String,
    /// The configuration key that it stands for.
    pub(super) key: String,
    /// Its value.
    pub(super) value: String,
}

/// Configuration of `environment`. Other programs' variables may be anything; an empty one is as good as
/// none.
///
/// # Errors
/// [`SourceError::Environment`] for a name that is no key, and for what is not UTF-8.
pub(super) fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[OsString],
) -> Result<Vec<Variable>, SourceError> {
    let keys = Keys::all();
    let mut found = Vec::new();
    for (name, value) in environment {
        if !is_meant_for_lagrange(&name) || value.is_empty() || flags.contains(&name) {
            continue;
        }
        let wrong = |fault: String| SourceError::Environment {
            name: name.display().to_string(),
            fault,
        };
        let text = name
            .to_str()
            .ok_or_else(|| wrong("its name is not UTF-8".to_owned()))?;
        if is_injected(text) {
            continue;
        }
        let key = key_of(text);
        if !keys.contains(&key) {
            return Err(wrong(format!("unknown key{}", meant(&key, &keys, flags))));
        }
        let value = value
            .to_str()
            .ok_or_else(|| wrong("its value is not UTF-8".to_owned()))?;
        found.push(Variable {
            name: text.to_owned(),
            key,
            value: value.to_owned(),
        });
    }
    Ok(found)
}

/// What to say of the variable that may have been meant by one that stands for no key.
fn meant(key: &str, keys: &Keys, flags: &[OsString]) -> String {
    // Without what all have in common.
    let flags = flags.iter().filter_map(|name| name.to_str()).map(key_of);
    let name = nearest_name(key, keys.iter().cloned().chain(flags));
    hint(name.map(|key| variable_of(&key)))
}

/// Whether a variable of this name is meant for Lagrange, known to it or not.
#[must_use]
pub fn is_meant_for_lagrange(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// Whether a container engine has put a variable there: Kubernetes does for every service of a namespace,
/// Docker for every link, whatever programs make of the names.
fn is_injected(name: &str) -> bool {
    let has = |part: &str| name.ends_with(part) || name.contains(&format!("{part}_"));
    has("_SERVICE_HOST")
        || has("_SERVICE_PORT")
        || has("_PORT")
        || has("_ENV")
        || name == "LAGRANGE_NAME"
}

fn key_of(name: &str) -> String {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest.to_ascii_lowercase()
        .replace("__", ".")
        .replace('_', "-")
}

fn variable_of(key: &str) -> String {
    PREFIX.to_owned()
        + &key
            .replace('.', "__")
            .replace('-', "_")
            .to_ascii_uppercase()
}
