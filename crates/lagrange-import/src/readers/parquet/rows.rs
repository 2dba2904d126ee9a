//! The rows of a Parquet file.

use crate::found::{Found, Picture, Sample};
use crate::names::{shown, tidy};
use crate::{ImportError, Split};
use parquet::errors::ParquetError;
use parquet::file::metadata::FileMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// Names of the columns of pictures and of labels, in the order of preference.
const IMAGES: [&str; 2] = ["image", "img"];
const LABELS: [&str; 3] = ["label", "fine_label", "labels"];

/// Adds the rows of a file.
pub(super) fn add(found: &mut Found, path: &Path, split: Split) -> Result<(), ImportError> {
    let name = shown(path);
    let fault = |error: ParquetError| ImportError::malformed(&name, tidy(&error.to_string()));
    let file = File::open(path).map_err(|cause| ImportError::unreadable(path, cause))?;
    let reader = SerializedFileReader::new(file).map_err(fault)?;
    let metadata = reader.metadata().file_metadata();
    let fields = metadata.schema().get_fields();
    let columns = || fields.iter().map(|field| field.name());
    let column = |names: &[&'static str], what: &str| {
        let named = names
            .iter()
            .copied()
            .find(|&name| columns().any(|there| there == name));
        named.ok_or_else(|| {
            let there = columns().collect::<Vec<_>>().join(", ");
            let wanted = names.join(" or ");
            ImportError::malformed(
                &name,
                format!("no column of {what}, {wanted}; there: {there}"),
            )
        })
    };
    let image = column(&IMAGES, "pictures")?;
    let label = column(&LABELS, "classes")?;
    let names = class_names(metadata, label);
    // Every name counts as a class, as the file says that it is one.
    for class in names.iter().flatten() {
        found.classes.number(class);
    }
    for (number, row) in reader.get_row_iter(None).map_err(fault)?.enumerate() {
        let row = row.map_err(fault)?;
        let malformed =
            |fault: &str| ImportError::malformed(format!("{name}, row {number}"), fault.to_owned());
        let class =
            class(field(&row, label), names.as_deref()).map_err(|fault| malformed(&fault))?;
        let (bytes, file) = picture(field(&row, image))
            .ok_or_else(|| malformed("no bytes of a picture; a path alone is not followed"))?;
        found.samples.push(Sample {
            split,
            class: found.classes.number(&class),
            name: file.unwrap_or_else(|| format!("row {number} of {name}")),
            picture: Picture::Encoded(bytes),
        });
    }
    Ok(())
}

fn field<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    let mut columns = row.get_column_iter();
    columns
        .find(|(column, _)| *column == name)
        .map(|(_, field)| field)
}

/// Bytes and path of a picture: those of a group, or bytes alone.
fn picture(value: Option<&Field>) -> Option<(Vec<u8>, Option<String>)> {
    match value? {
        Field::Bytes(bytes) => Some((bytes.data().to_vec(), None)),
        Field::Group(group) => {
            let Some(Field::Bytes(bytes)) = field(group, "bytes") else {
                return None;
            };
            let path = match field(group, "path") {
                Some(Field::Str(path)) => Some(tidy(path)),
                _ => None,
            };
            Some((bytes.data().to_vec(), path))
        }
        _ => None,
    }
}

/// The name of a class: by its number where names are known, else the number or the text itself.
fn class(value: Option<&Field>, names: Option<&[String]>) -> Result<String, String> {
    let number = match value {
        Some(Field::Str(text)) => return Ok(tidy(text)),
        Some(Field::Long(number)) => *number,
        Some(Field::Int(number)) => i64::from(*number),
        Some(Field::Short(number)) => i64::from(*number),
        Some(Field::Byte(number)) => i64::from(*number),
        Some(Field::UByte(number)) => i64::from(*number),
        Some(Field::UShort(number)) => i64::from(*number),
        Some(Field::UInt(number)) => i64::from(*number),
        _ => return Err("a label that is neither a whole number nor a text".to_owned()),
    };
    let Some(names) = names else {
        return Ok(number.to_string());
    };
    let name = usize::try_from(number)
        .ok()
        .and_then(|number| names.get(number));
    let none = || format!("label {number} is none of the {} names", names.len());
    name.cloned().ok_or_else(none)
}

/// The names that the Hub's description of the columns gives.
fn class_names(metadata: &FileMetaData, label: &str) -> Option<Vec<String>> {
    let pairs = metadata.key_value_metadata()?;
    let text = pairs
        .iter()
        .find(|pair| pair.key == "huggingface")?
        .value
        .as_ref()?;
    let description: Value = serde_json::from_str(text).ok()?;
    let names = description
        .pointer("/info/features")?
        .get(label)?
        .get("names")?
        .as_array()?;
    names.iter().map(|name| name.as_str().map(tidy)).collect()
}
