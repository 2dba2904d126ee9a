//! Which panes a terminal of some size has.

use ratatui::layout::{Constraint, Layout, Rect};

/// Least size of a chart.
const CHART: (u16, u16) = (34, 8);
/// Least size of a screen with anything but text.
const LEAST: (u16, u16) = (46, 9);
/// Rows of the table of workers beside those of the workers: frame and heading.
const FRAME: u16 = 3;

/// The places of everything, empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Panes {
    pub(super) heading: Rect,
    pub(super) progress: Rect,
    pub(super) charts: Vec<Rect>,
    pub(super) workers: Rect,
    pub(super) step: Rect,
    pub(super) lines: Rect,
    pub(super) footer: Rect,
}

/// The panes of `area` for so many charts and workers; none if it is too small for any.
pub(super) fn panes(area: Rect, charts: usize, workers: usize) -> Option<Panes> {
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return None;
    }
    let rest = area.height - 3;
    // What was said comes first, then curves, then workers.
    let said = (rest / 4).clamp(3, 9);
    let wanted = FRAME + u16::try_from(workers).unwrap_or(u16::MAX).clamp(2, 12);
    let table = match rest.saturating_sub(said) {
        left if left >= CHART.1 + 5 => wanted.min((left - CHART.1).max(5)).min(rest / 3 + 1),
        _ => 0,
    };
    let curves = match rest - said - table {
        left if left >= CHART.1 => left,
        _ => 0,
    };
    let said = rest - table - curves;
    let [heading, progress, grid, below, lines, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(curves),
        Constraint::Length(table),
        Constraint::Length(said),
        Constraint::Length(1),
    ])
    .areas(area);
    let [workers, step] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(34)]).areas(below);
    let (workers, step) = match area.width >= 2 * LEAST.0 {
        true => (workers, step),
        false => (below, Rect::default()),
    };
    Some(Panes {
        heading,
        progress,
        charts: cells(grid, charts),
        workers,
        step,
        lines,
        footer,
    })
}

/// The cells of a grid of at most `count`, row by row: as many as are of some size.
fn cells(area: Rect, count: usize) -> Vec<Rect> {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let most = (area.width / CHART.0).max(1).min(count);
    let rows = (area.height / CHART.1).min(count.div_ceil(most.max(1)));
    if rows == 0 {
        return Vec::new();
    }
    // All rows are full but for the last one of a long list.
    let columns = most.min(count.div_ceil(rows));
    let across = Layout::horizontal(vec![Constraint::Fill(1); usize::from(columns)]);
    let rows = Layout::vertical(vec![Constraint::Fill(1); usize::from(rows)]).split(area);
    let cells = rows.iter().flat_map(|row| across.split(*row).to_vec());
    cells.take(usize::from(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn panes_lie_within_the_screen_and_apart(width in 0u16..400, height in 0u16..150, workers in 0usize..300) {
            let area = Rect::new(0, 0, width, height);
            let Some(panes) = panes(area, 12, workers) else {
                prop_assert!(width < LEAST.0 || height < LEAST.1);
                return Ok(());
            };
            let Panes { heading, progress, charts, workers, step, lines, footer } = panes;
            let mut all = charts.clone();
            all.extend([heading, progress, workers, step, lines, footer]);
            for (index, pane) in all.iter().enumerate() {
                prop_assert_eq!(area.intersection(*pane), *pane);
                for other in &all[index + 1..] {
                    prop_assert!(!pane.intersects(*other), "{:?} and {:?}", pane, other);
                }
            }
            prop_assert!(heading.height == 1 && footer.height == 1 && lines.height >= 3);
            prop_assert!(charts.iter().all(|chart| chart.height >= CHART.1 && chart.width >= CHART.0));
            prop_assert!(height < 40 || width < 80 || (charts.len() >= 4 && workers.height >= 5));
        }
    }
}
