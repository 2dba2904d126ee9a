//! A reader of Python's pickles that knows data alone.
//!
//! A pickle is a program, and may call any function of Python's. This reader knows the instructions that
//! build numbers, texts, lists, dictionaries and numpy's arrays of bytes. It calls nothing, and refuses
//! every other instruction and every other name.

mod machine;
mod value;

pub(super) use machine::load;
pub(super) use value::{Bytes, Value};
