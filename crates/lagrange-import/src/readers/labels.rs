//! Tables of picture files and their labels.

use crate::format::Reader;
use crate::found::{Found, Picture, Sample};
use crate::names::{shown, tidy};
use crate::place::{Place, contents, has_extension, head, name_of, relative};
use crate::{Format, ImportError, Options, Split};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(crate) struct LabelsFile;

/// Names that a table has in a folder.
const NAMES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "labels.csv"];

/// Bytes of a file that are examined for its columns.
const HEAD: u64 = 1 << 16;

impl Reader for LabelsFile {
    fn format(&self) -> Format {
        Format::LabelsFile
    }

    fn fits(&self, place: &Place) -> bool {
        !tables(place).is_empty()
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        for (split, table) in tables(place) {
            let rows = match has_extension(&table, "jsonl") {
                true => json_rows(&table)?,
                false => csv_rows(&table)?,
            };
            for row in rows {
                add(&mut found, place, &table, split, row)?;
            }
        }
        Ok(found)
    }
}

/// The tables of a place: itself, those in it, or those in its folders of splits.
fn tables(place: &Place) -> Vec<(Option<Split>, PathBuf)> {
    if !place.is_folder {
        let own = is_table(&place.path).then(|| (None, place.path.clone()));
        return own.into_iter().collect();
    }
    let find = |place: &Place| {
        let paths = NAMES.iter().filter_map(|name| place.file(name));
        paths
            .filter(|path| is_table(path))
            .map(Path::to_owned)
            .next()
    };
    if let Some(here) = find(place) {
        return vec![(None, here)];
    }
    let folders = place.folders.iter().filter_map(|path| {
        let split = Split::named(&name_of(path))?;
        Some((Some(split), find(&Place::open(path).ok()?)?))
    });
    folders.collect()
}

/// Whether a file's first line has `file_name` and `label`.
fn is_table(path: &Path) -> bool {
    let head = head(path, HEAD);
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    if has_extension(path, "jsonl") {
        text.contains("\"file_name\"") && text.contains("\"label\"")
    } else if has_extension(path, "csv") {
        let columns: Vec<_> = text
            .trim_start_matches('\u{feff}')
            .split(',')
            .map(column)
            .collect();
        columns.contains(&"file_name") && columns.contains(&"label")
    } else {
        false
    }
}

fn column(text: &str) -> &str {
    text.trim().trim_matches('"')
}

/// A line of a table.
struct Row {
    line: u64,
    file: String,
    label: String,
    split: Option<String>,
}

fn csv_rows(path: &Path) -> Result<Vec<Row>, ImportError> {
    let bytes = contents(path)?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let malformed =
        |error: csv::Error| ImportError::malformed(shown(path), tidy(&error.to_string()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(malformed)?.clone();
    let position = |name: &str| header.iter().position(|column| column == name);
    let (Some(file), Some(label)) = (position("file_name"), position("label")) else {
        return Err(ImportError::malformed(
            shown(path),
            "needs the columns file_name and label",
        ));
    };
    let split = position("split");
    let rows = reader.records().map(|record| {
        let record = record.map_err(malformed)?;
        let field = |at: usize| record.get(at).unwrap_or_default().to_owned();
        Ok(Row {
            line: record.position().map_or(0, csv::Position::line),
            file: field(file),
            label: field(label),
            split: split.map(field),
        })
    });
    rows.collect()
}

fn json_rows(path: &Path) -> Result<Vec<Row>, ImportError> {
    let bytes = contents(path)?;
    let lines = bytes.split(|&byte| byte == b'\n').zip(1_u64..);
    let written = lines.filter(|(text, _)| !text.trim_ascii().is_empty());
    let rows = written.map(|(text, line)| {
        let malformed = |fault: String| {
            ImportError::malformed(format!("{}, line {line}", shown(path)), tidy(&fault))
        };
        let object: Value = serde_json::from_slice(text).map_err(|e| malformed(e.to_string()))?;
        let text = |name: &str| match object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            _ => None,
        };
        let needed = |name: &str| {
            text(name).ok_or_else(|| malformed(format!("no {name}, as text or as a number")))
        };
        Ok(Row {
            line,
            file: needed("file_name")?,
            label: needed("label")?,
            split: text("split"),
        })
    });
    rows.collect()
}

fn add(
    found: &mut Found,
    place: &Place,
    table: &Path,
    of_folder: Option<Split>,
    row: Row,
) -> Result<(), ImportError> {
    let malformed = |fault: String| {
        ImportError::malformed(format!("{}, line {}", shown(table), row.line), fault)
    };
    if row.file.is_empty() || row.label.is_empty() {
        return Err(malformed(
            "file_name and label must not be empty".to_owned(),
        ));
    }
    let split = match (&row.split, of_folder) {
        (Some(name), _) => Split::named(name).ok_or_else(|| {
            malformed(format!(
                "split {:?} is none of train, validation and test",
                tidy(name)
            ))
        })?,
        (None, Some(split)) => split,
        (None, None) => Split::Train,
    };
    let folder = table.parent().unwrap_or(Path::new(""));
    let path = folder.join(&row.file);
    let root = match place.is_folder {
        true => &place.path,
        false => folder,
    };
    found.splits.insert(split);
    found.samples.push(Sample {
        split,
        class: found.classes.number(&tidy(&row.label)),
        name: relative(&path, root),
        picture: Picture::File(path),
    });
    Ok(())
}
