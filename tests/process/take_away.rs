//! A trained model put to use: predictions of pictures, and exports.

use crate::binary::{failure, lagrange, path, text};
use crate::pictures::drawn;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A folder with pictures of three colours below `pictures`, and a run that has learnt them in `run`.
pub(crate) fn trained() -> tempfile::TempDir {
    let folder = drawn();
    let at = |name: &str| folder.path().join(name);
    let (data, config, run) = (at("pictures"), at("tiny.toml"), at("run"));
    let mut train = vec!["train", "--quiet", "--in-process", "--data", path(&data)];
    train.extend(["--config", path(&config), "--run-dir", path(&run)]);
    let output = lagrange(&train).output().expect("runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

fn predict(folder: &Path, arguments: &[&str]) -> Output {
    let run = folder.join("run");
    let mut command = vec!["predict", path(&run)];
    command.extend(arguments);
    lagrange(&command).output().expect("runs")
}

#[test]
fn pictures_are_told_by_their_names_however_they_are_given() {
    let folder = trained();
    let red = folder.path().join("pictures/test/red");
    let output = predict(folder.path(), &[path(&red)]);
    let csv = text(&output.stdout);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,label,probability", 6));
    assert!(lines[1].contains("0.png,red,"), "{csv}");

    // A pattern that no shell has written out, several classes, and a picture of another size.
    let large = folder.path().join("pictures/test/10/large.png");
    image::RgbImage::from_pixel(50, 40, image::Rgb([40, 40, 200]))
        .save(&large)
        .expect("saved");
    let pattern = folder.path().join("pictures/test/10/*.png");
    let output = predict(
        folder.path(),
        &[path(&pattern), "--top", "3", "--format", "jsonl"],
    );
    let lines = text(&output.stdout);
    let said: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(said.len(), 6);
    for said in &said {
        assert_eq!(said["label"], "10");
        let classes = said["classes"].as_array().expect("classes");
        let sum: f64 = classes
            .iter()
            .filter_map(|class| class["probability"].as_f64())
            .sum();
        assert!(classes.len() == 3 && (sum - 1.0).abs() < 1e-5, "{said}");
    }

    let run = folder.path().join("run");
    let mut listed = lagrange(&["predict", path(&run), "-", "--format", "json"]);
    let mut listed = listed
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let list = format!("{}\n\n{}\n", large.display(), red.join("1.png").display());
    let mut stdin = listed.stdin.take().expect("piped");
    stdin.write_all(list.as_bytes()).expect("written");
    drop(stdin);
    let output = listed.wait_with_output().expect("ends");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an array");
    assert_eq!(
        (&said[0]["label"], &said[1]["label"]),
        (&"10".into(), &"red".into())
    );
}

#[test]
fn pictures_that_cannot_be_read_are_named_and_the_others_predicted() {
    let folder = trained();
    let red = folder.path().join("pictures/test/red");
    fs::write(red.join("broken.png"), b"no picture").expect("written");
    let output = predict(folder.path(), &[path(&red), "--format", "table"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("broken.png: it is not a picture"), "{told}");
    assert_eq!(text(&output.stdout).lines().count(), 5);
    let run = folder.path().join("run");
    for (given, words) in [
        ("nowhere.png", "no such file"),
        ("nowhere/*.png", "no such file"),
        (path(&run), "no picture is in this folder"),
    ] {
        let told = failure(&["predict", path(&run), given], 1);
        assert!(told.contains(words), "{given}: {told}");
    }
    let no_model = failure(&["predict", path(&red), path(&red)], 1);
    assert!(no_model.contains("model.safetensors"), "{no_model}");
}

/// Whether other programs predict the same is checked with Python, see `tests/export`.
#[test]
fn a_model_is_exported_in_every_format() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let run = at("run");
    let export = |out: &PathBuf, more: &[&str]| {
        let mut command = vec!["export", path(&run), "--out", path(out)];
        command.extend(more);
        let output = lagrange(&command).output().expect("runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    export(&at("m.onnx"), &[]);
    let onnx = fs::read(at("m.onnx")).expect("written");
    let holds = |words: &[u8]| onnx.windows(words.len()).any(|window| window == words);
    // The graph's operators, and the classes for whoever reads the labels.
    for words in [
        &b"AveragePool"[..],
        b"LeakyRelu",
        b"Conv",
        b"ArgMax",
        br#"["2","10","red"]"#,
    ] {
        assert!(holds(words), "{}", String::from_utf8_lossy(words));
    }
    export(&at("m.npz"), &[]);
    assert!(fs::read(at("m.npz")).expect("written").starts_with(b"PK"));
    export(&at("torch"), &[]);
    let weights = fs::read(at("torch/model.safetensors")).expect("written");
    let weights = safetensors::SafeTensors::deserialize(&weights).expect("safetensors");
    let kernel = weights.tensor("layers.1.weight").expect("a second layer");
    assert_eq!(kernel.shape(), [6, 4, 3, 2], "out, in, rows, columns");
    let config = fs::read_to_string(at("torch/config.json")).expect("written");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["classes"], serde_json::json!(["2", "10", "red"]));
    let pools = config["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| &layer["pool"]);
    assert!(pools.eq(["avg", "none", "none", "none"]), "{config}");
    let wrong = failure(&["export", path(&run), "--out", "model.pt"], 1);
    assert!(wrong.contains("--format onnx, torch or npz"), "{wrong}");
}

#[test]
fn a_report_is_one_file_that_shows_the_run_and_what_its_model_gets_wrong() {
    let folder = trained();
    let (run, data) = (folder.path().join("run"), folder.path().join("pictures"));
    // A blue picture among the red ones: a mistake that the model is sure of.
    let odd = data.join("test/red/odd.png");
    fs::copy(data.join("test/10/0.png"), odd).expect("copied");
    let report = |arguments: &[&str]| {
        let mut command = vec!["report", path(&run)];
        command.extend(arguments);
        let output = lagrange(&command).output().expect("runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    report(&["--data", path(&data)]);
    let html = fs::read_to_string(run.join("report.html")).expect("written");
    for words in [
        "Primal residual of outputs",
        "<polyline",
        "Confusion",
        "data:image/png;base64,",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert!(
        html.contains("taken for <b>10</b>, is <b>red</b>"),
        "the mistake"
    );
    for outside in ["<script", "http://", "https://", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
    // Without the data there are curves all the same, and a word about it.
    let told = report(&["--out", path(&folder.path().join("plain.html"))]);
    assert!(told.contains("--data"), "{told}");
    let both = folder.path().join("both.html");
    report(&[path(&run), "--out", path(&both)]);
    let both = fs::read_to_string(both).expect("written");
    assert!(both.contains("<h2>Results</h2>") && !both.contains("Confusion"));
    let nothing = failure(&["report", path(&data)], 1);
    assert!(nothing.contains("is this a run folder?"), "{nothing}");
}

#[test]
fn a_run_folder_has_a_table_and_a_model_card() {
    let folder = trained();
    let run = folder.path().join("run");
    let table = fs::read_to_string(run.join("metrics.csv")).expect("written");
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("step,epoch,seconds,train/loss,val/accuracy"),
        "{table}"
    );
    assert!(
        lines.len() > 2 && lines[lines.len() - 1].contains(",6.0000,"),
        "{table}"
    );
    let card = fs::read_to_string(run.join("README.md")).expect("written");
    assert!(card.starts_with("---\nlibrary_name: lagrange\n"), "{card}");
    let result = fs::read_to_string(run.join("result.json")).expect("written");
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    let hash = result["dataset_sha256"].as_str().expect("a hash");
    assert!(hash.len() == 64 && card.contains(hash), "{card}");
    assert!(
        result["command"]
            .as_str()
            .expect("a command")
            .contains("--in-process")
    );
}

#[test]
fn runs_are_listed_with_what_they_came_to() {
    let folder = trained();
    let unfinished = folder.path().join("more/stopped");
    fs::create_dir_all(&unfinished).expect("made");
    fs::write(
        unfinished.join("config.toml"),
        "task = \"digits\"\nseed = 7",
    )
    .expect("written");
    fs::write(unfinished.join("metrics.jsonl"), "").expect("written");
    let output = lagrange(&["runs", path(folder.path())])
        .output()
        .expect("runs");
    let table = text(&output.stdout);
    let line = |name: &str| {
        table
            .lines()
            .find(|line| line.contains(name))
            .expect("listed")
    };
    assert!(
        line("/run ").contains("complete") && line("/run ").contains("classes"),
        "{table}"
    );
    assert!(
        line("stopped").contains("not complete") && line("stopped").contains('7'),
        "{table}"
    );
    let output = lagrange(&["runs", path(folder.path()), "--json"])
        .output()
        .expect("runs");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (rows.as_array().map(Vec::len), &rows[0]["seed"]),
        (Some(2), &7.into())
    );
    let nowhere = failure(&["runs", path(&folder.path().join("nowhere"))], 1);
    assert!(nowhere.contains("cannot be listed"), "{nowhere}");
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lagrange(&["completions", shell]).output().expect("runs");
        let script = text(&output.stdout);
        assert!(
            output.status.success() && script.contains("predict"),
            "{shell}"
        );
    }
    let folder = tempfile::tempdir().expect("folder");
    let status = lagrange(&["man", "--out", path(folder.path())])
        .status()
        .expect("runs");
    assert!(status.success());
    let page = fs::read_to_string(folder.path().join("lagrange-data-import.1")).expect("a page");
    assert!(page.contains("\\-\\-skip\\-unreadable"), "{page}");
    assert!(folder.path().join("lagrange.1").exists());
}
