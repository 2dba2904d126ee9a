//! Pickles of every kind.

use super::pickle::{Value, load};
use proptest::prelude::*;

/// What a pickle of protocol 4 of `{"data": [1, 258, -3], b"x": None}` is.
const NEWER: &[u8] = b"\x80\x04\x95\x1e\0\0\0\0\0\0\0}\x94(\x8c\x04data\x94]\x94(\
    K\x01M\x02\x01J\xfd\xff\xff\xffeC\x01x\x94Nu.";

/// Instructions that are known and need no argument, or one byte that may be any of these.
const KNOWN: &[u8] = b"N})](te\x85\x86aqhsuKRb\x94U";

#[test]
fn newer_protocols_are_read() {
    let value = load(NEWER).expect("a pickle");
    let list = value.get("data").and_then(Value::as_list).expect("a list");
    assert!(matches!(
        list,
        [Value::Int(1), Value::Int(258), Value::Int(-3)]
    ));
    assert!(matches!(value.get("x"), Some(Value::None)));
}

#[test]
fn bytes_of_python_3_in_protocol_2_are_read() {
    let value = load(b"\x80\x02c_codecs\nencode\nX\x02\0\0\0\xc3\xa9X\x06\0\0\0latin1\x86R.");
    assert!(matches!(value.expect("a pickle"), Value::Bytes(bytes) if *bytes == [0xe9]));
}

#[test]
fn long_numbers_have_signs() {
    for (bytes, number) in [
        (&b"\x8a\x00."[..], 0),
        (b"\x8a\x01\xff.", -1),
        (b"\x8a\x02\x00\x01.", 256),
    ] {
        assert!(matches!(load(bytes), Ok(Value::Int(there)) if there == number));
    }
}

#[test]
fn pickles_that_would_not_end_or_overflow_are_errors() {
    let deep = [vec![b')'], vec![0x85; 100_000], vec![b'.']].concat();
    assert!(load(&deep).expect_err("deep").contains("nested too deeply"));
    for bytes in [
        &b""[..],
        b".",
        b"(.",
        b"e.",
        b"N(1.",
        b"(e.",
        b"]q\x00h\x00.",
        b"h\x05.",
        b"\x8a\xff.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"cnumpy",
        b"}(Nu.",
    ] {
        assert!(load(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_pickle_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&bytes);
    }

    #[test]
    fn any_program_of_known_instructions_ends(
        opcodes in prop::collection::vec(prop::sample::select(KNOWN), 0..100),
    ) {
        let _ = load(&opcodes);
    }

    #[test]
    fn changed_pickles_are_pickles_or_errors(
        at in 0..NEWER.len(),
        byte in any::<u8>(),
        length in 0..NEWER.len(),
    ) {
        let mut bytes = NEWER.to_vec();
        bytes[at] = byte;
        let _ = load(&bytes);
        assert!(load(&NEWER[..length]).is_err());
    }
}
