//! Figures of the textbook, per channel, and their text.

use super::*;
use proptest::prelude::*;

fn images(pixels: Vec<u8>) -> Images {
    Images {
        height: 1,
        width: 1,
        channels: 1,
        pixels,
    }
}

#[test]
fn black_and_white_have_the_known_values() {
    let mut inputs = [0.0; 2];
    Normaliser::new(&Normalisation::MNIST).apply(&[0, 255], &mut inputs);
    assert!((inputs[0] + 0.424_213).abs() < 1e-5);
    assert!((inputs[1] - 2.821_487).abs() < 1e-5);
}

/// Every run on MNIST depends on these bits.
#[test]
#[cfg(feature = "embedded-mnist")]
fn mnist_has_the_normalisation_that_everybody_uses() {
    let mnist = crate::Dataset::embedded().expect("embedded");
    let found = Normalisation::of(&mnist.train.images).expect("contrast");
    assert_eq!(found, Normalisation::MNIST);
    assert_eq!(found.means()[0].to_bits(), 0.1307f32.to_bits());
    assert_eq!(
        found.standard_deviations()[0].to_bits(),
        0.3081f32.to_bits()
    );
}

#[test]
fn four_decimals_are_the_same_bits_as_text_and_as_a_number() {
    for ten_thousandths in 0..=10_000 {
        let value = rounded(f64::from(ten_thousandths) / 1e4 + 2e-5);
        let text = format!(
            "{}.{:04}",
            ten_thousandths / 10_000,
            ten_thousandths % 10_000
        );
        let read: f32 = text.parse().expect("a number");
        assert_eq!(read.to_bits(), value.to_bits(), "{text}");
        assert_eq!(value.to_string().parse(), Ok(value), "{text}");
    }
}

#[test]
fn images_without_contrast_have_none() {
    for (pixels, mean) in [(vec![0; 9], 0.0), (vec![255; 9], 1.0), (Vec::new(), 0.0)] {
        let error = Normalisation::of(&images(pixels)).expect_err("no contrast");
        assert_eq!(error, NoContrast { mean });
        assert!(error.to_string().contains("nothing to learn"));
    }
    let mut faint = vec![0; 1_000];
    faint[17] = 1;
    let found = Normalisation::of(&images(faint)).expect("contrast");
    assert_eq!(figures(&found, 0), (0.0, 0.0001));
}

#[test]
fn figures_that_no_pixels_have_are_refused() {
    let (nan, infinite) = (f32::NAN, f32::INFINITY);
    for (mean, deviation) in [
        (nan, 0.3),
        (infinite, 0.3),
        (-0.1, 0.3),
        (1.1, 0.3),
        (0.1, nan),
        (0.1, infinite),
        (0.1, 0.0),
        (0.1, -0.3),
        (0.1, f32::MIN_POSITIVE),
    ] {
        assert_eq!(Normalisation::new(mean, deviation), None);
    }
    assert_eq!(
        Normalisation::new(0.1307, 0.3081),
        Some(Normalisation::MNIST)
    );
}

/// Mean and standard deviation of a channel.
fn figures(of: &Normalisation, channel: usize) -> (f32, f32) {
    (of.means()[channel], of.standard_deviations()[channel])
}

