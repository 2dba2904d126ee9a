//! An archive of NumPy arrays.

use super::layers::layers;
use super::{ExportedFile, unwritten};
use crate::{Model, ModelError};
use std::io::{Cursor, Write as _};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Bytes that a header's length is a multiple of.
const ALIGNMENT: usize = 64;

/// `layers.N.weight` `[out, in, rows, columns]`, `layers.N.bias` `[out]`, `mean` and `std` of each channel.
pub(super) fn files(model: &Model) -> Result<Vec<ExportedFile>, ModelError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, shape: &[usize], values: &[f32]| -> Result<(), ModelError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(unwritten)?;
        archive.write_all(&array(shape, values)).map_err(unwritten)
    };
    for (index, layer) in layers(model).iter().enumerate() {
        add(
            &format!("layers.{index}.weight"),
            &layer.shape(),
            &layer.kernel,
        )?;
        add(
            &format!("layers.{index}.bias"),
            &[layer.bias.len()],
            &layer.bias,
        )?;
    }
    let figures = &model.normalisation;
    for (name, values) in [
        ("mean", figures.means()),
        ("std", figures.standard_deviations()),
    ] {
        add(name, &[values.len()], &values)?;
    }
    Ok(vec![ExportedFile {
        name: "model.npz",
        bytes: archive.finish().map_err(unwritten)?.into_inner(),
    }])
}

/// A file of one array of f32, in version 1.0 of NumPy's format.
fn array(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let lengths: String = shape.iter().map(|length| format!("{length},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({lengths}), }}");
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let end = (before + header.len() + 1).next_multiple_of(ALIGNMENT);
    header.extend(std::iter::repeat_n(' ', end - before - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}
