//! The machine that a pickle is a program for.

use super::value::{Bytes, Name, Nested, Value};
use std::collections::HashMap;
use std::rc::Rc;

/// Loads a pickle of protocol 2 to 5.
///
/// # Errors
/// What is wrong, or which instruction is refused.
pub(in super::super) fn load(file: &[u8]) -> Result<Value, String> {
    let mut machine = Machine {
        rest: file,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let position = file.len() - machine.rest.len();
        let opcode = machine.byte()?;
        if opcode == b'.' {
            return machine.pop();
        }
        machine.step(opcode, position)?;
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    /// None for values that may still change.
    memo: HashMap<u32, Option<Value>>,
}

type Outcome = Result<(), String>;

impl<'a> Machine<'a> {
    /// Follows one instruction; `position` is where it is in the file.
    fn step(&mut self, opcode: u8, position: usize) -> Outcome {
        match opcode {
            // The protocol, and the length of a frame.
            0x80 => self.byte().map(drop),
            0x95 => self.take(8).map(drop),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode),
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)
            }
            b'U' | b'T' | b'C' | b'B' | 0x8e | b'X' | 0x8c | 0x8d => self.string(opcode),
            b')' => self.push(Value::Tuple(Rc::default())),
            b']' => self.push(Value::List(Nested::default())),
            b'}' => self.push(Value::Dict(Nested::default())),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' | 0x85..=0x87 => self.tuple(opcode),
            b'a' | b'e' | b's' | b'u' => self.add(opcode),
            b'q' | b'r' | 0x94 => self.remember(opcode),
            b'h' | b'j' => self.recall(opcode),
            b'c' | 0x93 => self.name(opcode),
            b'R' => self.reduce(),
            b'b' => self.build(),
            _ => Err(format!(
                "instruction {opcode:#04x}{} at byte {position} is refused: only plain data are read",
                instruction(opcode)
            )),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err("it is cut off".to_owned());
        };
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A number without a sign in `count` bytes, the low one first.
    fn unsigned(&mut self, count: usize) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn push(&mut self, value: Value) -> Outcome {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > lowest {
            true => self.stack.pop().ok_or_else(damaged),
            false => Err(damaged()),
        }
    }

    /// What was pushed after the last mark.
    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let height = self.marks.pop().ok_or_else(damaged)?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn integer(&mut self, opcode: u8) -> Outcome {
        let number = match opcode {
            b'K' => i64::from(self.byte()?),
            b'M' => self.unsigned(2)? as i64,
            b'J' => i64::from(self.unsigned(4)? as u32 as i32),
            _ => {
                let count = usize::from(self.byte()?);
                if count > 8 {
                    return Err("a number is too large".to_owned());
                }
                let value = self.unsigned(count)?;
                let shift = 64 - 8 * count as u32;
                match count {
                    0 => 0,
                    _ => ((value << shift) as i64) >> shift,
                }
            }
        };
        self.push(Value::Int(number))
    }

    fn string(&mut self, opcode: u8) -> Outcome {
        let length = match opcode {
            b'U' | b'C' | 0x8c => 1,
            b'T' | b'B' | b'X' => 4,
            _ => 8,
        };
        let length = usize::try_from(self.unsigned(length)?).map_err(|_| damaged())?;
        let bytes = self.take(length)?;
        self.push(match opcode {
            b'X' | 0x8c | 0x8d => Value::Text(String::from_utf8_lossy(bytes).into()),
            _ => Value::Bytes(bytes.into()),
        })
    }

    fn tuple(&mut self, opcode: u8) -> Outcome {
        let values = match opcode {
            b't' => self.since_mark()?,
            _ => {
                let count = usize::from(opcode - 0x84);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.insert(0, self.pop()?);
                }
                values
            }
        };
        let mut nested = Nested::default();
        nested.extend(values)?;
        self.push(Value::Tuple(Rc::new(nested)))
    }

    /// Adds values to the list or the dictionary below them.
    fn add(&mut self, opcode: u8) -> Outcome {
        let values = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        match (opcode, self.stack.last_mut()) {
            (b'a' | b'e', Some(Value::List(list))) => list.extend(values),
            (b's' | b'u', Some(Value::Dict(entries))) if values.len().is_multiple_of(2) => {
                entries.extend(values)
            }
            _ => Err(damaged()),
        }
    }

    fn remember(&mut self, opcode: u8) -> Outcome {
        let number = match opcode {
            b'q' => u32::from(self.byte()?),
            b'r' => self.unsigned(4)? as u32,
            _ => self.memo.len() as u32,
        };
        let value = self.stack.last().ok_or_else(damaged)?.shared();
        self.memo.insert(number, value);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Outcome {
        let number = match opcode {
            b'h' => u32::from(self.byte()?),
            _ => self.unsigned(4)? as u32,
        };
        let value = self.memo.get(&number).ok_or_else(damaged)?;
        let value = value.as_ref().and_then(Value::shared);
        let value = value.ok_or("a list or an array in two places is not supported")?;
        self.push(value)
    }

    fn name(&mut self, opcode: u8) -> Outcome {
        let (module, name) = match opcode {
            b'c' => (self.line()?, self.line()?),
            _ => {
                let name = self.pop()?.as_text().ok_or_else(damaged)?;
                (self.pop()?.as_text().ok_or_else(damaged)?, name)
            }
        };
        self.push(Value::Name(Name::of(&module, &name)?))
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or_else(damaged)?)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// What would be a call in Python: the four names have their meanings written out here.
    fn reduce(&mut self) -> Outcome {
        let arguments = self.pop()?;
        let arguments = arguments.as_list().ok_or_else(damaged)?;
        let made = match (self.pop()?, arguments) {
            (Value::Name(Name::Reconstruct), [Value::Name(Name::Array), ..]) => Value::Array(None),
            (Value::Name(Name::Dtype), [code, ..]) => {
                Value::Dtype(code.as_text().ok_or_else(damaged)?.into())
            }
            (Value::Name(Name::Encode), [Value::Text(text), Value::Text(code)])
                if matches!(&**code, "latin1" | "latin-1") =>
            {
                // Latin-1 is the first 256 characters of Unicode.
                let bytes = text.chars().map(|letter| u8::try_from(u32::from(letter)));
                let bytes: Result<Rc<[u8]>, _> = bytes.collect();
                Value::Bytes(bytes.map_err(|_| damaged())?)
            }
            _ => return Err("a call (REDUCE) is refused: only plain data are read".to_owned()),
        };
        self.push(made)
    }

    /// Gives an array its shape, type and bytes.
    fn build(&mut self) -> Outcome {
        let state = self.pop()?;
        let state = state.as_list().ok_or_else(damaged)?;
        match self.stack.last_mut() {
            // Byte order and alignment, which bytes do not have.
            Some(Value::Dtype(_)) => Ok(()),
            Some(Value::Array(array)) => {
                *array = Some(bytes_of(state)?);
                Ok(())
            }
            _ => Err("changing an object (BUILD) is refused: only plain data are read".to_owned()),
        }
    }
}

