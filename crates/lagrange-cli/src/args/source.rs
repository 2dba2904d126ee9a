//! Flags that say where data are, and how they are read.

use clap::Args;
use lagrange::Source;
use lagrange_import::{Channels, Format, Layout, Options};
use std::ffi::OsString;
use std::path::PathBuf;

/// The data of a command, embedded or elsewhere.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// The data: a set packed by `lagrange data import`, a folder of pictures by class, IDX, npz, CIFAR or
    /// CSV files, told by what is there [default: the embedded MNIST].
    #[arg(
        id = "data",
        long = "data",
        alias = "data-dir",
        value_name = "PATH",
        env = "LAGRANGE_DATA_DIR"
    )]
    pub path: Option<PathBuf>,
    /// How to read it.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

impl SourceArgs {
    /// Where the data are; none for the embedded MNIST.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        let path = self.path.clone()?;
        let options = self.reading.options();
        Some(Source { path, options })
    }

    /// The same flags for a process that reads the same data.
    #[must_use]
    pub fn flags(&self) -> Vec<OsString> {
        let Some(path) = &self.path else {
            return Vec::new();
        };
        let mut flags = vec!["--data".into(), path.into()];
        flags.extend(self.reading.flags());
        flags
    }
}

/// How a set is read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadingArgs {
    /// Insist on a format instead of telling it by what is there.
    #[arg(long, value_name = "FORMAT")]
    pub data_format: Option<Format>,
    /// Height and width that all pictures get: the shorter side is fitted, and the centre taken [default: the
    /// size that all have].
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<(usize, usize)>,
    /// grey or rgb [default: grey if every picture is stored as grey].
    #[arg(long, value_parser = |text: &str| text.parse::<Channels>())]
    pub channels: Option<Channels>,
    /// Axes of arrays: nhw, nhwc or nchw [default: told by the axis of 1 or 3].
    #[arg(long, value_parser = |text: &str| text.parse::<Layout>())]
    pub layout: Option<Layout>,
    /// Share of every class that becomes the test split where the set has none.
    #[arg(long, value_name = "SHARE", help = test_share_help())]
    pub test_share: Option<f64>,
    /// Leave out pictures that cannot be read, instead of stopping.
    #[arg(long)]
    pub skip_unreadable: bool,
}

impl ReadingArgs {
    /// The decisions.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            format: self.data_format,
            size: self.size,
            channels: self.channels,
            layout: self.layout,
            test_share: self.test_share.unwrap_or(Options::default().test_share),
            skip_unreadable: self.skip_unreadable,
        }
    }

    fn flags(&self) -> Vec<OsString> {
        let sides = self.size.map(|(height, width)| format!("{height}x{width}"));
        let values = [
            ("--data-format", self.data_format.map(|f| f.to_string())),
            ("--size", sides),
            ("--channels", self.channels.map(|c| c.to_string())),
            ("--layout", self.layout.map(|l| l.to_string())),
            ("--test-share", self.test_share.map(|s| s.to_string())),
        ];
        let given = values
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.into(), value?.into()]));
        let mut flags: Vec<OsString> = given.flatten().collect();
        if self.skip_unreadable {
            flags.push("--skip-unreadable".into());
        }
        flags
    }
}

fn test_share_help() -> String {
    let usual = Options::default().test_share;
    format!(
        "Share of every class that becomes the test split where the set has none [default: {usual}]"
    )
}

/// `32x48`: height, then width.
fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(height, width)| {
        Some((height.trim().parse().ok()?, width.trim().parse().ok()?))
    });
    sides.ok_or_else(|| "give height and width in pixels, for example 32x32".to_owned())
}
