//! A run that is ready to begin.

use lagrange_cli::config::Config;
use lagrange_coordinator::{CheckpointError, Identity, Plan, Rules, RunPlan, Snapshot, Training};
use lagrange_data::{Dataset, Outline, Partition};

/// What every run of these tests is called.
pub const RUN: &str = "simulated";

/// A configuration held against its data.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The run.
    pub plan: RunPlan,
    /// The cut of its data.
    pub partition: Partition,
}

impl Prepared {
    /// A run of `config` on `dataset`.
    ///
    /// # Panics
    /// If they do not fit together.
    #[must_use]
    pub fn new(config: &Config, dataset: &Dataset) -> Self {
        let outline = Outline::of(dataset).expect("contrast");
        let plan = config.plan(&outline).expect("configuration");
        let spec = &plan.spec;
        let partition =
            Partition::new(dataset, spec.shards, spec.validation, spec.train_limit).expect("cut");
        Self { plan, partition }
    }

    /// The run from its beginning.
    ///
    /// # Panics
    /// If its plan and its data do not fit together.
    #[must_use]
    pub fn begin(&self, rules: Rules) -> Training {
        let identity = Identity {
            run: RUN.to_owned(),
            ..Identity::default()
        };
        let plan = Plan::new(self.plan.clone(), self.partition).expect("plan");
        Training::new(identity, plan, rules)
    }

    /// The run from where `snapshot` has it.
    ///
    /// # Errors
    /// If it is no snapshot of this run.
    pub fn resume(&self, snapshot: &Snapshot, rules: Rules) -> Result<Training, CheckpointError> {
        Training::resume(snapshot, self.plan.clone(), self.partition, rules)
    }
}
