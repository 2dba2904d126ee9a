//! Whether values are numbers.

/// Whether all values are finite. Without branches, so that it costs no more than reading them.
#[must_use]
pub fn all_finite(values: &[f32]) -> bool {
    const INFINITE: u32 = f32::INFINITY.to_bits();
    let largest = values
        .iter()
        .fold(0, |largest: u32, value| largest.max(value.abs().to_bits()));
    largest < INFINITE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_that_is_no_number_is_found() {
        assert!(all_finite(&[]) && all_finite(&[0.0, -0.0, f32::MAX, f32::MIN, 1e-45]));
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 7, 31] {
                let mut values = [1.0; 32];
                values[place] = bad;
                assert!(!all_finite(&values), "{bad} at {place}");
            }
        }
    }
}
