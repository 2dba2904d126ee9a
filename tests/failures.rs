//! Work that fails: on one worker it is that worker's trouble, on two it is the run's.

use lagrange_coordinator::{Command, Event, Rules, Training, TrainingError};
use lagrange_tests::{Prepared, bars, small_config};
use std::time::Duration;

/// A run with so many workers that have their first work in hand.
fn training(workers: u64) -> Training {
    let dataset = bars(150, 40);
    let rules = Rules {
        workers: workers as usize,
        ..Rules::default()
    };
    let mut training = Prepared::new(&small_config(5), &dataset).begin(rules);
    for worker in 1..=workers {
        training.handle(Duration::ZERO, Event::Joined { worker, threads: 1 });
    }
    training
}

fn fails(training: &mut Training, worker: u64) -> Vec<Command> {
    let message = "a file is gone".to_owned();
    training.handle(Duration::ZERO, Event::Failed { worker, message })
}

/// Workers that were given shards.
fn given(commands: &[Command]) -> Vec<u64> {
    let sent = commands.iter().filter_map(|command| match command {
        Command::Send { worker, .. } => Some(*worker),
        _ => None,
    });
    sent.collect()
}

fn end(commands: &[Command]) -> Option<&TrainingError> {
    match commands {
        [.., Command::End(Err(error))] => Some(error),
        _ => None,
    }
}

#[test]
fn what_fails_on_one_worker_is_done_by_another_and_what_fails_on_two_ends_the_run() {
    let mut training = training(3);
    let first = fails(&mut training, 2);
    assert!(matches!(
        first[0],
        Command::Drop {
            worker: 2,
            may_return: false,
            ..
        }
    ));
    assert_eq!(given(&first), [1, 3]);
    assert!(end(&first).is_none());

    let second = fails(&mut training, 3);
    let error = end(&second).expect("the run ends");
    assert!(matches!(error, TrainingError::Worker { worker: 3, .. }));
    assert!(error.to_string().contains("a file is gone"), "{error}");
    assert!(given(&second).is_empty());
    assert!(fails(&mut training, 1).is_empty(), "it ends once");
}

#[test]
fn what_fails_on_the_only_worker_ends_the_run() {
    let commands = fails(&mut training(1), 1);
    assert!(end(&commands).is_some(), "{commands:?}");
}
