//! Tables with a label and a column for each pixel.

use super::by_split;
use crate::format::Reader;
use crate::found::{Block, Found};
use crate::names::{shown, tidy};
use crate::place::{Place, head};
use crate::{Format, ImportError, Layout, Options, Split};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) struct PixelCsv;

/// Bytes of a file that are examined for its columns: those of 96x96 RGB have 300 kB of names.
const HEAD: u64 = 1 << 20;

impl Reader for PixelCsv {
    fn format(&self) -> Format {
        Format::PixelCsv
    }

    fn fits(&self, place: &Place) -> bool {
        let mut files = place.with_extension("csv").into_iter();
        files.any(|path| matches!(columns_of(path), Some(Columns { label: Some(_), .. })))
    }

    fn read(&self, place: &Place, options: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        let mut labelled = Vec::new();
        for path in place.with_extension("csv") {
            match columns_of(path) {
                Some(Columns { label: Some(_), .. }) => labelled.push(path),
                Some(_) => found.warnings.push(format!(
                    "{}: no column called label; it was left out",
                    shown(path)
                )),
                None => found.skipped += 1,
            }
        }
        for (split, path) in by_split(&labelled)? {
            let file = File::open(path).map_err(|cause| ImportError::unreadable(path, cause))?;
            add(
                &mut found,
                BufReader::new(file),
                &shown(path),
                split,
                options,
            )?;
        }
        Ok(found)
    }
}

/// Columns of a table of pixels.
struct Columns {
    /// Position of the label.
    label: Option<usize>,
    pixels: usize,
}

/// The columns of a file whose columns are all numbered, but for the label.
fn columns_of(path: &Path) -> Option<Columns> {
    let head = head(path, HEAD);
    let line = head.split(|&byte| byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    columns(text.trim_start_matches('\u{feff}').split(','))
}

fn columns<'a>(names: impl Iterator<Item = &'a str>) -> Option<Columns> {
    let mut columns = Columns {
        label: None,
        pixels: 0,
    };
    for (position, name) in names.enumerate() {
        let name = name.trim().trim_matches('"');
        if name.eq_ignore_ascii_case("label") && columns.label.is_none() {
            columns.label = Some(position);
        } else if name.ends_with(|c: char| c.is_ascii_digit()) {
            columns.pixels += 1;
        } else {
            return None;
        }
    }
    (columns.pixels >= 4).then_some(columns)
}

/// Adds the rows of a table.
pub(super) fn add(
    found: &mut Found,
    file: impl Read,
    name: &str,
    split: Split,
    options: &Options,
) -> Result<(), ImportError> {
    let malformed = |fault: String| ImportError::malformed(name, fault);
    let fault = |error: csv::Error| malformed(tidy(&error.to_string()));
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(fault)?.clone();
    let names = header
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}'));
    let Some(Columns {
        label: Some(label),
        pixels: count,
    }) = columns(names)
    else {
        return Err(malformed(
            "the header is not label and numbered pixels".to_owned(),
        ));
    };
    let (side, channels) = shape(count).ok_or_else(|| {
        malformed(format!(
            "{count} pixels are neither the square of a side nor three times one; \
             save them as an .npz with their shape"
        ))
    })?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(fault)? {
        let line = record.position().map_or(0, csv::Position::line);
        for (position, field) in record.iter().enumerate() {
            if position == label {
                labels.push(tidy(String::from_utf8_lossy(field).trim()));
                continue;
            }
            pixels.push(pixel(field).ok_or_else(|| {
                let text = tidy(&String::from_utf8_lossy(field));
                let column = header.get(position).unwrap_or_default();
                malformed(format!(
                    "line {line}, column {}: {text:?} is not a whole number from 0 to 255",
                    tidy(column)
                ))
            })?);
        }
    }
    if channels == 3 && options.layout == Some(Layout::Nchw) {
        pixels = channels_last(&pixels, side * side);
    }
    let block = Block {
        height: side,
        width: side,
        channels,
        pixels,
    };
    found.add_block(split, block, &labels);
    Ok(())
}

