//! The archive that is streamed for an import at Oracle: `tar` lists it, `qemu-img` is content with the disk in it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

use assets::{Judgement, judged, needed};
use clouds::{Arch, CLOUDS, Image, ImageOrder, Preset, Progress, RATES};
use futures::future::BoxFuture;
use greenhouse::{Greenhouse, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use wire::{Body, Line, Rng, SharedWire, Stream, Target, Time, Wire};

/// The schematic with nothing in it, which every factory knows.
const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

struct Quiet;

impl Progress for Quiet {
    fn at(&self, _: &str, _: u64, _: u64) {}
}

/// Keeps the parts of uploads, by number.
struct Keeping {
    world: SharedWire,
    parts: Arc<Mutex<BTreeMap<u32, Vec<u8>>>>,
}

impl Wire for Keeping {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        let (world, parts, target) = (self.world.clone(), self.parts.clone(), target.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect(256 << 20).await.unwrap();
            let number = head
                .uri
                .query()
                .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("uploadPartNum=")?.parse().ok()));
            if let Some(number) = number.filter(|_| head.method == http::Method::PUT) {
                parts.lock().unwrap().insert(number, body.to_vec());
            }
            world.call(&target, http::Request::from_parts(head, Body::from(body))).await
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        self.world.open(target)
    }
}

/// The archive's bytes, as they went to the bucket, and the disk that the factory gave.
async fn streamed(arch: Arch) -> (Vec<u8>, Vec<u8>) {
    let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
    let world = Greenhouse::new(&Options::default(), time.clone()).unwrap();
    let settings: Preset = world.credentials().into_iter().collect();
    let cloud = CLOUDS.iter().find(|cloud| cloud.name == "oci").unwrap();
    let cloud = (cloud.open)(&settings).unwrap();
    let parts = Arc::new(Mutex::new(BTreeMap::new()));
    let keeping = Keeping { world: world.wire(), parts: parts.clone() };
    let line = Line::new(Arc::new(keeping), time, RATES);
    let source = format!("https://factory.talos.dev/image/{VANILLA}/v1.14.6/oracle-{arch}.qcow2");
    let region = "eu-frankfurt-1".to_owned();
    let image = Image { region: region.clone(), arch, schematic: VANILLA.into(), talos: "1.14.6".into() };
    let machine = "VM.Standard.A1.Flex".to_owned();
    let builder = spec::CloudPlace { cloud: "oci".into(), region, machine, size: None };
    let order = ImageOrder { cluster: "bouquet".into(), image, source: source.clone(), builder };
    cloud.make_image(&line, &order, &Quiet).await.unwrap();
    let request = http::Request::get(source).body(Body::default()).unwrap();
    let disk = world.wire().call(&Target::https("factory.talos.dev", 443), request).await.unwrap();
    let disk = disk.into_body().collect(256 << 20).await.unwrap().to_vec();
    let archive = parts.lock().unwrap().values().flatten().copied().collect();
    (archive, disk)
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test(start_paused = true)]
async fn tar_and_qemu_img_are_content_with_what_is_streamed_for_an_import() {
    let Some(qemu) = needed("qemu-img", "the disk image in an archive for Oracle") else { return };
    let folder = std::env::temp_dir().join(format!("bouquet-archive-{}", std::process::id()));
    for arch in [Arch::Arm64, Arch::Amd64] {
        let (archive, disk) = streamed(arch).await;
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("image.oci"), archive).unwrap();
        let tar = || {
            let mut tar = Command::new("tar");
            tar.current_dir(&folder).env("TZ", "UTC");
            tar
        };
        let listed = said(tar().args(["--numeric-owner", "-tvzf", "image.oci"]));
        let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        let names: Vec<&str> = rows.iter().map(|row| row[5]).collect();
        assert_eq!(names, ["image_metadata.json", "output.QCOW2"], "the settings come before the disk");
        assert!(rows.iter().all(|row| row[..2] == ["-rw-r--r--", "0/0"]), "{listed}");
        assert_eq!(rows[1][2], disk.len().to_string());
        said(tar().args(["-xzf", "image.oci"]));
        assert!(fs::read(folder.join("output.QCOW2")).unwrap() == disk, "the disk is the factory's, byte for byte");
        let settings: Value = serde_json::from_slice(&fs::read(folder.join("image_metadata.json")).unwrap()).unwrap();
        assert_eq!([&settings["version"], &settings["operatingSystemVersion"]], [&json!(2), &json!("1.14.6")]);

        let ask = |words: &[&str]| said(qemu.command().current_dir(&folder).args(words));
        let check: Value = serde_json::from_str(&ask(&["check", "--output=json", "output.QCOW2"])).unwrap();
        assert_eq!([&check["check-errors"], &check["format"]], [&json!(0), &json!("qcow2")], "{check}");
        assert!(check["corruptions"].is_null() && check["leaks"].is_null(), "{check}");
        let info: Value = serde_json::from_str(&ask(&["info", "--output=json", "output.QCOW2"])).unwrap();
        assert!(info["virtual-size"].as_u64().is_some_and(|bytes| bytes >= 1 << 30), "{info}");
        assert!(info["backing-filename"].is_null() && info["encrypted"] != json!(true), "{info}");
        // The judge can tell: a disk whose tables were overwritten on the way.
        let mut bent = disk;
        bent[1 << 16..3 << 16].fill(0xff);
        fs::write(folder.join("bent.QCOW2"), bent).unwrap();
        let bent = qemu.command().current_dir(&folder).args(["check", "bent.QCOW2"]).output().unwrap();
        assert!(!bent.status.success());
        fs::remove_dir_all(&folder).unwrap();
    }
    judged(&Judgement {
        protocol: "OCI archive",
        judge: "GNU tar, qemu-img 7.2",
        covers: &[
            "names, order, sizes and owners in the archive",
            "the disk byte for byte",
            "qcow2 check and info, both architectures",
        ],
        lacks: &["Oracle's own importer", "a real Talos disk: the emulated factory's is synthetic"],
        count: 10,
        lies: &[],
    });
}
