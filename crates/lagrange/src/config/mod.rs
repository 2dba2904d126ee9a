//! Where a configuration comes from: defaults, then a preset, a file, the environment and single keys, each
//! over those before it.

mod environment;
mod file;
mod keys;
mod presets;

pub use environment::is_meant_for_lagrange;
pub use presets::{Preset, presets};

use environment::Variable;
use keys::{Keys, hint, replace_network};
use lagrange_data::{Task, nearest_name};
use lagrange_protocol::Config;
use presets::preset_of;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A key or value is wrong.
    #[error("configuration: {0}; `lagrange config show` prints every key")]
    Invalid(String),
    /// A configuration file.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A variable that is meant for Lagrange and says nothing to it.
    #[error(
        "{name} in the environment: {fault}; unset it, or see `lagrange config show` for every key"
    )]
    Environment {
        /// Its whole name.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
    /// No preset of that name.
    #[error("unknown preset `{name}`: use one of {known}")]
    UnknownPreset {
        /// The name given.
        name: String,
        /// Names there are.
        known: String,
    },
    /// A setting without a value.
    #[error("{0}: give KEY=VALUE, for example schedule.trust=0.02")]
    NoValue(String),
    /// A setting of a key that there is not.
    #[error("{key}: unknown key{hint}")]
    UnknownKey {
        /// The key given, or its beginning.
        key: String,
        /// The key that may have been meant.
        hint: String,
    },
}

/// Sources of a configuration.
///
/// ```
/// use lagrange::Sources;
///
/// let config = Sources::default()
///     .preset("quick")
///     .set("schedule.trust=0.01")?
///     .resolve()?;
/// assert_eq!(config.schedule.trust, 0.01);
/// # Ok::<(), lagrange::SourceError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sources {
    preset: Option<String>,
    task: Option<Task>,
    file: Table,
    variables: Vec<Variable>,
    keys: Vec<(String, Value)>,
}

/// What is shown of a key that is none.
const LONGEST_KEY: usize = 100;

impl Sources {
    /// Begins with the preset `name` instead of the task's own.
    #[must_use]
    pub fn preset(self, name: impl Into<String>) -> Self {
        Self {
            preset: Some(name.into()),
            ..self
        }
    }

    /// Asks `task` where neither the preset that was chosen nor anything above it names one.
    #[must_use]
    pub fn default_task(self, task: Task) -> Self {
        Self {
            task: Some(task),
            ..self
        }
    }

    /// Adds the TOML file at `path`.
    ///
    /// # Errors
    /// [`SourceError::File`]
    pub fn file(self, path: &Path) -> Result<Self, SourceError> {
        let file = file::read(path)?;
        Ok(Self { file, ..self })
    }

    /// Adds variables such as `LAGRANGE_SCHEDULE__TRUST=0.01`. Those of other programs are passed over, and
    /// those named in `flags`, which mean something else.
    ///
    /// # Errors
    /// [`SourceError::Environment`] for a name that is no key, and for what is not UTF-8.
    pub fn environment(
        self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[OsString],
    ) -> Result<Self, SourceError> {
        let variables = environment::variables(variables, flags)?;
        Ok(Self { variables, ..self })
    }

