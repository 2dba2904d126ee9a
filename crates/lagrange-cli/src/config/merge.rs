//! Where a configuration comes from: defaults, then a preset, a file, the environment and flags, each overriding those before it.

use super::{Config, ConfigError};
use crate::args::RunArgs;
use lagrange_data::Task;

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

/// Environment variables that are no configuration keys: flags of one command or other.
const OTHER_VARIABLES: [&str; 14] = [
    "LAGRANGE_WORKERS",
    "LAGRANGE_THREADS",
    "LAGRANGE_DATA_DIR",
    "LAGRANGE_RUN_DIR",
    "LAGRANGE_LISTEN",
    "LAGRANGE_CONNECT",
    "LAGRANGE_LOG",
    "LAGRANGE_LEASE",
    "LAGRANGE_MIN_WORKERS",
    "LAGRANGE_GRACE",
    "LAGRANGE_CONNECT_TIMEOUT",
    "LAGRANGE_TLS",
    "LAGRANGE_TOKEN_FILE",
    "LAGRANGE_INSECURE",
];

/// Whether an environment variable is a configuration key.
pub(crate) fn is_configuration(name: &str) -> bool {
    name.starts_with("LAGRANGE_") && !OTHER_VARIABLES.contains(&name)
}

impl Config {
    /// Merges all sources that `args` and the environment name.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key.
    pub fn resolve(args: &RunArgs) -> Result<Self, ConfigError> {
        Self::merge(args, std::env::vars().collect())
    }

    fn merge(args: &RunArgs, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        use config::{Case, Environment, File, FileFormat};
        let variables = environment
            .into_iter()
            .filter(|(name, _)| !OTHER_VARIABLES.contains(&name.as_str()))
            .collect();
        let environment = Environment::with_prefix("LAGRANGE")
            .prefix_separator("_")
            .separator("__")
            .convert_case(Case::Kebab)
            .try_parsing(true)
            .source(Some(variables));
        let mut above = config::Config::builder();
        if let Some(path) = &args.config {
            let file = File::new(&path.display().to_string(), FileFormat::Toml);
            check_keys(&file)?;
            above = above.add_source(file);
        }
        check_keys(&environment)?;
        above = above.add_source(environment);
        for (key, value) in overrides(args)? {
            check_key(&key)?;
            above = above.set_override(&key, value).map_err(|e| invalid(&e))?;
        }
        let above = above.build().map_err(|e| invalid(&e))?;
        // The task brings its preset along, unless one is named.
        let name = match &args.preset {
            Some(name) => name.clone(),
            None => above
                .get_string("task")
                .unwrap_or_else(|_| Task::default().to_string()),
        };
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        let preset = match (preset, &args.preset) {
            (Some((_, text)), _) => *text,
            // A wrong task is reported as such below.
            (None, None) => "",
            (None, Some(_)) => return Err(unknown_preset(name)),
        };
        config::Config::builder()
            .add_source(File::from_str(preset, FileFormat::Toml))
            .add_source(above)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|e| invalid(&e))
    }
}

/// Longer than every key there is, and so short that no tables lie deep in each other.
const LONGEST_KEY: usize = 100;

/// Keys are paths to the library, which would make room for `a[4000000000]` and nest tables without end.
fn check_key(key: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if key.len() <= LONGEST_KEY && key.bytes().all(plain) {
        return Ok(());
    }
    let key: String = key.chars().take(LONGEST_KEY).collect();
    Err(ConfigError::Invalid(format!("unknown key {key:?}")))
}

fn check_keys(source: &impl config::Source) -> Result<(), ConfigError> {
    let values = source.collect().map_err(|e| invalid(&e))?;
    values.keys().try_for_each(|key| check_key(key))
}

/// Flags as configuration keys and values.
fn overrides(args: &RunArgs) -> Result<Vec<(String, config::Value)>, ConfigError> {
    let mut pairs = Vec::new();
    for text in &args.set {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty())
            .ok_or_else(|| ConfigError::BadOverride(text.clone()))?;
        pairs.push((key.trim().to_owned(), parse(value.trim())));
    }
    let mut flag = |key: &str, value: Option<config::Value>| {
        pairs.extend(value.map(|value| (key.to_owned(), value)));
    };
    flag("task", args.task.map(|task| task.to_string().into()));
    flag("seed", args.seed.map(Into::into));
    flag("schedule.epochs", args.epochs.map(Into::into));
    flag("train-limit", args.train_limit.map(|n| (n as u64).into()));
    flag("validation", args.validation.map(|n| (n as u64).into()));
    Ok(pairs)
}

/// A TOML number or boolean where the text is one; text otherwise.
fn parse(text: &str) -> config::Value {
    if let Ok(value) = text.parse::<i64>() {
        value.into()
    } else if let Ok(value) = text.parse::<f64>() {
        value.into()
    } else if let Ok(value) = text.parse::<bool>() {
        value.into()
    } else {
        text.into()
    }
}

fn unknown_preset(name: String) -> ConfigError {
    ConfigError::UnknownPreset {
        name,
        known: PRESETS.map(|(name, _)| name).join(", "),
    }
}

/// The library's message on one line.
fn invalid(error: &config::ConfigError) -> ConfigError {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    ConfigError::Invalid(lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(args: RunArgs, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::merge(&args, environment.collect())
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
        assert!(message("[schedule").contains("schedule"));
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
