//! Formats of data sets, and which of them is at a path.

use crate::found::Found;
use crate::place::Place;
use crate::readers::{READERS, idx};
use crate::{ImportError, Options};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A format of data sets. Parses from the names that [`Format`] prints, such as `image-folder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// IDX files, as MNIST has.
    Idx,
    /// A folder for each class, perhaps within a folder for each split.
    ImageFolder,
    /// A table of picture files and their labels.
    LabelsFile,
    /// A zip archive of arrays, as numpy writes it.
    Npz,
    /// Files of one array each, as numpy writes them.
    Npy,
    /// CIFAR-10 or CIFAR-100, the version for C programs.
    CifarBinary,
    /// CIFAR-10 or CIFAR-100, the version for Python.
    CifarPickle,
    /// A table with a label and a column for each pixel.
    PixelCsv,
    /// Tar archives of samples.
    WebDataset,
    /// Parquet files with pictures, as the Hugging Face Hub stores them.
    Parquet,
}

impl Format {
    /// All, in the order in which messages list them.
    pub const ALL: [Self; 10] = [
        Self::Idx,
        Self::ImageFolder,
        Self::LabelsFile,
        Self::Npz,
        Self::Npy,
        Self::CifarBinary,
        Self::CifarPickle,
        Self::PixelCsv,
        Self::WebDataset,
        Self::Parquet,
    ];

    /// The name on a command line.
    fn flag(self) -> &'static str {
        match self {
            Self::Idx => "idx",
            Self::ImageFolder => "image-folder",
            Self::LabelsFile => "labels-file",
            Self::Npz => "npz",
            Self::Npy => "npy",
            Self::CifarBinary => "cifar-binary",
            Self::CifarPickle => "cifar-pickle",
            Self::PixelCsv => "pixel-csv",
            Self::WebDataset => "webdataset",
            Self::Parquet => "parquet",
        }
    }

    /// What must be there, for a message.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::Idx => "files such as train-images-idx3-ubyte",
            Self::ImageFolder => {
                "a folder of pictures for each class, perhaps within train and test"
            }
            Self::LabelsFile => {
                "metadata.csv, metadata.jsonl or labels.csv with columns file_name and label"
            }
            Self::Npz => "one .npz file",
            Self::Npy => "files such as x_train.npy and y_train.npy",
            Self::CifarBinary => {
                "data_batch_1.bin .. and test_batch.bin, or train.bin and test.bin"
            }
            Self::CifarPickle => "data_batch_1 .. and test_batch, or train, test and meta",
            Self::PixelCsv => "a .csv file whose header is label and the pixels",
            Self::WebDataset => ".tar files",
            Self::Parquet => ".parquet files",
        }
    }

    /// The names of all, for a message.
    pub(crate) fn known() -> String {
        Self::ALL.map(Self::flag).join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.flag())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = Self::ALL.into_iter().find(|format| format.flag() == text);
        format.ok_or_else(|| format!("known formats are {}", Self::known()))
    }
}

/// Reader of one format. A new format is one file with one of these, and one line in [`READERS`].
pub(crate) trait Reader: Sync {
    fn format(&self) -> Format;

    /// Whether the format is there, by names and first bytes.
    fn fits(&self, place: &Place) -> bool;

    /// The samples. Called only where the format fits.
    fn read(&self, place: &Place, options: &Options) -> Result<Found, ImportError>;
}

/// The format of what is at `path`, told by names and first bytes; no picture is decoded.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// for file in ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"] {
///     let path = folder.path().join(file);
///     std::fs::create_dir_all(path.parent().unwrap())?;
///     std::fs::write(path, "not looked at")?;
/// }
/// let format = lagrange_import::recognise(folder.path())?;
/// assert_eq!(format.to_string(), "image-folder");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ImportError::Absent`], [`ImportError::Unreadable`], [`ImportError::Unrecognised`] if no format fits,
/// with what is there, and [`ImportError::Ambiguous`] if several fit.
pub fn recognise(path: &Path) -> Result<Format, ImportError> {
    match Place::open(path) {
        Ok(place) => Ok(fitting(&place)?.format()),
        Err(ImportError::Absent { .. }) if idx::is_beginning(path) => Ok(Format::Idx),
        Err(error) => Err(error),
    }
}

fn fitting(place: &Place) -> Result<&'static dyn Reader, ImportError> {
    let readers = READERS.iter().copied();
    let fitting: Vec<_> = readers.filter(|reader| reader.fits(place)).collect();
    match *fitting.as_slice() {
        [one] => Ok(one),
        [] => Err(ImportError::Unrecognised {
            path: place.path.clone(),
            found: place.holdings(),
        }),
        ref several => Err(ImportError::Ambiguous {
            path: place.path.clone(),
            formats: several.iter().map(|reader| reader.format()).collect(),
        }),
    }
}

/// The format and the samples of what is at `path`.
pub(crate) fn find(path: &Path, options: &Options) -> Result<(Format, Found), ImportError> {
    if options.format.is_none_or(|format| format == Format::Idx) && idx::is_beginning(path) {
        return Ok((Format::Idx, idx::found(path)?));
    }
    let place = Place::open(path)?;
    let reader = match options.format {
        None => fitting(&place)?,
        Some(format) => {
            let of_format = |reader: &&dyn Reader| reader.format() == format && reader.fits(&place);
            let reader = READERS.iter().copied().find(of_format);
            reader.ok_or_else(|| ImportError::NotThere {
                path: place.path.clone(),
                format,
                found: place.holdings(),
            })?
        }
    };
    Ok((reader.format(), reader.read(&place, options)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_parses_from_what_it_prints_and_has_a_reader() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert!(READERS.iter().any(|reader| reader.format() == format));
        }
        assert!("png".parse::<Format>().is_err());
    }
}
