//! Pictures of one's own: from a folder to a model that knows the classes by their names.

use crate::binary::{failure, json, lagrange, path, text};
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;

/// Two kinds of layer with pooling, and a dense one, on images that are not square.
const CONFIG: &str = r#"
[data]
shards = 4
[start]
images = 16
patches = 128
[schedule]
batch = 16
gram-rows = 64
epochs = 6
loss = "softmax"
[[network.layers]]
type = "conv"
channels = 4
kernel = 3
padding = "same"
pool = { kind = "avg", size = 2 }
activation = "leaky-relu"
[[network.layers]]
type = "conv"
channels = 6
kernel = [3, 2]
[[network.layers]]
type = "dense"
channels = 8
"#;

const CLASSES: [(&str, [u8; 3]); 3] = [
    ("red", [200, 40, 40]),
    ("2", [40, 200, 40]),
    ("10", [40, 40, 200]),
];

/// Pictures of 10 x 8 pixels, each class with a colour of its own.
fn draw(folder: &Path, split: &str, count: u32) {
    for (class, colour) in CLASSES {
        let folder = folder.join(split).join(class);
        fs::create_dir_all(&folder).expect("created");
        for number in 0..count {
            let shade = |x: u32, y: u32| ((x * 7 + y * 13 + number * 29) % 40) as u8;
            let pixel = |x, y| Rgb(colour.map(|value| value + shade(x, y) - 20));
            let picture = RgbImage::from_fn(10, 8, pixel);
            picture
                .save(folder.join(format!("{number}.png")))
                .expect("saved");
        }
    }
}

/// A folder with these pictures below `pictures`, and the configuration as `tiny.toml`.
pub(crate) fn drawn() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let pictures = folder.path().join("pictures");
    draw(&pictures, "train", 24);
    draw(&pictures, "test", 5);
    fs::write(folder.path().join("tiny.toml"), CONFIG).expect("written");
    folder
}

