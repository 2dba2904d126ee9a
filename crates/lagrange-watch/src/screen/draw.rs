//! One picture of a run.

use super::charts;
use super::panes::{Panes, panes};
use crate::state::{Phase, RunState};
use crate::words::{bytes, cut, duration, milliseconds, percent, ranges};
use lagrange::Split;
use lagrange_report::{Chart, sections};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Table, Wrap};

/// Charts in the order of their weight: a small terminal has room for the first ones only.
const CHARTS: [&str; 8] = [
    "Accuracy",
    "Loss",
    "Primal residual of outputs",
    "Dual residual",
    "Primal residual of activations",
    "Time of a step",
    "Augmented objective",
    "Condition of the weight systems",
];
/// Most characters of a worker's name.
const NAME: usize = 24;

/// How a screen looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours.
    pub colours: bool,
    /// Whether the terminal's font has the Braille patterns, which curves are drawn with.
    pub braille: bool,
    /// What the last line says behind the keys.
    pub footer: String,
}

/// Draws a run, `elapsed` seconds after its coordinator was ready.
pub fn draw(frame: &mut Frame, state: &RunState, elapsed: f64, look: &Look) {
    let all = sections(&state.curves);
    let all = all.iter().flat_map(|of| &of.charts);
    let all: Vec<&Chart> = all.filter(|of| !of.series.is_empty()).collect();
    let of = |title: &&str| all.iter().copied().find(|chart| chart.title == *title);
    let charts: Vec<&Chart> = CHARTS.iter().filter_map(of).collect();
    let area = frame.area();
    let Some(panes) = panes(area, charts.len(), state.workers.present.len()) else {
        return frame.render_widget(small(state, elapsed), area);
    };
    heading(frame, &panes, state, elapsed, look);
    for (chart, &place) in charts.iter().zip(&panes.charts) {
        charts::draw(frame, place, chart, look);
    }
    if panes.workers.height > 0 {
        frame.render_widget(workers(state, elapsed), panes.workers);
        frame.render_widget(step(state), panes.step);
    }
    lines(frame, panes.lines, state);
    let keys = format!(" q or Ctrl-C: stop and save   {}", look.footer);
    frame.render_widget(Paragraph::new(keys).style(faint()), panes.footer);
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// What fits everywhere.
fn small(state: &RunState, elapsed: f64) -> Paragraph<'static> {
    let text = format!(
        "{}\nstep {}/{} {}\n{}\nq: stop",
        state.words(),
        state.step,
        state.total,
        accuracies(state),
        times(state, elapsed),
    );
    Paragraph::new(text).wrap(Wrap { trim: true })
}

fn accuracies(state: &RunState) -> String {
    let of = |split, name: &str| {
        let of = state.evaluations.iter().find(|of| of.split == split)?;
        Some(format!("{name} {}", percent(of.accuracy)))
    };
    let all = [of(Split::Test, "test"), of(Split::Validation, "validation")];
    all.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn times(state: &RunState, elapsed: f64) -> String {
    let left = state.seconds_left();
    let left = left.map(|left| format!(", {} left", duration(left)));
    format!("{}{}", duration(elapsed), left.unwrap_or_default())
}

fn heading(frame: &mut Frame, panes: &Panes, state: &RunState, elapsed: f64, look: &Look) {
    let right = format!("{}  {} ", accuracies(state), times(state, elapsed));
    let left = Line::from(vec![
        Span::styled(format!(" {} ", state.name), bold()),
        Span::raw(state.words()),
    ]);
    frame.render_widget(left, panes.heading);
    let width = u16::try_from(right.chars().count()).unwrap_or(u16::MAX);
    let place = Rect {
        x: panes.heading.right().saturating_sub(width),
        width: width.min(panes.heading.width),
        ..panes.heading
    };
    frame.render_widget(Paragraph::new(right), place);
    let colour = match (&state.phase, look.colours) {
        (_, false) => Style::new(),
        (Phase::Training, true) => Style::new().fg(charts::BLUE),
        (_, true) => Style::new().fg(Color::Indexed(166)),
    };
    let gauge = Gauge::default()
        .gauge_style(colour)
        .ratio(state.share().clamp(0.0, 1.0))
        .label(format!("step {} of {}", state.step, state.total));
    frame.render_widget(gauge, panes.progress);
}

fn workers(state: &RunState, elapsed: f64) -> Table<'static> {
    let workers = &state.workers;
    let since = (elapsed - workers.told).max(0.0);
    let rows = workers.present.iter().map(|of| {
        let leaving = if of.leaving { " (leaving)" } else { "" };
        Row::new([
            of.worker.to_string(),
            format!("{}{leaving}", cut(&of.name, NAME)),
            of.threads.to_string(),
            ranges(&of.shards),
            of.answer_seconds.map_or("-".to_owned(), milliseconds),
            duration(of.silent_seconds + since),
        ])
    });
    let widths = [
        Constraint::Length(4),
        Constraint::Fill(2),
        Constraint::Length(7),
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(9),
    ];
    let names = ["no", "name", "threads", "shards", "answer", "heard"];
    let missing = match state.missing() {
        0 => String::new(),
        missing => format!(", {missing} missing"),
    };
    let title = format!(" Workers: {}{missing} ", workers.present.len());
    Table::new(rows, widths)
        .header(Row::new(names).style(faint()))
        .block(Block::bordered().title(title))
}

/// What a step costs.
fn step(state: &RunState) -> Paragraph<'static> {
    let mut text = Text::default();
    if let Some(cost) = state.pace.cost() {
        for (name, value) in [
            ("waiting", milliseconds(cost.wait_seconds)),
            ("solving", milliseconds(cost.work_seconds)),
            ("to workers", bytes(cost.bytes_sent)),
            ("from workers", bytes(cost.bytes_received)),
        ] {
            text.push_line(format!(" {name:<14}{value:>12}"));
        }
    }
    if let Some(last) = &state.last {
        let rate = format!("{:.0} %", 100.0 * last.rate);
        text.push_line(format!(" {:<14}{rate:>12}", "length left"));
    }
    if !state.rollbacks.is_empty() {
        let count = state.rollbacks.len();
        text.push_line(format!(" {:<14}{count:>12}", "went back"));
    }
    Paragraph::new(text).block(Block::bordered().title(" A step "))
}

/// The last lines that were said, as many as there is room for.
fn lines(frame: &mut Frame, area: Rect, state: &RunState) {
    let block = Block::bordered().title(" What was said ");
    let room = usize::from(block.inner(area).height);
    let last = state.lines.iter().rev().take(room);
    let mut last: Vec<Line> = last.map(|line| Line::raw(line.text.as_str())).collect();
    last.reverse();
    frame.render_widget(Paragraph::new(last).block(block), area);
}

#[cfg(test)]
mod tests;
