//! One thread's work in a step, part by part, against the product of two matrices.

use super::KernelTime;
use crate::statistics::median;
use anyhow::{Context as _, Result};
use lagrange::RunSpec;
use lagrange_core::blas;
use lagrange_core::check::Checks;
use lagrange_core::convolution::{Convolution, CrossMoment};
use lagrange_core::equations::matrix;
use lagrange_core::network::{Network, Stage};
use lagrange_core::pooling::{PoolPenalty, Pooling};
use lagrange_core::schedule::{Round, ShardInput, ShardOutput};
use lagrange_core::solver::GramSolver;
use lagrange_core::start::he;
use ndarray::Array2;
use std::time::{Duration, Instant};

/// Images of one call, as in a step.
const IMAGES: usize = 8;
/// How long a part is repeated for one reading, and how many readings there are.
const READING: Duration = Duration::from_millis(40);
const READINGS: usize = 5;
const GEMM_SIDE: usize = 1024;
/// Of so many corrections one is not zero, about as in training with the squared loss.
const SPARSE: u32 = 8;

/// GFLOP/s of matrix products on `threads` threads at once, each by itself.
pub(super) fn gemm(threads: usize) -> f64 {
    let seconds: Vec<f64> = std::thread::scope(|scope| {
        let product = || {
            let a = Array2::from_elem((GEMM_SIDE, GEMM_SIDE), 0.5f32);
            seconds(|| drop(std::hint::black_box(a.dot(&a))))
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(product)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or(f64::INFINITY))
            .collect()
    });
    let flops = 2.0 * (GEMM_SIDE as f64).powi(3);
    seconds.iter().map(|seconds| flops / seconds / 1e9).sum()
}

/// Median seconds of a call of `work`.
fn seconds(mut work: impl FnMut()) -> f64 {
    work();
    median((0..READINGS).map(|_| {
        let begin = Instant::now();
        let mut calls = 0;
        while calls == 0 || begin.elapsed() < READING {
            work();
            calls += 1;
        }
        begin.elapsed().as_secs_f64() / f64::from(calls)
    }))
}

/// Values that are not all alike: a pattern between -1 and 1.
fn values(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect()
}

/// `values` with zeros for all but one in `count`, spread without a pattern.
fn keep_one_in(count: u32, values: &[f32]) -> Vec<f32> {
    let mut state = 1u32;
    let next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    values
        .iter()
        .zip(std::iter::repeat_with(next))
        .map(|(value, lot)| if lot % count == 0 { *value } else { 0.0 })
        .collect()
}

/// The rows of the report.
struct Rows {
    gemm: f64,
    rows: Vec<KernelTime>,
}

impl Rows {
    /// A call of `work` does `units` images or steps, with `flops` operations each, or some that do not
    /// count.
    fn add(&mut self, name: String, units: usize, flops: Option<f64>, work: impl FnMut()) {
        let seconds = seconds(work) / units as f64;
        let gflops = flops.map(|flops| flops / seconds / 1e9);
        self.rows.push(KernelTime {
            name,
            micros: 1e6 * seconds,
            gflops,
            of_gemm: gflops.map(|rate| rate / self.gemm),
        });
    }
}

/// Measures every part of a step of `spec`; `gemm` is one thread's yardstick in GFLOP/s.
pub(super) fn measure(spec: &RunSpec, gemm: f64) -> Result<Vec<KernelTime>> {
    let network = spec.network();
    let mut rows = Rows {
        gemm,
        rows: Vec::new(),
    };
    for (index, stage) in network.stages().iter().enumerate() {
        convolution(&mut rows, index, stage);
        if index + 1 < network.len() {
            hidden_outputs(&mut rows, &network, index, spec);
        }
    }
    for (index, stage) in network.stages().iter().enumerate() {
        equations(&mut rows, index, stage, spec)?;
    }
    for gram in [false, true] {
        whole_step(&mut rows, &network, spec, gram);
    }
    Ok(rows.rows)
}

fn convolution(rows: &mut Rows, index: usize, stage: &Stage) {
    let number = index + 1;
    let flops = Some(2.0 * (stage.rows() * stage.patch() * stage.conv.channels) as f64);
    let weights = values(stage.weights());
    let mut convolution = Convolution::new(stage);
    convolution.load(matrix(&weights, stage.unknowns(), stage.conv.channels));
    let mut a = values(IMAGES * stage.input.len());
    let mut z = values(IMAGES * stage.conv.len());
    rows.add(format!("stage {number} convolution"), IMAGES, flops, || {
        convolution.apply(&a, &mut z);
    });
    // As dense as they can be, and as sparse as in training.
    let mut cross = CrossMoment::new(stage);
    let mut sums = vec![0.0; stage.weights()];
    let sparse = keep_one_in(SPARSE, &z);
    for (kind, z) in [("", &z), (", sparse", &sparse)] {
        let name = format!("stage {number} cross moment{kind}");
        rows.add(name, IMAGES, flops, || {
            let samples = a.chunks_exact(stage.input.len());
            for (a, z) in samples.zip(z.chunks_exact(stage.conv.len())) {
                cross.add(a, z);
            }
            cross.drain(&mut sums);
        });
        if index > 0 {
            let name = format!("stage {number} adjoint{kind}");
            rows.add(name, IMAGES, flops, || convolution.adjoint(z, &mut a));
        }
    }
}

