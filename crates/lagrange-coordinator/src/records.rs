//! What of a run goes to the disk while it goes on: its journal and its checkpoints, in the order in which
//! they came about.

use crate::checkpoint::{CheckpointStore, Snapshot};
use crate::driver::Observed;
use std::fmt::Debug;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// Keeps every event of a run.
///
/// An event is in the journal before a checkpoint that was made after it is on the disk. Whoever takes up
/// the run from a checkpoint thus finds all that came before it, however the run ended.
pub trait Journal: Debug + Send {
    /// Keeps an event. What cannot be kept is the journal's own affair: the run goes on.
    fn keep(&mut self, observed: &Observed);
}

/// What is to be recorded.
#[derive(Debug)]
pub(crate) enum Record {
    Event(Box<Observed>),
    Checkpoint(Box<Snapshot>),
}

/// Takes records, in order.
pub(crate) type Recorder = Box<dyn FnMut(Record) + Send>;

/// Where records are written, if anywhere.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) journal: Option<Box<dyn Journal>>,
    pub(crate) checkpoints: Option<CheckpointStore>,
}

impl Records {
    /// Writes each record when it comes, on the thread that it comes from.
    pub(crate) fn at_once(mut self) -> Recorder {
        Box::new(move |record| {
            if let Some(snapshot) = self.take(record) {
                self.checkpoint(&snapshot);
            }
        })
    }

    /// Writes on a thread of its own, until the recorder is gone. A disk that is slow holds up nothing but
    /// later records: of several checkpoints that wait the newest is written.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn on_thread(mut self) -> std::io::Result<(Recorder, JoinHandle<()>)> {
        let (sender, records) = channel();
        let writer = std::thread::Builder::new().name("records".to_owned());
        let writing = writer.spawn(move || self.write(&records))?;
        let recorder: Recorder = Box::new(move |record| {
            // The thread ends after the recorder.
            let _ = sender.send(record);
        });
        Ok((recorder, writing))
    }

    fn write(&mut self, records: &Receiver<Record>) {
        while let Ok(first) = records.recv() {
            let mut newest = self.take(first);
            for record in records.try_iter() {
                newest = self.take(record).or(newest);
            }
            if let Some(snapshot) = newest {
                self.checkpoint(&snapshot);
            }
        }
    }

    /// Keeps an event; hands back a checkpoint, which may wait.
    fn take(&mut self, record: Record) -> Option<Box<Snapshot>> {
        match record {
            Record::Checkpoint(snapshot) => Some(snapshot),
            Record::Event(observed) => {
                if let Some(journal) = &mut self.journal {
                    journal.keep(&observed);
                }
                None
            }
        }
    }

    fn checkpoint(&self, snapshot: &Snapshot) {
        if let Some(store) = &self.checkpoints {
            store.keep(snapshot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RunEvent;
    use std::path::{Path, PathBuf};
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    fn newest_step(folder: &Path) -> Option<u64> {
        let found = CheckpointStore::new(folder.to_owned()).newest().ok()?;
        Some(found.snapshot?.1.facts.plan.step)
    }

    /// A slow journal that tells the step of each event, and of the newest checkpoint meanwhile.
    #[derive(Debug)]
    struct Slow {
        folder: PathBuf,
        told: Sender<(u64, Option<u64>)>,
    }

    impl Journal for Slow {
        fn keep(&mut self, observed: &Observed) {
            std::thread::sleep(Duration::from_millis(5));
            if let RunEvent::Rollback { step, .. } = observed.event {
                let _ = self.told.send((step, newest_step(&self.folder)));
            }
        }
    }

    fn event(step: u64) -> Record {
        Record::Event(Box::new(Observed {
            seconds: 0.0,
            bytes_sent: 0,
            bytes_received: 0,
            wait_seconds: 0.0,
            work_seconds: 0.0,
            event: RunEvent::Rollback {
                step,
                to: 0,
                rate_factor: 1.0,
                reason: String::new(),
            },
        }))
    }

    fn checkpoint(step: u64) -> Record {
        let mut snapshot = Snapshot::default();
        snapshot.facts.plan.step = step;
        Record::Checkpoint(Box::new(snapshot))
    }

    #[test]
    fn no_checkpoint_is_on_the_disk_before_the_events_that_it_follows_and_the_last_one_gets_there()
    {
        const STEPS: u64 = 20;
        for own_thread in [false, true] {
            let folder = tempfile::tempdir().expect("folder");
            let (told, heard) = channel();
            let journal = Slow {
                folder: folder.path().to_owned(),
                told,
            };
            let records = Records {
                journal: Some(Box::new(journal)),
                checkpoints: Some(CheckpointStore::new(folder.path().to_owned())),
            };
            let (mut recorder, writer) = match own_thread {
                false => (records.at_once(), None),
                true => records
                    .on_thread()
                    .map(|(r, w)| (r, Some(w)))
                    .expect("a thread"),
            };
            for step in 1..=STEPS {
                recorder(event(step));
                recorder(checkpoint(step));
            }
            drop(recorder);
            writer.map(std::thread::JoinHandle::join);
            let heard: Vec<_> = heard.iter().collect();
            assert!(heard.iter().map(|&(step, _)| step).eq(1..=STEPS));
            assert!(
                heard.iter().all(|&(step, newest)| newest < Some(step)),
                "{heard:?}"
            );
            assert_eq!(newest_step(folder.path()), Some(STEPS));
        }
    }
}
