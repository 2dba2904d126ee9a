//! Where a configuration comes from: defaults, then a preset, a file, the environment and flags, each overriding those before it.

use super::environment::variables;
use super::keys::{Keys, hint, nearest};
use super::{Config, ConfigError, file};
use crate::args::RunArgs;
use lagrange_data::Task;
use std::ffi::OsString;
use toml::{Table, Value};

/// Presets by name.
pub const PRESETS: [(&str, &str); 13] = [
    ("odd-even", include_str!("../../presets/odd-even.toml")),
    ("digits", include_str!("../../presets/digits.toml")),
    ("quick", include_str!("../../presets/quick.toml")),
    (
        "odd-even-fast",
        include_str!("../../presets/odd-even-fast.toml"),
    ),
    (
        "digits-fast",
        include_str!("../../presets/digits-fast.toml"),
    ),
    (
        "odd-even-accurate",
        include_str!("../../presets/odd-even-accurate.toml"),
    ),
    (
        "digits-accurate",
        include_str!("../../presets/digits-accurate.toml"),
    ),
    ("step", include_str!("../../presets/step.toml")),
    ("classic", include_str!("../../presets/classic.toml")),
    ("taylor", include_str!("../../presets/taylor.toml")),
    ("sampled", include_str!("../../presets/sampled.toml")),
    (
        "pseudo-inverse",
        include_str!("../../presets/pseudo-inverse.toml"),
    ),
    ("seed", include_str!("../../presets/seed.toml")),
];

/// A line about each preset: its name, and what its text says of it first.
#[must_use]
pub fn presets() -> String {
    let line = |(name, text): (&str, &str)| {
        let about = text.lines().next().unwrap_or_default();
        format!("{name:<18} {}\n", about.trim_start_matches("# "))
    };
    PRESETS.map(line).concat()
}

/// The preset that a task brings along.
fn preset_of(task: Task) -> &'static str {
    match task {
        Task::OddEven => "odd-even",
        Task::Digits => "digits",
    }
}

impl Config {
    /// Merges all sources that `args` and the environment name.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and where it was set.
    pub fn resolve(args: &RunArgs) -> Result<Self, ConfigError> {
        Self::merge(args, std::env::vars_os())
    }

    fn merge(
        args: &RunArgs,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut above = match &args.config {
            Some(path) => file::read(path)?,
            None => Table::new(),
        };
        let variables = variables(environment)?;
        for variable in &variables {
            put(&mut above, &variable.key, parse(&variable.value));
        }
        let overrides = overrides(args)?;
        for (key, value) in &overrides {
            put(&mut above, key, value.clone());
        }
        let mut merged: Table = toml::from_str(preset(args, &above)?)
            .unwrap_or_else(|error| unreachable!("presets are tested: {error}"));
        lay_over(&mut merged, above);
        serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string();
            let from = variables
                .iter()
                .find(|v| v.key == key && overrides.iter().all(|(k, _)| *k != key));
            let from =
                from.map_or_else(String::new, |v| format!(" ({} in the environment)", v.name));
            let fault = error.inner().message().replace('\n', ", ");
            ConfigError::Invalid(format!("{key}{from}: {fault}"))
        })
    }
}

/// Text of the preset that everything else is laid over.
fn preset(args: &RunArgs, above: &Table) -> Result<&'static str, ConfigError> {
    let task = above.get("task").and_then(Value::as_str);
    let name = match &args.preset {
        Some(name) => name,
        // A wrong task is reported as such when the whole is read.
        None => preset_of(task.and_then(|task| task.parse().ok()).unwrap_or_default()),
    };
    let preset = PRESETS.iter().find(|(known, _)| known == &name);
    preset
        .map(|(_, text)| *text)
        .ok_or_else(|| ConfigError::UnknownPreset {
            name: name.to_owned(),
            known: PRESETS.map(|(name, _)| name).join(", "),
        })
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
                put(inner, rest, value);
            }
        }
    }
}

