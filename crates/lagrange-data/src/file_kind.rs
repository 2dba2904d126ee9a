//! Kinds of files, recognised by their first bytes, for messages about a wrong file.

use crate::idx::{EXTENDED_LABELS_MAGIC, IMAGES_MAGIC, LABELS_MAGIC};
use flate2::read::MultiGzDecoder;
use std::fmt;
use std::io::Read as _;

/// Kind of a file, as far as its first bytes tell.
///
/// ```
/// use lagrange_data::FileKind;
///
/// assert_eq!(FileKind::of(b"<!DOCTYPE html><html>"), FileKind::WebPage);
/// assert_eq!(FileKind::of(&[0, 0, 8, 1, 0, 0, 0, 3]).to_string(), "an IDX file of labels");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// An IDX file of images.
    Images,
    /// An IDX file of labels.
    Labels,
    /// A web page, saved instead of the file.
    WebPage,
    /// An error reply of a server, in JSON or XML.
    ServerReply,
    /// A zip archive.
    Zip,
    /// A 7-Zip archive.
    SevenZip,
    /// A tar archive.
    Tar,
    /// Gzip data.
    Gzip,
    /// Data compressed by xz.
    Xz,
    /// Data compressed by bzip2.
    Bzip2,
    /// Data compressed by zstd.
    Zstd,
    /// A git-lfs pointer, in place of the file.
    LfsPointer,
    /// A NumPy array.
    Numpy,
    /// Unknown.
    Other,
}

/// Bytes of a file that are examined: the signature of a tar archive lies 257 bytes after its beginning.
pub(crate) const HEAD_BYTES: usize = 512;

const SIGNATURES: [(&[u8], FileKind); 13] = [
    (&IMAGES_MAGIC.to_be_bytes(), FileKind::Images),
    (&LABELS_MAGIC.to_be_bytes(), FileKind::Labels),
    (&EXTENDED_LABELS_MAGIC.to_be_bytes(), FileKind::Labels),
    (b"PK\x03\x04", FileKind::Zip),
    (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
    (b"\x1f\x8b", FileKind::Gzip),
    (b"\xfd7zXZ\0", FileKind::Xz),
    (b"BZh", FileKind::Bzip2),
    (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    (b"version https://git-lfs", FileKind::LfsPointer),
    (b"\x93NUMPY", FileKind::Numpy),
    (b"{", FileKind::ServerReply),
    (b"\xef\xbb\xbf{", FileKind::ServerReply),
];

impl FileKind {
    /// Kind of a file that begins with `head`.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let signed = SIGNATURES.iter().find(|(sign, _)| head.starts_with(sign));
        match signed {
            Some(&(_, kind)) => kind,
            None if head.get(257..262) == Some(b"ustar") => Self::Tar,
            None => markup(head),
        }
    }

    /// As [`FileKind::of`], but for gzip data the kind of its content, if that is known.
    #[must_use]
    pub fn unpacked(head: &[u8]) -> Self {
        let kind = Self::of(head);
        if kind != Self::Gzip {
            return kind;
        }
        let mut inner = Vec::new();
        // The head ends in the middle of the stream; what was decoded before that is enough.
        let _ = MultiGzDecoder::new(head)
            .take(HEAD_BYTES as u64)
            .read_to_end(&mut inner);
        match Self::of(&inner) {
            Self::Other => Self::Gzip,
            kind => kind,
        }
    }

    /// Remedy for a file of this kind; `None` for IDX files and unknown kinds.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Images | Self::Labels | Self::Other => return None,
            Self::WebPage => "follow its link to the file itself",
            Self::ServerReply => "download the file again",
            Self::Zip | Self::SevenZip | Self::Tar => "unpack it",
            Self::Gzip => "it was compressed twice: unpack it once (gunzip)",
            Self::Xz => "unpack it (unxz)",
            Self::Bzip2 => "unpack it (bunzip2)",
            Self::Zstd => "unpack it (unzstd)",
            Self::LfsPointer => "fetch the file that it stands for (git lfs pull)",
            Self::Numpy => "convert it to IDX",
        })
    }
}

