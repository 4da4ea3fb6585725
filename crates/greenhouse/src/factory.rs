//! The Image Factory: schematics, and disk images that are small but of the right format.
//!
//! A schematic must have been posted before an image of it can be fetched. An image is described by [`DiskImage`],
//! packed by [`Format`], built once and kept. Boot loaders, installers, ISOs and kernels are not handed out.
//!
//! Statuses, headers and words are those of image-factory 1.4.0, `internal/frontend/http`.

mod disk;
mod format;
mod qcow2;
mod schematic;

pub(crate) use disk::DiskImage;
pub(crate) use format::{Format, unxz, unzstd};
pub(crate) use qcow2::to_raw as qcow2_to_raw;
pub(crate) use schematic::Schematic;

use crate::machine::Arch;
use crate::world::{State as Everything, World};
use axum::Router;
use axum::extract::{Path, State as Handle};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Newest patch of each minor that this factory builds, oldest first: all patches below it exist too.
const MINORS: &[(&str, u32)] = &[("1.12", 12), ("1.13", 10), ("1.14", 6)];
/// Not releases, but built all the same.
const PREVIEWS: &[&str] = &["1.15.0-alpha.0", "1.15.0-alpha.1", "1.15.0-alpha.2"];
/// Platforms whose disk images the emulated clouds could take.
const PLATFORMS: &[&str] =
    &["akamai", "aws", "azure", "digital-ocean", "gcp", "hcloud", "metal", "nocloud", "openstack", "oracle", "vultr"];
/// Official extensions: name, version at Talos 1.14.
const EXTENSIONS: &[(&str, &str)] = &[
    ("siderolabs/amd-ucode", "20260910"),
    ("siderolabs/gvisor", "20260817.0"),
    ("siderolabs/intel-ucode", "20260812"),
    ("siderolabs/iscsi-tools", "v0.2.0"),
    ("siderolabs/qemu-guest-agent", "10.2.1"),
    ("siderolabs/tailscale", "1.102.3"),
    ("siderolabs/util-linux-tools", "2.42.1"),
    ("siderolabs/zfs", "2.4.2-v1.14.6"),
];

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("factory-id-of-sorted-lists", "a schematic's id is taken with its extensions in order of their names"),
    ("factory-arguments-lost", "a schematic is kept without its kernel arguments"),
    ("factory-unknown-fields-pass", "a schematic may hold anything"),
    ("factory-any-schematic", "an image of a schematic that nobody has posted is plain Talos"),
    ("factory-newest-patch-lost", "the newest patch of a minor is not listed"),
    ("factory-missing-is-200", "where there is no image the answer is 200 and a sentence"),
    ("factory-posted-is-200", "a schematic that was made is answered with 200"),
    ("factory-other-arch", "every image is for amd64"),
    ("factory-extensions-left-out", "no image has its extensions"),
    ("factory-cut-short", "the last sector's worth of an image's bytes is missing"),
    ("factory-head-says-less", "a HEAD tells a shorter length"),
    ("factory-type-of-anything", "every image is an `application/octet-stream`"),
    ("factory-name-of-another", "an image is saved under a name without its platform"),
    ("factory-digests-lost", "extensions are listed without their digests"),
    ("factory-byte-flipped", "a byte in the middle of an image is another one"),
];

type BuildKey = (DiskKey, Format);
type DiskKey = (String, String, String, &'static str);

/// Schematics that have been posted, and images that have been built.
pub(crate) struct State {
    schematics: BTreeMap<String, Schematic>,
    built: BTreeMap<BuildKey, Bytes>,
}

impl Default for State {
    fn default() -> Self {
        let vanilla = Schematic::default();
        let schematics = BTreeMap::from([(vanilla.id(), vanilla)]);
        State { schematics, built: BTreeMap::new() }
    }
}

/// Puts `factory.talos.dev` on the internet.
pub(crate) fn mount(world: &World) {
    let router = Router::new()
        .route("/schematics", post(create))
        .route("/schematics/{id}", get(read))
        .route("/versions", get(versions))
        .route("/version/{version}/extensions/official", get(extensions))
        .route("/image/{schematic}/{version}/{path}", get(image))
        .with_state(world.clone());
    world.with(|state| state.net.mount("factory.talos.dev", "factory", router));
}

/// The disk of a prebuilt image: registers the schematic with these extensions and builds. `None` for a Talos version
/// (without `v`) or a platform that the factory does not build, or an extension that does not exist.
pub(crate) fn prebuilt(
    state: &mut Everything,
    extensions: &[&str],
    talos: &str,
    platform: &str,
    arch: Arch,
) -> Option<Bytes> {
    let mut schematic = Schematic::default();
    schematic.customization.system_extensions.official_extensions =
        extensions.iter().map(|name| (*name).to_owned()).collect();
    let id = schematic.id();
    state.factory.schematics.insert(id.clone(), schematic);
    let wanted = describe(&state.factory, &id, talos, platform, arch).ok()?;
    Some(build(&mut state.factory, &wanted, Format::Raw))
}

fn is_version(talos: &str) -> bool {
    let patch_of = |minor: &str, newest: u32| {
        let patch = talos.strip_prefix(minor)?.strip_prefix('.')?.parse::<u32>().ok()?;
        Some(patch <= newest && talos == format!("{minor}.{patch}"))
    };
    PREVIEWS.contains(&talos) || MINORS.iter().any(|(minor, newest)| patch_of(minor, *newest) == Some(true))
}

fn arch_word(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "arm64",
        Arch::Amd64 => "amd64",
    }
}

