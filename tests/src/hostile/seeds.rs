//! Valid inputs, to be damaged.

use super::runs::tiny_runs;
use super::{altered_checkpoint, checkpoint, cluster, configuration, idx, message};
use super::{model, run_spec, work};
use crate::{RUN, SIDE, bars, write_idx};
use lagrange::{Model, presets};
use lagrange_core::check::{Check, Tally};
use lagrange_core::schedule::Round;
use lagrange_core::start::he;
use lagrange_core::tree::Node;
use lagrange_protocol::limits::PROTOCOL_VERSION;
use lagrange_protocol::{Job, NodeSum, ReplyHeader, ShardRecord, WorkHeader, v1};
use prost::Message as _;

/// What takes bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, as a fuzz target as well.
    pub name: &'static str,
    /// It.
    pub entry: fn(&[u8]),
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Everything that takes bytes from outside.
pub const TARGETS: [Target; 9] = [
    target("idx", idx, idx_files),
    target("model", model, models),
    target("configuration", configuration, configurations),
    target("checkpoint", checkpoint, checkpoints),
    target("altered_checkpoint", altered_checkpoint, noise),
    target("message", message, messages),
    target("run_spec", run_spec, run_specs),
    target("work", work, noise),
    target("cluster", cluster, noise),
];

const fn target(name: &'static str, entry: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, entry, seeds }
}

fn idx_files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    write_idx(&bars(3, 1), folder.path());
    let files = std::fs::read_dir(folder.path()).expect("read");
    let files = files.map(|file| std::fs::read(file.expect("a file").path()));
    let mut files: Vec<_> = files.collect::<Result<_, _>>().expect("read");
    files.push(extended_labels(&[7, 0, 9]));
    files
}

/// Labels as QMNIST has them.
fn extended_labels(labels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x0c, 2, 0, 0, 0, labels.len() as u8, 0, 0, 0, 8];
    for &label in labels {
        bytes.extend([0, 0, 0, label]);
        bytes.extend([1; 28]);
    }
    bytes
}

fn models() -> Vec<Vec<u8>> {
    let models = tiny_runs()[..2].iter().map(|run| {
        let spec = run.spec();
        let network = spec.network();
        let model = Model {
            question: spec.question(),
            spec: spec.config().network.clone(),
            weights: he(&network, 1),
            network,
            normalisation: spec.dataset().normalisation.clone(),
        };
        model.to_bytes().expect("written")
    });
    models.collect()
}

fn configurations() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = presets().map(|preset| preset.text.into()).collect();
    all.push(b"schedule.epochs=0.5\nseed=3\nnetwork.activation=step".to_vec());
    all
}

fn checkpoints() -> Vec<Vec<u8>> {
    let few = [&tiny_runs()[0], &tiny_runs()[3]];
    few.map(|run| run.checkpoint(1)).to_vec()
}

fn run_specs() -> Vec<Vec<u8>> {
    let specs = tiny_runs().iter();
    specs.map(|run| run.spec().to_text().into_bytes()).collect()
}

/// Enough bytes for something to happen.
fn noise() -> Vec<Vec<u8>> {
    let run = |which: usize| {
        let mut bytes = vec![which as u8, 0];
        bytes.extend((0..400).map(|at: usize| ((at * at * 31 + at * 7 + which) >> 3) as u8));
        bytes
    };
    (0..tiny_runs().len()).map(run).collect()
}

fn messages() -> Vec<Vec<u8>> {
    use v1::coordinator_message::Kind as FromCoordinator;
    use v1::worker_message::Kind as FromWorker;
    let work = WorkHeader {
        run: RUN.to_owned(),
        round: 1,
        attempt: 2,
        job: Job::Round(Round {
            step: 5,
            stage: 0,
            gram: true,
        }),
        shards: vec![0, 2],
        payload_floats: 300,
        replay: false,
    };
    let reply = ReplyHeader {
        run: RUN.to_owned(),
        round: 1,
        attempt: 2,
        nodes: vec![NodeSum {
            node: Node { level: 1, index: 0 },
            scalars: vec![1.0, 2.0],
        }],
        shards: vec![0, 1],
        payload_floats: 5,
        records: vec![
            ShardRecord {
                crc32: 7,
                checks: vec![Tally {
                    check: Check::Sweep,
                    stage: 1,
                    ran: 5,
                    held: 4,
                    worst: 0.5,
                }],
            },
            ShardRecord::default(),
        ],
    };
    let chunk = |offset| v1::Chunk {
        data: vec![1; 8].into(),
        offset,
        ..v1::Chunk::default()
    };
    let hello = v1::Hello {
        protocol_version: PROTOCOL_VERSION,
        threads: 2,
        dataset_sha256: vec![7; 32],
        architecture: format!("{SIDE}x{SIDE}x1 - conv3 2"),
        ..v1::Hello::default()
    };
    let welcome = v1::Welcome {
        run: RUN.to_owned(),
        worker_id: 1,
        spec: tiny_runs()[3].spec().to_text(),
        lease_ms: 100,
    };
    let mut all: Vec<Vec<u8>> = [
        FromWorker::Hello(hello),
        FromWorker::Ready(v1::Ready {
            spec_sha256: vec![8; 32],
        }),
        FromWorker::Reply(reply.into()),
        FromWorker::Chunk(chunk(0)),
        FromWorker::Leaving(v1::Leaving {}),
    ]
    .map(|kind| v1::WorkerMessage { kind: Some(kind) }.encode_to_vec())
    .to_vec();
    for kind in [
        FromCoordinator::Welcome(welcome),
        FromCoordinator::Work(work.into()),
        FromCoordinator::Finish(v1::Finish::default()),
    ] {
        all.push(v1::CoordinatorMessage { kind: Some(kind) }.encode_to_vec());
    }
    let chunks = [chunk(0), chunk(8)];
    let chunks = chunks
        .iter()
        .map(prost::Message::encode_length_delimited_to_vec);
    all.push(chunks.flatten().collect());
    all
}
