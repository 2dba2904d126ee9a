//! The divergence guard: remembers the best point of a run, and goes back to it when the loss returns to where it began or is no number.

use crate::multipliers::Multipliers;
use lagrange_core::schedule::streaming::WeightUpdate;
use lagrange_core::weights::Weights;

/// Steps whose mean loss decides.
const WINDOW: u32 = 16;
/// A run has diverged when its loss is this many times its best one and back to this part of its first one.
const TIMES_BEST: f64 = 4.0;
const OF_FIRST: f64 = 0.5;
/// Every return makes the steps shorter by this.
const SHORTER: f32 = 0.25;
/// A run that diverges more often than this is given up.
const MOST_RETURNS: u32 = 6;

/// What training goes back to.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) weights: Weights,
    pub(crate) update: WeightUpdate,
    pub(crate) multipliers: Multipliers,
}

/// A point, the mean loss on the way to it, and the steps completed.
pub(crate) type Remembered = (f64, u64, Box<Point>);

/// The sum of the window's losses and their number, the first loss, and the returns so far.
pub(crate) type Counts = (f64, u32, Option<f64>, u32);

/// Watches the loss of a run.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    sum: f64,
    count: u32,
    first: Option<f64>,
    best: Option<Remembered>,
    /// A better point, until the steps after it have shown that it was sound.
    candidate: Option<Remembered>,
    returns: u32,
}

/// What the guard makes of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Fine,
    /// The best mean loss so far: worth remembering.
    Best(f64),
    /// Training diverged.
    Diverged,
}

impl Guard {
    /// Whether it has yet to hear of the start.
    pub(crate) fn is_new(&self) -> bool {
        self.first.is_none()
    }

    /// Takes the starting point and its loss.
    pub(crate) fn begin(&mut self, loss: f64, point: Point) {
        self.first = Some(loss);
        self.best = Some((loss, 0, Box::new(point)));
    }

    /// Takes the mean loss of a step.
    pub(crate) fn watch(&mut self, loss: f64) -> Verdict {
        self.sum += loss;
        self.count += 1;
        if self.count < WINDOW {
            return Verdict::Fine;
        }
        let mean = self.sum / f64::from(self.count);
        (self.sum, self.count) = (0.0, 0);
        let first = self.first.unwrap_or(f64::INFINITY);
        let best = [&self.candidate, &self.best]
            .into_iter()
            .flatten()
            .map(|point| point.0)
            .fold(f64::INFINITY, f64::min);
        if mean > TIMES_BEST * best && mean > OF_FIRST * first {
            return Verdict::Diverged;
        }
        self.best = self.candidate.take().or(self.best.take());
        if mean < best {
            Verdict::Best(mean)
        } else {
            Verdict::Fine
        }
    }

    /// Remembers the point reached at `step`, with the mean loss that [`Guard::watch`] called the best.
    pub(crate) fn remember(&mut self, loss: f64, step: u64, point: Point) {
        self.candidate = Some((loss, step, Box::new(point)));
    }

    /// The point to go back to, its step and the factor of all further step lengths; `None` if there is none or it has been tried too often.
    pub(crate) fn back(&mut self) -> Option<(&Point, u64, f32)> {
        (self.sum, self.count) = (0.0, 0);
        self.returns += 1;
        let factor = self.factor();
        let unproven = self.candidate.take();
        self.best = self.best.take().or(unproven);
        match &self.best {
            Some((_, step, point)) if self.returns <= MOST_RETURNS => Some((point, *step, factor)),
            _ => None,
        }
    }

    /// Its numbers, for a checkpoint.
    pub(crate) fn counts(&self) -> Counts {
        (self.sum, self.count, self.first, self.returns)
    }

    /// Mean loss and step of the best point and of the candidate.
    pub(crate) fn losses(&self) -> [Option<(f64, u64)>; 2] {
        [&self.best, &self.candidate].map(|point| point.as_ref().map(|p| (p.0, p.1)))
    }

    /// The points remembered, by name.
    pub(crate) fn points(&self) -> impl Iterator<Item = (&'static str, &Point)> {
        let best = self.best.iter().map(|point| ("best", &*point.2));
        best.chain(self.candidate.iter().map(|point| ("candidate", &*point.2)))
    }

    /// Whether a guard can come to these numbers of losses in its window and of returns.
    pub(crate) fn counts_to(count: u32, returns: u32) -> bool {
        count < WINDOW && returns <= MOST_RETURNS
    }

    /// A guard with the numbers and points of a checkpoint.
    pub(crate) fn restored(
        (sum, count, first, returns): Counts,
        best: Option<Remembered>,
        candidate: Option<Remembered>,
    ) -> Self {
        Self {
            sum,
            count,
            first,
            best,
            candidate,
            returns,
        }
    }

    /// How often training went back.
    pub(crate) fn returns(&self) -> u32 {
        self.returns
    }

    /// Factor of step lengths after the returns so far.
    pub(crate) fn factor(&self) -> f32 {
        SHORTER.powi(self.returns as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(guard: &mut Guard, loss: f64) -> Verdict {
        (1..WINDOW).for_each(|_| assert_eq!(guard.watch(loss), Verdict::Fine));
        guard.watch(loss)
    }

    #[test]
    fn only_a_loss_that_comes_back_is_a_divergence() {
        let mut guard = Guard::default();
        guard.begin(1.0, point());
        assert_eq!(window(&mut guard, 0.125), Verdict::Best(0.125));
        guard.remember(0.125, 32, point());
        assert_eq!(window(&mut guard, 0.25), Verdict::Fine);
        assert_eq!(window(&mut guard, 0.0625), Verdict::Best(0.0625));
        guard.remember(0.0625, 64, point());
        assert_eq!(window(&mut guard, 0.6), Verdict::Diverged);
        // The steps after 64 went wrong, so that point may have been on its way.
        let (_, step, factor) = guard.back().expect("remembered");
        assert_eq!((step, factor), (32, SHORTER));
    }

    #[test]
    fn it_gives_up_without_a_point_or_after_many_returns() {
        assert!(Guard::default().back().is_none());
        let mut guard = Guard::default();
        guard.remember(0.1, 16, point());
        for _ in 0..MOST_RETURNS {
            assert!(guard.back().is_some());
        }
        assert!(guard.back().is_none());
    }

    fn point() -> Point {
        use lagrange_core::network::{Network, NetworkSpec, Shape};
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let network = Network::resolve(&NetworkSpec::default(), input, 1).expect("default");
        Point {
            weights: Weights::zeros(&network),
            update: WeightUpdate::new(&network, Default::default(), 4, None),
            multipliers: Multipliers::zeros([1].into_iter(), 1),
        }
    }
}