/// What an image of this name holds, or why there is none.
pub(crate) fn describe(
    state: &State,
    schematic: &str,
    talos: &str,
    platform: &str,
    arch: Arch,
) -> Result<DiskImage, (StatusCode, String)> {
    let missing = |what: String| (StatusCode::NOT_FOUND, what);
    let Some(found) = state.schematics.get(schematic) else {
        return Err(missing(format!("schematic ID {schematic:?} not found")));
    };
    if !is_version(talos) {
        return Err(missing(format!("version {talos} is not available")));
    }
    if !PLATFORMS.contains(&platform) {
        return Err(missing(format!("platform {platform:?} is not supported")));
    }
    let extensions = found.customization.system_extensions.official_extensions.clone();
    for name in &extensions {
        if !EXTENSIONS.iter().any(|(known, _)| known == name) {
            return Err((
                StatusCode::BAD_REQUEST,
                format!("official extension {name:?} is not available for Talos version v{talos}"),
            ));
        }
    }
    let (schematic, talos, platform) = (schematic.to_owned(), talos.to_owned(), platform.to_owned());
    Ok(DiskImage { schematic, extensions, talos, platform, arch })
}

fn build_key(image: &DiskImage, format: Format) -> BuildKey {
    let DiskImage { schematic, talos, platform, arch, .. } = image;
    ((schematic.clone(), talos.clone(), platform.clone(), arch_word(*arch)), format)
}

fn build(state: &mut State, image: &DiskImage, format: Format) -> Bytes {
    state.built.entry(build_key(image, format)).or_insert_with(|| format.pack(image)).clone()
}

async fn create(Handle(world): Handle<World>, body: String) -> Response {
    let schematic = match Schematic::parse(&body) {
        Ok(schematic) => schematic,
        Err(_) if world.lies("factory-unknown-fields-pass") => Schematic::default(),
        Err(reason) => return (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    };
    let schematic = bent(&world, schematic);
    let (id, canonical) = (schematic.id(), schematic.canonical());
    world.with(|state| state.factory.schematics.insert(id.clone(), schematic));
    let status = if world.lies("factory-posted-is-200") { StatusCode::OK } else { StatusCode::CREATED };
    (status, axum::Json(json!({"id": id, "schematic": canonical}))).into_response()
}

/// What is kept of a schematic where the world lies of schematics.
fn bent(world: &World, mut schematic: Schematic) -> Schematic {
    if world.lies("factory-id-of-sorted-lists") {
        schematic.customization.system_extensions.official_extensions.sort();
    }
    if world.lies("factory-arguments-lost") {
        schematic.customization.extra_kernel_args.clear();
    }
    schematic
}

async fn read(Handle(world): Handle<World>, Path(id): Path<String>) -> Response {
    match world.with(|state| state.factory.schematics.get(&id).map(Schematic::canonical)) {
        Some(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
        None => (StatusCode::NOT_FOUND, "schematic not found\n").into_response(),
    }
}

async fn versions(Handle(world): Handle<World>) -> Response {
    let hidden = u32::from(world.lies("factory-newest-patch-lost"));
    let releases =
        MINORS.iter().flat_map(|(minor, newest)| (0..=*newest - hidden).map(move |patch| format!("v{minor}.{patch}")));
    let all: Vec<String> = releases.chain(PREVIEWS.iter().map(|version| format!("v{version}"))).collect();
    axum::Json(all).into_response()
}

async fn extensions(Handle(world): Handle<World>, Path(version): Path<String>) -> Response {
    let talos = bare(&version);
    if !is_version(talos) {
        return (StatusCode::NOT_FOUND, format!("version {talos} is not available\n")).into_response();
    }
    let has_digests = !world.lies("factory-digests-lost");
    let official = EXTENSIONS.iter().map(|(name, tag)| {
        let short = name.rsplit('/').next().unwrap_or(name);
        let reference = format!("ghcr.io/{name}:{tag}");
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&reference)));
        let digest = if has_digests { digest } else { String::new() };
        json!({"name": name, "ref": reference, "digest": digest, "author": "Sidero Labs", "description": short})
    });
    axum::Json(official.collect::<Vec<_>>()).into_response()
}

