//! What a step's totals do: weights, multipliers, the guard against divergence, and the report.

use super::{Plan, Steps};
use crate::guard::{Point, Verdict};
use crate::report::{Report, Solved, StepFacts};
use crate::round::RoundTotal;
use crate::run_plan::PlanError;
use lagrange_core::finite::all_finite;
use lagrange_core::network::Stage;
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::classic::SweepRound;
use lagrange_core::schedule::streaming::StageReport;
use lagrange_core::solver::SolveError;

impl Plan {
    pub(super) fn absorb_step(
        &mut self,
        step: u64,
        gram: bool,
        total: &RoundTotal,
    ) -> Result<Report, PlanError> {
        let rate = self.rate(step);
        let samples = (self.partition.shards() * self.run.spec.batch_per_shard) as f64;
        let loss = total.scalars.first().copied().unwrap_or(f64::NAN) / samples;
        if self.guard.is_new()
            && let Some(point) = self.point()
        {
            self.guard.begin(loss, point);
        }
        let layout = &self.layouts[usize::from(gram)];
        let Steps::Streaming(update) = &mut self.steps else {
            return Err(PlanError::WrongRound);
        };
        let moved = finite(&total.scalars, self.network.len())
            .and_then(|()| update.step(layout, &total.sums, rate, &mut self.weights));
        let rows: Vec<&[f32]> = total.rows.iter().map(Vec::as_slice).collect();
        let moved = moved.and_then(|stages| Ok((stages, self.update_multipliers(step, &rows)?)));
        let verdict = match &moved {
            Ok(_) => self.guard.watch(loss),
            Err(_) => Verdict::Diverged,
        };
        match (verdict, moved) {
            (Verdict::Diverged, moved) => self.go_back(step, moved.err()),
            (verdict, moved) => {
                let (stages, square) = moved.map_err(|source| PlanError::Solve { step, source })?;
                let equations = self.streaming_equations();
                self.equations += total_of(&equations);
                self.end_step(step);
                if let Verdict::Best(loss) = verdict
                    && let Some(point) = self.point()
                {
                    self.guard.remember(loss, self.step, point);
                }
                let solved = Solved {
                    stages: &stages,
                    solves: &[],
                    equations,
                };
                let report = self.step_report(&total.scalars, solved, square, rate);
                self.balance_residuals(total, &stages);
                Ok(report)
            }
        }
    }

    pub(super) fn absorb_sweep(
        &mut self,
        round: SweepRound,
        total: &RoundTotal,
    ) -> Result<Option<Report>, PlanError> {
        let step = round.step;
        let rate = self.rate(step);
        let Steps::Classic(steps) = &mut self.steps else {
            return Err(PlanError::WrongRound);
        };
        let residuals = match steps.moves_outputs(round) {
            true => self.run.spec.batch_per_shard * self.network.outputs(),
            false => 0,
        };
        let (residuals, equations): (Vec<_>, Vec<_>) = total
            .rows
            .iter()
            .map(|rows| rows.split_at(residuals))
            .unzip();
        let sums = (total.sums.as_slice(), total.scalars.as_slice());
        let done = finite(&total.scalars, self.network.len())
            .and_then(|()| steps.absorb(round, sums, &equations, rate, &mut self.weights))
            .map_err(|source| PlanError::Solve { step, source })?;
        let mut square = 0.0;
        if residuals.iter().any(|rows| !rows.is_empty()) {
            square = self
                .update_multipliers(step, &residuals)
                .map_err(|source| PlanError::Solve { step, source })?;
        }
        Ok(done.map(|done| {
            self.equations += total_of(&done.equations);
            self.end_step(step);
            let solved = Solved {
                stages: &done.stages,
                solves: &done.solves,
                equations: done.equations,
            };
            self.step_report(&done.scalars, solved, square, rate)
        }))
    }

    fn balance_residuals(&mut self, total: &RoundTotal, stages: &[StageReport]) {
        let scalars = StepScalars::from_row(&total.scalars, self.network.len());
        let primal = scalars.and_then(|s| s.output.last().copied());
        if let (Some(primal), Some(last)) = (primal, stages.last()) {
            let values =
                self.partition.shards() * self.run.spec.batch_per_shard * self.network.outputs();
            let beta = self.run.spec.step.beta_output * self.balance.factor();
            let dual = f64::from(beta * last.step_norm);
            self.balance.absorb((primal / values as f64).sqrt(), dual);
        }
    }

