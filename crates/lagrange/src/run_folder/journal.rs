//! What keeps the events of a run in its folder.

use super::metrics::JsonLines;
use super::shards::ShardsWriter;
use super::tensorboard::TensorBoard;
use crate::Observed;
use lagrange_coordinator::Journal;

/// The files that grow while a run goes on.
#[derive(Debug)]
pub(crate) struct RunJournal {
    pub(super) metrics: JsonLines,
    pub(super) shards: ShardsWriter,
    pub(super) events: TensorBoard,
}

impl Journal for RunJournal {
    fn keep(&mut self, observed: &Observed) {
        self.metrics.keep(observed);
        self.shards.keep(observed);
        self.events.keep(observed);
    }
}
