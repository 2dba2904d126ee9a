//! What the state machine does, as text: every file of `cases` is one story of events, each followed by the
//! commands that it must bring about.
//!
//! ```text
//! # What the case is about.
//! run shards=4 workers=2     settings, all optional: see `settings`
//! join a                     an event: see `play`
//! > report 1 present: ..     a command that it brings about, see `play::words`
//! ```
//!
//! Work is known as `round.attempt`, which is what fences its reply. Workers are known by the names of their
//! connections: one that comes back has a new connection, and so a new name.
#![allow(clippy::expect_used)]

mod play;
mod random;

use lagrange_coordinator::{Command, Event, Rules, RunEvent};
use lagrange_core::start::StartKind;
use lagrange_protocol::Reply;
use play::{Fixture, Play, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn every_case_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("cases")
        .map(|entry| entry.expect("case").path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let mut failed = 0;
    for file in files {
        let name = file.file_name().expect("name").to_string_lossy();
        println!("{name}");
        let expected = std::fs::read_to_string(&file).expect("text");
        let got = replay(&expected);
        if got != expected {
            let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&*name);
            std::fs::write(&copy, &got).expect("written");
            println!("== {name} expected\n{expected}\n== {name} got, also in {copy:?}\n{got}\n");
            failed += 1;
        }
    }
    assert_eq!(failed, 0, "cases went otherwise than they are written");
}

#[test]
fn workers_are_told_of_when_they_come_or_go_and_about_once_a_second() {
    let mut training = Fixture::new(&Settings::default()).begin();
    let mut told = |milliseconds, event| {
        let commands = training.handle(Duration::from_millis(milliseconds), event);
        commands.into_iter().find_map(|command| match command {
            Command::Report(RunEvent::Workers {
                wanted, present, ..
            }) => Some((wanted, present)),
            _ => None,
        })
    };
    let joined = |worker| Event::Joined { worker, threads: 2 };
    let (wanted, present) = told(0, joined(1)).expect("one came");
    assert_eq!((wanted, &present[0].shards), (1, &vec![0, 1, 2, 3]));
    assert_eq!(told(900, Event::Tick), None);
    let (_, present) = told(1100, Event::Tick).expect("a second has passed");
    assert!((present[0].silent_seconds - 1.1).abs() < 1e-9);
    assert_eq!(told(1200, Event::Heard { worker: 1 }), None);
    let (_, present) = told(1300, joined(2)).expect("another came");
    assert_eq!((present.len(), present[1].shards.len()), (2, 0));
    let reason = "it was killed".to_owned();
    let (_, present) = told(1400, Event::Lost { worker: 1, reason }).expect("one went");
    assert_eq!((present.len(), &present[0].shards), (1, &vec![0, 1, 2, 3]));
}

/// The text of a case with the commands that its events bring about.
fn replay(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.starts_with('>'));
    let mut got = String::new();
    let mut tell = |line: &str| got.push_str(&format!("{line}\n"));
    let first = lines
        .by_ref()
        .inspect(|line| tell(line))
        .find(|line| line.starts_with("run"));
    let mut play = Play::new(Fixture::new(&settings(first.expect("a line `run`"))));
    for line in lines {
        tell(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for command in act(&mut play, line) {
            tell(&format!("> {command}"));
        }
    }
    got
}

/// The settings of a line such as `run shards=4 workers=2`.
fn settings(line: &str) -> Settings {
    let mut settings = Settings::default();
    for word in line.split(' ').skip(1) {
        let (key, value) = word.split_once('=').expect("key=value");
        let number = || value.parse().unwrap_or_else(|_| panic!("{word}"));
        let seconds = || Duration::from_secs(number() as u64);
        let rules: &mut Rules = &mut settings.rules;
        match key {
            "shards" => settings.shards = number(),
            "steps" => settings.steps = number(),
            "schedule" => settings.classic = value == "classic",
            "start" if value == "k-means" => settings.start = StartKind::KMeans,
            "workers" => rules.workers = number(),
            "minimum" => rules.minimum = number(),
            "join-timeout" => rules.join_timeout = seconds(),
            "grace" => rules.grace = seconds(),
            "lease" => rules.lease = seconds(),
            "speculate" => rules.speculate = number() as f64,
            "checkpoint-steps" => rules.checkpoint_steps = number() as u64,
            _ => panic!("no such setting: {word}"),
        }
    }
    settings
}