async fn image(
    Handle(world): Handle<World>,
    Path((schematic, version, path)): Path<(String, String, String)>,
    method: Method,
) -> Response {
    let refuse = |(status, reason): (StatusCode, String)| {
        let status = if world.lies("factory-missing-is-200") { StatusCode::OK } else { status };
        (status, format!("{reason}\n")).into_response()
    };
    let (platform, arch, format) = match asset(&path) {
        Ok(asset) => asset,
        Err(reason) => return refuse((StatusCode::BAD_REQUEST, reason)),
    };
    let arch = if world.lies("factory-other-arch") { Arch::Amd64 } else { arch };
    if world.fault("factory", "image-missing", &path).is_some() {
        return refuse((StatusCode::NOT_FOUND, format!("no image {path:?}")));
    }
    let found = world.with(|state| match describe(&state.factory, &schematic, bare(&version), platform, arch) {
        Err((StatusCode::NOT_FOUND, _)) if state.lies.contains("factory-any-schematic") => {
            describe(&state.factory, &Schematic::default().id(), bare(&version), platform, arch)
        }
        found => found,
    });
    let mut wanted = match found {
        Ok(wanted) => wanted,
        Err(reason) => return refuse(reason),
    };
    if world.lies("factory-extensions-left-out") {
        wanted.extensions.clear();
    }
    let key = build_key(&wanted, format);
    if !world.with(|state| state.factory.built.contains_key(&key)) {
        // Fetches of a new image wait until it has been assembled: some 5 to 15 s.
        let label = format!("factory {schematic} {version} {path}");
        world.stage(&path, "image-build", world.delay_between(&label, 5_000, 15_000)).await;
    }
    let bytes = world.with(|state| build(&mut state.factory, &wanted, format));
    handed_out(&world, &path, format, bytes, method == Method::HEAD)
}

/// An image as image-factory 1.4.0 serves it itself: whole, whatever range is asked for.
fn handed_out(world: &World, path: &str, format: Format, mut bytes: Bytes, is_head: bool) -> Response {
    if world.lies("factory-cut-short") {
        bytes.truncate(bytes.len().saturating_sub(512));
    }
    if world.lies("factory-byte-flipped") {
        let mut bent = bytes.to_vec();
        let middle = bent.len() / 2;
        bent.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
        bytes = bent.into();
    }
    let kind = if world.lies("factory-type-of-anything") { Format::Raw } else { format }.content_type();
    let name =
        if world.lies("factory-name-of-another") { path.split_once('-').map_or(path, |(_, end)| end) } else { path };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    let less = usize::from(is_head && world.lies("factory-head-says-less"));
    (headers, bytes.slice(less..)).into_response()
}

/// A version with or without `v`, as paths take it.
fn bare(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

/// Platform, architecture and format of `hcloud-arm64.raw.xz`; else what is wrong with it.
fn asset(path: &str) -> Result<(&str, Arch, Format), String> {
    let parts = path.split_once('.').and_then(|(stem, ending)| Some((stem, Format::of(ending)?)));
    let (stem, format) = parts.ok_or_else(|| format!("invalid profile path: {path:?}"))?;
    let (platform, arch) = stem.rsplit_once('-').ok_or_else(|| format!("invalid platform-arch: {stem:?}"))?;
    match arch {
        "arm64" => Ok((platform, Arch::Arm64, format)),
        "amd64" => Ok((platform, Arch::Amd64, format)),
        other => Err(format!("invalid architecture: {other:?}")),
    }
}

#[cfg(test)]
mod tests;
