//! One chart as SVG, in the colours of the page.

use crate::series::{Point, Series};
use maud::{Markup, html};
use std::borrow::Cow;

/// How values are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Positive values only; others are left out.
    Logarithmic,
}

/// What a chart shows.
///
/// ```
/// use lagrange_report::{Chart, Point, Scale, Series};
///
/// let mut loss = Series::new("batch");
/// loss.extend([Point { x: 1.0, y: 0.5 }, Point { x: 2.0, y: 0.25 }]);
/// let chart = Chart { title: "Loss", unit: "".into(), scale: Scale::Logarithmic, series: vec![loss] };
/// assert!(chart.draw().into_string().contains("<polyline"));
/// assert_eq!(chart.words(), "Loss: batch 0.25 at step 2");
/// ```
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it is called.
    pub title: &'static str,
    /// Unit of the values, for people.
    pub unit: Cow<'static, str>,
    /// How the values are spaced.
    pub scale: Scale,
    /// Its curves.
    pub series: Vec<Series>,
}

/// A chart of `series`.
pub(crate) fn chart(
    title: &'static str,
    unit: impl Into<Cow<'static, str>>,
    scale: Scale,
    series: Vec<Series>,
) -> Chart {
    Chart {
        title,
        unit: unit.into(),
        scale,
        series,
    }
}

/// Class of the colour and the dashes of a curve, by its place among others.
pub(crate) fn colour(index: usize) -> String {
    format!("c{}", index % COLOURS)
}

/// A piece of the curve of that place, for a legend.
pub(crate) fn swatch(index: usize) -> Markup {
    html! {
        svg.swatch viewBox="0 0 26 8" aria-hidden="true" {
            line class=(format!("curve {}", colour(index))) x1="0" x2="26" y1="4" y2="4" {}
        }
    }
}

/// Size of a chart, and room for the numbers beside its axes.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Colours that the page has.
const COLOURS: usize = 8;
/// Rows of a chart's table.
const ROWS: usize = 20;
/// Numbers beside an axis, about.
const TICKS: f64 = 4.0;

/// From values to places on an axis.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    /// The axis of `values`, or none without a value.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let ends = |(from, to): (f64, f64), value: f64| (from.min(value), to.max(value));
        let (from, to) = values.fold((f64::INFINITY, f64::NEG_INFINITY), ends);
        if from > to {
            return None;
        }
        let least = (from.abs() * 1e-3).max(1e-12);
        let more = if to - from < least { least } else { 0.0 };
        Some(Self {
            from: from - more,
            to: to + more,
        })
    }

    /// Where `value` is, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }

    /// Round numbers on the axis.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.to - self.from) / TICKS;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

impl Axis {
    /// Logarithms of round numbers on the axis: powers of ten, where these are few also twice and five times
    /// them.
    fn powers(&self) -> Vec<f64> {
        let whole = self.from.floor() as i64..=self.to.ceil() as i64;
        let among = |factors: &[f64]| -> Vec<f64> {
            let all = whole
                .clone()
                .flat_map(|power| factors.iter().map(move |f| power as f64 + f.log10()));
            all.filter(|tick| (self.from..=self.to).contains(tick))
                .collect()
        };
        let fine = among(&[1.0, 2.0, 5.0]);
        match fine.len() {
            0 | 1 => self.ticks(),
            2..=5 => fine,
            _ => {
                let coarse = among(&[1.0]);
                let share = coarse.len().div_ceil(TICKS as usize + 1).max(1);
                coarse.into_iter().step_by(share).collect()
            }
        }
    }
}

impl Chart {
    /// The chart; nothing where there is no value.
    #[must_use]
    pub fn draw(&self) -> Markup {
        let placed = |value: f64| match self.scale {
            Scale::Linear => value.is_finite().then_some(value),
            Scale::Logarithmic => (value > 0.0 && value.is_finite()).then(|| value.log10()),
        };
        let curves: Vec<(&str, Vec<Point>)> = self
            .series
            .iter()
            .map(|series| {
                let points = series.thinned(Series::DRAWN).into_iter();
                let points = points.filter_map(|Point { x, y }| Some(Point { x, y: placed(y)? }));
                (series.name.as_str(), points.collect())
            })
            .collect();
        let all = || curves.iter().flat_map(|(_, points)| points.iter());
        let first = all().next().map(|_| 0.0);
        let (Some(across), Some(up)) = (
            // From the beginning of the run.
            Axis::of(all().map(|point| point.x).chain(first)),
            Axis::of(all().map(|point| point.y)),
        ) else {
            return html! {};
        };
        let x = |value: f64| LEFT + across.at(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - up.at(value) * (HEIGHT - TOP - BOTTOM);
        let ticks = match self.scale {
            Scale::Linear => up.ticks(),
            Scale::Logarithmic => up.powers(),
        };
        html! {
            figure.chart {
                figcaption {
                    b { (self.title) }
                    @if !self.unit.is_empty() { " " span.unit { (self.unit) } }
                    @if curves.iter().any(|(name, _)| !name.is_empty()) {
                        span.legend {
                            @for (index, (name, _)) in curves.iter().enumerate() {
                                span.key { (swatch(index)) " " (name) }
                            }
                        }
                    }
                }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.words()) {
                    @for tick in ticks {
                        line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(place(y(tick))) y2=(place(y(tick))) {}
                        text.number x=(LEFT - 6.0) y=(place(y(tick) + 3.5)) text-anchor="end" { (self.number(tick)) }
                    }
                    @for tick in across.ticks() {
                        text.number x=(place(x(tick))) y=(HEIGHT - 8.0) text-anchor="middle" { (short(tick)) }
                    }
                    @for (index, (_, points)) in curves.iter().enumerate() {
                        @if let [Point { x: a, y: b }] = points.as_slice() {
                            circle class=(format!("dot {}", colour(index))) cx=(place(x(*a))) cy=(place(y(*b))) r="3" {}
                        } @else {
                            polyline class=(format!("curve {}", colour(index))) points=(path(points, &x, &y)) {}
                        }
                    }
                }
            }
        }
    }

