//! What a round's totals do: weights, multipliers, the guard against divergence, and the report.

use super::{Plan, PlanError};
use crate::guard::{Kept, Verdict};
use crate::report::{FailedCheck, RunEvent, StepMetrics};
use crate::round::RoundTotal;
use lagrange_core::check::{Place, Tally};
use lagrange_core::finite::all_finite;
use lagrange_core::network::Stage;
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::{Round, StageMetrics, StepDone, Totals};
use lagrange_core::solver::SolveError;
use lagrange_protocol::chained_crc32;

/// What a round did to the iterate.
struct Moved {
    /// The whole step, if this was its last round.
    done: Option<StepDone>,
    /// Sum of the squares of the multipliers that it moved.
    multiplier_square: f64,
}

impl Plan {
    /// Takes a round's totals; what there is to tell.
    pub(super) fn absorb_round(
        &mut self,
        round: Round,
        total: &RoundTotal,
    ) -> Result<Vec<RunEvent>, PlanError> {
        let mut events = self.absorb_records(round, total);
        let step = self.absorb_totals(round, total, &mut events)?;
        events.extend(step);
        Ok(events)
    }

    /// Takes each shard's record; tells of checks that fail.
    fn absorb_records(&mut self, round: Round, total: &RoundTotal) -> Vec<RunEvent> {
        if round.stage == 0 {
            self.checksums.clear();
        }
        let before = std::mem::take(&mut self.checksums).into_iter().map(Some);
        let records = total
            .records
            .iter()
            .zip(before.chain(std::iter::repeat(None)));
        self.checksums = records
            .map(|(record, before)| chained_crc32(before, record.crc32))
            .collect();
        let shards = total.records.iter().zip(0..);
        let told =
            shards.map(|(record, shard)| self.certify(round.step, Some(shard), &record.checks));
        told.collect::<Vec<_>>().concat()
    }

    /// Counts checks of `step`; tells of kinds of checks that fail for the first time.
    fn certify(&mut self, step: u64, shard: Option<u32>, tallies: &[Tally]) -> Vec<RunEvent> {
        let place = Place {
            step: step + 1,
            shard,
        };
        let failed = self.certificate.absorb(place, tallies).into_iter();
        let event = |failed| {
            RunEvent::FailedCheck(FailedCheck {
                step: place.step,
                failed,
            })
        };
        failed.map(event).collect()
    }

    /// Takes a round's sums. A loss, a sum or a solution that tells of divergence takes the run back to an
    /// earlier iterate. Adds to `events` what there is to tell beside the step.
    fn absorb_totals(
        &mut self,
        round: Round,
        total: &RoundTotal,
        events: &mut Vec<RunEvent>,
    ) -> Result<Option<RunEvent>, PlanError> {
        let scalars = StepScalars::from_row(&total.scalars, self.network.len());
        let scalars = scalars.ok_or(PlanError::Misfit)?;
        let rate = self.rate(round.step);
        let loss = scalars.loss / self.batch();
        if self.guard.is_new()
            && let Some(iterate) = self.now.fork()
        {
            self.guard.begin(loss, iterate);
        }
        let moved = match self.move_iterate(round, total, &scalars, rate) {
            Ok(moved) => moved,
            Err(source) => return self.roll_back(round.step, source).map(Some),
        };
        // A guard that has kept nothing has nothing to watch for.
        let verdict = match self.guard.is_new() {
            true => Verdict::Fine,
            false => self.guard.watch(loss),
        };
        if verdict == Verdict::Diverged {
            return self.roll_back(round.step, SolveError::Diverged).map(Some);
        }
        let Some(done) = moved.done else {
            return Ok(None);
        };
        events.extend(self.certify(round.step, None, done.checks.tallies()));
        self.equations += done
            .equations
            .iter()
            .map(|&count| count as u64)
            .sum::<u64>();
        self.end_step(round.step);
        if let Verdict::Best(loss) = verdict
            && let Some(iterate) = self.now.fork()
        {
            self.guard.keep(Kept {
                loss,
                step: self.step,
                iterate,
            });
        }
        Ok(Some(self.step_metrics(done, moved.multiplier_square, rate)))
    }

    /// Samples of a step.
    fn batch(&self) -> f64 {
        let cut = self.spec.cut();
        (cut.shards * cut.samples) as f64
    }

    /// Share of the step length that is left: it falls to 0 over the run.
    fn rate(&self, step: u64) -> f32 {
        self.guard.factor() * (1.0 - step as f32 / self.total_steps as f32)
    }

