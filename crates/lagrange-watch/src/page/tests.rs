use super::*;
use crate::fixture::{observed, under_way, workers};
use crate::state::Ending;
use lagrange::RunEvent;

fn whole(state: &RunState) -> String {
    page(state, &parts(state, 7.5))
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_every_part_has_its_place() {
    let state = under_way();
    let html = whole(&state);
    for outside in ["http://", "https://", "//cdn", "@import"] {
        assert!(
            !html.contains(outside) && !STYLE.concat().contains(outside),
            "{outside}"
        );
    }
    for id in parts(&state, 7.5).keys() {
        assert_eq!(html.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    let drawn = parts(&state, 7.5);
    assert!(drawn["chart-loss"].contains("<polyline"));
    assert!(
        drawn["table-loss"].contains("<table")
            && drawn["chart-loss"].contains("aria-label=\"Loss: batch")
    );
    assert!(drawn["workers"].contains("host-2") && drawn["workers"].contains("0-1 (2)"));
    assert!(
        drawn["progress"].contains("step 60 of 100, 60 %; 7.5 s so far, 4.0 s left"),
        "{}",
        drawn["progress"]
    );
    assert!(drawn["state"].contains("waiting for workers: 2 of at least 3"));
    assert!(
        html.contains("http-equiv=\"refresh\""),
        "it is loaded again where there are no scripts"
    );
}

#[test]
fn words_of_strangers_stay_words() {
    let mut state = under_way();
    let mut of = workers(1, 1);
    if let RunEvent::Workers { present, .. } = &mut of {
        present[0].name = "<img src=x onerror=alert(1)>".repeat(40);
    }
    state.event(&observed(7.0, of));
    state.lines.push("<script>alert(2)</script>", 7.0);
    let html = whole(&state);
    assert!(
        !html.contains("<img src=x") && !html.contains("<script>alert"),
        "{html}"
    );
    assert!(parts(&state, 7.5)["workers"].len() < 2000, "names are cut");
}

#[test]
fn a_run_that_is_over_says_what_it_came_to_and_is_not_loaded_again() {
    let mut state = under_way();
    let error = Some("the disk is full".to_owned());
    state.end(Ending {
        result: None,
        error,
    });
    let html = whole(&state);
    assert!(html.contains("the run is over: the disk is full") && html.contains("<h2>Result"));
    assert!(!html.contains("http-equiv"));
    let drawn = parts(&state, 7.5);
    assert!(drawn["title"].starts_with("over"));
    assert!(
        !drawn["workers"].contains("ago"),
        "nobody is listened to any more"
    );
}
