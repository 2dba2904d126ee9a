//! Cross-entropy of the softmax, whose prox is found by Newton's method.
//!
//! Exponentials are those of a portable library, so that all machines have the same bits.

use super::OutputUpdate;

/// Most iterations of Newton's method; six usually reach the precision of f32.
const MOST: usize = 50;
/// Step below which the iteration ends, relative to the outputs.
const TOLERANCE: f64 = 1e-9;

/// log(1 + exp(-y z))
pub(super) fn logistic(z: f32, y: f32) -> f64 {
    let margin = f64::from(y) * f64::from(z);
    (-margin).max(0.0) + libm::log1p(libm::exp(-margin.abs()))
}

/// log of the sum of exp(z_j - z_class)
pub(super) fn cross_entropy(outputs: &[f32], class: usize) -> f64 {
    let top = f64::from(outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = outputs.iter().map(|&z| libm::exp(f64::from(z) - top)).sum();
    libm::log(sum) + top - f64::from(outputs[class])
}

/// Softmax of outputs, into `p`.
pub(super) fn probabilities(z: &[f64], p: &mut [f64]) {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (p, z) in p.iter_mut().zip(z) {
        *p = libm::exp(z - top);
        sum += *p;
    }
    p.iter_mut().for_each(|p| *p /= sum);
}

/// The minimiser of `w log(1 + exp(-y z)) + lambda z + beta (z - m)^2` for one output.
pub(super) fn logistic_prox(m: f32, update: &OutputUpdate<'_>) -> f32 {
    let (m, y) = (f64::from(m), f64::from(update.targets[0]));
    let (beta, weight) = (f64::from(update.beta), f64::from(update.weight));
    // The derivative rises through 0 between m and m + w y / (2 beta): bisection where Newton leaves that, and
    // where a step is not half of the step before the last: with a large w / beta it goes to and fro.
    let (mut low, mut high) = (
        m.min(m + weight * y / (2.0 * beta)),
        m.max(m + weight * y / (2.0 * beta)),
    );
    let (mut z, mut moves) = (m, [f64::INFINITY; 2]);
    for _ in 0..MOST {
        let p = 1.0 / (1.0 + libm::exp(y * z));
        let slope = 2.0 * beta * (z - m) - weight * y * p;
        match slope > 0.0 {
            true => high = z,
            false => low = z,
        }
        let step = slope / (2.0 * beta + weight * p * (1.0 - p));
        let shrinks = 2.0 * step.abs() <= moves[0];
        let next = match z - step {
            next if shrinks && low < next && next < high => next,
            _ => 0.5 * (low + high),
        };
        let moved = (next - z).abs();
        (z, moves) = (next, [moves[1], moved]);
        if moved <= TOLERANCE * z.abs().max(1.0) {
            break;
        }
    }
    z as f32
}

/// The update of several outputs by Newton's method, with its buffers.
#[derive(Debug, Clone)]
pub(super) struct Newton {
    class: usize,
    beta: f64,
    weight: f64,
    /// m
    centre: Vec<f64>,
    z: Vec<f64>,
    next: Vec<f64>,
    p: Vec<f64>,
    step: Vec<f64>,
}

impl Newton {
    pub(super) fn new(outputs: usize) -> Self {
        let zeros = vec![0.0; outputs];
        Self {
            class: 0,
            beta: 1.0,
            weight: 1.0,
            centre: zeros.clone(),
            z: zeros.clone(),
            next: zeros.clone(),
            p: zeros.clone(),
            step: zeros,
        }
    }

    /// Moves `z` from m to the minimiser of `w CE(z) + beta |z - m|^2`.
    ///
    /// With p = softmax(z) the gradient is g = w (p - y) + 2 beta (z - m) and the Hessian D - w p p', with
    /// D = diag(w p + 2 beta): its inverse is one of rank one (Sherman and Morrison). A step that does not
    /// lower the cost is halved.
    pub(super) fn run(&mut self, class: usize, update: &OutputUpdate<'_>, z: &mut [f32]) {
        self.class = class;
        (self.beta, self.weight) = (update.beta.into(), update.weight.into());
        for (output, z) in z.iter().enumerate() {
            (self.centre[output], self.z[output]) = (f64::from(*z), f64::from(*z));
        }
        let mut cost = self.cost(&self.z);
        for _ in 0..MOST {
            self.find_step();
            cost = self.descend(cost);
            let pairs = || self.z.iter().zip(&self.next);
            let moved = pairs().fold(0.0, |most: f64, (z, next)| most.max((next - z).abs()));
            let size = pairs().fold(1.0, |most: f64, (_, next)| most.max(next.abs()));
            std::mem::swap(&mut self.z, &mut self.next);
            if moved <= TOLERANCE * size {
                break;
            }
        }
        z.iter_mut()
            .zip(&self.z)
            .for_each(|(to, z)| *to = *z as f32);
    }

    fn cost(&self, z: &[f64]) -> f64 {
        let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = z.iter().map(|z| libm::exp(z - top)).sum();
        let way = z.iter().zip(&self.centre);
        let way: f64 = way.map(|(z, m)| (z - m) * (z - m)).sum();
        self.weight * (libm::log(sum) + top - z[self.class]) + self.beta * way
    }

    /// The step of Newton's method at z.
    fn find_step(&mut self) {
        probabilities(&self.z, &mut self.p);
        let (beta, weight) = (self.beta, self.weight);
        let (mut along, mut inner) = (0.0, 0.0);
        for (j, step) in self.step.iter_mut().enumerate() {
            let p = self.p[j];
            let target = f64::from(u8::from(j == self.class));
            let gradient = weight * (p - target) + 2.0 * beta * (self.z[j] - self.centre[j]);
            let diagonal = weight * p + 2.0 * beta;
            *step = gradient / diagonal;
            along += p * *step;
            inner += p * p / diagonal;
        }
        let common = weight * along / (1.0 - weight * inner);
        for (step, p) in self.step.iter_mut().zip(&self.p) {
            *step += common * p / (weight * p + 2.0 * beta);
        }
    }

    /// The next point, along the step, and its cost, which is at most `cost`.
    fn descend(&mut self, cost: f64) -> f64 {
        let mut share = 1.0;
        loop {
            for ((next, z), step) in self.next.iter_mut().zip(&self.z).zip(&self.step) {
                *next = z - share * step;
            }
            let lower = self.cost(&self.next);
            if lower <= cost || share < TOLERANCE {
                return lower;
            }
            share *= 0.5;
        }
    }
}
