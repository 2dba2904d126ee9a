use super::*;
use crate::fixture::under_way;
use crate::state::Ending;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

/// The picture of a terminal of some size.
fn picture(state: &RunState, (width, height): (u16, u16), look: &Look) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal
        .draw(|frame| draw(frame, state, 7.5, look))
        .expect("drawn");
    terminal
}

/// Its lines, without the blanks behind them.
fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width).map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

fn look() -> Look {
    Look {
        colours: true,
        braille: true,
        footer: "dashboard on http://127.0.0.1:7401/".to_owned(),
    }
}

#[test]
fn the_screen_is_as_it_was_looked_at() {
    let drawn = text(&picture(&under_way(), (100, 34), &look()));
    let expected = include_str!("screen.txt");
    assert_eq!(drawn, expected, "drawn:\n{drawn}");
}

#[test]
fn every_size_has_a_picture_and_small_ones_the_figures() {
    let state = under_way();
    for width in [0, 1, 20, 46, 80, 300] {
        for height in [0, 1, 5, 9, 24, 100] {
            picture(&state, (width, height), &look());
        }
    }
    let small = text(&picture(&state, (40, 6), &look()));
    assert!(
        small.contains("step 60/100") && small.contains("92.00 %"),
        "{small}"
    );
    let usual = text(&picture(&state, (80, 24), &look()));
    for words in ["Accuracy", "92.00 %", "host-1", "q or Ctrl-C"] {
        assert!(usual.contains(words), "{words}: {usual}");
    }
}

#[test]
fn what_is_not_known_yet_and_what_is_over_is_said() {
    let begun = text(&picture(&RunState::default(), (80, 24), &look()));
    assert!(begun.contains("reading the data"), "{begun}");
    let mut state = under_way();
    state.end(Ending {
        result: None,
        error: Some("interrupted before the first step".to_owned()),
    });
    let over = text(&picture(&state, (120, 24), &look()));
    assert!(over.contains("interrupted before the first step"), "{over}");
}

#[test]
fn without_colours_there_are_none_and_curves_differ_all_the_same() {
    let look = Look {
        colours: false,
        ..look()
    };
    let terminal = picture(&under_way(), (120, 40), &look);
    let mut cells = terminal.backend().buffer().content.iter();
    assert!(cells.all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let drawn = text(&terminal);
    assert!(drawn.contains('•') && drawn.contains("stage 2"), "{drawn}");
    let console = Look {
        braille: false,
        ..look
    };
    let drawn = text(&picture(&under_way(), (120, 40), &console));
    assert!(
        !drawn
            .chars()
            .any(|c| ('\u{2800}'..='\u{28ff}').contains(&c)),
        "{drawn}"
    );
}