/// Plays one line; the commands that it brings about.
fn act(play: &mut Play, line: &str) -> Vec<String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = text.to_owned();
    match verb {
        "join" => {
            let threads = text.strip_prefix("threads=").unwrap_or("1");
            play.join(first, threads.parse().expect("threads"))
        }
        "hear" => play.take(Event::Heard {
            worker: play.worker(first),
        }),
        "reply" => reply(play, first, &text),
        "leave" => play.take(Event::Leaving {
            worker: play.worker(first),
        }),
        "lose" => play.take(Event::Lost {
            worker: play.worker(first),
            reason: text,
        }),
        "fail" => play.take(Event::Failed {
            worker: play.worker(first),
            message: text,
        }),
        "interrupt" => play.take(Event::Interrupted),
        "abandon" => play.take(Event::Abandoned {
            reason: rest.to_owned(),
        }),
        "tick" => play.take(Event::Tick),
        "sleep" => {
            play.sleep(seconds(first));
            Vec::new()
        }
        "pass" => {
            let names = text.strip_prefix("hearing ").unwrap_or_default();
            let heard = names.split_whitespace().map(|name| play.worker(name));
            let heard: Vec<_> = heard.collect();
            play.pass(seconds(first), &heard)
        }
        // Without the commands: those of undisturbed rounds.
        "play-until-round" => {
            play.play_until(first.parse().expect("round"));
            Vec::new()
        }
        "restart" => restart(play, rest),
        _ => panic!("not understood: {line}"),
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().expect("seconds"))
}

/// `reply WORKER [ROUND.ATTEMPT] [nan BITS | short]`: to the oldest unanswered work without a number.
fn reply(play: &mut Play, name: &str, text: &str) -> Vec<String> {
    let worker = play.worker(name);
    let mut words = text.split_whitespace().peekable();
    let key = words.next_if(|word| word.contains('.')).map(|key| {
        let (round, attempt) = key.split_once('.').expect("round.attempt");
        (
            round.parse().expect("round"),
            attempt.parse().expect("attempt"),
        )
    });
    let reply = play.answer(worker, key);
    let mut reply = reply.unwrap_or_else(|| panic!("{name} was never given that: {text}"));
    match (words.next(), words.next()) {
        (None, _) => {}
        (Some("nan"), bits) => spoil(
            &mut reply,
            bits.map_or(1, |bits| bits.parse().expect("bits")),
        ),
        (Some("short"), _) => {
            reply.payload.pop();
        }
        (Some(word), _) => panic!("no such reply: {word}"),
    }
    play.take(Event::Replied { worker, reply })
}

/// Puts what is no number, told apart by `bits`, where a number belongs.
fn spoil(reply: &mut Reply, bits: u32) {
    match reply.payload.first_mut() {
        Some(value) => *value = f32::from_bits(f32::INFINITY.to_bits() | bits),
        None => reply.header.nodes[0].scalars[0] = f64::NAN,
    }
}

/// `restart [seed=N | epochs=N]`: from the last checkpoint.
fn restart(play: &mut Play, change: &str) -> Vec<String> {
    let restarted = play.restart(|config| match change.split_once('=') {
        None => {}
        Some(("seed", seed)) => config.seed = seed.parse().expect("seed"),
        Some(("epochs", epochs)) => config.schedule.epochs = epochs.parse().expect("epochs"),
        Some(_) => panic!("no such change: {change}"),
    });
    let refused = restarted.err().map(|error| format!("refused: {error}"));
    refused.into_iter().collect()
}
