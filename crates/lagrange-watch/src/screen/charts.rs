//! The charts of reports on a terminal.

use super::draw::Look;
use lagrange_report::{Chart, Point, Scale, Series, short};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart as Plot, Dataset, GraphType};

/// Colours of curves, in the order of reports: of the 256, those that can be read on light and on dark.
const COLOURS: [Color; 6] = [
    BLUE,
    Color::Indexed(166),
    Color::Indexed(35),
    Color::Indexed(134),
    Color::Indexed(37),
    Color::Indexed(161),
];
/// The colour of what goes on.
pub(super) const BLUE: Color = Color::Indexed(33);
/// Marks of curves where there are no colours.
const MARKS: [Marker; 3] = [Marker::Braille, Marker::Dot, Marker::Block];

/// The ends of what is drawn, for all curves of a chart.
type Ends = [f64; 2];

/// Draws `chart`, from the beginning of the run.
pub(super) fn draw(frame: &mut Frame, area: Rect, chart: &Chart, look: &Look) {
    let points = chart.series.iter().map(|of| placed(of, chart.scale));
    let curves: Vec<Vec<(f64, f64)>> = points.collect();
    let block = Block::bordered()
        .title(format!(" {} ", chart.title))
        .title_bottom(legend(chart, look));
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
    let last = chart.series.iter().filter_map(Series::last);
    let last = last.fold(1.0, |last, point| f64::max(last, point.x));
    let across = Axis::default()
        .bounds([0.0, last])
        .labels(["0".to_owned(), format!("{last:.0}")]);
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

/// The names of the curves in their colours, with their last values.
fn legend<'a>(chart: &'a Chart, look: &Look) -> Line<'a> {
    let named = chart.series.iter().enumerate();
    let spans = named.filter_map(|(index, series)| {
        let text = format!(" {} {} ", series.name, short(series.last()?.y));
        let text = text.replace("  ", " ");
        Some(Span::styled(text, look.style(index)))
    });
    Line::from(spans.collect::<Vec<_>>())
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
