//! Replies that hold infinities or NaN. Training may have diverged, or the worker is at fault: their shards
//! are computed again, elsewhere if there is somebody else. Two bit-identical replies confirm each other.

use crate::membership::WorkerId;
use lagrange_core::finite::all_finite;
use lagrange_protocol::Reply;

/// After this many non-finite replies for the same shards, the reply is accepted; the divergence guard
/// decides.
pub(super) const MOST_REPEATS: u32 = 8;

/// The last non-finite reply for some shards.
#[derive(Debug)]
pub(super) struct NonFiniteReply {
    worker: WorkerId,
    reply: Reply,
    /// Non-finite replies for these shards in this round.
    pub(super) times: u32,
}

/// The non-finite replies of a round that no other reply has settled.
#[derive(Debug, Default)]
pub(super) struct NonFiniteReplies(Vec<NonFiniteReply>);

impl NonFiniteReplies {
    /// Keeps a non-finite reply to compare the next one with; false if it must be accepted as it is.
    pub(super) fn put_aside(&mut self, worker: WorkerId, reply: &Reply) -> bool {
        let known = self.place(&reply.header.shards);
        let known = known.map(|place| &mut self.0[place]);
        let times = known.as_ref().map_or(0, |known| known.times);
        let confirmed = known
            .as_ref()
            .is_some_and(|known| same_bits(&known.reply, reply));
        if confirmed || times == MOST_REPEATS {
            return false;
        }
        let latest = NonFiniteReply {
            worker,
            reply: reply.clone(),
            times: times + 1,
        };
        match known {
            Some(known) => *known = latest,
            None => self.0.push(latest),
        }
        true
    }

    /// Forgets the non-finite reply for `shards`, which are answered; the worker that had sent it.
    pub(super) fn settle(&mut self, shards: &[u32]) -> Option<WorkerId> {
        let place = self.place(shards)?;
        Some(self.0.swap_remove(place).worker)
    }

    fn place(&self, shards: &[u32]) -> Option<usize> {
        self.0.iter().position(|r| r.reply.header.shards == shards)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &NonFiniteReply> {
        self.0.iter()
    }
}

/// Whether all values of a reply are finite.
pub(super) fn is_finite(reply: &Reply) -> bool {
    let mut scalars = reply.header.nodes.iter().flat_map(|node| &node.scalars);
    all_finite(&reply.payload) && scalars.all(|scalar| scalar.is_finite())
}

fn same_bits(one: &Reply, other: &Reply) -> bool {
    let values = |reply: &Reply| {
        let values = reply.payload.iter();
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let scalars = |reply: &Reply| {
        let scalars = reply.header.nodes.iter().flat_map(|node| &node.scalars);
        scalars.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    values(one) == values(other) && scalars(one) == scalars(other)
}