#[test]
fn a_folder_of_pictures_becomes_a_model_with_the_same_bits_whatever_the_way() {
    let folder = drawn();
    let at = |name: &str| folder.path().join(name);
    let run = |command: &[&str]| {
        let output = lagrange(command).output().expect("runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let (pictures, packed) = (at("pictures"), at("packed"));
    let (pictures, packed) = (path(&pictures), path(&packed));
    let found = run(&["data", "inspect", pictures]);
    assert!(
        found.contains("image-folder: 3 classes, 72 + 15 images, 8x10 RGB"),
        "{found}"
    );
    let imported = run(&["data", "import", pictures, "--out", packed, "--block", "10"]);
    assert!(imported.contains("10 blocks"), "{imported}");

    let train = |data: &str, name: &str, more: &[&str]| {
        let (config, run_dir) = (at("tiny.toml"), at(name));
        let mut command = vec!["train", "--json", "--quiet", "--data", data];
        command.extend(["--config", path(&config), "--run-dir", path(&run_dir)]);
        command.extend(more);
        json(&command)
    };
    let first = train(packed, "one", &["--workers", "1"]);
    assert_eq!(
        (&first["task"], &first["test_accuracy"]),
        (&"classes".into(), &1.0.into())
    );
    for (data, name, more) in [
        (packed, "three", &["--workers", "3"][..]),
        (packed, "within", &["--in-process"]),
        (pictures, "unpacked", &["--workers", "2"]),
    ] {
        let other = train(data, name, more);
        for key in ["weights_sha256", "multipliers_sha256"] {
            assert_eq!(other[key], first[key], "{name}: {key}");
        }
    }
    let model = at("one");
    let figures = run(&["evaluate", path(&model), "--data", packed]);
    let order = ["\n2 ", "\n10 ", "\nred "].map(|class| figures.find(class).expect("listed"));
    assert!(order.is_sorted(), "natural order: {figures}");
    let weighted = train(
        packed,
        "weighted",
        &["--class-weights", "red=4", "--workers", "1"],
    );
    assert_ne!(weighted["weights_sha256"], first["weights_sha256"]);
    let binary = train(packed, "binary", &["--positive", "red", "--workers", "1"]);
    assert_eq!(
        (&binary["task"], &binary["test_accuracy"]),
        (&"positive".into(), &1.0.into())
    );
}

/// Whatever comes after it, the iterate that was best on held-out images is kept, and never chosen by the
/// test set; also where the file got lost with a killed run.
#[test]
fn the_model_that_is_best_on_held_out_images_is_kept() {
    let folder = drawn();
    let at = |name: &str| folder.path().join(name);
    let (data, config, run) = (at("pictures"), at("tiny.toml"), at("run"));
    let source = ["--data", path(&data), "--size", "6x6", "--channels", "grey"];
    let mut train = vec!["train", "--json", "--validation", "0.25", "--workers", "1"];
    train.extend(source);
    train.extend(["--config", path(&config), "--run-dir", path(&run)]);
    train.extend(["--epochs", "1", "--set", "schedule.evaluate-every=100"]);
    let output = lagrange(&train).output().expect("runs");
    let told = text(&output.stderr);
    assert!(
        told.contains("3 classes, 72 + 15 images, 6x6 grey"),
        "{told}"
    );
    assert!(told.contains("87 pictures resized"), "{told}");

    let best = run.join("best.safetensors");
    fs::remove_file(&best).expect("kept");
    let mut resume = vec![
        "train",
        "--json",
        "--quiet",
        "--resume",
        path(&run),
        "--epochs",
        "5",
    ];
    resume.extend(source);
    let result = json(&resume);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let lines = metrics
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let validation: Vec<serde_json::Value> = lines
        .filter(|line: &serde_json::Value| {
            line["event"] == "evaluation" && line["split"] == "validation"
        })
        .collect();
    let accuracy = |line: &serde_json::Value| line["accuracy"].as_f64().expect("accuracy");
    let highest = validation.iter().map(accuracy).fold(0.0, f64::max);
    let first = validation.iter().find(|line| accuracy(line) == highest);
    assert_eq!(result["best"]["step"], first.expect("evaluated")["step"]);
    assert_eq!(result["best"]["validation_accuracy"], highest);

    let options = lagrange_import::Options {
        size: Some((6, 6)),
        channels: Some(lagrange_import::Channels::Grey),
        ..Default::default()
    };
    let source = lagrange::Source {
        path: data,
        options,
    };
    let dataset = lagrange::load(Some(&source)).expect("read");
    let model = lagrange::Model::load(&best).expect("a model");
    let confusion = model.evaluate(&dataset, lagrange::Split::Validation, 18);
    assert_eq!(confusion.expect("fits").accuracy(), Some(highest));
}

#[test]
fn what_is_wrong_with_pictures_is_said_with_the_flag_that_helps() {
    let folder = tempfile::tempdir().expect("folder");
    draw(folder.path(), "train", 2);
    let odd = folder.path().join("train/red/odd.png");
    RgbImage::new(4, 4).save(&odd).expect("saved");
    let data = path(folder.path());
    let sizes = failure(&["data", "inspect", data], 1);
    assert!(
        sizes.contains("odd.png is 4x4") && sizes.contains("--size"),
        "{sizes}"
    );
    fs::write(&odd, b"no picture").expect("written");
    let unreadable = failure(&["train", "--data", data], 1);
    assert!(
        unreadable.contains("odd.png") && unreadable.contains("--skip-unreadable"),
        "{unreadable}"
    );
    fs::remove_file(&odd).expect("removed");
    let class = failure(&["train", "--data", data, "--positive", "reds"], 1);
    assert!(class.contains("did you mean `red`?"), "{class}");
    let block = folder.path().join("packed");
    let packed = path(&block);
    assert!(
        lagrange(&["data", "import", data, "--out", packed])
            .status()
            .expect("runs")
            .success()
    );
    let decided = failure(&["train", "--data", packed, "--size", "6x6"], 1);
    assert!(decided.contains("data import"), "{decided}");
    fs::write(block.join("train-00000.block"), b"cut").expect("written");
    let damaged = failure(&["train", "--data", packed], 1);
    assert!(damaged.contains("train-00000.block"), "{damaged}");
}
