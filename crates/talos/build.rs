//! Compiles `proto/` without an installed protoc.

use std::error::Error;

const FILES: [&str; 3] = ["proto/common.proto", "proto/machine.proto", "proto/cosi.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
