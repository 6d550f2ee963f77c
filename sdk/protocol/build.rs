//! Compiles the schema: prost's types, and serde for protobuf's JSON mapping.
//!
//! Invariant: needs no installed protoc.

use std::error::Error;

use prost_build::Config;

const SCHEMA: &str = "proto/scenehost/v1/client.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile([SCHEMA], ["proto"])?;

    let mut json = pbjson_build::Builder::new();
    for file in &descriptors.file {
        json.register_file_descriptor(file.clone());
    }
    // As in the binary encoding, what a newer peer adds is passed over.
    json.btree_map(["."]).ignore_unknown_fields().ignore_unknown_enum_variants().build(&[".scenehost"])?;

    // Maps in their order, so that the same frame is always the same bytes.
    Config::new().bytes(["."]).btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
