//! The Image Factory: schematics, and disk images that are small but of the right format.
//!
//! A schematic must have been posted before an image of it can be fetched. An image is described by [`DiskImage`],
//! packed by [`Format`], built once and kept. Boot loaders, installers, ISOs and kernels are not handed out.

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
use http::{HeaderMap, StatusCode, header};
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
        return Err(missing(format!("schematic {schematic:?} not found")));
    };
    if !is_version(talos) {
        return Err(missing(format!("version \"v{talos}\" is not available")));
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
        Err(reason) => return (StatusCode::BAD_REQUEST, format!("yaml: {reason}\n")).into_response(),
    };
    let (id, canonical) = (schematic.id(), schematic.canonical());
    world.with(|state| state.factory.schematics.insert(id.clone(), schematic));
    (StatusCode::CREATED, axum::Json(json!({"id": id, "schematic": canonical}))).into_response()
}

async fn read(Handle(world): Handle<World>, Path(id): Path<String>) -> Response {
    match world.with(|state| state.factory.schematics.get(&id).map(Schematic::canonical)) {
        Some(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
        None => (StatusCode::NOT_FOUND, format!("schematic {id:?} not found\n")).into_response(),
    }
}

async fn versions() -> Response {
    let releases =
        MINORS.iter().flat_map(|(minor, newest)| (0..=*newest).map(move |patch| format!("v{minor}.{patch}")));
    let all: Vec<String> = releases.chain(PREVIEWS.iter().map(|version| format!("v{version}"))).collect();
    axum::Json(all).into_response()
}

async fn extensions(Path(version): Path<String>) -> Response {
    if !version.strip_prefix('v').is_some_and(is_version) {
        return (StatusCode::NOT_FOUND, format!("version {version:?} is not available\n")).into_response();
    }
    let official = EXTENSIONS.iter().map(|(name, tag)| {
        let short = name.rsplit('/').next().unwrap_or(name);
        let reference = format!("ghcr.io/{name}:{tag}");
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&reference)));
        json!({"name": name, "ref": reference, "digest": digest, "author": "Sidero Labs", "description": short})
    });
    axum::Json(official.collect::<Vec<_>>()).into_response()
}

async fn image(
    Handle(world): Handle<World>,
    Path((schematic, version, path)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let refuse = |(status, reason): (StatusCode, String)| (status, format!("{reason}\n")).into_response();
    let Some((platform, arch, format)) = asset(&path) else {
        return refuse((StatusCode::NOT_FOUND, format!("no image {path:?}")));
    };
    if world.fault("factory", "image-missing", &path).is_some() {
        return refuse((StatusCode::NOT_FOUND, format!("no image {path:?}")));
    }
    let talos = version.strip_prefix('v').unwrap_or_default().to_owned();
    let wanted = match world.with(|state| describe(&state.factory, &schematic, &talos, platform, arch)) {
        Ok(wanted) => wanted,
        Err(reason) => return refuse(reason),
    };
    let key = build_key(&wanted, format);
    if !world.with(|state| state.factory.built.contains_key(&key)) {
        // Fetches of a new image wait until it has been assembled: some 5 to 15 s.
        let label = format!("factory {schematic} {version} {path}");
        world.stage(&path, "image-build", world.delay_between(&label, 5_000, 15_000)).await;
    }
    let bytes = world.with(|state| build(&mut state.factory, &wanted, format));
    let name = format!("attachment; filename=\"{path}\"");
    let mut response = ranged(&bytes, headers.get(header::RANGE).and_then(|value| value.to_str().ok()));
    if let Ok(name) = name.parse() {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// Platform, architecture and format of `hcloud-arm64.raw.xz`.
fn asset(path: &str) -> Option<(&str, Arch, Format)> {
    let (stem, ending) = path.split_once('.')?;
    let (platform, arch) = stem.rsplit_once('-')?;
    let arch = match arch {
        "arm64" => Arch::Arm64,
        "amd64" => Arch::Amd64,
        _ => return None,
    };
    Some((platform, arch, Format::of(ending)?))
}

/// The whole, or the one range that was asked for (RFC 9110, 14).
fn ranged(bytes: &Bytes, range: Option<&str>) -> Response {
    let total = bytes.len();
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    let accept = (header::ACCEPT_RANGES, "bytes".to_owned());
    let Some(wanted) = range.and_then(|text| text.strip_prefix("bytes=")).filter(|text| !text.contains(',')) else {
        return ([kind, accept], bytes.clone()).into_response();
    };
    let bounds = match wanted.split_once('-') {
        Some(("", last)) => last.parse::<usize>().ok().map(|last| (total.saturating_sub(last), total)),
        Some((from, "")) => from.parse().ok().map(|from| (from, total)),
        Some((from, to)) => {
            from.parse().ok().zip(to.parse::<usize>().ok()).map(|(from, to)| (from, (to + 1).min(total)))
        }
        None => None,
    };
    match bounds {
        Some((from, to)) if from < to => {
            let at = (header::CONTENT_RANGE, format!("bytes {from}-{}/{total}", to - 1));
            (StatusCode::PARTIAL_CONTENT, [kind, accept, at], bytes.slice(from..to)).into_response()
        }
        _ => {
            let at = (header::CONTENT_RANGE, format!("bytes */{total}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, [at]).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
