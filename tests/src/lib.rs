//! Helpers shared by the cluster tests: a small dataset and a cluster without sockets.
//!
//! The tests that need the built binary (`process/`) lie beside this crate but are compiled as a test of
//! `lagrange-cli`: only there does cargo build the binary with them.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod hostile;
pub mod memory;
pub mod network;
mod prepared;
pub mod schedule;

pub use prepared::{Prepared, RUN};

use lagrange::Config;
use lagrange_core::network::{NetworkSpec, Padding, StageSpec};
use lagrange_data::{Dataset, Images, LabelledSet};
use rand::RngExt as _;
use std::path::Path;

/// Side of the bar images.
pub const SIDE: usize = 12;

/// Images of noisy bars: odd labels have horizontal bars, even ones vertical bars.
#[must_use]
pub fn bars(train: usize, test: usize) -> Dataset {
    let set = |count: usize, key: u64| {
        let mut random =
            lagrange_core::random::stream(key, lagrange_core::random::Purpose::Order, 0, 0);
        let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
        let mut label = || u16::from(random.random_range(0u8..10));
        let labels: Vec<u16> = (0..count).map(|_| label()).collect();
        for label in &labels {
            let phase = random.random_range(0..4);
            for position in 0..SIDE * SIDE {
                let (y, x) = (position / SIDE, position % SIDE);
                let along = if label % 2 == 1 { y } else { x };
                let bright = (along + phase) % 4 < 2;
                let noise: u8 = random.random_range(0..90);
                pixels.push(if bright { 160 + noise } else { noise });
            }
        }
        LabelledSet {
            images: Images {
                height: SIDE,
                width: SIDE,
                channels: 1,
                pixels,
            },
            labels,
        }
    };
    Dataset::new(set(train, 1), set(test, 2))
}

/// Colour images of three classes, `blue`, `green` and `red`: one channel is bright. There is a validation
/// split.
#[must_use]
pub fn colours(train: usize, validation: usize, test: usize) -> Dataset {
    let set = |count: usize, key: u64| {
        let mut random =
            lagrange_core::random::stream(key, lagrange_core::random::Purpose::Order, 0, 0);
        let labels: Vec<u16> = (0..count).map(|index| (index % 3) as u16).collect();
        let mut pixels = Vec::with_capacity(count * SIDE * SIDE * 3);
        for &label in &labels {
            for channel in (0..SIDE * SIDE).flat_map(|_| (0..3u16).rev()) {
                let noise: u8 = random.random_range(0..200);
                pixels.push(if channel == label { 40 + noise } else { noise });
            }
        }
        LabelledSet {
            images: Images {
                height: SIDE,
                width: SIDE,
                channels: 3,
                pixels,
            },
            labels,
        }
    };
    Dataset {
        train: set(train, 1),
        validation: Some(set(validation, 2)),
        test: set(test, 3),
        classes: ["blue", "green", "red"].map(str::to_owned).into(),
    }
}

/// A configuration for [`bars`] that trains in a fraction of a second.
#[must_use]
pub fn small_config(shards: usize) -> Config {
    let stage = |kernel, channels| StageSpec {
        kernel,
        channels,
        padding: Padding::Valid,
    };
    let mut config = Config {
        network: NetworkSpec::of_stages(&[stage(3, 4), stage(2, 6)]),
        ..Config::default()
    };
    config.data.shards = shards;
    config.schedule.epochs = 2.0;
    config.schedule.batch = 4 * shards;
    config.schedule.gram_rows = 32 * shards;
    config.start.images = 8 * shards;
    config.start.patches = 64 * shards;
    config
}

/// Writes `dataset`, whose classes are numbers, as the four IDX files of a directory.
pub fn write_idx(dataset: &Dataset, directory: &Path) {
    for (part, set) in [("train", &dataset.train), ("t10k", &dataset.test)] {
        let mut images = vec![0, 0, 8, 3];
        for number in [set.labels.len(), set.images.height, set.images.width] {
            images.extend((number as u32).to_be_bytes());
        }
        images.extend(&set.images.pixels);
        std::fs::write(directory.join(format!("{part}-images-idx3-ubyte")), images)
            .expect("written");
        let mut labels = vec![0, 0, 8, 1];
        labels.extend((set.labels.len() as u32).to_be_bytes());
        let names = set
            .labels
            .iter()
            .map(|&label| &dataset.classes[usize::from(label)]);
        labels.extend(names.map(|name| name.parse::<u8>().expect("a number")));
        std::fs::write(directory.join(format!("{part}-labels-idx1-ubyte")), labels)
            .expect("written");
    }
}