/// An array from its state: version, shape, type, order and data.
fn bytes_of(state: &[Value]) -> Result<Bytes, String> {
    let [_, shape, Value::Dtype(code), _, Value::Bytes(data)] = state else {
        return Err("an array of a form that is not supported".to_owned());
    };
    if !matches!(&**code, "u1" | "|u1" | "uint8") {
        return Err(format!(
            "an array of type {code}, but u1 (unsigned bytes) is needed"
        ));
    }
    let lengths = shape.as_list().ok_or_else(damaged)?;
    let shape: Option<Vec<usize>> = lengths.iter().map(Value::as_int).collect();
    let shape = shape.ok_or_else(damaged)?;
    let size = shape
        .iter()
        .try_fold(1_usize, |size, &length| size.checked_mul(length));
    match size == Some(data.len()) {
        true => Ok(Bytes {
            shape,
            data: Rc::clone(data),
        }),
        false => Err(format!(
            "an array of shape {shape:?} with {} bytes",
            data.len()
        )),
    }
}

fn damaged() -> String {
    "it is damaged, or no pickle of protocol 2 or later".to_owned()
}

/// Python's name of an instruction that could run code or refer to what is not in the file.
fn instruction(opcode: u8) -> &'static str {
    match opcode {
        b'i' => " (INST)",
        b'o' => " (OBJ)",
        b'P' => " (PERSID)",
        b'Q' => " (BINPERSID)",
        0x81 => " (NEWOBJ)",
        0x92 => " (NEWOBJ_EX)",
        0x82..=0x84 => " (EXT)",
        _ => "",
    }
}
