//! Networks by name.

use super::{Activation, Kernel, LayerSpec, NetworkSpec, Padding, Pool};

/// Names of the presets, each with what it is for.
pub const NETWORK_PRESETS: [(&str, &str); 4] = [
    (
        "default",
        "two 5x5 stages of 16 and 32 channels: digits and other small grey pictures",
    ),
    (
        "small",
        "three 3x3 stages of 16, 32 and 64 channels: small colour pictures, quickly",
    ),
    (
        "deep",
        "six 3x3 layers, 32-32-pool-64-64-pool-128-128-pool: small colour pictures",
    ),
    (
        "mlp",
        "two dense layers of 256: features without neighbours",
    ),
];

/// The network by that name.
///
/// # Errors
/// A message with the names there are.
pub(super) fn preset(name: &str) -> Result<NetworkSpec, String> {
    let layers = match name {
        "default" => NetworkSpec::default().layers,
        "small" => [16, 32, 64]
            .map(|channels| same(channels, Pool::max(2)))
            .into(),
        "deep" => [32, 64, 128]
            .into_iter()
            .flat_map(|channels| [same(channels, Pool::NONE), same(channels, Pool::max(2))])
            .collect(),
        "mlp" => vec![dense(256), dense(256)],
        _ => {
            let names = NETWORK_PRESETS.map(|(name, _)| name).join(", ");
            return Err(format!("no network preset `{name}`: use one of {names}"));
        }
    };
    Ok(NetworkSpec { layers })
}

fn same(channels: usize, pool: Pool) -> LayerSpec {
    LayerSpec::Conv {
        channels,
        kernel: Kernel::square(3),
        stride: 1,
        padding: Padding::Same,
        pool,
        activation: Activation::Relu,
    }
}

fn dense(channels: usize) -> LayerSpec {
    LayerSpec::Dense {
        channels,
        activation: Activation::Relu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_network_and_no_other() {
        for (name, _) in NETWORK_PRESETS {
            assert!(!preset(name).expect(name).layers.is_empty());
        }
        let error = preset("resnet").expect_err("unknown");
        assert!(error.contains("default, small, deep, mlp"), "{error}");
    }
}
