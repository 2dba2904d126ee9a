//! Describes a network layer by layer: strides, average pooling, an activation without a derivative, and a
//! dense layer.
//!
//! `cargo run --release --package lagrange --example custom_network`

use lagrange::{
    Activation, Cluster, Dataset, Kernel, LayerSpec, NetworkSpec, Padding, Pool, Sources,
};
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let conv = |channels, kernel, stride, pool, activation| LayerSpec::Conv {
        channels,
        kernel: Kernel::square(kernel),
        stride,
        padding: Padding::Same,
        pool,
        activation,
    };
    let mut config = Sources::default()
        .preset("digits-fast")
        .set("train-limit=5000")?
        .resolve()?;
    config.network = NetworkSpec {
        layers: vec![
            conv(16, 5, 2, Pool::NONE, Activation::LeakyRelu),
            conv(32, 3, 1, Pool::avg(2), Activation::Step),
            LayerSpec::Dense {
                channels: 64,
                activation: Activation::Relu,
            },
        ],
    };
    let data = Arc::new(Dataset::load(None)?);
    let run = Cluster::in_process(2).train_blocking(config, data)?;
    let accuracy = run.result.test_accuracy.ok_or("not evaluated")?;
    let network = run.model.network.describe();
    writeln!(std::io::stdout(), "{network}: {:.2} %", 100.0 * accuracy)?;
    assert!(accuracy > 0.85);
    Ok(())
}
