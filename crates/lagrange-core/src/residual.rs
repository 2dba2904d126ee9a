//! Residuals and objective of a step, as scalar sums that add up over shards.

use crate::penalties::Penalties;

/// Sums over a step's samples of loss, residuals and objective.
///
/// ```
/// use lagrange_core::residual::StepScalars;
///
/// let mut total = StepScalars::zeros(3);
/// total.add(&StepScalars { loss: 2.0, output: vec![1.0, 0.0, 4.0], ..StepScalars::zeros(3) });
/// let row = total.to_row();
/// assert_eq!(row.len(), StepScalars::count(3));
/// assert_eq!(StepScalars::from_row(&row, 3), Some(total));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepScalars {
    /// Loss at m_L, before the step: the objective at the forward pass, where every constraint holds.
    pub loss: f64,
    /// Loss at z_L.
    pub loss_updated: f64,
    /// `<lambda, z_L - m_L>`
    pub multiplier_work: f64,
    /// `|z_l - m_l|^2` of every stage, m from the forward pass: the primal residual that the weight update is
    /// asked to close.
    pub output: Vec<f64>,
    /// `|z_{l+1} - W_{l+1} a_l|^2` of every hidden stage l at the updated a_l: the part that the activation
    /// update left.
    pub coupling: Vec<f64>,
    /// `|a_l - h(z_l)|^2` of every hidden stage.
    pub activation: Vec<f64>,
}

impl StepScalars {
    /// Zero sums of a network with `stages` stages.
    #[must_use]
    pub fn zeros(stages: usize) -> Self {
        Self {
            output: vec![0.0; stages],
            coupling: vec![0.0; stages - 1],
            activation: vec![0.0; stages - 1],
            ..Self::default()
        }
    }

    /// Adds the sums of other samples, or of another round of the step.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.loss_updated += other.loss_updated;
        self.multiplier_work += other.multiplier_work;
        let mine = [&mut self.output, &mut self.coupling, &mut self.activation];
        for (sums, values) in
            mine.into_iter()
                .zip([&other.output, &other.coupling, &other.activation])
        {
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        }
    }

    /// Whether every sum is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.to_row().iter().all(|value| value.is_finite())
    }

    /// Number of scalars of a network with `stages` stages.
    #[must_use]
    pub fn count(stages: usize) -> usize {
        3 + stages + 2 * (stages - 1)
    }

    /// All scalars in one row of [`StepScalars::count`] values, to be summed over shards.
    #[must_use]
    pub fn to_row(&self) -> Vec<f64> {
        let mut row = vec![self.loss, self.loss_updated, self.multiplier_work];
        row.extend(&self.output);
        row.extend(&self.coupling);
        row.extend(&self.activation);
        row
    }

    /// The scalars of a row of [`StepScalars::to_row`]; `None` if its length is not that of `stages` stages.
    #[must_use]
    pub fn from_row(row: &[f64], stages: usize) -> Option<Self> {
        if row.len() != Self::count(stages) {
            return None;
        }
        let (output, rest) = row[3..].split_at(stages);
        let (coupling, activation) = rest.split_at(stages - 1);
        Some(Self {
            loss: row[0],
            loss_updated: row[1],
            multiplier_work: row[2],
            output: output.to_vec(),
            coupling: coupling.to_vec(),
            activation: activation.to_vec(),
        })
    }

    /// The augmented objective at the updated z and a, summed over samples, after a sweep from the last stage
    /// to the first. Every update minimises it over its own block, so after a forward reset it never exceeds
    /// [`StepScalars::loss`].
    #[must_use]
    pub fn objective(&self, penalties: &Penalties) -> f64 {
        let beta = f64::from(penalties.beta);
        let (last, hidden) = match self.coupling.split_last() {
            Some((last, hidden)) => (*last, hidden.iter().sum::<f64>()),
            None => (0.0, 0.0),
        };
        let first = self.output.first().copied().unwrap_or(0.0);
        self.loss_updated
            + self.multiplier_work
            + f64::from(penalties.beta_output) * last
            + beta * (hidden + first)
            + f64::from(penalties.gamma) * self.activation.iter().sum::<f64>()
    }

    /// As [`StepScalars::objective`], but after a sweep from the first stage to the last, where `output`
    /// holds the final distance of every z_l from W_l a_{l-1}.
    #[must_use]
    pub(crate) fn objective_forward(&self, penalties: &Penalties) -> f64 {
        let (last, hidden) = match self.output.split_last() {
            Some((last, hidden)) => (*last, hidden.iter().sum::<f64>()),
            None => (0.0, 0.0),
        };
        self.loss_updated
            + self.multiplier_work
            + f64::from(penalties.beta_output) * last
            + f64::from(penalties.beta) * hidden
            + f64::from(penalties.gamma) * self.activation.iter().sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_round_trips_and_only_at_its_length() {
        let scalars = StepScalars {
            loss: 1.0,
            loss_updated: 2.0,
            multiplier_work: 3.0,
            output: vec![4.0, 5.0, 6.0],
            coupling: vec![7.0, 8.0],
            activation: vec![9.0, 10.0],
        };
        let row = scalars.to_row();
        assert_eq!(row.len(), StepScalars::count(3));
        assert_eq!(StepScalars::from_row(&row, 3), Some(scalars));
        assert_eq!(StepScalars::from_row(&row, 2), None);
    }
}
