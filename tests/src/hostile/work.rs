//! What a coordinator may ask of a worker.

use super::runs::{tiny_runs, work_honestly};
use super::{byte, number, place, value};
use crate::RUN;
use arbitrary::Unstructured;
use lagrange_core::schedule::Round;
use lagrange_data::Split;
use lagrange_protocol::{Job, RunSpec, Work, WorkHeader};
use lagrange_worker::Compute;

/// Work of any kind for a worker in the middle of a tiny run: it is done, or refused with a reason.
pub fn work(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let runs = tiny_runs();
    let run = &runs[place(&mut bytes, runs.len())];
    let worker = run.worker();
    let rounds = byte(&mut bytes) % 12;
    let shards = run.spec().shards();
    work_honestly(&mut run.begin(), &worker, rounds.into(), &mut drop);
    while !bytes.is_empty() {
        ask(&worker, any_job(&mut bytes), shards, &mut bytes);
    }
}

/// Largest payload worth computing here.
const MANY: usize = 20_000;

/// A run as a coordinator describes it, and then work of every kind for it.
pub fn run_spec(bytes: &[u8]) {
    let Ok(spec) = RunSpec::from_text(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let (config, shards) = (spec.config(), spec.shards());
    let small = config.start.patches < 200 * shards && config.schedule.gram_rows < 200 * shards;
    let Ok(worker) = tiny_runs()[0].worker_of(spec) else {
        return;
    };
    if !small || worker.network().weights() > MANY {
        return;
    }
    let mut bytes = Unstructured::new(bytes);
    let round = |stage| {
        Job::Round(Round {
            step: 0,
            stage,
            gram: true,
        })
    };
    for job in [
        Job::InitialCentroids { stage: 0 },
        Job::Moments { stage: 0 },
        round(0),
        round(1),
    ] {
        if worker.sizes(job).is_ok_and(|s| s.reply_values(1, 1) < MANY) {
            ask(&worker, job, shards, &mut bytes);
        }
    }
}

fn any_job(bytes: &mut Unstructured<'_>) -> Job {
    let stage = |bytes: &mut Unstructured<'_>| match byte(bytes) {
        few @ 0..128 => usize::from(few % 4),
        _ => number(bytes) as usize,
    };
    let step = |bytes: &mut Unstructured<'_>| match byte(bytes) {
        few @ 0..128 => u64::from(few % 4),
        _ => number(bytes),
    };
    match byte(bytes) % 6 {
        0 => Job::InitialCentroids {
            stage: stage(bytes),
        },
        1 => Job::Cluster {
            stage: stage(bytes),
        },
        2 => Job::Moments {
            stage: stage(bytes),
        },
        3 | 4 => Job::Round(Round {
            step: step(bytes),
            stage: stage(bytes),
            gram: byte(bytes).is_multiple_of(2),
        }),
        _ => Job::Evaluate {
            split: [Split::Train, Split::Validation, Split::Test][place(bytes, 3)],
        },
    }
}

/// Asks for `job`; whatever is answered has the sizes that the contract gives it.
fn ask(worker: &Compute, job: Job, shards: usize, bytes: &mut Unstructured<'_>) {
    let shards = any_shards(shards, bytes);
    let sizes = worker.sizes(job);
    let right = sizes.map_or(3, |sizes| sizes.work_values(shards.len().min(64)));
    let length = match byte(bytes) % 8 {
        0 => usize::from(byte(bytes)),
        _ => right,
    };
    let mut payload = vec![0.1; length];
    for _ in 0..byte(bytes) % 4 {
        let at = place(bytes, length);
        payload[at..]
            .iter_mut()
            .take(1)
            .for_each(|slot| *slot = value(bytes));
    }
    let header = WorkHeader {
        run: RUN.to_owned(),
        round: 1,
        attempt: 0,
        job,
        shards,
        payload_floats: number(bytes),
        replay: byte(bytes).is_multiple_of(8),
    };
    if let Ok(answer) = worker.answer(&Work { header, payload }) {
        let sizes = worker.sizes(job).expect("it was answered");
        let (nodes, shards) = (answer.header.nodes.len(), answer.header.shards.len());
        assert_eq!(answer.payload.floats(), sizes.reply_values(nodes, shards));
        let scalars = answer.header.nodes.iter().map(|node| node.scalars.len());
        assert!(scalars.into_iter().all(|count| count == sizes.scalars));
    }
}

/// Mostly all shards or some of them in order, sometimes anything.
fn any_shards(shards: usize, bytes: &mut Unstructured<'_>) -> Vec<u32> {
    let all = 0..shards.min(16) as u32;
    match byte(bytes) % 8 {
        0 => (0..byte(bytes) % 5).map(|_| number(bytes) as u32).collect(),
        1..5 => all.collect(),
        _ => {
            let mask = byte(bytes);
            all.filter(|shard| mask >> (shard % 8) & 1 == 1).collect()
        }
    }
}
