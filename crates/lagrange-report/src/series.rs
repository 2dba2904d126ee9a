//! Curves.

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// A curve with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// Points that can still be told apart on a chart.
const MOST: usize = 240;

impl Series {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            points: Vec::new(),
        }
    }

    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The curve with at most [`MOST`] points: each the mean of as many neighbours.
    pub(crate) fn thinned(&self) -> Self {
        let share = self.points.len().div_ceil(MOST).max(1);
        let mean = |points: &[Point]| {
            let count = points.len() as f64;
            Point {
                x: points.iter().map(|point| point.x).sum::<f64>() / count,
                y: points.iter().map(|point| point.y).sum::<f64>() / count,
            }
        };
        Self {
            name: self.name.clone(),
            points: self.points.chunks(share).map(mean).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_mean_and_its_ends() {
        let points = (0..1000).map(|i| Point {
            x: f64::from(i),
            y: f64::from(i % 7),
        });
        let long = Series {
            name: "loss".into(),
            points: points.collect(),
        };
        let thinned = long.thinned();
        assert!(thinned.points.len() <= MOST && thinned.points.len() > MOST / 2);
        let mean = |points: &[Point]| points.iter().map(|p| p.y).sum::<f64>() / points.len() as f64;
        assert!((mean(&long.points) - mean(&thinned.points)).abs() < 0.05);
        assert_eq!(thinned.thinned(), thinned);
    }
}
