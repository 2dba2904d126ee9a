//! Settings of a sweep: the cross product of the grids given.

use std::str::FromStr;

/// One key and the values it takes, as `KEY=V1,V2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    key: String,
    values: Vec<String>,
}

/// Why a text is no grid, or several are none together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// No key, or no value.
    #[error("`{0}`: give KEY=VALUE,VALUE, for example schedule.trust=0.01,0.02")]
    Malformed(String),
    /// A value twice.
    #[error("--grid {key}: the value {value} is given twice")]
    Repeated {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A key twice.
    #[error("--grid {0} is given twice; list all its values in one")]
    SameKey(String),
    /// A name too long for a folder.
    #[error("the setting {0} is too long for the name of a folder; sweep fewer keys at once")]
    TooLong(String),
}

/// One point of the grids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Overrides, as `--set` takes them.
    pub overrides: Vec<String>,
    /// Name of its folder.
    pub name: String,
}

/// Longest name of a folder.
const LONGEST: usize = 200;

impl Grid {
    /// The configuration key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for Grid {
    type Err = GridError;

    fn from_str(text: &str) -> Result<Self, GridError> {
        let malformed = || GridError::Malformed(text.to_owned());
        let (key, values) = text.split_once('=').ok_or_else(malformed)?;
        let key = key.trim().to_owned();
        let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
        if key.is_empty() || values.iter().any(String::is_empty) {
            return Err(malformed());
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                let value = value.clone();
                return Err(GridError::Repeated { key, value });
            }
        }
        Ok(Self { key, values })
    }
}

/// Every combination of the grids' values; a single setting without overrides where there is no grid.
///
/// # Errors
/// [`GridError`]
pub fn settings(grids: &[Grid]) -> Result<Vec<Setting>, GridError> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for (index, grid) in grids.iter().enumerate() {
        if grids[..index].iter().any(|before| before.key == grid.key) {
            return Err(GridError::SameKey(grid.key.clone()));
        }
        let extended = all.iter().flat_map(|overrides| {
            grid.values.iter().map(|value| {
                let mut longer = overrides.clone();
                longer.push(format!("{}={value}", grid.key));
                longer
            })
        });
        all = extended.collect();
    }
    all.into_iter()
        .map(|overrides| {
            let name = name(&overrides);
            if name.len() > LONGEST {
                return Err(GridError::TooLong(name));
            }
            Ok(Setting { overrides, name })
        })
        .collect()
}

fn name(overrides: &[String]) -> String {
    if overrides.is_empty() {
        return "base".to_owned();
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "=.,_-".contains(c);
    let text = overrides.join(",");
    text.chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grids(texts: &[&str]) -> Vec<Grid> {
        texts.iter().map(|t| t.parse().expect("grid")).collect()
    }

    #[test]
    fn settings_are_the_cross_product() {
        let all = settings(&grids(&["a=1,2", "b.c=x, y"])).expect("settings");
        let names: Vec<_> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a=1,b.c=x", "a=1,b.c=y", "a=2,b.c=x", "a=2,b.c=y"]);
        assert_eq!(all[1].overrides, ["a=1", "b.c=y"]);
        assert_eq!(settings(&[]).expect("one")[0].name, "base");
    }

    #[test]
    fn slips_are_named() {
        for text in ["a", "=1", "a=", "a=1,,2"] {
            assert!(
                matches!(text.parse::<Grid>(), Err(GridError::Malformed(_))),
                "{text}"
            );
        }
        assert!(matches!(
            "a=1,1".parse::<Grid>(),
            Err(GridError::Repeated { .. })
        ));
        assert_eq!(
            settings(&grids(&["a=1", "a=2"])),
            Err(GridError::SameKey("a".to_owned()))
        );
        let long = format!("a={}", "x".repeat(300));
        assert!(matches!(
            settings(&grids(&[&long])),
            Err(GridError::TooLong(_))
        ));
    }
}
