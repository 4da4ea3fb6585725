//! What holds of an Image Factory.

use crate::desk::Desk;
use futures::future::LocalBoxFuture;
use http::{Method, Request};
use serde_json::{Value, json};
use std::fmt::Debug;
use wire::Rng;

type Holds = Result<(), String>;

/// A claim, and how it is tried.
pub struct Fact {
    pub name: &'static str,
    pub holds: for<'a> fn(&'a mut Desk) -> LocalBoxFuture<'a, Holds>,
}

pub const FACTS: &[Fact] = &[
    Fact { name: "ids are those of the factory's package", holds: |desk| Box::pin(ids(desk)) },
    Fact { name: "a schematic is made, and read as it was made", holds: |desk| Box::pin(made_and_read(desk)) },
    Fact { name: "what the package does not read is refused", holds: |desk| Box::pin(refused(desk)) },
    Fact { name: "releases are listed", holds: |desk| Box::pin(releases(desk)) },
    Fact { name: "extensions are listed", holds: |desk| Box::pin(extensions(desk)) },
    Fact { name: "what is not there is not there", holds: |desk| Box::pin(missing(desk)) },
    Fact { name: "headers say what comes", holds: |desk| Box::pin(headers(desk)) },
    Fact {
        name: "an image is of its architecture and has its extensions",
        holds: |desk| Box::pin(images_differ(desk)),
    },
    Fact { name: "all formats unpack to one disk", holds: |desk| Box::pin(one_disk(desk)) },
];

const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
const TAILSCALE: &str = "customization: {systemExtensions: {officialExtensions: [siderolabs/tailscale]}}";

#[allow(clippy::needless_pass_by_value, reason = "what was found and what was wanted are said once and gone")]
fn same<T: PartialEq<U> + Debug, U: Debug>(what: &str, found: T, wanted: U) -> Holds {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} instead of {wanted:?}")) }
}

/// A schematic that has, with a chance of a half each, whatever one may have.
fn random(rng: &mut Rng) -> Value {
    const NASTY: &[u8] = b"azAZ09-_.=,:;/@#&*!%'\"{}[]|> ?`~^+\\";
    let word = |rng: &mut Rng| {
        let length = usize::try_from(rng.between(1, 24)).unwrap();
        rng.text(NASTY, length)
    };
    let mut customization = json!({});
    let mut set = |rng: &mut Rng, name: &str, value: Value| {
        if rng.below(2) == 0 {
            customization[name] = value;
        }
    };
    let arguments: Vec<String> = (0..rng.between(1, 4)).map(|_| word(rng)).collect();
    set(rng, "extraKernelArgs", json!(arguments));
    let extensions: Vec<String> =
        (0..rng.between(1, 4)).map(|_| format!("siderolabs/{}", rng.text(b"abcz09-", 6))).collect();
    set(rng, "systemExtensions", json!({"officialExtensions": extensions}));
    let (key, value) = (rng.below(16), word(rng));
    set(rng, "meta", json!([{"key": key, "value": value}, {"key": 12, "value": "a: 1\nb: 2\n"}]));
    set(rng, "embeddedMachineConfiguration", json!("machine:\n  install: {}\n\n---\nkind: X\n"));
    let bootloader = match rng.below(3) {
        0 => "sd-boot",
        1 => "grub",
        _ => "dual-boot",
    };
    set(rng, "bootloader", json!(bootloader));
    set(rng, "secureboot", json!({"includeWellKnownCertificates": true, "enrollKeys": "force"}));
    set(rng, "diskImage", json!({"sectorSize": 4096}));
    let mut schematic = json!({"customization": customization});
    if rng.below(3) == 0 {
        let options = json!({"configTxt": "gpu_mem=128\n", "b": {"deep": 1}, "a": true});
        schematic["overlay"] =
            json!({"image": "siderolabs/sbc-raspberrypi", "name": "rpi_generic", "options": options});
    }
    schematic
}

