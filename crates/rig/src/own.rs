//! Images of our own programs: one static binary on an empty base, made without a container engine.

use crate::failure::{Failure, disk, output};
use crate::image::Image;
use std::path::{Path, PathBuf};

/// Where a Debian, Alpine or Fedora keeps the authorities that it believes.
const AUTHORITIES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"];
/// As distroless images call it: nobody in particular.
const NONROOT: u32 = 65532;

/// The watcher's image, from the sources in this folder. `profile` is cargo's: `dist` is what is given to users.
pub fn watcher(sources: &Path, profile: &str) -> Result<Image, Failure> {
    let program = build(sources, "bouquet-watcher", profile)?;
    let version = env!("CARGO_PKG_VERSION");
    let mut image = Image::of(&format!("ghcr.io/kreatoo/bouquet-watcher:{version}"), &program, &["/bouquet-watcher"]);
    image.user = NONROOT;
    image.labels = vec![
        ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE").to_owned()),
        ("org.opencontainers.image.source", env!("CARGO_PKG_REPOSITORY").to_owned()),
        ("org.opencontainers.image.title", "bouquet-watcher".to_owned()),
        ("org.opencontainers.image.version", version.to_owned()),
    ];
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
    let authorities =
        authorities.ok_or_else(|| Failure::Lacks("there are no CA certificates (ca-certificates)".into()))?;
    let authorities = disk(authorities, std::fs::canonicalize(authorities))?;
    image.files.push(("/etc/ssl/certs/ca-certificates.crt".into(), authorities));
    Ok(image)
}

/// A binary that needs no library. Naming the target keeps the flags from what runs while it is built.
fn build(sources: &Path, package: &str, profile: &str) -> Result<PathBuf, Failure> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = assets::cargo();
    cargo.args(["build", "--quiet", "--package", package, "--profile", profile, "--target", &target]);
    cargo.current_dir(sources).env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let folder = sources.join("target");
    output(cargo.env("CARGO_TARGET_DIR", &folder))?;
    Ok(folder.join(target).join(profile).join(package))
}
