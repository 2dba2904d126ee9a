//! The format of one array: a header in Python's syntax, then the values.

use crate::ImportError;
use crate::names::tidy;
use std::io::Read;

/// An array as it is in its file.
#[derive(Debug)]
pub(super) struct Array {
    /// The file, and the array in it.
    pub(super) name: String,
    pub(super) kind: ValueKind,
    pub(super) big_endian: bool,
    pub(super) shape: Vec<usize>,
    /// Whether the first axis varies fastest.
    pub(super) fortran: bool,
    /// `width()` bytes for each value.
    pub(super) data: Vec<u8>,
}

/// Type of the values, with the bytes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Bool,
    Signed(usize),
    Unsigned(usize),
    Float(usize),
    /// Text in UTF-32: bytes of a value, 4 per character.
    Wide(usize),
    /// Text in bytes.
    Narrow(usize),
}

impl ValueKind {
    fn of(code: &str) -> Option<Self> {
        let kind = code.chars().next()?;
        let count: usize = code.get(1..)?.parse().ok()?;
        Some(match (kind, count) {
            ('b', 1) => Self::Bool,
            ('i', 1 | 2 | 4 | 8) => Self::Signed(count),
            ('u', 1 | 2 | 4 | 8) => Self::Unsigned(count),
            ('f', 2 | 4 | 8) => Self::Float(count),
            ('U', 1..=4096) => Self::Wide(4 * count),
            ('S', 1..=16384) => Self::Narrow(count),
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Signed(n)
            | Self::Unsigned(n)
            | Self::Float(n)
            | Self::Wide(n)
            | Self::Narrow(n) => n,
        }
    }
}

/// Longest header: numpy writes less than 200 bytes.
const LONGEST_HEADER: usize = 1 << 16;

/// Reads an array from memory.
pub(super) fn parse(bytes: Vec<u8>, name: &str) -> Result<Array, ImportError> {
    read(&mut bytes.as_slice(), name)
}

/// Reads an array. No more memory is taken than there is data.
pub(super) fn read(source: &mut impl Read, name: &str) -> Result<Array, ImportError> {
    let malformed = |fault: &str| ImportError::malformed(name, fault);
    let cut = |error: std::io::Error| ImportError::malformed(name, tidy(&error.to_string()));
    let mut start = [0; 8];
    source.read_exact(&mut start).map_err(cut)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(malformed("not a numpy array"));
    }
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            source.read_exact(&mut length).map_err(cut)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            source.read_exact(&mut length).map_err(cut)?;
            u32::from_le_bytes(length) as usize
        }
        _ => return Err(malformed("a numpy array of an unknown version")),
    };
    if length > LONGEST_HEADER {
        return Err(malformed("the header of the array is too long"));
    }
    let mut header = vec![0; length];
    source.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let mut array = from_header(&header, name)?;
    let expected = array
        .shape
        .iter()
        .try_fold(array.kind.bytes(), |product, &length| {
            product.checked_mul(length)
        });
    let expected = expected.ok_or_else(|| malformed("the shape of the array is too large"))?;
    let within = source.take((expected as u64).saturating_add(1));
    { within }.read_to_end(&mut array.data).map_err(cut)?;
    if array.data.len() != expected {
        return Err(malformed(&format!(
            "shape {:?} needs {expected} bytes, but {} are there; it is cut off or damaged",
            array.shape,
            match array.data.len() > expected {
                true => "more".to_owned(),
                false => array.data.len().to_string(),
            }
        )));
    }
    Ok(array)
}

/// An array without its data.
fn from_header(header: &str, name: &str) -> Result<Array, ImportError> {
    let malformed = |fault: String| ImportError::malformed(name, fault);
    let unknown = |key: &str| malformed(format!("the header of the array has no {key}"));
    let descr = value(header, "descr").ok_or_else(|| unknown("descr"))?;
    let code = quoted(descr).ok_or_else(|| {
        malformed("an array of records; give images and labels arrays of their own".to_owned())
    })?;
    let (order, code) = match code.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, &code[1..]),
        _ => ('|', code),
    };
    let kind = ValueKind::of(code).ok_or_else(|| {
        malformed(match code {
            "O" => "an array of Python objects; convert it with astype before saving".to_owned(),
            _ => format!(
                "values of type {} are not supported; convert with astype",
                tidy(code)
            ),
        })
    })?;
    let fortran = value(header, "fortran_order").ok_or_else(|| unknown("fortran_order"))?;
    let shape = value(header, "shape")
        .and_then(tuple)
        .ok_or_else(|| unknown("shape"))?;
    Ok(Array {
        name: name.to_owned(),
        kind,
        big_endian: order == '>',
        shape,
        fortran: fortran.starts_with("True"),
        data: Vec::new(),
    })
}

/// What follows a key of the header's dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let key = format!("{quote}{key}{quote}");
        let (_, after) = header.split_once(&key)?;
        Some(after.trim_start().strip_prefix(':')?.trim_start())
    })
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (inner, _) = text[1..].split_once(quote)?;
    Some(inner)
}

/// Numbers in parentheses: at most 8, as no more axes make sense.
fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    let numbers = inner
        .split(',')
        .map(|number| number.trim().trim_end_matches('L'));
    let written = numbers.filter(|number| !number.is_empty());
    let shape: Vec<usize> = written
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    (shape.len() <= 8).then_some(shape)
}

impl Array {
    /// Bytes of a value.
    pub(super) fn width(&self) -> usize {
        self.kind.bytes()
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.data.len() / self.width()
    }

    /// A number, by its position in the file. Whole numbers beyond 2^53 are rounded.
    pub(super) fn number(&self, index: usize) -> f64 {
        let width = self.width();
        let bytes = &self.data[index * width..][..width];
        let mut word = [0; 8];
        for (to, at) in word.iter_mut().zip(0..width) {
            *to = bytes[if self.big_endian { width - 1 - at } else { at }];
        }
        let unsigned = u64::from_le_bytes(word);
        match self.kind {
            ValueKind::Bool | ValueKind::Unsigned(_) => unsigned as f64,
            ValueKind::Signed(_) => {
                let shift = 64 - 8 * width as u32;
                (((unsigned << shift) as i64) >> shift) as f64
            }
            ValueKind::Float(2) => half(unsigned as u16),
            ValueKind::Float(4) => f64::from(f32::from_bits(unsigned as u32)),
            ValueKind::Float(_) => f64::from_bits(unsigned),
            ValueKind::Wide(_) | ValueKind::Narrow(_) => f64::NAN,
        }
    }

    /// A text, by its position in the file; none for numbers.
    pub(super) fn text(&self, index: usize) -> Option<String> {
        let width = self.width();
        let bytes = &self.data[index * width..][..width];
        let text = match self.kind {
            ValueKind::Narrow(_) => String::from_utf8_lossy(bytes).into_owned(),
            ValueKind::Wide(_) => {
                let letters = bytes.chunks_exact(4).map(|letter| {
                    let bytes = [letter[0], letter[1], letter[2], letter[3]];
                    let code = match self.big_endian {
                        true => u32::from_be_bytes(bytes),
                        false => u32::from_le_bytes(bytes),
                    };
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                });
                letters.collect()
            }
            _ => return None,
        };
        Some(text.trim_end_matches('\0').to_owned())
    }
}

/// The value of a float of two bytes.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}
