//! Compiles the wire contract, without protoc.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let file = root.join("lagrange/v1/lagrange.proto");
    println!("cargo:rerun-if-changed={}", file.display());
    let descriptors = protox::compile([&file], [&root])?;
    // Chunks arrive as slices of the receive buffer instead of copies.
    tonic_prost_build::configure()
        .bytes(".lagrange.v1.Chunk.data")
        .compile_fds(descriptors)?;
    Ok(())
}
