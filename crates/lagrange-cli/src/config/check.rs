//! Whether a configuration can be run on a dataset, told before anything is started.

use super::Config;
use anyhow::Result;
use lagrange_coordinator::Plan;
use lagrange_data::{Outline, Partition};
use lagrange_protocol::{RunSpec, v1};

impl Config {
    /// Checks everything that the coordinator and the workers of a run will check.
    ///
    /// # Errors
    /// What they would say: of labels that the task does not know, of counts that cannot be shared, of
    /// numbers outside their range.
    pub fn check(&self, dataset: &Outline) -> Result<()> {
        self.task.check_labels("training", &dataset.train)?;
        self.task.check_labels("test", &dataset.test)?;
        let run = self.plan(dataset)?;
        let spec = v1::RunSpec::from(&run.spec);
        let counts = (dataset.train.len(), dataset.test.len());
        let partition =
            Partition::of_counts(counts, self.data.shards, self.validation, self.train_limit)?;
        Plan::new(run, partition)?;
        // What workers will make of it.
        RunSpec::try_from(spec)?;
        Ok(())
    }
}