async fn ids(desk: &mut Desk) -> Holds {
    let mut rng = Rng::seeded(5);
    let two = r#"{"customization": {"systemExtensions": {"officialExtensions": ["siderolabs/b", "siderolabs/a"]}}}"#;
    let mut texts = vec!["{}".to_owned(), "customization: {}\n".to_owned(), TAILSCALE.to_owned(), two.to_owned()];
    texts.extend((0..200).map(|_| random(&mut rng).to_string()));
    let theirs = desk.ids(&texts)?;
    same("ids", theirs.len(), texts.len())?;
    let mut wrong = Vec::new();
    for (text, theirs) in texts.iter().zip(theirs) {
        let (_, answer) = desk.post(text).await;
        if answer["id"] != theirs {
            wrong.push(format!("{text}\n{}", answer["schematic"].as_str().unwrap_or_default()));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} of {}\n{}", wrong.len(), texts.len(), wrong.join("\n"))) }
}

async fn made_and_read(desk: &mut Desk) -> Holds {
    let (status, answer) = desk.post(TAILSCALE).await;
    same("POST", status, 201)?;
    let [id, text] = ["id", "schematic"].map(|field| answer[field].as_str().unwrap_or_default().to_owned());
    same("the canonical form's id", desk.ids(std::slice::from_ref(&text))?, [id.clone()])?;
    let (head, body) = desk.get(&format!("/schematics/{id}")).await;
    same("GET", head.status.as_u16(), 200)?;
    same("its type", head.headers["content-type"].to_str().unwrap(), "application/yaml")?;
    same("its text", String::from_utf8_lossy(&body), text)
}

async fn refused(desk: &mut Desk) -> Holds {
    for text in
        ["customisation: {}", "customization: {extraKernelArguments: [a]}", "[1]", "", "a: b: c", "customization: 1"]
    {
        if desk.ids(&[text.to_owned()]).is_ok() {
            return Err(format!("the package reads {text:?}"));
        }
        same(text, desk.post(text).await.0, 400)?;
    }
    Ok(())
}

async fn releases(desk: &mut Desk) -> Holds {
    let (head, body) = desk.get("/versions").await;
    same("its type", head.headers["content-type"].to_str().unwrap(), "application/json")?;
    let listed: Vec<String> = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let lacks = ["v1.12.12", "v1.13.10", "v1.14.6"].into_iter().find(|version| !listed.iter().any(|at| at == version));
    same("not listed", lacks, None::<&str>)
}

async fn extensions(desk: &mut Desk) -> Holds {
    for version in ["v1.14.6", "1.14.6"] {
        let (head, body) = desk.get(&format!("/version/{version}/extensions/official")).await;
        same("its status", head.status.as_u16(), 200)?;
        let listed: Vec<Value> = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let found = listed.iter().find(|item| item["name"] == "siderolabs/tailscale").ok_or("no tailscale")?;
        let is_digest = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64);
        let named = text(found, "ref").starts_with("ghcr.io/siderolabs/tailscale:");
        same("references and digests", (named, is_digest(&text(found, "digest"))), (true, true))?;
    }
    same("no release's", desk.get("/version/v1.9.99/extensions/official").await.0.status.as_u16(), 404)
}

async fn missing(desk: &mut Desk) -> Holds {
    let unknown = "0".repeat(64);
    for (path, status) in [
        (format!("/schematics/{unknown}"), 404),
        (format!("/image/{unknown}/v1.14.6/hcloud-arm64.raw.xz"), 404),
        (format!("/image/{VANILLA}/v1.14.99/hcloud-arm64.raw.xz"), 404),
        (format!("/image/{VANILLA}/v1.14.6/hcloud-riscv64.raw.xz"), 400),
        (format!("/image/{VANILLA}/v1.14.6/hcloud-arm64.vmdk"), 400),
        (format!("/image/{VANILLA}/v1.14.6/hcloud.raw"), 400),
    ] {
        same(&path, desk.get(&path).await.0.status.as_u16(), status)?;
    }
    Ok(())
}

async fn headers(desk: &mut Desk) -> Holds {
    for (name, kind) in [
        ("hcloud-arm64.raw.xz", "application/x-xz"),
        ("oracle-amd64.qcow2", "application/x-qemu-disk"),
        ("metal-amd64.raw", "application/octet-stream"),
    ] {
        let path = format!("/image/{VANILLA}/v1.14.6/{name}");
        let (_, whole) = desk.get(&path).await;
        let part = Request::get(&path).header("range", "bytes=10-19").body(String::new()).unwrap();
        let head = desk.with(Method::HEAD, &path).await;
        same(&format!("HEAD {name}"), head.1.len(), 0)?;
        // The frontend copies the whole file, whatever part is asked for.
        for (head, _) in [head, desk.get(&path).await, desk.ask(part).await] {
            let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            same(name, head.status.as_u16(), 200)?;
            same(name, said("content-length"), whole.len().to_string())?;
            same(name, said("content-type"), kind)?;
            same(name, said("content-disposition"), format!("attachment; filename=\"{name}\""))?;
        }
    }
    Ok(())
}

async fn images_differ(desk: &mut Desk) -> Holds {
    let (_, answer) = desk.post(TAILSCALE).await;
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let mut disks = Vec::new();
    for (schematic, arch) in [(id.as_str(), "arm64"), (&id, "amd64"), (VANILLA, "arm64")] {
        disks.push(desk.get(&format!("/image/{schematic}/v1.14.6/hcloud-{arch}.raw")).await.1);
    }
    let has = |disk: &[u8], text: &str| disk.windows(text.len()).any(|window| window == text.as_bytes());
    let told: Vec<_> = disks
        .iter()
        .map(|disk| ["\"arm64\"", "\"amd64\"", "siderolabs/tailscale"].map(|text| has(disk, text)))
        .collect();
    same("architecture and extension", told, [[true, false, true], [false, true, true], [true, false, false]])
}

async fn one_disk(desk: &mut Desk) -> Holds {
    for arch in ["arm64", "amd64"] {
        let at = |ending: &str| format!("/image/{VANILLA}/v1.14.6/oracle-{arch}.{ending}");
        let (_, raw) = desk.get(&at("raw")).await;
        let (_, packed) = desk.get(&at("raw.xz")).await;
        same("xz", desk.unxz(&packed)? == raw, true)?;
        let (_, image) = desk.get(&at("qcow2")).await;
        let disk = desk.unqcow2(&image)?;
        same("qcow2", disk.starts_with(&raw) && disk[raw.len()..].iter().all(|byte| *byte == 0), true)?;
    }
    Ok(())
}
