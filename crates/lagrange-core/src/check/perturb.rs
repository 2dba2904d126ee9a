//! The search for a point that costs less than a minimiser should.

use rand::{Rng, RngExt as _};

/// Lengths of perturbations, relative to the size of the values.
const LENGTHS: [f64; 4] = [1e-3, 1e-2, 1e-1, 1.0];
/// Most coordinates that are perturbed each by itself.
const COORDINATES: usize = 16;
/// Random directions.
const DIRECTIONS: usize = 4;

/// The largest saving of all perturbations of `point`: `cost(point)` is `own`, and `size` the size of its
/// values. It is 0 or less where none is cheaper, and not a number where costs are none.
pub(super) fn largest_saving(
    point: &[f64],
    size: f64,
    own: f64,
    random: &mut impl Rng,
    cost: impl Fn(&[f64]) -> f64,
) -> f64 {
    let mut search = Search {
        point,
        size,
        own,
        cost,
        moved: point.to_vec(),
        saving: f64::NEG_INFINITY,
    };
    let count = point.len();
    for number in 0..count.min(COORDINATES) {
        let at = match count <= COORDINATES {
            true => number,
            false => random.random_range(0..count),
        };
        search.along(|index| f64::from(u8::from(index == at)));
    }
    search.along(|_| 1.0);
    for _ in 0..DIRECTIONS {
        let direction: Vec<f64> = (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
        search.along(|index| direction[index]);
    }
    search.saving
}

struct Search<'a, C> {
    point: &'a [f64],
    size: f64,
    own: f64,
    cost: C,
    moved: Vec<f64>,
    saving: f64,
}

impl<C: Fn(&[f64]) -> f64> Search<'_, C> {
    /// Tries all lengths of `direction`, both ways.
    fn along(&mut self, direction: impl Fn(usize) -> f64) {
        for length in LENGTHS.into_iter().flat_map(|length| [length, -length]) {
            for (index, (moved, z)) in self.moved.iter_mut().zip(self.point).enumerate() {
                *moved = z + length * self.size * direction(index);
            }
            let saving = self.own - (self.cost)(&self.moved);
            // `max` would lose what is not a number.
            if saving.is_nan() || saving > self.saving {
                self.saving = saving;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn a_minimiser_has_no_better_point_and_others_have() {
        let minimum = [1.0, -2.0, 0.5];
        let cost = |z: &[f64]| {
            z.iter()
                .zip(minimum)
                .map(|(z, m)| (z - m).powi(2))
                .sum::<f64>()
        };
        let saving = |point: &[f64]| {
            let random = &mut stream(1, Purpose::Checks, 0, 0);
            largest_saving(point, 2.0, cost(point), random, cost)
        };
        assert!(saving(&minimum) <= 0.0);
        assert!(saving(&[1.0, -2.004, 0.5]) > 1e-5);
        assert!(saving(&[1.0, -2.0, f64::NAN]).is_nan());
    }

    #[test]
    fn many_coordinates_are_sampled() {
        let point = vec![1.0; 500];
        let cost = |z: &[f64]| z.iter().map(|z| z * z).sum::<f64>();
        let random = &mut stream(1, Purpose::Checks, 0, 0);
        assert!(largest_saving(&point, 1.0, cost(&point), random, cost) > 400.0);
    }
}
