//! The charts of reports on a terminal.

use super::draw::Look;
use lagrange_report::{Chart, Point, Scale, Series, short};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart as Plot, Dataset, GraphType};

/// Colours of curves, in the order of reports.
const COLOURS: [Color; 6] = [
    Color::Blue,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::Cyan,
    Color::Red,
];
/// Marks of curves where there are no colours.
const MARKS: [Marker; 3] = [Marker::Braille, Marker::Dot, Marker::Block];

/// The ends of what is drawn, for all curves of a chart.
type Ends = [f64; 2];

/// Draws `chart` for a run of `total` steps.
pub(super) fn draw(frame: &mut Frame, area: Rect, chart: &Chart, total: u64, look: &Look) {
    let points = chart.series.iter().map(|of| placed(of, chart.scale));
    let curves: Vec<Vec<(f64, f64)>> = points.collect();
    let block = Block::bordered().title(title(chart, look));
    let Some(ends) = ends(&curves) else {
        frame.render_widget(block, area);
        return;
    };
    let curves = curves.iter().enumerate();
    let datasets = curves.map(|(index, points)| {
        let kind = match points.len() {
            1 => GraphType::Scatter,
            _ => GraphType::Line,
        };
        Dataset::default()
            .marker(look.marker(index))
            .graph_type(kind)
            .style(look.style(index))
            .data(points)
    });
    let [from, to] = ends;
    let number = |place: f64| match chart.scale {
        Scale::Linear => short(place),
        Scale::Logarithmic => short(10f64.powf(place)),
    };
    let labels = [from, (from + to) / 2.0, to].map(number);
    let across = Axis::default()
        .bounds([0.0, total.max(1) as f64])
        .labels(["0".to_owned(), total.to_string()]);
    let up = Axis::default().bounds(ends).labels(labels);
    let plot = Plot::new(datasets.collect())
        .block(block)
        .legend_position(None)
        .x_axis(across)
        .y_axis(up);
    frame.render_widget(plot, area);
}

/// The points of a curve where they are drawn; those without a place are left out.
fn placed(series: &Series, scale: Scale) -> Vec<(f64, f64)> {
    let place = |Point { x, y }: Point| match scale {
        Scale::Linear => y.is_finite().then_some((x, y)),
        Scale::Logarithmic => (y > 0.0 && y.is_finite()).then(|| (x, y.log10())),
    };
    let points = series.points().into_iter();
    points.filter_map(place).collect()
}

/// The least and the greatest of all values, with some room if they are one.
fn ends(curves: &[Vec<(f64, f64)>]) -> Option<Ends> {
    let values = curves.iter().flatten().map(|&(_, y)| y);
    let (from, to) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), value| {
        (from.min(value), to.max(value))
    });
    let room = (from.abs() * 1e-3).max(1e-9);
    match from <= to {
        true if to - from < room => Some([from - room, to + room]),
        true => Some([from, to]),
        false => None,
    }
}

/// The chart's name, the names of its curves in their colours, and their last values.
fn title<'a>(chart: &'a Chart, look: &Look) -> Line<'a> {
    let mut spans = vec![Span::raw(format!(" {} ", chart.title))];
    for (index, series) in chart.series.iter().enumerate() {
        let Some(last) = series.last() else { continue };
        let text = format!("{} {} ", series.name, short(last.y));
        let text = text.trim_start().to_owned();
        spans.push(Span::styled(text, look.style(index)));
    }
    Line::from(spans)
}

impl Look {
    fn style(&self, index: usize) -> Style {
        match self.colours {
            true => Style::new().fg(COLOURS[index % COLOURS.len()]),
            false => Style::new(),
        }
    }

    fn marker(&self, index: usize) -> Marker {
        match (self.braille, self.colours) {
            (false, _) => Marker::HalfBlock,
            (true, true) => Marker::Braille,
            (true, false) => MARKS[index % MARKS.len()],
        }
    }
}
