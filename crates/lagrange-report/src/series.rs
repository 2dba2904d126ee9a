//! Curves that take up a bounded amount of room, however many points they are made of.

use serde::{Serialize, Serializer};

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Place across: the step.
    pub x: f64,
    /// The value.
    pub y: f64,
}

/// As `[x, y]`.
impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.x, self.y).serialize(serializer)
    }
}

/// A curve with its name. A curve that grows long is thinned out: neighbours become one point, their mean.
///
/// ```
/// use lagrange_report::{Point, Series};
///
/// let mut loss = Series::new("loss");
/// for step in 0..1_000_000 {
///     loss.push(Point { x: f64::from(step), y: 0.5 });
/// }
/// assert!(loss.points().len() <= Series::MOST);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called in a legend.
    pub name: String,
    kept: Vec<Point>,
    /// Points that each kept one is the mean of.
    share: usize,
    /// Those that will be the next kept one.
    open: Mean,
}

/// A mean that grows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Mean {
    count: usize,
    x: f64,
    y: f64,
}

impl Mean {
    fn add(&mut self, point: Point) {
        self.count += 1;
        self.x += point.x;
        self.y += point.y;
    }

    fn of(points: &[Point]) -> Self {
        let mut mean = Self::default();
        points.iter().for_each(|&point| mean.add(point));
        mean
    }

    fn point(&self) -> Option<Point> {
        let count = self.count as f64;
        (self.count > 0).then(|| Point {
            x: self.x / count,
            y: self.y / count,
        })
    }
}

impl Series {
    /// Most points that are kept; even.
    pub const MOST: usize = 2000;
    /// Points that can still be told apart on a chart.
    pub(crate) const DRAWN: usize = 240;

    /// A curve without points.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kept: Vec::new(),
            share: 1,
            open: Mean::default(),
        }
    }

    /// The curve under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a point.
    pub fn push(&mut self, point: Point) {
        self.open.add(point);
        if self.open.count < self.share {
            return;
        }
        if self.kept.len() + 1 == Self::MOST {
            // With the open one, an even number.
            self.kept.extend(self.open.point());
            let pairs = self.kept.chunks(2);
            self.kept = pairs.filter_map(|pair| Mean::of(pair).point()).collect();
            self.share *= 2;
        } else {
            self.kept.extend(self.open.point());
        }
        self.open = Mean::default();
    }

    /// Its points, the last of which may be the mean of fewer than the others.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let open = self.open.point();
        self.kept.iter().copied().chain(open).collect()
    }

    /// At most `most` points: each the mean of as many neighbours.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Vec<Point> {
        let points = self.points();
        let share = points.len().div_ceil(most.max(1)).max(1);
        let means = points.chunks(share).map(Mean::of);
        means.filter_map(|mean| mean.point()).collect()
    }

    /// The last point that was added, or the mean of the last few of a long curve.
    #[must_use]
    pub fn last(&self) -> Option<Point> {
        self.open.point().or(self.kept.last().copied())
    }
}

impl Extend<Point> for Series {
    fn extend<I: IntoIterator<Item = Point>>(&mut self, points: I) {
        points.into_iter().for_each(|point| self.push(point));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(count: u32) -> Series {
        let mut series = Series::new("loss");
        series.extend((0..count).map(|i| Point {
            x: f64::from(i),
            y: f64::from(i % 7),
        }));
        series
    }

    fn mean(points: &[Point]) -> f64 {
        points.iter().map(|p| p.y).sum::<f64>() / points.len() as f64
    }

    #[test]
    fn a_long_curve_is_bounded_and_keeps_its_mean_and_its_ends() {
        for count in [1, 1999, 2000, 2001, 70_003] {
            let series = long(count);
            let points = series.points();
            let wanted = Series::MOST / 2 - 1..=Series::MOST;
            assert!(
                (count as usize == points.len() && points.len() < Series::MOST)
                    || wanted.contains(&points.len()),
                "{count}: {}",
                points.len()
            );
            let (first, last) = (points[0], points[points.len() - 1]);
            let share = f64::from(count) / points.len() as f64;
            assert!(first.x <= 2.0 * share && last.x >= f64::from(count - 1) - 2.0 * share);
            assert_eq!(series.last(), Some(last));
            if count > 100 {
                assert!((mean(&points) - 3.0).abs() < 0.05, "{count}");
            }
        }
    }

    #[test]
    fn a_short_curve_is_what_was_added_and_a_drawn_one_is_thin() {
        let series = long(1000);
        assert_eq!(series.points()[999], Point { x: 999.0, y: 5.0 });
        let drawn = series.thinned(Series::DRAWN);
        assert!(drawn.len() <= Series::DRAWN && drawn.len() > Series::DRAWN / 2);
        assert!((mean(&drawn) - 3.0).abs() < 0.05);
        assert_eq!(long(7).thinned(Series::DRAWN), long(7).points());
    }
}