    /// Equations per output that each stage's cross moment is summed over in a streaming step.
    fn streaming_equations(&self) -> Vec<usize> {
        let (spec, shards) = (&self.run.spec, self.partition.shards());
        let of_stage = |stage: &Stage| {
            let all = spec.batch_per_shard * stage.rows();
            match spec.step.equations {
                0.0 => all,
                share => all.min((share * stage.unknowns() as f32).ceil() as usize),
            }
        };
        let stages = self.network.stages().iter();
        stages.map(|stage| shards * of_stage(stage)).collect()
    }

    /// Share of the step length that is left: it falls to 0 over the run.
    fn rate(&self, step: u64) -> f32 {
        self.guard.factor() * (1.0 - step as f32 / self.total_steps as f32)
    }

    fn end_step(&mut self, step: u64) {
        self.step = step + 1;
        self.schedule_evaluations();
    }

    /// Puts down what is to be evaluated behind the step that has just been completed.
    pub(crate) fn schedule_evaluations(&mut self) {
        if self.step == self.total_steps {
            self.schedule_final_evaluations();
        } else if self.step.is_multiple_of(self.evaluate_every()) {
            self.due.push_back(self.watched_split());
        }
    }

    /// What the run could go back to.
    fn point(&self) -> Option<Point> {
        match &self.steps {
            Steps::Streaming(update) => Some(Point {
                weights: self.weights.clone(),
                update: (**update).clone(),
                multipliers: self.multipliers.clone(),
            }),
            Steps::Classic(_) => None,
        }
    }

    /// Training diverged in `step`: takes it up again from the best point, with shorter steps and the samples that come next.
    fn go_back(&mut self, step: u64, source: Option<SolveError>) -> Result<Report, PlanError> {
        let source = source.unwrap_or(SolveError::Diverged);
        let reason = source.to_string();
        let Some((point, from, rate_factor)) = self.guard.back() else {
            return Err(PlanError::Solve { step, source });
        };
        let point = point.clone();
        self.weights = point.weights;
        self.multipliers = point.multipliers;
        self.steps = Steps::Streaming(Box::new(point.update));
        self.end_step(step);
        Ok(Report::Rollback {
            step: self.step,
            to: from,
            rate_factor,
            reason,
        })
    }

    /// Moves the multipliers of the step's samples, unless they would be no numbers; returns the sum of their squares.
    fn update_multipliers(&mut self, step: u64, residuals: &[&[f32]]) -> Result<f64, SolveError> {
        if step < self.run.warm_start {
            return Ok(0.0);
        }
        let growth = match &self.steps {
            Steps::Streaming(_) => self.balance.factor(),
            Steps::Classic(steps) => steps.penalty_factor(step),
        };
        let beta = self.run.spec.step.beta_output * growth;
        let mut square = 0.0;
        for (shard, &residuals) in residuals.iter().enumerate() {
            let positions = self.orders[shard].positions(step);
            let mut lambda = self.multipliers.gather(shard, positions);
            self.run
                .update
                .update_multipliers(beta, residuals, &mut lambda);
            if !all_finite(&lambda) {
                return Err(SolveError::NotFinite {
                    stage: self.network.len() - 1,
                    quantity: "multipliers",
                });
            }
            self.multipliers.scatter(shard, positions, &lambda);
            square += lambda
                .iter()
                .map(|&v| f64::from(v) * f64::from(v))
                .sum::<f64>();
        }
        Ok(square)
    }

    fn step_report(
        &self,
        scalars: &[f64],
        solved: Solved<'_>,
        multiplier_square: f64,
        rate: f32,
    ) -> Report {
        let facts = StepFacts {
            step: self.step,
            total: self.total_steps,
            samples: (self.partition.shards() * self.run.spec.batch_per_shard) as f64,
            rate,
            multiplier_square,
            sweeps_forward: match &self.steps {
                Steps::Streaming(_) => false,
                Steps::Classic(steps) => steps.sweeps_forward(),
            },
        };
        let scalars = StepScalars::from_row(scalars, self.network.len()).unwrap_or_default();
        let mut params = self.run.spec.step;
        match &self.steps {
            Steps::Streaming(_) => params.beta_output *= self.balance.factor(),
            Steps::Classic(steps) => {
                let factor = steps.penalty_factor(self.step.saturating_sub(1));
                params.beta *= factor;
                params.beta_output *= factor;
            }
        }
        let report = facts.report(&self.network, &params, &scalars, solved);
        Report::Step(Box::new(report))
    }
}

fn total_of(equations: &[usize]) -> u64 {
    equations.iter().map(|&count| count as u64).sum()
}

fn finite(scalars: &[f64], stages: usize) -> Result<(), SolveError> {
    if scalars.iter().all(|scalar| scalar.is_finite()) {
        Ok(())
    } else {
        Err(SolveError::NotFinite {
            stage: stages - 1,
            quantity: "losses and residuals",
        })
    }
}
