//! From arrays to bytes, channels last, and to labels.

use super::npy::{Array, ValueKind};
use crate::found::Block;
use crate::names::tidy;
use crate::{ImportError, Layout};

/// What the values of pixels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Whole values from 0 to 255.
    Bytes,
    /// Values from 0 to 1: `round(255 x)`.
    Unit,
}

/// The scale of all images of a set, so that a dark test set is not taken for another scale.
///
/// # Errors
/// If the values of an array fit neither scale.
pub(super) fn scale<'a>(images: impl Iterator<Item = &'a Array>) -> Result<Scale, ImportError> {
    let (mut all_unit, mut all_bytes) = (true, true);
    let mut first_odd = None;
    for array in images {
        match array.kind {
            ValueKind::Unsigned(1) => all_unit = false,
            ValueKind::Bool => all_bytes = false,
            ValueKind::Wide(_) | ValueKind::Narrow(_) => {
                return Err(ImportError::malformed(&array.name, "images cannot be text"));
            }
            kind => {
                // Whole numbers of 0 and 1 alone would be a set of black pictures, but floats are not.
                all_unit &= matches!(kind, ValueKind::Float(_));
                for index in 0..array.len() {
                    let value = array.number(index);
                    let unit = (0.0..=1.0).contains(&value);
                    let byte = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
                    if (all_unit && !unit) || (all_bytes && !byte) {
                        first_odd = Some((array, value));
                    }
                    all_unit &= unit;
                    all_bytes &= byte;
                    if !all_unit && !all_bytes {
                        break;
                    }
                }
            }
        }
    }
    match (all_unit, all_bytes, first_odd) {
        (true, ..) => Ok(Scale::Unit),
        (false, true, _) => Ok(Scale::Bytes),
        (.., Some((array, value))) => Err(ImportError::malformed(
            &array.name,
            format!("pixels must be whole from 0 to 255, or all from 0 to 1; {value} is there"),
        )),
        (.., None) => Err(ImportError::malformed(
            "images",
            "some arrays have whole pixels from 0 to 255, others from 0 to 1; save all alike",
        )),
    }
}

/// Images, and how many there are.
pub(super) struct Images {
    pub(super) block: Block,
    pub(super) count: usize,
}

/// The images of an array as bytes, channels last.
pub(super) fn block(
    array: Array,
    scale: Scale,
    layout: Option<Layout>,
) -> Result<Images, ImportError> {
    let layout = layout_of(&array, layout)?;
    let axes = axes(&array, layout);
    let [(count, _), (height, _), (width, _), (channels, _)] = axes;
    if height == 0 || width == 0 {
        return Err(ImportError::malformed(
            &array.name,
            format!("images of shape {:?} have no pixels", array.shape),
        ));
    }
    let in_place = !array.fortran && layout != Layout::Nchw;
    let pixels = match array.kind {
        ValueKind::Unsigned(1) if in_place && scale == Scale::Bytes => array.data,
        _ => in_order(&array, axes, scale),
    };
    Ok(Images {
        block: Block {
            height,
            width,
            channels,
            pixels,
        },
        count,
    })
}

/// Length and stride, in values, of samples, rows, columns and channels.
type Axes = [(usize, usize); 4];

fn in_order(array: &Array, axes: Axes, scale: Scale) -> Vec<u8> {
    let [
        (count, by_sample),
        (height, by_row),
        (width, by_column),
        (channels, by_channel),
    ] = axes;
    let mut pixels = Vec::with_capacity(array.len());
    for sample in 0..count {
        for row in 0..height {
            let start = sample * by_sample + row * by_row;
            for column in 0..width {
                for channel in 0..channels {
                    let at = start + column * by_column + channel * by_channel;
                    let value = array.number(at);
                    pixels.push(match scale {
                        Scale::Bytes => value as u8,
                        Scale::Unit => (value * 255.0).round() as u8,
                    });
                }
            }
        }
    }
    pixels
}

/// The layout asked for, or the one that the axis of 1 or 3 tells.
fn layout_of(array: &Array, asked: Option<Layout>) -> Result<Layout, ImportError> {
    let fault = |fault| ImportError::Layout {
        name: array.name.clone(),
        shape: array.shape.clone(),
        fault,
    };
    let is_depth = |&length: &usize| length == 1 || length == 3;
    let told = match array.shape.as_slice() {
        [_, _, _] => Layout::Nhw,
        [_, first, _, last] => match (is_depth(first), is_depth(last)) {
            (true, true) => asked.ok_or_else(|| fault("can have its channels first or last"))?,
            (false, true) => Layout::Nhwc,
            (true, false) => Layout::Nchw,
            (false, false) => return Err(fault("has no axis of 1 or 3 channels")),
        },
        _ => return Err(fault("is not one of images: three or four axes are needed")),
    };
    match asked {
        Some(asked) if asked != told => Err(fault("has not the layout asked for")),
        _ => Ok(told),
    }
}

fn axes(array: &Array, layout: Layout) -> Axes {
    let shape = &array.shape;
    let mut strides = vec![1; shape.len()];
    let mut product = 1;
    let order: Vec<usize> = match array.fortran {
        true => (0..shape.len()).collect(),
        false => (0..shape.len()).rev().collect(),
    };
    for axis in order {
        strides[axis] = product;
        product *= shape[axis];
    }
    let axis = |at: usize| (shape[at], strides[at]);
    match layout {
        Layout::Nhw => [axis(0), axis(1), axis(2), (1, 0)],
        Layout::Nhwc => [axis(0), axis(1), axis(2), axis(3)],
        Layout::Nchw => [axis(0), axis(2), axis(3), axis(1)],
    }
}

/// Names of the classes of samples: whole numbers, or texts.
///
/// # Errors
/// If there is more than one label for a sample, or a number is not whole.
pub(super) fn labels(array: &Array) -> Result<Vec<String>, ImportError> {
    match *array.shape.as_slice() {
        [_] | [_, 1] => {}
        [_, classes] => {
            return Err(ImportError::malformed(
                &array.name,
                format!("{classes} labels for each sample; give the number of its class (argmax)"),
            ));
        }
        _ => {
            return Err(ImportError::malformed(
                &array.name,
                format!("labels of shape {:?}; one axis is needed", array.shape),
            ));
        }
    }
    let label = |index| {
        if let Some(text) = array.text(index) {
            return Ok(tidy(&text));
        }
        let value = array.number(index);
        // Beyond this, neighbouring numbers would fall together.
        match value.fract() == 0.0 && value.abs() < 9e15 {
            true => Ok((value as i64).to_string()),
            false => Err(ImportError::malformed(
                &array.name,
                format!(
                    "label {value} of sample {index} is not a class: whole numbers or texts are"
                ),
            )),
        }
    };
    (0..array.len()).map(label).collect()
}
