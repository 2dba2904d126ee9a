//! Every schedule and every solver, on networks of every kind of layer.

use lagrange::{Cluster, Config, Dataset, RunResult, Task};
use lagrange_core::network::{Activation, Kernel, LayerSpec, NetworkSpec, Padding, Pool};
use lagrange_core::schedule::{ScheduleKind, SolverKind};
use lagrange_tests::{colours, small_config};
use std::sync::Arc;

fn conv(stride: usize, pool: Pool, activation: Activation) -> LayerSpec {
    LayerSpec::Conv {
        channels: 6,
        kernel: Kernel::square(3),
        stride,
        padding: Padding::Same,
        pool,
        activation,
    }
}

/// Between them every pooling and every activation, strides, and dense layers.
fn networks() -> [Vec<LayerSpec>; 4] {
    let dense = |activation| LayerSpec::Dense {
        channels: 8,
        activation,
    };
    [
        vec![
            conv(2, Pool::NONE, Activation::Relu),
            dense(Activation::LeakyRelu),
        ],
        vec![
            conv(1, Pool::avg(2), Activation::LeakyRelu),
            conv(1, Pool::max(3), Activation::Identity),
        ],
        vec![
            conv(1, Pool::max(2), Activation::Step),
            dense(Activation::Relu),
        ],
        vec![
            conv(1, Pool::max(2), Activation::QuantisedRelu),
            conv(1, Pool::GLOBAL, Activation::Identity),
            dense(Activation::Relu),
        ],
    ]
}

/// Each way of fitting weights.
const METHODS: [(ScheduleKind, SolverKind); 5] = [
    (ScheduleKind::Streaming, SolverKind::Gram),
    (ScheduleKind::Streaming, SolverKind::Sampled),
    (ScheduleKind::Classic, SolverKind::Gram),
    (ScheduleKind::Classic, SolverKind::PseudoInverse),
    (ScheduleKind::Classic, SolverKind::Sampled),
];

fn configuration(layers: &[LayerSpec], kind: ScheduleKind, solver: SolverKind) -> Config {
    let mut config = Config {
        task: Task::Classes,
        network: NetworkSpec {
            layers: layers.to_vec(),
        },
        ..small_config(4)
    };
    config.schedule.kind = kind;
    config.schedule.solver = solver;
    config.schedule.equations = 4.0;
    match kind {
        ScheduleKind::Streaming => {
            // Enough rows to draw equations from.
            config.schedule.batch = 120;
            config.schedule.epochs = 6.0;
        }
        ScheduleKind::Classic => config.schedule.batch = 0,
    }
    config
}

async fn train(config: &Config, dataset: &Arc<Dataset>, workers: usize) -> RunResult {
    let run = Cluster::in_process(workers).train(config.clone(), Arc::clone(dataset));
    run.await.expect("the run ends").result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_trains_every_network_with_the_same_bits_for_any_number_of_workers() {
    let dataset = Arc::new(colours(360, 60, 90));
    for (number, layers) in networks().into_iter().enumerate() {
        for (kind, solver) in METHODS {
            let config = configuration(&layers, kind, solver);
            let one = train(&config, &dataset, 1).await;
            let three = train(&config, &dataset, 3).await;
            let name = format!("network {number}, {kind:?}, {solver:?}");
            // A third of the images are of each class.
            assert!(one.test_accuracy > Some(0.6), "{name}: {one:?}");
            assert_eq!(one.weights_sha256, three.weights_sha256, "{name}");
            assert_eq!(one.multipliers_sha256, three.multipliers_sha256, "{name}");
        }
    }
}
