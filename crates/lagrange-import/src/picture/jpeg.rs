//! Whether a JPEG file is whole.

const END_OF_IMAGE: u8 = 0xd9;

/// Whether the image's end marker is there. Segments are walked, because a preview within the metadata has an
/// end marker of its own.
pub(super) fn is_whole(file: &[u8]) -> bool {
    let mut rest = file.get(2..).unwrap_or_default();
    while let Some(marker) = next_marker(&mut rest) {
        if marker == END_OF_IMAGE {
            return true;
        }
        let Some(&[high, low]) = rest.first_chunk::<2>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length.max(2)..).unwrap_or_default();
    }
    false
}

/// Takes bytes up to the next marker that has a segment or ends the image, and gives it.
fn next_marker(rest: &mut &[u8]) -> Option<u8> {
    loop {
        let at = rest.iter().position(|&byte| byte == 0xff)?;
        *rest = &rest[at + 1..];
        match *rest.first()? {
            // Fill bytes.
            0xff => {}
            // An escaped byte of a scan, a marker without a segment, and the restarts within a scan.
            0x00 | 0x01 | 0xd0..=0xd7 => *rest = &rest[1..],
            marker => {
                *rest = &rest[1..];
                return Some(marker);
            }
        }
    }
}
