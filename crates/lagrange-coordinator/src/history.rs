//! What a stateful schedule has sent so far: z and a that are lost with a worker are had again by doing its
//! shards' rounds over.

use crate::checkpoint::{Arrays, CheckpointError};
use crate::plan::Plan;
use lagrange_core::schedule::Round;
use lagrange_protocol::{Job, Payload};

/// All rounds of a stateful schedule so far; none of others.
#[derive(Debug, Default)]
pub(crate) struct History {
    rounds: Vec<PastRound>,
}

/// One round, as it was handed out.
#[derive(Debug, Clone)]
pub(crate) struct PastRound {
    pub(crate) round: Round,
    /// Inputs of all shards.
    pub(crate) shared: Payload,
    /// Inputs of each shard.
    pub(crate) rows: Vec<Payload>,
}

impl PastRound {
    /// The payload of the round for `shards`.
    pub(crate) fn payload(&self, shards: &[u32]) -> Payload {
        let mut payload = self.shared.clone();
        for &shard in shards {
            payload.extend(&self.rows[shard as usize]);
        }
        payload
    }
}

impl History {
    /// Adds the round that is about to be handed out.
    pub(crate) fn push(&mut self, round: PastRound) {
        self.rounds.push(round);
    }

    /// The rounds before the one in hand.
    pub(crate) fn past(&self) -> &[PastRound] {
        self.rounds.split_last().map_or(&[], |(_, past)| past)
    }

    /// Puts down the rounds of the steps before `step`.
    pub(crate) fn save(&self, step: u64, arrays: &mut Arrays) -> Vec<Round> {
        // The round in hand belongs to the step that a checkpoint comes before.
        let past = self.rounds.iter().take_while(|past| past.round.step < step);
        past.enumerate()
            .map(|(number, past)| {
                let rows = past.rows.iter().flat_map(Payload::to_vec).collect();
                arrays.put(name(number, "shared"), past.shared.to_vec());
                arrays.put(name(number, "rows"), rows);
                past.round
            })
            .collect()
    }

    /// The history that [`History::save`] put down, which must be every round up to where `plan` is.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`]
    pub(crate) fn load(
        rounds: &[Round],
        plan: &Plan,
        arrays: &Arrays,
    ) -> Result<Self, CheckpointError> {
        if !is_whole(rounds, plan) {
            return Err(CheckpointError::damaged("its history has gaps"));
        }
        let load = |(number, &round)| load_round(number, round, plan, arrays);
        let rounds = rounds.iter().enumerate().map(load);
        Ok(Self {
            rounds: rounds.collect::<Result<_, _>>()?,
        })
    }
}

fn load_round(
    number: usize,
    round: Round,
    plan: &Plan,
    arrays: &Arrays,
) -> Result<PastRound, CheckpointError> {
    let sizes = plan.sizes(Job::Round(round));
    let sizes = sizes.map_err(|error| CheckpointError::damaged(error.to_string()))?;
    let values = |part: &str, length: usize| {
        let name = name(number, part);
        let values = arrays.get(&name)?;
        match values.len() == length {
            true => Ok(values),
            false => Err(CheckpointError::damaged(format!(
                "{name} is not {length} numbers"
            ))),
        }
    };
    let shards = plan.shards() as usize;
    let rows = values("rows", shards * sizes.rows_in)?;
    let of_shard = |shard| payload(&rows[shard * sizes.rows_in..][..sizes.rows_in]);
    Ok(PastRound {
        round,
        shared: payload(values("shared", sizes.shared)?),
        rows: (0..shards).map(of_shard).collect(),
    })
}

/// Whether `rounds` are all from the first up to where `plan` is, if it is stateful, and none otherwise.
fn is_whole(rounds: &[Round], plan: &Plan) -> bool {
    if !plan.is_stateful() {
        return rounds.is_empty();
    }
    let mut next = (0, 0);
    for &round in rounds {
        if (round.step, round.stage) != next {
            return false;
        }
        next = plan.schedule().next(round);
    }
    next == (plan.step(), 0)
}

fn name(number: usize, part: &str) -> String {
    format!("history.{number}.{part}")
}

fn payload(values: &[f32]) -> Payload {
    let mut payload = Payload::new();
    payload.push(values.to_vec());
    payload
}