/// Mean and standard deviation of one channel by the textbook.
fn textbook(pixels: &[u8], channels: usize, channel: usize) -> (f64, f64) {
    let values = pixels.iter().skip(channel).step_by(channels);
    let values: Vec<f64> = values.map(|&value| f64::from(value) / 255.0).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

proptest! {
    #[test]
    fn the_figures_are_those_of_the_textbook(
        pixels in prop::collection::vec(any::<u8>(), 2..130), colour: bool,
    ) {
        let channels = if colour { 3 } else { 1 };
        let pixels = pixels.repeat(channels);
        let expected: Vec<(f64, f64)> =
            (0..channels).map(|channel| textbook(&pixels, channels, channel)).collect();
        // The decimals themselves: a tie leaves no room for the rounding of f32.
        let decimals = |found: f32| (f64::from(found) * 1e4).round() / 1e4;
        let near = |found: f32, expected: f64| {
            decimals(found) as f32 == found && (decimals(found) - expected).abs() <= 0.50001e-4
        };
        match Normalisation::of(&Images { channels, ..images(pixels) }) {
            Ok(found) => for (channel, &(mean, deviation)) in expected.iter().enumerate() {
                let (found_mean, found_deviation) = figures(&found, channel);
                prop_assert!(near(found_mean, mean));
                let flat = found_deviation == 1.0 && deviation < 0.50001e-4;
                prop_assert!(flat || near(found_deviation, deviation));
            },
            Err(_) => prop_assert!(expected.iter().all(|&(_, d)| d < 0.50001e-4)),
        }
    }

    #[test]
    fn every_channel_has_its_own_table(pixels in prop::collection::vec(any::<u8>(), 1..40)) {
        let (means, deviations) = ([0.1, 0.5, 0.9], [0.2, 0.3, 1.0]);
        let colour = Normalisation::per_channel(&means, &deviations).expect("sound");
        let pixels = pixels.repeat(3);
        let mut inputs = vec![0.0; pixels.len()];
        Normaliser::new(&colour).apply(&pixels, &mut inputs);
        for (index, (&pixel, &input)) in pixels.iter().zip(&inputs).enumerate() {
            let channel = index % 3;
            let expected = (f32::from(pixel) / 255.0 - means[channel]) / deviations[channel];
            prop_assert_eq!(input, expected);
        }
    }
}

#[test]
fn text_has_a_number_of_one_channel_and_an_array_of_three() {
    let json = |of: &Normalisation| serde_json::to_string(of).expect("plain values");
    let grey = r#"{"mean":0.1307,"standard-deviation":0.3081}"#;
    assert_eq!(json(&Normalisation::MNIST), grey);
    let colour = Normalisation::per_channel(&[0.4914, 0.4822, 0.4465], &[0.247, 0.2435, 0.2616]);
    let colour = colour.expect("sound");
    let text = r#"{"mean":[0.4914,0.4822,0.4465],"standard-deviation":[0.247,0.2435,0.2616]}"#;
    assert_eq!(json(&colour), text);
    for (text, of) in [(grey, Normalisation::MNIST), (text, colour)] {
        let read: Normalisation = serde_json::from_str(text).expect("its own text");
        assert_eq!(read, of);
    }
    for wrong in [
        r#"{"mean":[0.1,0.2],"standard-deviation":0.3}"#,
        r#"{"mean":[],"standard-deviation":[]}"#,
        r#"{"mean":"0.1","standard-deviation":0.3}"#,
    ] {
        assert!(
            serde_json::from_str::<Normalisation>(wrong).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_flat_channel_beside_others_has_inputs_of_zero() {
    let colour = Images {
        channels: 3,
        ..images(vec![9, 0, 255, 9, 255, 255])
    };
    let found = Normalisation::of(&colour).expect("contrast");
    assert_eq!(
        (figures(&found, 0).1, figures(&found, 1)),
        (1.0, (0.5, 0.5))
    );
    let mut inputs = [0.0; 6];
    Normaliser::new(&found).apply(&colour.pixels, &mut inputs);
    assert!(inputs[0].abs() < 1e-4 && inputs[2] == 0.0, "{inputs:?}");
}

/// Sums of a block must not overflow, nor those of the largest set that can be read.
#[test]
fn white_pixels_do_not_overflow() {
    let mut pixels = vec![255; 3 * BLOCK];
    pixels[0] = 0;
    let found = Normalisation::of(&images(pixels)).expect("contrast");
    assert_eq!(figures(&found, 0), (1.0, 0.0023));
    assert!(BLOCK as u64 * 255 * 255 <= u64::from(u32::MAX));
}