    /// Its curves in numbers: the beginning of each, its end, and some between; nothing where there is none.
    #[must_use]
    pub fn table(&self) -> Markup {
        let columns: Vec<Vec<Point>> = self.series.iter().map(|of| of.thinned(ROWS)).collect();
        let longest = columns.iter().map(Vec::len).max().unwrap_or_default();
        html! {
            @if longest > 0 {
                table {
                    caption { (self.title) @if !self.unit.is_empty() { ", " (self.unit) } }
                    tr { @for of in &self.series { th scope="col" { "step" } th scope="col" { (self.name(of)) } } }
                    @for row in 0..longest {
                        tr { @for column in &columns {
                            @match column.get(row) {
                                Some(point) => { td { (format!("{:.0}", point.x)) } td { (short(point.y)) } }
                                None => { td {} td {} }
                            }
                        } }
                    }
                }
            }
        }
    }

    /// What it says, for those who do not see it: the last value of every curve.
    #[must_use]
    pub fn words(&self) -> String {
        let last = |of: &Series| {
            let Point { x, y } = of.last()?;
            Some(format!("{} {} at step {x:.0}", self.name(of), short(y)))
        };
        let last: Vec<String> = self.series.iter().filter_map(last).collect();
        match last.is_empty() {
            true => self.title.to_owned(),
            false => format!("{}: {}", self.title, last.join(", ")),
        }
    }

    fn name<'a>(&self, of: &'a Series) -> &'a str {
        match of.name.as_str() {
            "" => "value",
            name => name,
        }
    }

    fn number(&self, tick: f64) -> String {
        match self.scale {
            Scale::Linear => short(tick),
            Scale::Logarithmic => short(10f64.powf(tick)),
        }
    }
}

fn path(points: &[Point], x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let places = points
        .iter()
        .map(|point| format!("{},{}", place(x(point.x)), place(y(point.y))));
    places.collect::<Vec<_>>().join(" ")
}

/// A place to a tenth of a pixel.
fn place(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A number in few digits.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.1e}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else {
        let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_ticks_round() {
        let numbers = [0.0, 0.25, 99.4, 1234.0, 4e-7, 2.5e9].map(short);
        assert_eq!(numbers, ["0", "0.25", "99.4", "1234", "4.0e-7", "2.5e9"]);
        let axis = Axis {
            from: 0.0,
            to: 936.0,
        };
        assert_eq!(axis.ticks(), [0.0, 500.0]);
        assert_eq!(
            Axis {
                from: -1.0,
                to: 1.0
            }
            .ticks(),
            [-1.0, -0.5, 0.0, 0.5, 1.0]
        );
    }

    #[test]
    fn what_has_no_value_is_not_drawn_and_names_are_escaped() {
        let point = |x: f64, y: f64| Point { x, y };
        let chart = |scale, points: Vec<Point>| {
            let mut series = Series::new("<b>");
            series.extend(points);
            let series = vec![series, Series::new("none")];
            let chart = super::chart("loss", "", scale, series);
            let table = chart.table().into_string();
            assert!(!table.contains("<b>"), "{table}");
            chart.draw().into_string()
        };
        assert_eq!(chart(Scale::Linear, Vec::new()), "");
        assert_eq!(
            chart(
                Scale::Logarithmic,
                vec![point(0.0, -1.0), point(1.0, f64::NAN)]
            ),
            ""
        );
        let drawn = chart(
            Scale::Logarithmic,
            vec![point(0.0, 0.0), point(1.0, 0.1), point(2.0, 10.0)],
        );
        assert!(
            drawn.contains("&lt;b&gt;") && !drawn.contains("NaN"),
            "{drawn}"
        );
        assert!(chart(Scale::Linear, vec![point(3.0, 5.0)]).contains("circle"));
    }
}
