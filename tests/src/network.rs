//! A cluster on a simulated network: the real coordinator and the real workers, gRPC and HTTP/2 included, on
//! hosts whose clocks and links a seed rules. Links are cut both ways or one way, held up and slowed; hosts
//! crash and start again; processors are slow; workers are told to go. A seed replays exactly.

mod cluster;
mod faults;

pub use cluster::{Cluster, Counts, Simulated};
pub use faults::{Fault, Incident, Kind, schedule};