    /// Sets one key, as `KEY=VALUE`: a TOML value, or text that need not be quoted.
    ///
    /// # Errors
    /// [`SourceError::NoValue`] or [`SourceError::UnknownKey`]
    pub fn set(self, text: &str) -> Result<Self, SourceError> {
        let (key, value) = text
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| SourceError::NoValue(text.to_owned()))?;
        let keys = Keys::all();
        if !keys.contains(key) {
            return Err(SourceError::UnknownKey {
                key: key.chars().take(LONGEST_KEY).collect(),
                hint: hint(nearest_name(key, keys.iter().cloned())),
            });
        }
        Ok(self.key(key, parse(value)))
    }

    /// Sets one key to a value.
    #[must_use]
    pub fn key(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.push((key.to_owned(), value.into()));
        self
    }

    /// The configuration that all sources make together.
    ///
    /// # Errors
    /// [`SourceError`], naming the key and where it was set.
    pub fn resolve(&self) -> Result<Config, SourceError> {
        let mut above = self.file.clone();
        for variable in &self.variables {
            put(&mut above, &variable.key, parse(&variable.value));
        }
        for (key, value) in &self.keys {
            put(&mut above, key, value.clone());
        }
        self.complete_task(&mut above);
        let mut merged = self.lowest(&above)?;
        lay_over(&mut merged, above);
        serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string();
            let from = self.variable_of(&key);
            let fault = error.inner().message().replace('\n', ", ");
            SourceError::Invalid(format!("{key}{from}: {fault}"))
        })
    }

    /// Adds the task that is meant where none is given: names of positive classes imply theirs.
    fn complete_task(&self, above: &mut Table) {
        if above.contains_key("task") {
            return;
        }
        let implied = above.contains_key("positive").then_some(Task::Positive);
        let default = self.task.filter(|_| self.preset.is_none());
        if let Some(task) = implied.or(default) {
            put(above, "task", task.name().into());
        }
    }

    /// The preset that everything else is laid over.
    fn lowest(&self, above: &Table) -> Result<Table, SourceError> {
        let task = above.get("task").and_then(Value::as_str);
        let name = match &self.preset {
            Some(name) => name,
            // A wrong task is reported as such when the whole is read.
            None => preset_of(task.and_then(|task| task.parse().ok()).unwrap_or_default()),
        };
        let mut presets = presets();
        let preset = presets.find(|preset| preset.name == name);
        preset.map(|preset| preset.table()).ok_or_else(|| {
            let known: Vec<_> = self::presets().map(|preset| preset.name).collect();
            SourceError::UnknownPreset {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// Says which variable a key has its value from, if it is one.
    fn variable_of(&self, key: &str) -> String {
        let set_later = self.keys.iter().any(|(set, _)| set == key);
        let variable = self.variables.iter().find(|v| v.key == key && !set_later);
        variable.map_or_else(String::new, |v| format!(" ({} in the environment)", v.name))
    }
}

/// Sets a dotted key that is one of the configuration's, whatever was in its place.
fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                if first == "network" {
                    let above = Table::from_iter([(rest.to_owned(), value.clone())]);
                    replace_network(inner, &above);
                }
                put(inner, rest, value);
            }
        }
    }
}

