//! Damaged, forged and arbitrary input of every kind: it is refused with a typed error, and nothing panics.

use lagrange_tests::hostile::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::path::Path;

/// A change to valid bytes.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    /// Overwrites what may be a length or a count.
    Number(Index, u64, usize),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// Repeats a piece elsewhere.
    Splice(Index, Index, usize),
}

impl Damage {
    fn strategy() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        let edge = prop_oneof![
            Just(0),
            Just(u64::MAX),
            Just(u64::from(u32::MAX)),
            any::<u64>(),
            (0u32..64).prop_map(|bit| 1 << bit),
        ];
        let some = prop::collection::vec(any::<u8>(), 1..12);
        prop_oneof![
            (at(), 1u8..).prop_map(|(at, mask)| Self::Flip(at, mask)),
            at().prop_map(Self::Cut),
            (at(), edge, 1usize..=8).prop_map(|(at, to, width)| Self::Number(at, to, width)),
            (at(), some).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (at(), 1usize..20).prop_map(|(at, length)| Self::Remove(at, length)),
            (at(), at(), 1usize..60).prop_map(|(from, to, n)| Self::Splice(from, to, n)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Flip(at, mask) => bytes[at.index(length)] ^= mask,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Number(at, to, width) => {
                let place = bytes[at.index(length)..].iter_mut();
                let big = to.to_be_bytes();
                place.zip(&big[8 - width..]).for_each(|(b, new)| *b = *new);
            }
            Self::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Self::Splice(from, to, count) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from..(from + count).min(length)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Valid inputs with some damage, and arbitrary bytes now and then.
fn hostile(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damages = prop::collection::vec(Damage::strategy(), 0..5);
    let damaged = (prop::sample::select(seeds), damages).prop_map(|(mut bytes, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    });
    prop_oneof![
        4 => damaged,
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ]
}

/// As many cases as fit in about two seconds.
fn survives(name: &str, cases: u32) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let Target { entry, seeds, .. } = target.expect("a target of that name");
    let seeds = seeds();
    seeds.iter().for_each(|seed| entry(seed));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let tested = TestRunner::new(config).run(&hostile(seeds), |bytes| {
        entry(&bytes);
        Ok(())
    });
    match tested {
        Ok(()) => {}
        // On one line: these are bytes for a file in `fuzz/regressions`.
        Err(TestError::Fail(reason, bytes)) => panic!("{name}: {reason}: {bytes:?}"),
        Err(TestError::Abort(reason)) => panic!("{name}: {reason}"),
    }
}

macro_rules! survive {
    ($($test:ident: $name:literal, $cases:literal;)*) => {$(
        #[test]
        fn $test() {
            survives($name, $cases);
        }
    )*};
}

survive! {
    files_of_images_and_labels: "idx", 20_000;
    models: "model", 10_000;
    configurations: "configuration", 1_000;
    checkpoints: "checkpoint", 10_000;
    forged_checkpoints: "altered_checkpoint", 1_000;
    messages: "message", 40_000;
    descriptions_of_runs: "run_spec", 5_000;
    work_for_a_worker: "work", 1_000;
    replies_for_a_coordinator: "cluster", 1_000;
}

/// What fuzzing has found once stays found.
#[test]
fn inputs_that_once_broke_something() {
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    for folder in std::fs::read_dir(regressions).expect("a folder") {
        let folder = folder.expect("a folder");
        let target = TARGETS
            .iter()
            .find(|target| folder.file_name() == target.name);
        let Target { entry, .. } = target.expect("a target of that name");
        for file in std::fs::read_dir(folder.path()).expect("files") {
            let path = file.expect("a file").path();
            println!("{}", path.display());
            entry(&std::fs::read(path).expect("read"));
        }
    }
}
