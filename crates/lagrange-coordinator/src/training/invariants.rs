//! What holds of a run between two events.

use super::state::State;
use super::{Command, Training};

impl Training {
    /// Panics if an invariant is broken; for tests. Debug builds check after every event by themselves.
    #[doc(hidden)]
    pub fn assert_invariants(&self) {
        let (step, total) = self.steps();
        assert!(step <= total, "{step} of {total} steps done");
        let saved = self.last.step();
        assert!(saved <= step, "checkpoint of step {saved} at step {step}");
        self.members.assert_invariants(self.now);
        let is_member = |worker| self.members.contains(worker);
        for (shard, holder) in self.holders.iter().enumerate() {
            let gone = holder.filter(|&holder| !is_member(holder));
            assert_eq!(gone, None, "holds shard {shard}, but is gone");
        }
        match &self.state {
            State::Gathering => {
                let wanted = self.rules.needed(false);
                assert!(self.members.len() < wanted, "enough workers, but no round");
            }
            State::Working { round, short_since } => {
                assert_eq!(round.task().number, self.rounds, "another round is out");
                round.assert_invariants(is_member);
                assert!(!round.is_complete(), "complete, but still out");
                match short_since {
                    None => assert!(round.pool().is_empty(), "workers, but shards in the pool"),
                    Some(since) => {
                        assert!(*since <= self.now);
                        assert!(self.members.len() < self.rules.needed(true));
                    }
                }
            }
            State::Ended => {}
        }
    }

    /// Panics unless the end of the run is the last command, and there is one where the run has ended.
    pub(super) fn assert_end(&self, commands: &[Command]) {
        let end = |command: &Command| matches!(command, Command::End(_));
        let place = commands.iter().position(end);
        let last = self
            .state
            .has_ended()
            .then(|| commands.len().checked_sub(1));
        assert_eq!(place, last.flatten(), "{commands:?}");
    }
}
