//! Bit masks of the nonzero values of a vector.
#![allow(unsafe_code)]

use super::geometry::LANES;

/// A bit per nonzero value. Written with intrinsics on x86-64, whose instruction for this the compiler does
/// not find.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn mask_of(values: &[f32; LANES]) -> u32 {
    use std::arch::x86_64::{_mm_cmpneq_ps, _mm_loadu_ps, _mm_movemask_ps, _mm_setzero_ps};
    // SAFETY: every x86-64 processor has SSE; both loads, of four values each and of any alignment, lie
    // within the eight.
    unsafe {
        let half = |from| _mm_movemask_ps(_mm_cmpneq_ps(_mm_loadu_ps(from), _mm_setzero_ps()));
        let start = values.as_ptr();
        (half(start) | half(start.add(LANES / 2)) << (LANES / 2)) as u32
    }
}

/// A bit per nonzero value.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn mask_of(values: &[f32; LANES]) -> u32 {
    (0..LANES).fold(0, |mask, lane| {
        mask | u32::from(values[lane] != 0.0) << lane
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_has_its_bit_and_negative_zero_is_zero() {
        for mask in 0..1u32 << LANES {
            let lanes: [f32; LANES] = std::array::from_fn(|lane| match mask >> lane & 1 {
                0 if lane % 2 == 0 => -0.0,
                0 => 0.0,
                _ => f32::from_bits(1),
            });
            assert_eq!(mask_of(&lanes), mask);
        }
    }
}
