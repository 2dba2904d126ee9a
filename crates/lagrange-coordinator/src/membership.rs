//! Who works on what: live workers, their leases, and the shards each is given.

use crate::report::WorkerStatus;
use std::collections::BTreeMap;
use std::time::Duration;

/// Number by which a connection is known for as long as it lives. Never reused within a run.
pub type WorkerId = u64;

#[derive(Debug, Clone)]
struct Member {
    threads: u32,
    /// When it was last heard of.
    heard: Duration,
    /// Whether it wants to go: it gets nothing more.
    leaving: bool,
    /// Shards that it was given last.
    shards: Vec<u32>,
    /// How long its last answer took.
    taken: Option<Duration>,
}

/// The live workers of a run.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    workers: BTreeMap<WorkerId, Member>,
}

impl Membership {
    /// Adds a worker that computes on `threads` threads.
    pub fn join(&mut self, worker: WorkerId, threads: u32, now: Duration) {
        let member = Member {
            threads: threads.max(1),
            heard: now,
            leaving: false,
            shards: Vec::new(),
            taken: None,
        };
        self.workers.insert(worker, member);
    }

    /// Removes a worker; tells whether it was there.
    pub fn leave(&mut self, worker: WorkerId) -> bool {
        self.workers.remove(&worker).is_some()
    }

