//! Predictions as they are printed.

use super::{PredictFormat, Prediction};
use crate::output::{print, print_more};
use anyhow::Result;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::ops::ControlFlow;

/// Prints predictions as they come.
pub(super) struct Writer {
    format: PredictFormat,
    top: usize,
    /// Predictions printed.
    count: usize,
}

impl Writer {
    pub(super) fn new(format: Option<PredictFormat>, top: usize) -> Result<Self> {
        let usual = match std::io::stdout().is_terminal() {
            true => PredictFormat::Table,
            false => PredictFormat::Csv,
        };
        let writer = Self {
            format: format.unwrap_or(usual),
            top,
            count: 0,
        };
        match writer.format {
            PredictFormat::Csv => print(&records([writer.heading()])?)?,
            PredictFormat::Json => print("[")?,
            PredictFormat::Table | PredictFormat::Jsonl => {}
        }
        Ok(writer)
    }

    fn heading(&self) -> Vec<String> {
        let classes = (1..=self.top).flat_map(|rank| {
            let number = match rank {
                1 => String::new(),
                rank => rank.to_string(),
            };
            [format!("label{number}"), format!("probability{number}")]
        });
        std::iter::once("file".to_owned()).chain(classes).collect()
    }

    /// Prints predictions, and says whether anybody reads on.
    pub(super) fn add(&mut self, predictions: Vec<Prediction>) -> Result<ControlFlow<()>> {
        let text = match self.format {
            PredictFormat::Table => predictions.iter().map(row).collect(),
            PredictFormat::Csv => records(predictions.iter().map(|said| self.record(said)))?,
            PredictFormat::Jsonl => {
                let lines = predictions.iter().map(|said| format!("{}\n", object(said)));
                lines.collect()
            }
            PredictFormat::Json => {
                let objects = predictions.iter().enumerate();
                let objects = objects.map(|(index, said)| {
                    let comma = if self.count + index > 0 { ",\n" } else { "" };
                    format!("{comma}{}", object(said))
                });
                objects.collect()
            }
        };
        self.count += predictions.len();
        Ok(print_more(&text)?)
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.format {
            PredictFormat::Json => Ok(print("]\n")?),
            _ => Ok(()),
        }
    }

    fn record(&self, said: &Prediction) -> Vec<String> {
        let classes = said.classes.iter();
        let mut fields = vec![said.file.clone()];
        fields.extend(classes.flat_map(|(name, share)| [name.clone(), share.to_string()]));
        // Fewer classes than asked for, or none.
        fields.resize(1 + 2 * self.top, String::new());
        fields
    }
}

fn records(records: impl IntoIterator<Item = Vec<String>>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn row(said: &Prediction) -> String {
    let classes = said.classes.iter();
    let classes = classes.map(|(name, share)| format!("{name} {:.1} %", 100.0 * share));
    let classes: Vec<_> = classes.collect();
    let said_of = match classes.is_empty() {
        true => "nothing: the model's outputs overflow".to_owned(),
        false => classes.join("  "),
    };
    format!("{}  {said_of}\n", said.file)
}

fn object(said: &Prediction) -> Value {
    let classes = said.classes.iter();
    let classes = classes.map(|(name, share)| json!({ "label": name, "probability": share }));
    json!({
        "file": said.file,
        "label": said.classes.first().map(|(name, _)| name),
        "classes": classes.collect::<Vec<_>>(),
        "scores": said.scores,
    })
}
