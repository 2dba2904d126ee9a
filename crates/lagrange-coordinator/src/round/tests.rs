use super::*;
use lagrange_core::check::{Check, Tally};
use lagrange_core::tree::cover;
use lagrange_data::Split;
use lagrange_protocol::{NodeSum, ReplyHeader};

const SIZES: Sizes = Sizes {
    shared: 0,
    rows_in: 0,
    sums: 1,
    scalars: 0,
    rows_out: 0,
};

fn round() -> Round {
    Round::new(Task {
        number: 1,
        job: Job::Evaluate { split: Split::Test },
        sizes: SIZES,
        shards: 4,
        stages: 2,
        repeatable: true,
    })
}

fn reply(attempt: u32, shards: &[u32], value: f32) -> Reply {
    let nodes = cover(shards, 4);
    Reply {
        payload: vec![value; nodes.len()],
        header: ReplyHeader {
            run: "r".to_owned(),
            round: 1,
            attempt,
            nodes: nodes
                .into_iter()
                .map(|node| NodeSum {
                    node,
                    scalars: Vec::new(),
                })
                .collect(),
            shards: shards.to_vec(),
            payload_floats: 0,
            records: vec![ShardRecord::default(); shards.len()],
        },
    }
}

#[test]
fn of_two_answers_the_first_counts_whoever_was_asked_first() {
    for first in [1, 2] {
        let mut round = round();
        let slow = round.assign(1, vec![0, 1], Duration::ZERO);
        let other = round.assign(2, vec![2, 3], Duration::ZERO);
        assert!(matches!(
            round.receive(2, reply(other, &[2, 3], 5.0)),
            Receipt::Counted { .. }
        ));
        assert_eq!(round.single().map(|a| a.worker).collect::<Vec<_>>(), [1]);
        let backup = round.assign(2, vec![0, 1], Duration::from_secs(1));
        assert_eq!(round.single().count(), 0);
        let [winner, loser] = match first {
            1 => [(1, slow), (2, backup)],
            _ => [(2, backup), (1, slow)],
        };
        assert!(!round.is_complete());
        let counted = round.receive(winner.0, reply(winner.1, &[0, 1], 7.0));
        assert!(matches!(counted, Receipt::Counted { shards: 2, .. }));
        assert!(round.is_complete() && !round.owes(loser.0));
        assert_eq!(
            round.receive(loser.0, reply(loser.1, &[0, 1], 9.0)),
            Receipt::Stale
        );
        assert_eq!(round.into_total().expect("complete").sums, [12.0]);
    }
}

#[test]
fn what_a_lost_worker_had_goes_back_unless_somebody_else_has_it() {
    let mut round = round();
    round.assign(1, vec![0, 1], Duration::ZERO);
    round.assign(2, vec![2, 3], Duration::ZERO);
    round.assign(3, vec![0, 1], Duration::ZERO);
    round.take_back(1);
    assert_eq!(round.pool(), [0u32; 0]);
    round.take_back(3);
    assert_eq!(round.pool(), [0, 1]);
    round.assign(2, vec![2, 3], Duration::ZERO);
    round.take_back(2);
    assert_eq!(round.pool(), [0, 1, 2, 3]);
    assert!(!round.owes(2));
}

#[test]
fn what_is_never_the_same_twice_is_accepted_in_the_end() {
    let mut round = round();
    let all = [0, 1, 2, 3];
    for times in 1..=non_finite::MOST_REPEATS {
        let attempt = round.assign(1, all.to_vec(), Duration::ZERO);
        let nan = f32::from_bits(f32::INFINITY.to_bits() | times);
        let receipt = round.receive(1, reply(attempt, &all, nan));
        assert_eq!(receipt, Receipt::Again(all.to_vec()));
    }
    let attempt = round.assign(2, all.to_vec(), Duration::ZERO);
    let receipt = round.receive(2, reply(attempt, &all, f32::INFINITY));
    let counted = Receipt::Counted {
        shards: 4,
        since: Duration::ZERO,
        refuted: None,
    };
    assert_eq!(receipt, counted);
}

#[test]
fn a_reply_has_a_record_of_each_shard_with_checks_that_can_be() {
    let tally = Tally {
        check: Check::Sweep,
        stage: 1,
        ran: 2,
        held: 2,
        worst: 0.0,
    };
    let receipt = |records: Vec<ShardRecord>| {
        let mut round = round();
        let attempt = round.assign(1, vec![0, 1], Duration::ZERO);
        let mut reply = reply(attempt, &[0, 1], 1.0);
        reply.header.records = records;
        round.receive(1, reply)
    };
    let with = |tally| ShardRecord {
        crc32: 5,
        checks: vec![tally],
    };
    let plain = ShardRecord::default();
    let sound = receipt(vec![plain.clone(), with(tally)]);
    assert!(matches!(sound, Receipt::Counted { .. }), "{sound:?}");
    for records in [
        vec![plain.clone()],
        vec![plain.clone(), with(Tally { stage: 2, ..tally })],
        vec![plain.clone(), with(Tally { held: 3, ..tally })],
        vec![
            plain,
            with(Tally {
                check: Check::NormalEquations,
                ..tally
            }),
        ],
    ] {
        let refused = receipt(records);
        assert!(matches!(refused, Receipt::Wrong(_)), "{refused:?}");
    }
}