/// Lays `above` over `below`: tables are merged, everything else replaced.
fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Flags as configuration keys and values.
fn overrides(args: &RunArgs) -> Result<Vec<(String, Value)>, ConfigError> {
    let keys = Keys::all();
    let mut pairs = Vec::new();
    for text in &args.set {
        let (key, value) = text
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| ConfigError::BadOverride(text.clone()))?;
        if !keys.contains(key) {
            let shown: String = key.chars().take(LONGEST_KEY).collect();
            let hint = hint(nearest(key, keys.iter().cloned()));
            return Err(ConfigError::Invalid(format!(
                "--set {shown}: unknown key{hint}"
            )));
        }
        pairs.push((key.to_owned(), parse(value)));
    }
    let mut flag = |key: &str, value: Option<Value>| {
        pairs.extend(value.map(|value| (key.to_owned(), value)));
    };
    let count = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    flag("task", args.task.map(|task| task.to_string().into()));
    flag("seed", args.seed.map(integer).transpose()?);
    flag("schedule.epochs", args.epochs.map(Into::into));
    flag("train-limit", args.train_limit.map(count));
    flag("validation", args.validation.map(count));
    Ok(pairs)
}

fn integer(seed: u64) -> Result<Value, ConfigError> {
    let fault = || ConfigError::Invalid(format!("seed {seed}: the largest is {}", i64::MAX));
    i64::try_from(seed).map(Value::Integer).map_err(|_| fault())
}

/// What is shown of a key that is none.
const LONGEST_KEY: usize = 100;

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

    fn merge(args: RunArgs, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Config::merge(&args, environment)
    }

    fn with_file(text: &str) -> (tempfile::NamedTempFile, RunArgs) {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("written");
        let args = RunArgs {
            config: Some(file.path().to_owned()),
            ..RunArgs::default()
        };
        (file, args)
    }

    #[test]
    fn every_preset_is_valid_and_its_configuration_survives_its_file() {
        let mnist = lagrange_data::Outline::load(None).expect("embedded");
        for (name, _) in PRESETS {
            let args = RunArgs {
                preset: Some(name.to_owned()),
                ..RunArgs::default()
            };
            let config = merge(args, &[]).expect(name);
            config.plan(&mnist).expect(name).spec.resolve().expect(name);
            let (_file, args) = with_file(&config.to_toml().expect("serialises"));
            assert_eq!(merge(args, &[]).expect(name), config);
        }
    }

    #[test]
    fn flags_override_the_environment_and_that_the_file() {
        let (_file, mut args) =
            with_file("seed = 1\n[schedule]\nepochs = 1\ntrust = 0.5\nbatch = 512");
        let environment = [
            ("LAGRANGE_SEED", "2"),
            ("LAGRANGE_SCHEDULE__EPOCHS", "2"),
            ("LAGRANGE_WORKERS", "3"),
        ];
        args.seed = Some(3);
        args.set = vec!["schedule.trust=0.25".to_owned()];
        let config = merge(args, &environment).expect("valid");
        assert_eq!(
            (config.seed, config.schedule.epochs, config.schedule.batch),
            (3, 2.0, 512)
        );
        assert_eq!(config.schedule.trust, 0.25);
    }

    #[test]
    fn the_task_brings_its_preset() {
        let args = RunArgs {
            task: Some(Task::Digits),
            ..RunArgs::default()
        };
        let preset = RunArgs {
            preset: Some("digits".to_owned()),
            ..RunArgs::default()
        };
        assert_eq!(
            merge(args, &[]).expect("valid"),
            merge(preset, &[]).expect("valid")
        );
    }

    #[test]
    fn mistakes_are_named_on_one_line() {
        let message = |text: &str| {
            let (_file, args) = with_file(text);
            let message = merge(args, &[]).expect_err(text).to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        };
        assert!(message("[schedule]\ntusk = 1").contains("tusk"));
        assert!(message("tusk = 1").contains("tusk"));
        assert!(message("[schedule]\nepochs = \"many\"").contains("schedule.epochs"));
        assert!(message("[schedule]\nloss = \"cubic\"").contains("cubic"));
        assert!(message("task = \"prime\"").contains("prime"));
        assert!(message("[schedule").contains("line 1"));
        let args = RunArgs {
            set: vec!["trust".to_owned()],
            ..RunArgs::default()
        };
        assert!(matches!(merge(args, &[]), Err(ConfigError::BadOverride(_))));
        let args = RunArgs {
            preset: Some("best".to_owned()),
            ..RunArgs::default()
        };
        assert!(matches!(
            merge(args, &[]),
            Err(ConfigError::UnknownPreset { .. })
        ));
        assert!(merge(RunArgs::default(), &[("LAGRANGE_SEDE", "1")]).is_err());
    }
}
