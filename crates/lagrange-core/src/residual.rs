//! Residuals and objective of a step, as scalar sums that add up over shards.

use crate::schedule::streaming::StepParams;

/// Sums over a step's samples, from which loss, residuals and objective are reported.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepScalars {
    /// Loss at m_L, before the step: the objective at the forward pass, where every constraint holds.
    pub loss: f64,
    /// Loss at z_L.
    pub loss_updated: f64,
    /// `<lambda, z_L - m_L>`
    pub multiplier_work: f64,
    /// `|z_l - m_l|^2` of every stage, m from the forward pass: the primal residual that the weight update is asked to close.
    pub output: Vec<f64>,
    /// `|z_{l+1} - W_{l+1} a_l|^2` of every hidden stage l at the updated a_l: what its activation update left of it.
    pub coupling: Vec<f64>,
    /// `|a_l - h(z_l)|^2` of every hidden stage.
    pub activation: Vec<f64>,
}

impl StepScalars {
    /// Sums of nothing, for a network with `stages` stages.
    #[must_use]
    pub fn zeros(stages: usize) -> Self {
        Self {
            output: vec![0.0; stages],
            coupling: vec![0.0; stages - 1],
            activation: vec![0.0; stages - 1],
            ..Self::default()
        }
    }

    /// Number of scalars of a network with `stages` stages.
    #[must_use]
    pub fn count(stages: usize) -> usize {
        3 + stages + 2 * (stages - 1)
    }

    /// All scalars in one row, which adds up over shards.
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

    /// The augmented objective at the updated z and a, summed over samples, after a sweep from the last stage to the first. Every update
    /// minimises it over its own block, so after a forward reset it never exceeds [`StepScalars::loss`].
    #[must_use]
    pub fn objective(&self, params: &StepParams) -> f64 {
        let beta = f64::from(params.beta);
        let (last, hidden) = match self.coupling.split_last() {
            Some((last, hidden)) => (*last, hidden.iter().sum::<f64>()),
            None => (0.0, 0.0),
        };
        let first = self.output.first().copied().unwrap_or(0.0);
        self.loss_updated
            + self.multiplier_work
            + f64::from(params.beta_output) * last
            + beta * (hidden + first)
            + f64::from(params.gamma) * self.activation.iter().sum::<f64>()
    }

    /// The same after a sweep from the first stage to the last, which leaves every z_l at its distance from W_l a_{l-1}.
    #[must_use]
    pub fn objective_forward(&self, params: &StepParams) -> f64 {
        let (last, hidden) = match self.output.split_last() {
            Some((last, hidden)) => (*last, hidden.iter().sum::<f64>()),
            None => (0.0, 0.0),
        };
        self.loss_updated
            + self.multiplier_work
            + f64::from(params.beta_output) * last
            + f64::from(params.beta) * hidden
            + f64::from(params.gamma) * self.activation.iter().sum::<f64>()
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
