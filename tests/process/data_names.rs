//! Data as it lies on people's disks: whatever it is called there, it is the same data; and what is no data
//! is called by its name.

use crate::binary::{failure, json, lagrange, last_json};
use lagrange_data::Dataset;
use lagrange_tests::{bars, write_idx};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const TINY: &str = "
[network]
stages = [{ kernel = 3, channels = 4 }]
[data]
shards = 2
[start]
images = 16
patches = 128
[schedule]
batch = 16
gram-rows = 64
epochs = 1
";

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Files of a small set, a configuration for it, and room for runs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(dataset: &Dataset) -> Self {
        let place = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::create_dir(place.at("plain")).expect("created");
        write_idx(dataset, &place.at("plain"));
        fs::write(place.at("tiny.toml"), TINY).expect("written");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().expect("UTF-8").to_owned()
    }

    /// Puts the four files in `folder` by these names.
    fn lay_out(&self, folder: &str, rename: impl Fn(&str) -> String) -> PathBuf {
        for name in NAMES {
            let path = self.at(folder).join(rename(name));
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::copy(self.at("plain").join(name), path).expect("copied");
        }
        self.at(folder)
    }

    /// A command on the data in `data`.
    fn train(&self, data: &Path, run: &str) -> std::process::Command {
        let (config, run) = (self.text("tiny.toml"), self.text(run));
        let mut command = lagrange(&["train", "--json", "--quiet", "--workers", "1"]);
        command.args(["--config", &config, "--run-dir", &run]);
        command.arg("--data").arg(data);
        command
    }

    /// Trains on the data in `data`; the result.
    fn result(&self, data: &Path, run: &str) -> serde_json::Value {
        let output = self.train(data, run).output().expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", data.display());
        last_json(&output)
    }
}

#[test]
fn every_layout_trains_to_the_same_weights() {
    let place = Place::new(&bars(64, 16));
    let plain = place.result(&place.at("plain"), "run");
    assert!(plain["weights_sha256"].is_string());
    let test = |name: &str| name.replace("t10k", "test");
    let emnist = |name: &str| format!("emnist-letters-{}", test(name));
    let other_split = |name: &str| format!("emnist-digits-{}", test(name));
    place.lay_out("emnist-all", other_split);
    let not_utf8 = place.folder.path().join(OsStr::from_bytes(b"d\xe9"));
    fs::create_dir(&not_utf8).expect("created");
    write_idx(&bars(64, 16), &not_utf8);
    for (number, data) in [
        place.lay_out("windows", |name| name.replace("-idx", ".idx")),
        place.lay_out("kaggle", |name| {
            format!("{name}/{}", name.replace("-idx", ".idx"))
        }),
        place.lay_out("torchvision", |name| format!("MNIST/raw/{name}")),
        place.lay_out("raw-below", |name| format!("raw/{name}")),
        place.lay_out("qmnist", |name| format!("qmnist-{}", test(name))),
        place.lay_out("emnist", emnist),
        place.lay_out("emnist-all", emnist).join("emnist-letters"),
        not_utf8,
    ]
    .iter()
    .enumerate()
    {
        let result = place.result(data, &format!("run-{number}"));
        for key in ["weights_sha256", "multipliers_sha256", "test_accuracy"] {
            assert_eq!(result[key], plain[key], "{}: {key}", data.display());
        }
    }
}

#[test]
fn a_model_has_the_figures_of_its_training_set_and_is_evaluated_with_them() {
    let place = Place::new(&bars(64, 16));
    let result = place.result(&place.at("plain"), "run");
    let pixels = bars(64, 16).train.images.pixels;
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / count / 255.0;
    let entry = format!("\"mean\":\"{}\"", (mean * 1e4).round() / 1e4);
    let model = fs::read(place.at("run/model.safetensors")).expect("a model");
    let header = String::from_utf8_lossy(&model);
    assert!(header.contains(&entry), "{entry} in {header}");
    assert_ne!(entry, "\"mean\":\"0.1307\"");
    let (run, data) = (place.text("run"), place.text("plain"));
    let evaluated = json(&["evaluate", &run, "--data", &data, "--json"]);
    assert_eq!(evaluated["test_accuracy"], result["test_accuracy"]);
}

#[test]
fn labels_above_nine_are_odd_or_even_but_no_digits() {
    let mut letters = bars(64, 16);
    letters.classes = (16..26).map(|label: u8| label.to_string()).collect();
    let place = Place::new(&letters);
    let result = place.result(&place.at("plain"), "run");
    let digits = Place::new(&bars(64, 16));
    let of_digits = digits.result(&digits.at("plain"), "run");
    assert_eq!(result["weights_sha256"], of_digits["weights_sha256"]);
    let output = place
        .train(&place.at("plain"), "digits")
        .args(["--task", "digits"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("the task digits needs labels 0 to 9"),
        "{stderr}"
    );
}

/// The one line that `train` ends with on such data.
#[track_caller]
fn refused(data: &Path, parts: &[&str]) {
    let data = data.to_str().expect("UTF-8");
    for command in [&["train", "--data", data][..], &["worker", "--data", data]] {
        let stderr = failure(command, 1);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "`{part}` in: {stderr}");
        }
    }
}

#[test]
fn where_there_is_no_set_the_message_says_what_there_is() {
    let place = Place::new(&bars(8, 4));
    let at = |name: &str| place.at(name);
    refused(&at("none"), &["none: there is no such folder", "--data"]);
    let images = at("plain").join(NAMES[0]);
    refused(&images, &["this is an IDX file of images, not a folder"]);
    fs::create_dir(at("empty")).expect("created");
    refused(&at("empty"), &["no train-images-idx3-ubyte", "is empty"]);
    fs::remove_file(at("plain").join(NAMES[3])).expect("removed");
    refused(
        &at("plain"),
        &[
            "no t10k-labels-idx1-ubyte or",
            "holds t10k-images-idx3-ubyte, ",
        ],
    );
    for folder in ["several/MNIST/raw", "several/FashionMNIST/raw"] {
        fs::create_dir_all(at(folder)).expect("created");
        fs::write(at(folder).join(NAMES[0]), b"").expect("written");
    }
    refused(
        &at("several"),
        &["several sets", "MNIST/raw, ", "FashionMNIST/raw"],
    );
}

#[test]
fn what_is_no_idx_file_is_called_by_its_name() {
    for (bytes, what) in [
        (b"<!DOCTYPE html><html>".as_slice(), "a web page (HTML)"),
        (b"PK\x03\x04....", "a zip archive; unpack it"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
    ] {
        let place = Place::new(&bars(8, 4));
        fs::write(place.at("plain").join(NAMES[0]), bytes).expect("written");
        let file = format!("{}: wrong magic number", NAMES[0]);
        refused(&place.at("plain"), &[&file, what]);
    }
    let mut blank = bars(8, 4);
    blank.train.images.pixels.fill(255);
    let place = Place::new(&blank);
    let data = place.text("plain");
    let stderr = failure(&["train", "--data", &data], 1);
    assert!(stderr.contains("nothing to learn"), "{stderr}");
}