/// Lays `above` over `below`: tables are merged, everything else replaced.
fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => {
                if key == "network" {
                    replace_network(below, &above);
                }
                lay_over(below, above);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// A TOML value where the text is one, or a number as other languages write it; text otherwise.
fn parse(text: &str) -> Value {
    let table: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    match table
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
    {
        Some(value) => value,
        None => text.parse::<f64>().map_or_else(|_| text.into(), Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DatasetFacts, DatasetSummary, RunSpec};

    fn with_file(text: &str) -> Result<Sources, SourceError> {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("written");
        Sources::default().file(file.path())
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let pairs = pairs.iter();
        pairs
            .map(|&(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    #[cfg(feature = "embedded-mnist")]
    fn every_preset_is_a_run_and_its_configuration_survives_its_file() {
        let mnist = DatasetFacts::of(&DatasetSummary::load(None).expect("embedded"));
        for Preset { name, .. } in presets() {
            let config = Sources::default().preset(name).resolve().expect(name);
            RunSpec::new(config.clone(), mnist.clone()).expect(name);
            let again = with_file(&config.to_toml()).expect(name);
            assert_eq!(again.resolve().expect(name), config);
        }
    }

    #[test]
    fn keys_override_the_environment_and_that_the_file() {
        let environment = variables(&[
            ("LAGRANGE_SEED", "2"),
            ("LAGRANGE_SCHEDULE__EPOCHS", "2"),
            ("LAGRANGE_WORKERS", "3"),
        ]);
        let file = "seed = 1\n[schedule]\nepochs = 1\ntrust = 0.5\nbatch = 512";
        let config = with_file(file)
            .and_then(|s| s.environment(environment, &["LAGRANGE_WORKERS".into()]))
            .and_then(|s| s.key("seed", 3).set("schedule.trust=0.25"))
            .and_then(|s| s.resolve())
            .expect("valid");
        assert_eq!(
            (config.seed, config.schedule.epochs, config.schedule.batch),
            (3, 2.0, 512)
        );
        assert_eq!(config.schedule.trust, 0.25);
    }

    #[test]
    fn one_form_of_the_network_replaces_another() {
        let layers = "[[network.layers]]\ntype = \"dense\"\nchannels = 7\n";
        let network = |sources: Sources| sources.resolve().expect("valid").network;
        let written = with_file(layers).expect("file");
        assert_eq!(network(written.clone().preset("step")).layers.len(), 1);
        let named = written.key("network.preset", "deep");
        assert_eq!(network(named).layers.len(), 6);
        let variable = variables(&[("LAGRANGE_NETWORK__PRESET", "small")]);
        let named = Sources::default().environment(variable, &[]);
        assert_eq!(network(named.expect("known")).layers.len(), 3);
        let both = format!("[network]\npreset = \"deep\"\n{layers}");
        let error = with_file(&both).expect_err("two");
        assert!(error.to_string().contains("keep one"), "{error}");
    }

    #[test]
    fn the_task_brings_its_preset() {
        let task = Sources::default().key("task", "digits");
        let preset = Sources::default().preset("digits");
        assert_eq!(
            task.resolve().expect("valid"),
            preset.resolve().expect("valid")
        );
    }

    #[test]
    fn positive_classes_imply_their_task_and_other_data_the_task_classes() {
        let task = |sources: Sources| sources.resolve().expect("valid").task;
        let named = |sources: Sources| sources.set("positive=cat,dog").expect("a key");
        assert_eq!(task(named(Sources::default())), Task::Positive);
        assert_eq!(
            task(named(Sources::default().preset("quick"))),
            Task::Positive
        );
        assert_eq!(
            task(named(Sources::default().key("task", "digits"))),
            Task::Digits
        );
        let other = || Sources::default().default_task(Task::Classes);
        assert_eq!(task(other()), Task::Classes);
        assert_eq!(task(other().preset("quick")), Task::OddEven);
        assert_eq!(task(other().key("task", "odd-even")), Task::OddEven);
        assert_eq!(task(named(other())), Task::Positive);
        let digits = Sources::default()
            .preset("digits")
            .resolve()
            .expect("valid");
        let classes = other().resolve().expect("valid");
        assert_eq!(classes.schedule, digits.schedule);
    }

    #[test]
    fn mistakes_are_named_on_one_line() {
        let message = |text: &str| {
            let read = with_file(text).and_then(|sources| sources.resolve());
            let message = read.expect_err(text).to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        };
        assert!(message("[schedule]\ntusk = 1").contains("tusk"));
        assert!(message("tusk = 1").contains("tusk"));
        assert!(message("[schedule]\nepochs = \"many\"").contains("schedule.epochs"));
        assert!(message("[schedule]\nloss = \"cubic\"").contains("cubic"));
        assert!(message("task = \"prime\"").contains("prime"));
        assert!(message("task = \"regression\"").contains("not supported"));
        assert!(message("[schedule").contains("line 1"));
        let of = Sources::default;
        assert!(matches!(of().set("trust"), Err(SourceError::NoValue(_))));
        let error = of().set("schedule.tusk=1").expect_err("no key").to_string();
        assert!(error.contains("did you mean schedule."), "{error}");
        assert!(matches!(
            of().preset("best").resolve(),
            Err(SourceError::UnknownPreset { .. })
        ));
        let misspelt = variables(&[("LAGRANGE_SEDE", "1")]);
        assert!(of().environment(misspelt, &[]).is_err());
    }
}
