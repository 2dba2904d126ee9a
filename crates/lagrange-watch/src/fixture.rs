//! Events of a made-up run.

use crate::RunState;
use lagrange::{Evaluation, Observed, RunEvent, Split, StepMetrics, WorkerStatus};

/// What a run tells at `seconds`.
pub(crate) fn observed(seconds: f64, event: RunEvent) -> Observed {
    Observed {
        seconds,
        bytes_sent: (1e6 * seconds) as u64,
        bytes_received: (2e6 * seconds) as u64,
        wait_seconds: 0.03,
        work_seconds: 0.01,
        event,
    }
}

pub(crate) fn step(step: u64, total: u64) -> RunEvent {
    RunEvent::Step(Box::new(StepMetrics {
        step,
        total,
        loss: 1.0 / step as f64,
        objective: 0.5,
        output_residual: vec![0.1, 0.2],
        activation_residual: vec![0.3],
        dual_residual: vec![0.4, f64::NAN],
        weight_norm: vec![1.0, 2.0],
        condition: vec![1e3, 1e4],
        equations: vec![100, 200],
        rank: Vec::new(),
        distance: Vec::new(),
        multiplier_rms: 0.05,
        rate: 0.75,
        checksums: Vec::new(),
    }))
}

pub(crate) fn evaluation(step: u64, split: Split, correct: u64) -> Evaluation {
    Evaluation {
        step,
        split,
        samples: 100,
        correct,
        accuracy: correct as f64 / 100.0,
        loss: 0.25,
    }
}

pub(crate) fn workers(wanted: usize, present: u64) -> RunEvent {
    let status = |worker| WorkerStatus {
        worker,
        name: format!("host-{worker}"),
        address: None,
        threads: 2,
        leaving: worker == 3,
        shards: vec![0, 1],
        answer_seconds: None,
        silent_seconds: 0.5,
    };
    RunEvent::Workers {
        wanted,
        lease_seconds: 10.0,
        present: (1..=present).map(status).collect(),
    }
}

/// A run of 100 steps at its 60th, with two of three workers.
pub(crate) fn under_way() -> RunState {
    let mut state = RunState {
        name: "digits seed 7".to_owned(),
        ..RunState::default()
    };
    state.begin((0, 100));
    let mut tell = |seconds, event| state.event(&observed(seconds, event));
    for number in 1..=2 {
        let change = format!("worker {number} joined");
        let workers = number as usize;
        tell(0.25, RunEvent::Membership { workers, change });
    }
    for number in 1..=60 {
        tell(number as f64 / 10.0, step(number, 100));
        if number % 20 == 0 {
            let evaluation = evaluation(number, Split::Test, 80 + number / 5);
            tell(number as f64 / 10.0, RunEvent::Evaluation(evaluation));
        }
    }
    tell(6.0, workers(3, 2));
    state
}
