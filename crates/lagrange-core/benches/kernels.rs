//! Every kernel of a step on the default network, by stage: `cargo bench --package lagrange-core`.
//!
//! Items per second are floating-point operations per second, of the textbook's operations where a kernel
//! needs fewer: the row `gemm` is what they compare with. `lagrange bench` prints the same as shares, for any
//! configuration.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lagrange_core::blas;
use lagrange_core::convolution::{Convolution, CrossMoment};
use lagrange_core::equations::matrix;
use lagrange_core::network::{Network, NetworkSpec, Shape, Stage};
use lagrange_core::pooling::{PoolPenalty, Pooling, StaircaseUpdate};
use lagrange_core::solver::GramSolver;
use ndarray::Array2;

/// Images of one call.
const IMAGES: usize = 8;
const GEMM_SIDE: usize = 1024;
/// Rows behind a Gram matrix.
const ROWS: usize = 1024;

fn main() {
    blas::use_one_thread();
    divan::main();
}

fn stage(index: usize) -> Stage {
    let input = Shape {
        height: 28,
        width: 28,
        channels: 1,
    };
    let network = Network::resolve(&NetworkSpec::default(), input, 10).expect("default");
    network.stages()[index].clone()
}

/// Values that are not all alike; of `one_in` of them all but one are zero.
fn values(count: usize, one_in: usize) -> Vec<f32> {
    let value = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
    // Spread without a period that the channels share.
    let kept = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7).is_multiple_of(one_in);
    (0..count)
        .map(|i| if kept(i) { value(i) } else { 0.0 })
        .collect()
}

fn loaded(stage: &Stage) -> Convolution {
    let weights = values(stage.weights(), 1);
    let mut convolution = Convolution::new(stage);
    convolution.load(matrix(&weights, stage.unknowns(), stage.conv.channels));
    convolution
}

fn operations(stage: &Stage) -> ItemsCount {
    ItemsCount::new(2 * IMAGES * stage.rows() * stage.patch() * stage.conv.channels)
}

#[divan::bench]
fn gemm(bencher: Bencher) {
    let a = Array2::from_elem((GEMM_SIDE, GEMM_SIDE), 0.5f32);
    bencher
        .counter(ItemsCount::new(2 * GEMM_SIDE.pow(3)))
        .bench_local(|| black_box(a.dot(&a)));
}

#[divan::bench(args = [0, 1, 2])]
fn convolution(bencher: Bencher, index: usize) {
    let stage = stage(index);
    let mut convolution = loaded(&stage);
    let a = values(IMAGES * stage.input.len(), 1);
    let mut z = vec![0.0; IMAGES * stage.conv.len()];
    bencher
        .counter(operations(&stage))
        .bench_local(|| convolution.apply(black_box(&a), &mut z));
}

/// Dense corrections, and one in eight.
#[divan::bench(args = [(1, 1), (1, 8), (2, 1)])]
fn adjoint(bencher: Bencher, (index, one_in): (usize, usize)) {
    let stage = stage(index);
    let mut convolution = loaded(&stage);
    let z = values(IMAGES * stage.conv.len(), one_in);
    let mut a = vec![0.0; IMAGES * stage.input.len()];
    bencher
        .counter(operations(&stage))
        .bench_local(|| convolution.adjoint(black_box(&z), &mut a));
}

#[divan::bench(args = [(0, 1), (0, 8), (1, 1), (1, 8), (2, 1)])]
fn cross_moment(bencher: Bencher, (index, one_in): (usize, usize)) {
    let stage = stage(index);
    let mut cross = CrossMoment::new(&stage);
    let a = values(IMAGES * stage.input.len(), 1);
    let z = values(IMAGES * stage.conv.len(), one_in);
    let mut sums = vec![0.0; stage.weights()];
    bencher.counter(operations(&stage)).bench_local(|| {
        let samples = a.chunks_exact(stage.input.len());
        for (a, z) in samples.zip(z.chunks_exact(stage.conv.len())) {
            cross.add(black_box(a), z);
        }
        cross.drain(&mut sums);
    });
}

#[divan::bench(args = [0, 1])]
fn pooling(bencher: Bencher, index: usize) {
    let stage = stage(index);
    let m = values(IMAGES * stage.conv.len(), 1);
    let mut a = vec![0.0; IMAGES * stage.output.len()];
    let pooling = Pooling::new(stage.conv, stage.link, StaircaseUpdate::default());
    bencher
        .counter(ItemsCount::new(m.len()))
        .bench_local(|| pooling.apply(black_box(&m), &mut a));
}

#[divan::bench(args = [0, 1])]
fn pool_prox(bencher: Bencher, index: usize) {
    let stage = stage(index);
    let m = values(IMAGES * stage.conv.len(), 1);
    let a = values(IMAGES * stage.output.len(), 1);
    let mut dz = vec![0.0; m.len()];
    let pooling = Pooling::new(stage.conv, stage.link, StaircaseUpdate::default());
    let penalty = PoolPenalty {
        gamma: 1.0,
        beta: 1.0,
    };
    bencher
        .counter(ItemsCount::new(m.len()))
        .bench_local(|| pooling.prox(penalty, black_box(&m), &a, &mut dz));
}

fn gram_of(stage: &Stage) -> (Array2<f32>, Array2<f32>) {
    let d = stage.unknowns();
    let rows = Array2::from_shape_vec((ROWS, d), values(ROWS * d, 1)).expect("shape");
    let mut gram = Array2::zeros((d, d));
    blas::gram_lower(rows.view(), &mut gram.view_mut());
    (rows, gram)
}

#[divan::bench(args = [0, 1, 2])]
fn gram(bencher: Bencher, index: usize) {
    let (rows, mut gram) = gram_of(&stage(index));
    let d = gram.nrows();
    bencher
        .counter(ItemsCount::new(ROWS * d * d))
        .bench_local(|| blas::gram_lower(black_box(rows.view()), &mut gram.view_mut()));
}

#[divan::bench(args = [0, 1, 2])]
fn factor(bencher: Bencher, index: usize) {
    let (_, gram) = gram_of(&stage(index));
    let d = gram.nrows();
    bencher
        .counter(ItemsCount::new(d.pow(3) / 3))
        .bench_local(|| GramSolver::factorise(black_box(gram.view()), 0.1, index));
}

#[divan::bench(args = [0, 1, 2])]
fn solve(bencher: Bencher, index: usize) {
    let stage = stage(index);
    let (_, gram) = gram_of(&stage);
    let solver = GramSolver::factorise(gram.view(), 0.1, index).expect("definite");
    let right = Array2::from_elem((stage.unknowns(), stage.conv.channels), 0.5);
    let operations = 2 * stage.unknowns().pow(2) * stage.conv.channels;
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| solver.solve(black_box(&right), index));
}
