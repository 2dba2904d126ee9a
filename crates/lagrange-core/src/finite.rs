//! Test for non-finite values.

/// Whether all values are finite: no NaN, no infinity. Branch-free, and as fast as reading the values.
///
/// ```
/// use lagrange_core::finite::all_finite;
///
/// assert!(all_finite(&[0.0, -1.5, f32::MAX]));
/// assert!(!all_finite(&[0.0, f32::NAN]) && !all_finite(&[f32::INFINITY]));
/// ```
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
    fn one_non_finite_value_is_found() {
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