fn hidden_outputs(rows: &mut Rows, network: &Network, index: usize, spec: &RunSpec) {
    let (number, stage) = (index + 1, &network.stages()[index]);
    let params = &spec.config().schedule;
    let pooling = Pooling::new(stage.conv, stage.link, params.staircase);
    let penalty = PoolPenalty {
        gamma: params.gamma,
        beta: params.beta,
    };
    let m = values(IMAGES * stage.conv.len());
    let mut a = values(IMAGES * stage.output.len());
    let mut dz = vec![0.0; m.len()];
    rows.add(format!("stage {number} pooling"), IMAGES, None, || {
        pooling.apply(&m, &mut a);
    });
    rows.add(format!("stage {number} pool prox"), IMAGES, None, || {
        std::hint::black_box(pooling.prox(penalty, &m, &a, &mut dz));
    });
}

fn equations(rows: &mut Rows, index: usize, stage: &Stage, spec: &RunSpec) -> Result<()> {
    let (number, d) = (index + 1, stage.unknowns());
    let count = spec.config().schedule.gram_rows;
    let toeplitz = Array2::from_shape_vec((count, d), values(count * d))?;
    let mut gram = Array2::zeros((d, d));
    let flops = Some((count * d * d) as f64);
    rows.add(
        format!("stage {number} Gram, per refresh"),
        1,
        flops,
        || {
            blas::gram_lower(toeplitz.view(), &mut gram.view_mut());
        },
    );
    let flops = Some((d as f64).powi(3) / 3.0);
    rows.add(
        format!("stage {number} factor, per refresh"),
        1,
        flops,
        || {
            drop(std::hint::black_box(GramSolver::factorise(
                gram.view(),
                0.1,
                index,
            )));
        },
    );
    let solver =
        GramSolver::factorise(gram.view(), 0.1, index).context("the Gram matrix of a pattern")?;
    let right = Array2::from_elem((d, stage.conv.channels), 0.5);
    let flops = Some(2.0 * (d * d * stage.conv.channels) as f64);
    rows.add(format!("stage {number} solve, per step"), 1, flops, || {
        drop(std::hint::black_box(solver.solve(&right, index)));
    });
    Ok(())
}

fn whole_step(rows: &mut Rows, network: &Network, spec: &RunSpec, gram: bool) {
    let schedule = spec.schedule(network);
    // Not a step that is checked.
    let round = Round {
        step: 1,
        stage: 0,
        gram,
    };
    let Some(sizes) = schedule.sizes(round) else {
        return;
    };
    let images = spec.cut().samples;
    let inputs = values(images * network.input().len());
    let targets = values(images * network.outputs());
    let targets: Vec<f32> = targets.iter().map(|value| value.signum()).collect();
    let (multipliers, shared) = (vec![0.0; sizes.rows_in], [1.0]);
    let positions: Vec<u32> = (0..images as u32).collect();
    let (mut sums, mut residuals) = (vec![0.0; sizes.sums], vec![0.0; sizes.rows_out]);
    let mut worker = schedule.worker();
    let (weights, mut checks) = (he(network, 0), Checks::default());
    worker.forward().load(&weights);
    let input = ShardInput {
        images: &inputs,
        targets: &targets,
        weights: &[],
        multipliers: &multipliers,
        positions: &positions,
        shared: &shared,
        loaded: &weights,
        key: (0, 0),
    };
    let name = match gram {
        false => "a shard's step",
        true => "a shard's step with Gram refresh",
    };
    rows.add(name.to_owned(), images, Some(step_flops(network)), || {
        let output = ShardOutput {
            sums: &mut sums,
            rows: &mut residuals,
            checks: &mut checks,
        };
        std::hint::black_box(worker.run(round, &input, None, output));
    });
}

/// Operations of one image in a step with one-step activations: convolution and cross moment of every stage,
/// and behind the first the adjoint and the convolution of the direction.
fn step_flops(network: &Network) -> f64 {
    let stages = network.stages().iter().enumerate();
    stages
        .map(|(index, stage)| {
            let products = if index == 0 { 2 } else { 4 };
            (2 * products * stage.rows() * stage.patch() * stage.conv.channels) as f64
        })
        .sum()
}
