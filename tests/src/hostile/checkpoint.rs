//! Checkpoint files, torn, damaged or forged.

use super::runs::{TinyRun, tiny_runs, work_honestly};
use super::{assert_sound, byte, number, place, value};
use arbitrary::Unstructured;
use lagrange_coordinator::{Command, Snapshot, hexadecimal};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// A file: refused, or a checkpoint that can be written again.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(snapshot) = Snapshot::from_bytes(bytes) {
        let again = snapshot.to_bytes().expect("written");
        Snapshot::from_bytes(&again).expect("its own file");
    }
}

/// A sound file with facts and arrays changed and the checksum made right again: refused, or a run that goes
/// on to a result or an error.
pub fn altered_checkpoint(bytes: &[u8]) {
    static SOUND: LazyLock<Vec<Parts>> = LazyLock::new(|| {
        let runs = tiny_runs().iter();
        runs.map(|run| Parts::read(&run.checkpoint(STEPS)))
            .collect()
    });
    let mut bytes = Unstructured::new(bytes);
    let which = place(&mut bytes, SOUND.len());
    let mut parts = SOUND[which].clone();
    for _ in 0..1 + byte(&mut bytes) % 4 {
        parts.change(&mut bytes);
    }
    if let Ok(snapshot) = Snapshot::from_bytes(&parts.sealed()) {
        go_on(&tiny_runs()[which], &snapshot);
    }
}

/// Enough to have a history and a point to go back to.
const STEPS: u64 = 3;

fn go_on(run: &TinyRun, snapshot: &Snapshot) {
    let Ok(mut training) = run.resume(snapshot) else {
        return;
    };
    let mut observe = |command| {
        if let Command::End(Ok(outcome)) = command {
            assert_sound(&outcome);
        }
    };
    work_honestly(&mut training, &run.worker(), 40, &mut observe);
}

/// A checkpoint taken apart.
#[derive(Debug, Clone)]
struct Parts {
    facts: Value,
    tensors: BTreeMap<String, Vec<f32>>,
}

const FORMAT: &str = "lagrange checkpoint 3";

impl Parts {
    fn read(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).expect("a header");
        let metadata = header.metadata().clone().expect("metadata");
        let file = SafeTensors::deserialize(bytes).expect("a file");
        let tensors = file.iter().map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (name.to_owned(), values.collect())
        });
        Self {
            facts: serde_json::from_str(&metadata["facts"]).expect("facts"),
            tensors: tensors.collect(),
        }
    }

    fn change(&mut self, bytes: &mut Unstructured<'_>) {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        let name = &names[place(bytes, names.len())];
        match byte(bytes) % 10 {
            0 => drop(self.tensors.remove(name)),
            1 => {
                let (length, fill) = (place(bytes, 600), value(bytes));
                self.tensors.insert(name.clone(), vec![fill; length]);
            }
            2 | 3 => {
                let values = self.tensors.entry(name.clone()).or_default();
                let at = place(bytes, values.len());
                values
                    .iter_mut()
                    .skip(at)
                    .take(1 + place(bytes, 40))
                    .for_each(|v| *v = value(bytes));
            }
            _ => change_fact(&mut self.facts, bytes),
        }
        if self.tensors.is_empty() {
            self.tensors.insert("weights".to_owned(), Vec::new());
        }
    }

    fn sealed(&self) -> Vec<u8> {
        let facts = self.facts.to_string();
        let mut hash = Sha256::new_with_prefix(FORMAT);
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let arrays: Vec<(&String, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, values)| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        add(facts.as_bytes());
        for (name, values) in &arrays {
            add(name.as_bytes());
            add(values);
        }
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("sha256".to_owned(), hexadecimal(&hash.finalize())),
            ("facts".to_owned(), facts),
        ]);
        let views = arrays.iter().map(|(name, values)| {
            let view = TensorView::new(Dtype::F32, vec![values.len() / 4], values);
            (name, view.expect("whole values"))
        });
        safetensors::serialize(views, Some(metadata)).expect("written")
    }
}

/// Walks to a fact at random and changes it.
fn change_fact(facts: &mut Value, bytes: &mut Unstructured<'_>) {
    match facts {
        Value::Object(entries) if !entries.is_empty() && !byte(bytes).is_multiple_of(8) => {
            let at = place(bytes, entries.len());
            let inner = entries.values_mut().nth(at);
            change_fact(inner.expect("so many"), bytes);
        }
        Value::Array(entries) if !entries.is_empty() && !byte(bytes).is_multiple_of(8) => {
            let at = place(bytes, entries.len());
            match byte(bytes) % 4 {
                0 => drop(entries.remove(at)),
                1 => entries.insert(at, entries[at].clone()),
                _ => change_fact(&mut entries[at], bytes),
            }
        }
        // Only a whole entry can be missing.
        Value::Object(entries) if entries.is_empty() => {}
        other => {
            *other = match byte(bytes) % 8 {
                0 => Value::Null,
                1 => Value::Bool(byte(bytes).is_multiple_of(2)),
                2 => f64::from(value(bytes)).to_bits().into(),
                3 => value(bytes).to_bits().into(),
                _ => number(bytes).into(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_coordinator::CheckpointError;
    use lagrange_data::Normalisation;

    /// A checkpoint with its facts changed, taken up.
    fn changed(
        change: impl Fn(&mut serde_json::Map<String, Value>),
    ) -> Result<Normalisation, CheckpointError> {
        let run = &tiny_runs()[0];
        let mut parts = Parts::read(&run.checkpoint(1));
        change(parts.facts.as_object_mut().expect("an object"));
        let snapshot = Snapshot::from_bytes(&parts.sealed())?;
        let training = run.resume(&snapshot)?;
        Ok(training.spec().dataset().normalisation.clone())
    }

    #[test]
    fn a_run_goes_on_with_the_normalisation_it_began_with() {
        let own = &tiny_runs()[0].spec().dataset().normalisation;
        assert_ne!(*own, Normalisation::MNIST);
        assert_eq!(changed(|_| {}).expect("sound"), *own);
    }

    #[test]
    fn a_normalisation_that_cannot_be_is_damage() {
        for deviation in ["0.0", "-0.5", "nan", "inf"] {
            let error = changed(|facts| {
                let text = facts["spec"].as_str().expect("a text");
                let (before, rest) = text.split_once("standard-deviation = ").expect("a key");
                let (_, after) = rest.split_once('\n').expect("a line");
                let text = format!("{before}standard-deviation = {deviation}\n{after}");
                facts["spec"] = text.into();
            });
            let message = error.expect_err("refused").to_string();
            assert!(message.contains("deviation"), "{message}");
        }
    }
}
