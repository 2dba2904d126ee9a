//! Sweeps on a tiny set.

use lagrange_tests::{bars, write_idx};
use std::path::{Path, PathBuf};

/// Writes a tiny set and its configuration, `tiny.toml`; returns the set's folder.
#[must_use]
pub fn tiny(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    std::fs::create_dir(&data).expect("folder");
    write_idx(&bars(240, 60), &data);
    std::fs::write(folder.join("tiny.toml"), TINY).expect("written");
    data
}

const TINY: &str = "
task = \"odd-even\"
[network]
stages = [{ kernel = 3, channels = 4 }]
[data]
shards = 4
[start]
images = 32
patches = 256
[schedule]
batch = 32
gram-rows = 128
epochs = 2
";

/// A path as an argument.
#[must_use]
pub fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Arguments of a sweep on the tiny set, into `sweep`.
#[must_use]
pub fn sweep(folder: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        "sweep".to_owned(),
        "--data".to_owned(),
        text(&folder.join("data")),
        "--config".to_owned(),
        text(&folder.join("tiny.toml")),
        "--out".to_owned(),
        text(&folder.join("sweep")),
        "--workers".to_owned(),
        "1".to_owned(),
        "--quiet".to_owned(),
    ];
    arguments.extend(more.iter().map(|&m| m.to_owned()));
    arguments
}
