//! The messages of `proto/`, generated: a wire format of our own making, so that the product's cannot hide a mistake.
#![allow(missing_docs, clippy::pedantic, clippy::derive_partial_eq_without_eq, reason = "generated")]

pub(crate) mod common {
    tonic::include_proto!("common");
}
pub(crate) mod machine {
    tonic::include_proto!("machine");
}
pub(crate) mod cosi {
    tonic::include_proto!("cosi.resource");
}
pub(crate) mod cluster {
    tonic::include_proto!("cluster");
}
pub(crate) mod storage {
    tonic::include_proto!("storage");
}
pub(crate) mod resources {
    tonic::include_proto!("resources");
}
