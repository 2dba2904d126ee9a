//! Schedules: in which order the blocks of the augmented objective are minimised, and by whom.

pub mod classic;
pub mod streaming;
use crate::loss::Loss;
use crate::residual::StepScalars;

/// What the last output update starts from: m_L, targets and multipliers, all `[n, O]`.
#[derive(Debug, Clone, Copy)]
struct Outputs<'a> {
    m: &'a [f32],
    targets: &'a [f32],
    multipliers: &'a [f32],
}

impl Outputs<'_> {
    /// The last output update: writes z_L, `[n, O]`, by the prox of `loss` with penalty `beta`, and z_L - m_L to `residuals`.
    fn update(
        &self,
        (loss, beta): (Loss, f32),
        z: &mut [f32],
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let Self {
            m,
            targets,
            multipliers,
        } = *self;
        assert_eq!(m.len(), targets.len(), "one target per output");
        assert_eq!(m.len(), multipliers.len(), "one multiplier per output");
        assert_eq!(m.len(), residuals.len(), "one residual per output");
        let last = scalars.output.len() - 1;
        for (i, (z, residual)) in z.iter_mut().zip(residuals).enumerate() {
            let (m, y, lambda) = (m[i], targets[i], multipliers[i]);
            *z = loss.prox(m, y, lambda, beta);
            *residual = *z - m;
            scalars.loss += f64::from(loss.value(m, y));
            scalars.loss_updated += f64::from(loss.value(*z, y));
            scalars.multiplier_work += f64::from(lambda * *residual);
            scalars.output[last] += f64::from(*residual * *residual);
        }
    }
}
