//! Names of the four files of a set.

/// Role of one of the four files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    TrainImages,
    TrainLabels,
    TestImages,
    TestLabels,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [
        Self::TrainImages,
        Self::TrainLabels,
        Self::TestImages,
        Self::TestLabels,
    ];

    /// Its name in MNIST.
    pub(crate) fn mnist_name(self) -> &'static str {
        match self {
            Self::TrainImages => "train-images-idx3-ubyte",
            Self::TrainLabels => "train-labels-idx1-ubyte",
            Self::TestImages => "t10k-images-idx3-ubyte",
            Self::TestLabels => "t10k-labels-idx1-ubyte",
        }
    }
}

/// Naming scheme of a set's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// MNIST's names, shared by its drop-in replacements.
    Mnist,
    /// EMNIST's names, of one of its splits.
    Emnist(&'static str),
    /// QMNIST's names.
    Qmnist,
}

const EMNIST_SPLITS: [&str; 6] = [
    "byclass", "bymerge", "balanced", "letters", "digits", "mnist",
];

impl Naming {
    /// All schemes but MNIST's, whose names do not tell the set.
    pub(super) fn others() -> impl Iterator<Item = Self> {
        let emnist = EMNIST_SPLITS.into_iter().map(Self::Emnist);
        emnist.chain([Self::Qmnist])
    }

    /// Common beginning of the names; empty for MNIST.
    pub(super) fn beginning(self) -> String {
        match self {
            Self::Mnist => String::new(),
            Self::Emnist(split) => format!("emnist-{split}"),
            Self::Qmnist => "qmnist".to_owned(),
        }
    }

    /// The names of a file, the usual one first.
    pub(super) fn names(self, role: Role) -> Vec<String> {
        if self == Self::Mnist {
            return vec![role.mnist_name().to_owned()];
        }
        let part = match role {
            Role::TrainImages | Role::TrainLabels => "train",
            Role::TestImages | Role::TestLabels => "test",
        };
        let kinds: &[&str] = match (role, self) {
            (Role::TrainImages | Role::TestImages, _) => &["images-idx3-ubyte"],
            (_, Self::Qmnist) => &["labels-idx2-int", "labels-idx1-ubyte"],
            _ => &["labels-idx1-ubyte"],
        };
        let beginning = self.beginning();
        let name = |kind| format!("{beginning}-{part}-{kind}");
        kinds.iter().map(name).collect()
    }
}

/// Spellings of a name: as published, and as on Windows and Kaggle.
pub(super) fn spellings(name: &str) -> [String; 2] {
    [name.to_owned(), name.replace("-idx", ".idx")]
}
