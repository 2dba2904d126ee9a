//! A configuration file, read with care: whatever it is, the message names it and the place.

use super::SourceError;
use lagrange_protocol::Config;
use std::io::Read as _;
use std::path::Path;

/// Far more than a configuration takes; `/dev/zero` and the like end here.
const MOST_BYTES: u64 = 1 << 20;

/// The table in the file at `path`; every key and value of it is right by itself.
///
/// # Errors
/// [`SourceError::File`]
pub(super) fn read(path: &Path) -> Result<toml::Table, SourceError> {
    let wrong = |fault: String| SourceError::File {
        path: path.to_owned(),
        fault,
    };
    let mut bytes = Vec::new();
    let file =
        std::fs::File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let length = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let length = length.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if length as u64 > MOST_BYTES {
        return Err(wrong(format!(
            "more than {MOST_BYTES} bytes: not a configuration"
        )));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(wrong("UTF-16 text; save it as UTF-8".to_owned()));
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|error| wrong(format!("not UTF-8 text: {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let placed = |key: &str, error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let mut place = line.map_or_else(String::new, |line| format!("line {line}: "));
        if !key.is_empty() && key != "." {
            place += key;
            place += ": ";
        }
        wrong(place + &error.message().replace('\n', ", "))
    };
    let reader = toml::Deserializer::parse(text).map_err(|error| placed("", &error))?;
    let read: Result<Config, _> = serde_path_to_error::deserialize(reader);
    read.map_err(|error| placed(&error.path().to_string(), error.inner()))?;
    toml::from_str(text).map_err(|error| placed("", &error))
}
