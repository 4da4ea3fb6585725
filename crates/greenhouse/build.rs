//! Compiles our own `.proto` files of the Talos machine API; protox needs no installed protoc.

const PROTOS: &[&str] = &["machine.proto", "cosi.proto", "cluster.proto", "storage.proto", "resources.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    // Clients are for the tests, which speak to nodes as an operator would.
    tonic_prost_build::configure().build_transport(false).btree_map(".cosi").compile_fds(files)?;
    Ok(())
}
