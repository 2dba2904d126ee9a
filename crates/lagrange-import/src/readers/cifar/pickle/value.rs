//! Values of pickles.

use std::rc::Rc;

/// A value. What is copied from the memo shares its bytes, so that no file grows in memory.
#[derive(Debug)]
pub(in super::super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Bytes(Rc<[u8]>),
    Text(Rc<str>),
    Tuple(Rc<Nested>),
    List(Nested),
    /// Keys and values in turn.
    Dict(Nested),
    Name(Name),
    /// Type of an array's values.
    Dtype(Rc<str>),
    /// An array, once it is built.
    Array(Option<Bytes>),
}

/// Values within a value, and how deep they go.
#[derive(Debug, Default)]
pub(in super::super) struct Nested {
    pub(in super::super) values: Vec<Value>,
    depth: u8,
}

/// An array of unsigned bytes in C's order.
#[derive(Debug, Clone)]
pub(in super::super) struct Bytes {
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) data: Rc<[u8]>,
}

/// The names of Python's that stand for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Name {
    /// Makes an empty array.
    Reconstruct,
    Array,
    Dtype,
    /// Makes bytes from a text.
    Encode,
}

/// Deepest nesting: the files have three levels.
const DEEPEST: u8 = 16;

impl Nested {
    /// # Errors
    /// If values are nested too deeply.
    pub(super) fn extend(&mut self, values: Vec<Value>) -> Result<(), String> {
        let depths = values.iter().map(Value::depth);
        self.depth = depths.max().unwrap_or(0).saturating_add(1).max(self.depth);
        self.values.extend(values);
        match self.depth > DEEPEST {
            true => Err("values are nested too deeply".to_owned()),
            false => Ok(()),
        }
    }
}

impl Name {
    pub(super) fn of(module: &str, name: &str) -> Result<Self, String> {
        match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Ok(Self::Reconstruct)
            }
            ("numpy", "ndarray") => Ok(Self::Array),
            ("numpy", "dtype") => Ok(Self::Dtype),
            ("_codecs", "encode") => Ok(Self::Encode),
            _ => Err(format!(
                "it would call {module}.{name} (GLOBAL), which is refused: only plain data are read"
            )),
        }
    }
}

impl Value {
    fn depth(&self) -> u8 {
        match self {
            Self::Tuple(nested) => nested.depth,
            Self::List(nested) | Self::Dict(nested) => nested.depth,
            _ => 0,
        }
    }

    /// A copy for the memo; none of what may still change.
    pub(super) fn shared(&self) -> Option<Self> {
        Some(match self {
            Self::None => Self::None,
            Self::Bool => Self::Bool,
            Self::Int(number) => Self::Int(*number),
            Self::Float => Self::Float,
            Self::Bytes(bytes) => Self::Bytes(Rc::clone(bytes)),
            Self::Text(text) => Self::Text(Rc::clone(text)),
            Self::Tuple(nested) => Self::Tuple(Rc::clone(nested)),
            Self::Name(name) => Self::Name(*name),
            Self::Dtype(code) => Self::Dtype(Rc::clone(code)),
            Self::List(_) | Self::Dict(_) | Self::Array(_) => return None,
        })
    }

    /// The value of a key of a dictionary; keys may be bytes or texts.
    pub(in super::super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        let mut pairs = entries.values.chunks_exact(2);
        pairs
            .find(|pair| pair[0].as_text().is_some_and(|text| text == key))
            .map(|pair| &pair[1])
    }

    /// Bytes or a text, as text.
    pub(in super::super) fn as_text(&self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Text(text) => Some((**text).to_owned()),
            _ => None,
        }
    }

    pub(in super::super) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(nested) => Some(&nested.values),
            Self::Tuple(nested) => Some(&nested.values),
            _ => None,
        }
    }

    pub(in super::super) fn as_int(&self) -> Option<usize> {
        match self {
            Self::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }
}