    fn move_iterate(
        &mut self,
        round: Round,
        total: &RoundTotal,
        scalars: &StepScalars,
        rate: f32,
    ) -> Result<Moved, SolveError> {
        if !scalars.is_finite() {
            return Err(self.not_finite("losses and residuals"));
        }
        let residuals = self.schedule.sizes(round).map_or(0, |sizes| sizes.rows_in);
        let rows = total.rows.iter().map(|rows| rows.split_at(residuals));
        let (residuals, equations): (Vec<_>, Vec<_>) = rows.unzip();
        let totals = Totals {
            sums: &total.sums,
            scalars,
            equations: &equations,
        };
        // Those that the round was computed with.
        let beta_output = self.now.schedule.penalties(round.step).beta_output;
        let (schedule, weights) = (&mut self.now.schedule, &mut self.now.weights);
        let done = schedule.absorb(round, &totals, rate, weights)?;
        Ok(Moved {
            done,
            multiplier_square: self.update_multipliers(round.step, beta_output, &residuals)?,
        })
    }

    /// Moves the multipliers of the step's samples, unless they would not be finite; returns the sum of
    /// their squares.
    fn update_multipliers(
        &mut self,
        step: u64,
        beta_output: f32,
        residuals: &[&[f32]],
    ) -> Result<f64, SolveError> {
        let mut square = 0.0;
        if step < self.spec.config().schedule.warm_start {
            return Ok(square);
        }
        let moved = residuals.iter().enumerate().filter(|(_, r)| !r.is_empty());
        for (shard, &residuals) in moved {
            let positions = self.orders[shard].positions(step);
            let mut lambda = self.now.multipliers.gather(shard, positions);
            let params = &self.spec.config().schedule;
            params.update_multipliers(beta_output, residuals, &mut lambda);
            if !all_finite(&lambda) {
                return Err(self.not_finite("multipliers"));
            }
            self.now.multipliers.scatter(shard, positions, &lambda);
            square += lambda.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        }
        Ok(square)
    }

    fn not_finite(&self, quantity: &'static str) -> SolveError {
        SolveError::NotFinite {
            stage: self.network.len() - 1,
            quantity,
        }
    }

    fn end_step(&mut self, step: u64) {
        self.step = step + 1;
        self.schedule_evaluations();
    }

    /// Training diverged in `step`: takes it up again from the best iterate, with shorter steps and the
    /// samples that come next.
    fn roll_back(&mut self, step: u64, source: SolveError) -> Result<RunEvent, PlanError> {
        let kept = self.guard.roll_back();
        let found = kept.and_then(|kept| Some((kept.step, kept.iterate.fork()?)));
        let Some((from, iterate)) = found else {
            return Err(PlanError::Solve { step, source });
        };
        self.now = iterate;
        self.end_step(step);
        Ok(RunEvent::Rollback {
            step: self.step,
            to: from,
            rate_factor: self.guard.factor(),
            reason: source.to_string(),
        })
    }

    fn step_metrics(&self, done: StepDone, multiplier_square: f64, rate: f32) -> RunEvent {
        let (samples, penalties) = (self.batch(), done.penalties);
        let root_mean = |sums: &[f64], values: fn(&Stage) -> usize| {
            let stages = sums.iter().zip(self.network.stages());
            let root =
                |(sum, stage): (&f64, &Stage)| (sum / (samples * values(stage) as f64)).sqrt();
            stages.map(root).collect()
        };
        let last = self.network.len() - 1;
        let dual = |(index, stage): (usize, &StageMetrics)| {
            let hidden = index != last;
            let beta = if hidden {
                penalties.beta
            } else {
                penalties.beta_output
            };
            f64::from(beta) * f64::from(stage.step_norm)
        };
        let outputs = samples * self.network.outputs() as f64;
        let (stages, solves) = (&done.stages, &done.solves);
        RunEvent::Step(Box::new(StepMetrics {
            step: self.step,
            total: self.total_steps,
            loss: done.scalars.loss / samples,
            objective: done.objective / samples,
            output_residual: root_mean(&done.scalars.output, |stage| stage.conv.len()),
            activation_residual: root_mean(&done.scalars.activation, |stage| stage.output.len()),
            dual_residual: stages.iter().enumerate().map(dual).collect(),
            weight_norm: stages.iter().map(|s| s.weight_norm.into()).collect(),
            condition: stages.iter().map(|s| s.condition.into()).collect(),
            rank: solves.iter().map(|s| s.rank).collect(),
            distance: solves.iter().filter_map(|s| s.distance).collect(),
            multiplier_rms: (multiplier_square / outputs).sqrt(),
            equations: done.equations,
            rate,
            checksums: self.checksums.clone(),
        }))
    }
}
