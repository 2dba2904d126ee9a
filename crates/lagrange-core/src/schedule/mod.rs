//! Schedules: in which order the blocks of the augmented objective are minimised, and by whom.

pub mod streaming;
