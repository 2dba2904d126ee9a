//! Event files: records of `Event` messages, one behind the other, each with its length and checksums.

use super::messages::{Event, Session, Status, Value, What};
use prost::Message as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What names of event files begin with; seconds since 1970 follow.
const PREFIX: &str = "events.out.tfevents.";
/// Version of the format: readers obey [`Status::Start`] from this one on.
const VERSION: &str = "brain.Event:2";

/// An event file, which grows at its end only.
#[derive(Debug)]
pub(super) struct EventFile(File);

impl EventFile {
    /// Begins a file in `folder`. Readers pass over what earlier files there say of step `from` and later ones.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn create(folder: &Path, from: u64) -> io::Result<Self> {
        let last = event_files(folder).filter_map(|path| begun(&path)).max();
        // Readers take the files by name: a later one has a later time, whatever the clock says.
        let seconds = last.map_or(0, |last| last + 1).max(now() as u64);
        let host = rustix::system::uname();
        let name = format!(
            "{PREFIX}{seconds:010}.{}.{}.0",
            host.nodename().to_string_lossy().replace('/', "-"),
            std::process::id()
        );
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let mut file = Self(options.open(folder.join(name))?);
        file.append(0, What::FileVersion(VERSION.to_owned()))?;
        if last.is_some() {
            let status = Status::Start.into();
            file.append(from, What::Session(Session { status }))?;
        }
        Ok(file)
    }

    /// Appends values of a step.
    ///
    /// # Errors
    /// If they cannot be written. Readers stop before a record that is cut off.
    pub(super) fn write(&mut self, step: u64, value: Vec<Value>) -> io::Result<()> {
        self.append(step, What::Summary(super::messages::Summary { value }))
    }

    fn append(&mut self, step: u64, what: What) -> io::Result<()> {
        let event = Event {
            wall_time: now(),
            step: step.try_into().unwrap_or(i64::MAX),
            what: Some(what),
        };
        self.0.write_all(&record(&event.encode_to_vec()))
    }
}

/// Paths of the event files in `folder`.
pub(in crate::run_folder) fn event_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(PREFIX)
    };
    entries.map(|entry| entry.path()).filter(is_one)
}

/// Seconds in the name of an event file.
fn begun(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    name.split('.').next()?.parse().ok()
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |time| time.as_secs_f64())
}

/// A record of the TFRecord format: length, its checksum, data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let [of_length, of_data] = [&length, data].map(|bytes| masked_crc(bytes).to_le_bytes());
    [&length[..], &of_length, data, &of_data].concat()
}

/// CRC-32C, turned and moved so that a checksum of data that hold checksums is still one.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The events of a file, up to a record that is cut off.
    pub(in crate::run_folder::tensorboard) fn events_of(bytes: &[u8]) -> Vec<Event> {
        let (mut events, mut rest) = (Vec::new(), bytes);
        while rest.len() >= 16 {
            let length = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes")) as usize;
            let Some(data) = rest.get(12..12 + length) else {
                break;
            };
            assert_eq!(record(data), rest[..16 + length]);
            events.push(Event::decode(data).expect("an event"));
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        // As TensorFlow masks it: the first record of every event file that it writes begins with these.
        assert_eq!(
            record(&[0; 24])[..12],
            [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]
        );
    }

    #[test]
    fn a_later_file_comes_later_by_name_and_begins_a_session() {
        let folder = tempfile::tempdir().expect("folder");
        let far = folder.path().join(format!("{PREFIX}9999999998.x.1.0"));
        std::fs::write(far, b"").expect("written");
        drop(EventFile::create(folder.path(), 9).expect("a file"));
        let mut names: Vec<_> = event_files(folder.path()).collect();
        names.sort_unstable();
        assert_eq!(names.len(), 2);
        assert_eq!(begun(&names[1]), Some(9_999_999_999));
        let events = events_of(&std::fs::read(&names[1]).expect("read"));
        assert_eq!(events[0].what, Some(What::FileVersion(VERSION.to_owned())));
        let status = Status::Start.into();
        assert_eq!(events[1].what, Some(What::Session(Session { status })));
        assert_eq!((events[1].step, events.len()), (9, 2));
    }
}