    /// Whether a worker is there, whether or not it takes work.
    #[must_use]
    pub fn contains(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    /// Panics if a worker was heard of in the future.
    pub(crate) fn assert_invariants(&self, now: Duration) {
        for (worker, member) in &self.workers {
            assert!(member.heard <= now, "worker {worker} heard in the future");
            assert!(member.threads > 0, "worker {worker} has no threads");
        }
    }

    /// Renews a worker's lease.
    pub fn hear(&mut self, worker: WorkerId, now: Duration) {
        if let Some(member) = self.workers.get_mut(&worker) {
            member.heard = now;
        }
    }

    /// Renews every lease: whoever was not listening cannot say who was silent.
    pub fn hear_all(&mut self, now: Duration) {
        for member in self.workers.values_mut() {
            member.heard = now;
        }
    }

    /// Takes note of the shards that a worker is given.
    pub(crate) fn give(&mut self, worker: WorkerId, shards: &[u32]) {
        if let Some(member) = self.workers.get_mut(&worker)
            && member.shards != shards
        {
            shards.clone_into(&mut member.shards);
        }
    }

    /// Takes note of how long an answer of a worker took.
    pub(crate) fn answered(&mut self, worker: WorkerId, taken: Duration) {
        if let Some(member) = self.workers.get_mut(&worker) {
            member.taken = Some(taken);
        }
    }

    /// The workers at `now`. Names and addresses are known to those only who hold the connections.
    #[must_use]
    pub fn statuses(&self, now: Duration) -> Vec<WorkerStatus> {
        let status = |(&worker, member): (&WorkerId, &Member)| WorkerStatus {
            worker,
            name: String::new(),
            address: None,
            threads: member.threads,
            leaving: member.leaving,
            shards: member.shards.clone(),
            answer_seconds: member.taken.map(|taken| taken.as_secs_f64()),
            silent_seconds: now.saturating_sub(member.heard).as_secs_f64(),
        };
        self.workers.iter().map(status).collect()
    }

    /// Takes note that a worker wants to go.
    pub fn begin_leaving(&mut self, worker: WorkerId) {
        if let Some(member) = self.workers.get_mut(&worker) {
            member.leaving = true;
        }
    }

    /// Workers that want to go.
    #[must_use]
    pub fn leaving(&self) -> Vec<WorkerId> {
        let leaving = self.workers.iter().filter(|(_, member)| member.leaving);
        leaving.map(|(&worker, _)| worker).collect()
    }

    /// Workers whose lease of `lease` has run out.
    #[must_use]
    pub fn expired(&self, lease: Duration, now: Duration) -> Vec<WorkerId> {
        let silent = |member: &Member| now.saturating_sub(member.heard) >= lease;
        let silent = self.workers.iter().filter(|(_, member)| silent(member));
        silent.map(|(&worker, _)| worker).collect()
    }

    /// When the next lease of `lease` runs out.
    #[must_use]
    pub fn next_expiry(&self, lease: Duration) -> Option<Duration> {
        let expiry = |member: &Member| member.heard.saturating_add(lease);
        self.workers.values().map(expiry).min()
    }

    /// Live workers that take work, with their threads.
    fn takers(&self) -> impl Iterator<Item = (WorkerId, u32)> {
        let members = self.workers.iter().filter(|(_, member)| !member.leaving);
        members.map(|(&worker, member)| (worker, member.threads))
    }

    /// Number of live workers that take work.
    #[must_use]
    pub fn len(&self) -> usize {
        self.takers().count()
    }

    /// Whether nobody takes work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a worker is there and takes work.
    #[must_use]
    pub fn takes_work(&self, worker: WorkerId) -> bool {
        self.takers().any(|(taker, _)| taker == worker)
    }

    /// The worker of the most threads that takes work and is not `busy`.
    #[must_use]
    pub fn idle(&self, busy: impl Fn(WorkerId) -> bool) -> Option<WorkerId> {
        let idle = self.takers().filter(|&(worker, _)| !busy(worker));
        idle.max_by_key(|&(_, threads)| threads)
            .map(|(worker, _)| worker)
    }

    /// Deals `shards` in contiguous runs to the live workers, in proportion to their threads: contiguous,
    /// because neighbours in the reduction tree can then be summed where they are. Workers that get none are
    /// left out.
    #[must_use]
    pub fn deal(&self, shards: &[u32]) -> Vec<(WorkerId, Vec<u32>)> {
        let total: u64 = self.takers().map(|(_, threads)| u64::from(threads)).sum();
        let count = shards.len() as u64;
        let (mut before, mut start) = (0, 0);
        let mut dealt = Vec::with_capacity(self.workers.len());
        for (worker, threads) in self.takers() {
            let threads = u64::from(threads);
            before += threads;
            // Rounded, so that equal workers differ by one shard at most.
            let end = ((2 * count * before + total) / (2 * total)).min(count) as usize;
            let most = start + (count * threads).div_ceil(total) as usize;
            let end = aligned(shards, end.max(start), most);
            if end > start {
                dealt.push((worker, shards[start..end].to_vec()));
            }
            start = end;
        }
        dealt
    }
}

/// `end` or the place behind it, whichever cuts the reduction tree at a larger subtree: fewer sums then
/// travel. The longest run, which is what a round waits for, stays within `most`.
fn aligned(shards: &[u32], end: usize, most: usize) -> usize {
    let subtree = |place: usize| {
        shards
            .get(place)
            .map_or(u32::MAX, |shard| shard.trailing_zeros())
    };
    if end < most.min(shards.len()) && subtree(end + 1) > subtree(end) {
        end + 1
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_core::tree::cover;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_shard_is_dealt_once_and_fairly(threads in prop::collection::vec(1u32..5, 1..9), shards in 1u32..70) {
            let mut members = Membership::default();
            threads.iter().enumerate().for_each(|(worker, &threads)| members.join(worker as u64, threads, Duration::ZERO));
            let shards: Vec<u32> = (0..shards).collect();
            let dealt = members.deal(&shards);
            let all: Vec<u32> = dealt.iter().flat_map(|(_, shards)| shards.clone()).collect();
            prop_assert_eq!(&all, &shards);
            let total: u32 = threads.iter().sum();
            for (worker, given) in dealt {
                let fair = shards.len() as f64 * f64::from(threads[worker as usize]) / f64::from(total);
                let given = given.len() as f64;
                prop_assert!(given <= fair.ceil().max(fair + 1.0) && given >= fair - 2.0, "{given} of {fair}");
            }
        }
    }

    #[test]
    fn runs_end_where_the_tree_does() {
        let shards: Vec<u32> = (0..16).collect();
        for (workers, longest, sums) in [
            (1, 16, 1),
            (2, 8, 2),
            (3, 6, 5),
            (4, 4, 4),
            (5, 4, 7),
            (8, 2, 8),
        ] {
            let mut members = Membership::default();
            (0..workers).for_each(|worker| members.join(worker, 1, Duration::ZERO));
            let dealt = members.deal(&shards);
            assert_eq!(
                dealt.iter().map(|(_, run)| run.len()).max(),
                Some(longest),
                "{workers} workers"
            );
            let nodes: usize = dealt.iter().map(|(_, run)| cover(run, 16).len()).sum();
            assert_eq!(nodes, sums, "{workers} workers");
        }
    }

    #[test]
    fn nobody_gets_nothing_nor_does_who_wants_to_go() {
        let mut members = Membership::default();
        assert!(members.deal(&[0, 1]).is_empty());
        members.join(1, 1, Duration::ZERO);
        members.join(2, 4, Duration::ZERO);
        assert_eq!(members.idle(|_| false), Some(2));
        members.begin_leaving(2);
        assert_eq!(members.deal(&[0, 1]), [(1, vec![0, 1])]);
        assert_eq!((members.len(), members.idle(|_| false)), (1, Some(1)));
        assert_eq!(members.idle(|worker| worker == 1), None);
    }

    #[test]
    fn a_status_says_what_a_worker_was_given_and_when_it_was_heard_of() {
        let mut members = Membership::default();
        members.join(7, 2, Duration::ZERO);
        members.give(7, &[0, 1]);
        members.give(8, &[2]);
        members.answered(7, Duration::from_millis(250));
        members.begin_leaving(7);
        let status = WorkerStatus {
            worker: 7,
            name: String::new(),
            address: None,
            threads: 2,
            leaving: true,
            shards: vec![0, 1],
            answer_seconds: Some(0.25),
            silent_seconds: 3.0,
        };
        assert_eq!(members.statuses(Duration::from_secs(3)), [status]);
    }

    #[test]
    fn a_lease_runs_out_unless_it_is_renewed() {
        let seconds = Duration::from_secs;
        let mut members = Membership::default();
        members.join(1, 1, seconds(0));
        members.join(2, 1, seconds(3));
        assert_eq!(members.next_expiry(seconds(10)), Some(seconds(10)));
        members.hear(1, seconds(5));
        assert_eq!(members.next_expiry(seconds(10)), Some(seconds(13)));
        assert_eq!(members.expired(seconds(10), seconds(12)), [0u64; 0]);
        assert_eq!(members.expired(seconds(10), seconds(13)), [2]);
        members.hear_all(seconds(20));
        assert!(members.expired(seconds(10), seconds(29)).is_empty());
    }
}