/// Web page or XML reply, after any white space.
fn markup(head: &[u8]) -> FileKind {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let holds = |tag: &str| text.contains(tag);
    if !text.starts_with('<') {
        FileKind::Other
    } else if ["<html", "<!doctype html", "<head", "<script"]
        .into_iter()
        .any(holds)
    {
        FileKind::WebPage
    } else if text.starts_with("<?xml") {
        FileKind::ServerReply
    } else {
        FileKind::Other
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "an IDX file of images",
            Self::Labels => "an IDX file of labels",
            Self::WebPage => "a web page (HTML)",
            Self::ServerReply => "what a server answers instead of a file (JSON or XML)",
            Self::Zip => "a zip archive",
            Self::SevenZip => "a 7-Zip archive",
            Self::Tar => "a tar archive",
            Self::Gzip => "gzip data",
            Self::Xz => "data compressed by xz",
            Self::Bzip2 => "data compressed by bzip2",
            Self::Zstd => "data compressed by zstd",
            Self::LfsPointer => "a git-lfs pointer",
            Self::Numpy => "a NumPy array",
            Self::Other => "a file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn tar() -> Vec<u8> {
        let mut bytes = vec![0; 600];
        bytes[..5].copy_from_slice(b"train");
        bytes[257..263].copy_from_slice(b"ustar\0");
        bytes
    }

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        for (head, kind) in [
            (b"\0\0\x08\x03\0\0\0\x01".as_slice(), FileKind::Images),
            (b"\0\0\x08\x01\0\0\0\x01", FileKind::Labels),
            (b"\0\0\x0c\x02\0\0\0\x01", FileKind::Labels),
            (b"<!DOCTYPE html><html>", FileKind::WebPage),
            (b"\xef\xbb\xbf\r\n  <HTML lang=en>", FileKind::WebPage),
            (b"<!-- saved --><head>", FileKind::WebPage),
            (b"<?xml version='1.0'?><html xmlns=''>", FileKind::WebPage),
            (b"<?xml version='1.0'?><Error>", FileKind::ServerReply),
            (b"{\"code\":403}", FileKind::ServerReply),
            (b"PK\x03\x04\x14\0", FileKind::Zip),
            (b"7z\xbc\xaf\x27\x1c\0\x04", FileKind::SevenZip),
            (b"\x1f\x8b\x08\0", FileKind::Gzip),
            (b"\xfd7zXZ\0\0", FileKind::Xz),
            (b"BZh91AY", FileKind::Bzip2),
            (b"\x28\xb5\x2f\xfd\x04", FileKind::Zstd),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                FileKind::LfsPointer,
            ),
            (b"\x93NUMPY\x01", FileKind::Numpy),
            (b"\x89PNG\r\n", FileKind::Other),
            (b"<svg>", FileKind::Other),
            (b"", FileKind::Other),
            (&tar(), FileKind::Tar),
        ] {
            assert_eq!(FileKind::of(head), kind, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn what_is_in_gzip_is_told_even_of_a_part() {
        let images = [&IMAGES_MAGIC.to_be_bytes(), [7; 300].as_slice()].concat();
        for (bytes, kind) in [
            (images, FileKind::Images),
            (tar(), FileKind::Tar),
            (gzip(b"anything"), FileKind::Gzip),
            (b"anything".to_vec(), FileKind::Gzip),
        ] {
            let packed = gzip(&bytes);
            assert_eq!(FileKind::unpacked(&packed), kind);
            assert_eq!(FileKind::of(&packed), FileKind::Gzip);
        }
        let packed = gzip(&[&tar()[..], &vec![3; 5000]].concat());
        assert_eq!(
            FileKind::unpacked(&packed[..packed.len() - 9]),
            FileKind::Tar
        );
        assert_eq!(FileKind::unpacked(b"\x1f\x8b"), FileKind::Gzip);
    }

    proptest! {
        #[test]
        fn any_bytes_are_of_some_kind(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = FileKind::of(&bytes);
            let _ = FileKind::unpacked(&[b"\x1f\x8b", bytes.as_slice()].concat());
            prop_assert!(!FileKind::of(&bytes).to_string().contains('\n'));
        }
    }
}
