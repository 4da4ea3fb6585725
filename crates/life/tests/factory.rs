//! The emulated Image Factory: its own package judges ids and canonical forms, `xz` and `qemu-img` the disk images, and what
//! its frontend's source (image-factory 1.4.0) says of statuses and headers holds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "factory/desk.rs"]
mod desk;
#[path = "factory/facts.rs"]
mod facts;

use assets::{Judgement, judged, needed};
use desk::Desk;
use facts::{FACTS, Fact};

/// Each lie, and the fact that does not hold under it.
const LIES: &[(&str, &str)] = &[
    ("factory-id-of-sorted-lists", "ids are those of the factory's package"),
    ("factory-arguments-lost", "ids are those of the factory's package"),
    ("factory-unknown-fields-pass", "what the package does not read is refused"),
    ("factory-any-schematic", "what is not there is not there"),
    ("factory-newest-patch-lost", "releases are listed"),
    ("factory-missing-is-200", "what is not there is not there"),
    ("factory-posted-is-200", "a schematic is made, and read as it was made"),
    ("factory-other-arch", "an image is of its architecture and has its extensions"),
    ("factory-extensions-left-out", "an image is of its architecture and has its extensions"),
    ("factory-cut-short", "all formats unpack to one disk"),
    ("factory-head-says-less", "headers say what comes"),
    ("factory-type-of-anything", "headers say what comes"),
    ("factory-name-of-another", "headers say what comes"),
    ("factory-digests-lost", "extensions are listed"),
    ("factory-byte-flipped", "all formats unpack to one disk"),
];

#[tokio::test(start_paused = true)]
async fn the_factory_s_own_package_and_qemu_img_are_content_with_the_emulator_and_catch_every_lie() {
    const WHAT: &str = "the emulated Image Factory";
    let (Some(package), Some(qemu)) = (needed("schematic", WHAT), needed("qemu-img", WHAT)) else { return };
    let listed: Vec<&str> =
        greenhouse::lies().map(|(name, _)| name).filter(|name| name.starts_with("factory-")).collect();
    assert_eq!(listed, LIES.iter().map(|(lie, _)| *lie).collect::<Vec<_>>());
    let mut desk = Desk::new(&package, &qemu, &[]);
    let mut wrong = Vec::new();
    for Fact { name, holds } in FACTS {
        wrong.extend(holds(&mut desk).await.err().map(|why| format!("{name}: {why}")));
    }
    assert!(wrong.is_empty(), "{} of {} facts\n{}", wrong.len(), FACTS.len(), wrong.join("\n\n"));
    for (lie, name) in LIES {
        let Fact { holds, .. } = FACTS.iter().find(|fact| fact.name == *name).unwrap();
        assert!(holds(&mut Desk::new(&package, &qemu, &[lie])).await.is_err(), "{lie}: nobody has noticed");
    }
    judged(&Judgement {
        protocol: "Image Factory: the emulator",
        judge: "image-factory 1.4.0 (its package), qemu-img 7.2, xz",
        covers: &[
            "ids and canonical forms of schematics with everything that they may hold; refusals",
            "raw, xz and qcow2 images of both architectures; lengths, types and names",
        ],
        lacks: &["the frontend itself: statuses and headers are read from its source", "redirects to a bucket, PXE"],
        count: desk.asked,
        lies: &listed,
    });
}
