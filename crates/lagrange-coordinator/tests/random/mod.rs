//! Whatever happens in whatever order: no invariant is broken, and nothing follows the end of a run.

use crate::play::{Fixture, Play, Settings};
use crate::spoil;
use lagrange_coordinator::{Event, Rules, WorkerId};
use lagrange_core::start::StartKind;
use proptest::prelude::*;
use std::time::Duration;

/// Something that happens. Workers are drawn from those that there have been, present or not.
#[derive(Debug, Clone, Copy)]
enum Action {
    Join {
        threads: u32,
    },
    Reply {
        worker: u64,
        times: u32,
    },
    SendNan {
        worker: u64,
        bits: u32,
    },
    SendShort {
        worker: u64,
    },
    Hear {
        worker: u64,
    },
    Leave {
        worker: u64,
    },
    Lose {
        worker: u64,
    },
    Fail {
        worker: u64,
    },
    /// Time passes while every worker gives signs of life, or none does.
    Pass {
        millis: u64,
        heard: bool,
    },
    Sleep {
        millis: u64,
    },
    Interrupt,
    Abandon,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let worker = any::<u64>;
    prop_oneof![
        6 => (1u32..4).prop_map(|threads| Action::Join { threads }),
        60 => (worker(), 1u32..3).prop_map(|(worker, times)| Action::Reply { worker, times }),
        6 => (worker(), 1u32..3).prop_map(|(worker, bits)| Action::SendNan { worker, bits }),
        1 => worker().prop_map(|worker| Action::SendShort { worker }),
        4 => worker().prop_map(|worker| Action::Hear { worker }),
        3 => worker().prop_map(|worker| Action::Leave { worker }),
        3 => worker().prop_map(|worker| Action::Lose { worker }),
        1 => worker().prop_map(|worker| Action::Fail { worker }),
        8 => (0u64..2_500).prop_map(|millis| Action::Pass { millis, heard: true }),
        2 => (0u64..15_000).prop_map(|millis| Action::Pass { millis, heard: false }),
        4 => (0u64..20_000).prop_map(|millis| Action::Sleep { millis }),
        1 => Just(Action::Interrupt),
        1 => Just(Action::Abandon),
        1 => Just(Action::Restart),
    ]
}

prop_compose! {
    fn settings()(
        shards in 1usize..8,
        steps in 2usize..10,
        classic in prop::bool::weighted(0.25),
        k_means in prop::bool::weighted(0.25),
        workers in 1usize..4,
        minimum in 1usize..3,
        speculate in 0u32..3,
        checkpoint_steps in 0u64..3,
    ) -> Settings {
        Settings {
            shards,
            steps,
            classic,
            start: if k_means { StartKind::KMeans } else { StartKind::He },
            rules: Rules {
                workers,
                minimum,
                checkpoint_steps,
                speculate: speculate.into(),
                grace: Duration::from_secs(20),
                join_timeout: Duration::from_secs(40),
                ..Rules::default()
            },
        }
    }
}

/// Plays one action. The invariants are checked behind every event of it.
fn play_one(play: &mut Play, action: Action) {
    let known = play.workers();
    if known == 0 && !matches!(action, Action::Join { .. }) {
        return;
    }
    let place = |worker: u64| -> WorkerId { 1 + worker % known };
    let reason = || "by chance".to_owned();
    match action {
        Action::Join { threads } => {
            let _ = play.join(&format!("w{known}"), threads);
        }
        Action::Reply { worker, times } => {
            let worker = place(worker);
            if let Some(reply) = play.answer(worker, None) {
                for reply in std::iter::repeat_n(reply, times as usize) {
                    play.take(Event::Replied { worker, reply });
                }
            }
        }
        Action::SendNan { worker, bits } => {
            let worker = place(worker);
            if let Some(mut reply) = play.answer(worker, None) {
                spoil(&mut reply, bits);
                play.take(Event::Replied { worker, reply });
            }
        }
        Action::SendShort { worker } => {
            let worker = place(worker);
            if let Some(mut reply) = play.answer(worker, None) {
                reply.payload.pop();
                play.take(Event::Replied { worker, reply });
            }
        }
        Action::Pass { millis, heard } => {
            let heard: Vec<_> = (1..=known).filter(|_| heard).collect();
            play.pass(Duration::from_millis(millis), &heard);
        }
        Action::Sleep { millis } => play.sleep(Duration::from_millis(millis)),
        Action::Restart => play.restart(|_| {}).expect("its own checkpoint"),
        action => {
            let event = match action {
                Action::Hear { worker } => Event::Heard {
                    worker: place(worker),
                },
                Action::Leave { worker } => Event::Leaving {
                    worker: place(worker),
                },
                Action::Lose { worker } => Event::Lost {
                    worker: place(worker),
                    reason: reason(),
                },
                Action::Fail { worker } => Event::Failed {
                    worker: place(worker),
                    message: reason(),
                },
                Action::Abandon => Event::Abandoned { reason: reason() },
                _ => Event::Interrupted,
            };
            play.take(event);
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_an_invariant(
        settings in settings(),
        actions in prop::collection::vec(action(), 1..250),
    ) {
        let mut play = Play::new(Fixture::new(&settings));
        for action in actions {
            play_one(&mut play, action);
        }
    }
}
