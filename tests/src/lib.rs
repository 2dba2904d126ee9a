//! Helpers shared by the cluster tests.
