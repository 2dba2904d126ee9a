//! What a caller may decide about an import.

use crate::{Format, ImportError};
use std::fmt;
use std::str::FromStr;

/// Decisions about an import. The default takes everything from the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The format to insist on (`--data-format`); else it is recognised.
    pub format: Option<Format>,
    /// Height and width in pixels that all pictures get (`--size`); else all must share one size.
    ///
    /// A picture of another size is resized, its shape kept, until it just covers the size; then its
    /// centre is taken. The filter is a triangle (bilinear, with anti-aliasing where it shrinks).
    pub size: Option<(usize, usize)>,
    /// Grey or colour (`--channels`); else grey if every picture is stored as grey, colour if one is not.
    pub channels: Option<Channels>,
    /// The order of an array's axes (`--layout`); else it is told by the axis of length 1 or 3.
    pub layout: Option<Layout>,
    /// Share of the samples that become the test split (`--test-share`), between 0 and 1, where the
    /// source has none: as many of each class, at least one, and always the same ones.
    pub test_share: f64,
    /// Leave out pictures that cannot be decoded (`--skip-unreadable`), instead of an error.
    pub skip_unreadable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            size: None,
            channels: None,
            layout: None,
            test_share: 0.1,
            skip_unreadable: false,
        }
    }
}

impl Options {
    /// Checks the values that no type rules out.
    ///
    /// # Errors
    /// [`ImportError::BadOption`] for a size of 0 or beyond 8,192, or a share that is not between 0 and 1.
    pub fn check(&self) -> Result<(), ImportError> {
        if let Some((height, width)) = self.size
            && !((1..=LONGEST).contains(&height) && (1..=LONGEST).contains(&width))
        {
            return Err(ImportError::BadOption {
                option: "--size",
                value: format!("{height}x{width}"),
                fault: "both sides must be between 1 and 8192",
            });
        }
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            return Err(ImportError::BadOption {
                option: "--test-share",
                value: self.test_share.to_string(),
                fault: "a share lies between 0 and 1",
            });
        }
        Ok(())
    }
}

/// Longest side that pictures may be given.
const LONGEST: usize = 8192;

/// Channels of pictures. Parses from `grey` or `gray`, and `rgb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One channel. Colour turns into luma: 0.2126 red, 0.7152 green and 0.0722 blue, rounded.
    Grey,
    /// Three channels. Grey is repeated.
    Rgb,
}

impl Channels {
    /// Bytes per pixel.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

impl FromStr for Channels {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "grey" | "gray" => Ok(Self::Grey),
            "rgb" => Ok(Self::Rgb),
            _ => Err("channels are grey or rgb"),
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "grey",
            Self::Rgb => "rgb",
        })
    }
}

/// Order of an array's axes: samples, height, width and channels. Parses from `nhw`, `nhwc` or `nchw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Samples, height, width; grey.
    Nhw,
    /// Channels last.
    Nhwc,
    /// Channels first.
    Nchw,
}

impl FromStr for Layout {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nhw" => Ok(Self::Nhw),
            "nhwc" => Ok(Self::Nhwc),
            "nchw" => Ok(Self::Nchw),
            _ => Err("a layout is nhw, nhwc or nchw"),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nhw => "nhw",
            Self::Nhwc => "nhwc",
            Self::Nchw => "nchw",
        })
    }
}
