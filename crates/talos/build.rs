//! Compiles our protocol files; protox needs no installed protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/machine.proto", "proto/cosi.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
