//! The squared hinge of the largest violation, after Crammer and Singer (2001).

use super::OutputUpdate;

/// How far output `j` is from being 1 below that of the class.
fn violation(outputs: &[f32], class: usize, j: usize) -> f32 {
    outputs[j] + 1.0 - outputs[class]
}

fn others(count: usize, class: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |&j| j != class)
}

/// The loss of one sample.
pub(super) fn value(outputs: &[f32], class: usize) -> f64 {
    let violations = others(outputs.len(), class).map(|j| violation(outputs, class, j));
    let worst = violations.fold(0.0, f32::max);
    f64::from(worst * worst)
}

/// Moves `z` from m to the minimiser of `w x^2 + beta |z - m|^2`, where x >= 0 is the largest violation of z.
///
/// With k = w / beta and x given, z_y = m_y + k x, and the others are clipped to z_y + x - 1. If those with
/// the r largest violations v are clipped, x = (v1 + .. + vr) / (k + r (1 + k)). Each of these x is a
/// weighted mean of the one before and v / (1 + k) of the one clipped next, so the right one is the largest
/// of all. A sample without a violation is left exactly at m.
pub(super) fn prox(
    class: usize,
    update: &OutputUpdate<'_>,
    violations: &mut Vec<f32>,
    z: &mut [f32],
) {
    let ratio = update.weight / update.beta;
    let all = others(z.len(), class).map(|j| violation(z, class, j));
    violations.clear();
    violations.extend(all.filter(|&violation| violation > 0.0));
    violations.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut below) = (0.0, ratio);
    let mut largest = 0.0f32;
    for violation in violations {
        sum += *violation;
        below += 1.0 + ratio;
        largest = largest.max(sum / below);
    }
    if largest > 0.0 {
        z[class] += ratio * largest;
        let ceiling = z[class] + largest - 1.0;
        for j in others(z.len(), class) {
            z[j] = z[j].min(ceiling);
        }
    }
}
