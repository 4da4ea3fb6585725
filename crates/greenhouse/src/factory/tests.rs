use super::*;
use crate::world::{Greenhouse, Options};
use jiff::Timestamp;
use wire::{Body, Rng, Target, Time};

const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

fn greenhouse() -> Greenhouse {
    Greenhouse::new(&Options::default(), Time::starting_at(Timestamp::UNIX_EPOCH, Rng::seeded(1))).unwrap()
}

async fn call(greenhouse: &Greenhouse, request: http::Request<String>) -> (http::response::Parts, Bytes) {
    let request = request.map(|text| Body::from(Bytes::from(text)));
    let answer = greenhouse.wire().call(&Target::https("factory.talos.dev", 443), request).await.unwrap();
    let (head, body) = answer.into_parts();
    (head, body.collect(64 << 20).await.unwrap())
}

async fn get(greenhouse: &Greenhouse, path: &str) -> (u16, Bytes) {
    let (head, body) = call(greenhouse, http::Request::get(path).body(String::new()).unwrap()).await;
    (head.status.as_u16(), body)
}

#[tokio::test(start_paused = true)]
async fn an_image_needs_a_posted_schematic_and_a_released_version() {
    let greenhouse = greenhouse();
    let posted = "customization:\n  systemExtensions:\n    officialExtensions:\n      - siderolabs/tailscale\n";
    let (head, body) = call(&greenhouse, http::Request::post("/schematics").body(posted.into()).unwrap()).await;
    assert_eq!(head.status, 201);
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let id = answer["id"].as_str().unwrap();

    let (status, body) = get(&greenhouse, &format!("/image/{id}/v1.14.6/hcloud-arm64.raw.xz")).await;
    assert_eq!(status, 200);
    let image = DiskImage::on(&unxz(&body).unwrap()).unwrap();
    assert_eq!((image.talos.as_str(), image.arch), ("1.14.6", Arch::Arm64));
    assert_eq!(image.extensions, ["siderolabs/tailscale"]);
    for (path, status) in [
        (format!("/image/{}/v1.14.6/hcloud-arm64.raw.xz", "0".repeat(64)), 404),
        (format!("/image/{id}/v1.14.7/hcloud-arm64.raw.xz"), 404),
        (format!("/image/{id}/1.14.6/hcloud-arm64.raw.xz"), 200),
        (format!("/image/{id}/v1.14.6/hcloud-riscv64.raw.xz"), 400),
        (format!("/image/{id}/v1.14.6/hcloud-arm64.vmdk"), 400),
        (format!("/image/{id}/v1.14.6/toaster-arm64.raw.xz"), 404),
    ] {
        assert_eq!(get(&greenhouse, &path).await.0, status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_tells_the_length_and_a_range_changes_nothing() {
    let greenhouse = greenhouse();
    let path = format!("/image/{VANILLA}/v1.14.6/oracle-amd64.qcow2");
    let (_, whole) = get(&greenhouse, &path).await;
    let (head, body) = call(&greenhouse, http::Request::head(&path).body(String::new()).unwrap()).await;
    assert_eq!(head.headers["content-length"], whole.len().to_string());
    assert!(body.is_empty());
    let request = http::Request::get(&path).header("range", "bytes=10-19").body(String::new()).unwrap();
    let (head, part) = call(&greenhouse, request).await;
    assert_eq!((head.status.as_u16(), part), (200, whole));
    assert_eq!(head.headers["content-type"], "application/x-qemu-disk");
}

#[tokio::test(start_paused = true)]
async fn versions_and_extensions_are_listed_and_unknown_fields_refused() {
    let greenhouse = greenhouse();
    let (_, body) = get(&greenhouse, "/versions").await;
    assert!(String::from_utf8_lossy(&body).contains("\"v1.13.10\",\"v1.14.0\""));
    let (status, body) = get(&greenhouse, "/version/v1.14.6/extensions/official").await;
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&body).contains("ghcr.io/siderolabs/tailscale:1.102.3"));
    let wrong = http::Request::post("/schematics").body("customisation: {}".to_owned()).unwrap();
    assert_eq!(call(&greenhouse, wrong).await.0.status, 400);
}