/// Side and channels of pictures of so many values.
fn shape(count: usize) -> Option<(usize, usize)> {
    let square = |count: usize| {
        let side = count.isqrt();
        (side * side == count).then_some(side)
    };
    let colour = || {
        (count.is_multiple_of(3))
            .then(|| square(count / 3))
            .flatten()
    };
    let grey = square(count).map(|side| (side, 1));
    grey.or_else(|| colour().map(|side| (side, 3)))
}

/// A byte, written as a whole number or with zeros after the point.
fn pixel(field: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(field).ok()?.trim();
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && (0.0..=255.0).contains(&value)).then_some(value as u8)
    })
}

/// Turns pictures of one channel after the other into such with the channels of a pixel side by side.
fn channels_last(pixels: &[u8], plane: usize) -> Vec<u8> {
    let pictures = pixels.chunks_exact(3 * plane);
    let colours = |picture: &'_ [u8], at: usize| [0, 1, 2].map(|c| picture[c * plane + at]);
    pictures
        .flat_map(|picture| (0..plane).flat_map(move |at| colours(picture, at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], options: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        add(&mut found, text, "train.csv", Split::Train, options)?;
        Ok(found)
    }

    fn bytes(found: &Found, sample: usize) -> &[u8] {
        match &found.samples[sample].picture {
            crate::found::Picture::Raw { block, index } => block.sample(*index),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn labels_may_be_first_or_last_and_pixels_floats() {
        let options = Options::default();
        let first = read(
            b"label,1x1,1x2,2x1,2x2\ncat,0,1,2,255\ndog,9,9.0,9,9\n",
            &options,
        );
        let found = first.expect("a table");
        assert_eq!(found.classes.names(), ["cat", "dog"]);
        assert_eq!(
            (bytes(&found, 0), bytes(&found, 1)),
            (&[0, 1, 2, 255][..], &[9; 4][..])
        );
        let last = read(b"p0,p1,p2,p3,label\n0,1,2,255,cat\n", &options).expect("a table");
        assert_eq!(bytes(&last, 0), [0, 1, 2, 255]);
    }

    #[test]
    fn colour_is_told_by_the_number_of_pixels_and_the_layout_by_the_option() {
        let header = (0..12)
            .map(|n| format!("pixel{n}"))
            .collect::<Vec<_>>()
            .join(",");
        let row = (0..12).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let text = format!("{header},label\n{row},a\n");
        let last = read(text.as_bytes(), &Options::default()).expect("a table");
        assert_eq!(bytes(&last, 0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let options = Options {
            layout: Some(Layout::Nchw),
            ..Options::default()
        };
        let first = read(text.as_bytes(), &options).expect("a table");
        assert_eq!(bytes(&first, 0), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    }

    #[test]
    fn faults_name_the_line_and_the_column() {
        for (text, fault) in [
            (
                "label,p0,p1,p2,p3\na,1,2,3,256\n",
                "line 2, column p3: \"256\" is not a whole",
            ),
            ("label,p0,p1,p2,p3\na,1,2,0.5,6\n", "column p2: \"0.5\""),
            ("label,p0,p1,p2,p3\na,1,2,3\n", "4 fields"),
            (
                "label,p0,p1,p2,p3,p4\na,1,2,3,4,5\n",
                "5 pixels are neither",
            ),
            ("id,p0,p1,p2,p3\n", "the header is not"),
        ] {
            let error = read(text.as_bytes(), &Options::default())
                .expect_err(text)
                .to_string();
            assert!(
                error.starts_with("train.csv: ") && error.contains(fault),
                "{error}"
            );
            assert!(!error.contains('\n'));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            rows in "[a,0-9\n\"]{0,80}",
        ) {
            let _ = read(&bytes, &Options::default());
            let _ = read(format!("label,p0,p1,p2,p3\n{rows}").as_bytes(), &Options::default());
        }
    }
}
