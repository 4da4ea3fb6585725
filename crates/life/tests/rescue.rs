//! An image is written through OpenSSH's own `sshd`, with a real shell and a file as the disk: byte for byte, or not at all.
//! Everything of the project is emulated but the machine that port 22 leads to.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of tests, helpers included"
)]

#[path = "rescue/bench.rs"]
mod bench;
#[path = "rescue/cases.rs"]
mod cases;
#[path = "rescue/sides.rs"]
mod sides;

use assets::{Judgement, Program, judged, needed, skip};
use bench::{Disk, Project, System, packed, serve};
use cases::{CASES, LIES};
use clouds::Why;
use sides::{Client, Side};
use std::collections::BTreeMap;
use std::process::Command;

/// `sshd`, if it is here and can be put into namespaces of its own.
fn sshd(what: &str) -> Option<Program> {
    let program = needed("sshd", what)?;
    let own =
        Command::new("unshare").args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "true"]).output();
    if !own.is_ok_and(|output| output.status.success()) {
        skip(what, "namespaces of one's own need root, and util-linux's unshare");
        return None;
    }
    if ["xz", "wget"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        skip(what, "the rescue system has xz and wget, and this machine lacks one of them");
        return None;
    }
    Some(program)
}

/// Six mebibytes and a bit, so that the last block is a short one; a third of it does not compress.
fn image() -> Vec<u8> {
    let mut rng = wire::Rng::seeded(7);
    let mut image: Vec<u8> = (0..(2 << 17)).flat_map(|_| rng.below(u64::MAX).to_le_bytes()).collect();
    image.resize((6 << 20) + 4097, 0);
    image.extend_from_slice(b"the end");
    image
}

#[tokio::test(start_paused = true)]
async fn the_disk_holds_the_image_byte_for_byte_whatever_the_host_key() {
    let Some(sshd) = sshd("an image through OpenSSH's sshd") else { return };
    let image = image();
    for key in ["ed25519", "ecdsa"] {
        let system = System::new(&sshd, &format!("whole-{key}"), Disk::Large, key, true);
        let project = Project::new(&system);
        let made = project.image(&serve(packed(&image), None).await).await.unwrap();
        assert_eq!(made.state, clouds::State::Ready);
        assert!(system.disk() == image, "{} bytes on the disk, {} in the image", system.disk().len(), image.len());
        let heard = project.heard.0.lock().unwrap();
        let most = heard.iter().filter(|(what, _)| what == "writing the disk image").map(|(_, bytes)| *bytes).max();
        assert_eq!(most, Some(image.len() as u64), "dd told how far it was");
        assert_eq!(project.left(), [0, 0, 1], "its tools are gone and the snapshot is there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_an_rsa_key_alone_is_not_spoken_with_and_that_is_said() {
    let Some(sshd) = sshd("OpenSSH's sshd with an RSA key alone") else { return };
    let system = System::new(&sshd, "rsa", Disk::Large, "rsa", true);
    let project = Project::new(&system);
    let error = project.image(&serve(Vec::new(), None).await).await.unwrap_err();
    // No RSA is built in, for the sake of RUSTSEC-2023-0071; rescue systems make a key of every type at each boot.
    assert!(error.message.contains("at last: SSH broke: No common"), "{error}");
    assert_eq!(project.left(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_the_shell_is_said_and_leaves_nothing() {
    let Some(sshd) = sshd("an image that cannot be written, through OpenSSH's sshd") else { return };
    let good = packed(&image());
    let mut broken = good.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0);
    let missing = serve(good.clone(), None).await.replace("arm64", "amd64");
    for (test, disk, source, said) in [
        ("missing", Disk::Large, missing, "404"),
        ("broken", Disk::Large, serve(broken, None).await, "xz: "),
        ("small", Disk::Small, serve(good.clone(), None).await, "No space left on device"),
        ("used", Disk::Used, serve(good, None).await, "in use"),
    ] {
        let system = System::new(&sshd, test, disk, "ed25519", true);
        let project = Project::new(&system);
        let error = project.image(&source).await.unwrap_err();
        assert_eq!(error.why, Why::Trouble);
        assert!(error.message.contains(said), "{test}: {error}");
        assert_eq!(project.left(), [0, 0, 0], "{test}");
        if test == "used" {
            assert!(system.disk().is_empty(), "a disk that is in use is not written");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_let_in_is_waited_for_and_then_given_up() {
    let Some(sshd) = sshd("a key that OpenSSH's sshd does not know") else { return };
    let system = System::new(&sshd, "stranger", Disk::Large, "ed25519", false);
    let project = Project::new(&system);
    let error = project.image(&serve(Vec::new(), None).await).await.unwrap_err();
    let (waited, last) = ("waited 8 minutes for the rescue system's SSH", "does not let the key in");
    assert!(error.message.contains(waited) && error.message.contains(last), "{error}");
    assert!(system.log().contains("Connection closed by authenticating user root"), "{}", system.log());
    assert_eq!(project.left(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_cut_half_way_leaves_nothing_and_the_next_run_makes_it_whole() {
    let Some(sshd) = sshd("a session with OpenSSH's sshd that is cut half-way") else { return };
    let image = image();
    let system = System::new(&sshd, "cut", Disk::Large, "ed25519", true);
    let project = Project::new(&system);
    let error = project.image(&serve(packed(&image), Some(&system)).await).await.unwrap_err();
    assert_eq!(error.why, Why::Trouble, "{error}");
    assert!(error.message.contains("SSH broke") || error.message.contains("without a status"), "{error}");
    let written = system.disk().len();
    assert!(written < image.len(), "{written} bytes");
    assert_eq!(project.left(), [0, 0, 0]);
    drop(system);
    let system = System::new(&sshd, "again", Disk::Large, "ecdsa", true);
    let project = project.moved(&system);
    project.image(&serve(packed(&image), None).await).await.unwrap();
    assert!(system.disk() == image);
    judged(&Judgement {
        protocol: "SSH of the rescue system",
        judge: "OpenSSH 9.2 sshd, bash, wget, xz, dd",
        covers: &[
            "the image on the disk, byte for byte",
            "Ed25519 and ECDSA host keys, an RSA key alone",
            "an image that is missing, broken or too large, a disk in use",
            "a key that is not let in",
            "a session cut half-way, and the run after it",
        ],
        lacks: &[
            "a real block device: blkdiscard and fsync of one",
            "a known host key: no cloud tells it, so any is taken",
        ],
        count: 11,
        lies: &[],
    });
}

#[tokio::test]
async fn one_suite_holds_on_the_real_shell_and_on_the_emulator_and_catches_every_lie() {
    let Some(sshd) = sshd("the emulated rescue system beside OpenSSH's sshd and bash") else { return };
    let listed: Vec<&str> =
        greenhouse::lies().map(|(name, _)| name).filter(|name| name.starts_with("rescue-")).collect();
    assert_eq!(listed, LIES.iter().map(|(lie, _)| *lie).collect::<Vec<_>>());
    let client = Client::new(&sshd, "suite");
    let system = System::new(&sshd, "suite", Disk::Large, "ed25519", true);
    let (real, emulated) = (Side::real(&client, &system).await, Side::emulated(&client, &[]).await);
    let (mut truth, mut wrong) = (BTreeMap::new(), Vec::new());
    for case in CASES {
        let (right, found) = (real.ask(case).await, emulated.ask(case).await);
        if right != found {
            wrong.push(format!("{}: {}\nreal     {right:?}\nemulated {found:?}", case.name, case.script));
        }
        truth.insert(case.name, right);
    }
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), CASES.len(), wrong.join("\n\n"));
    for (lie, name) in LIES {
        let case = CASES.iter().find(|case| case.name == *name).unwrap();
        let liar = Side::emulated(&client, &[lie]).await;
        // A key that changes shows at the second connection.
        let is_caught = liar.ask(case).await != truth[name] || liar.ask(case).await != truth[name];
        assert!(is_caught, "{lie}: nobody has noticed");
    }
    judged(&Judgement {
        protocol: "SSH of the rescue system: the emulator",
        judge: "OpenSSH 9.2 ssh and sshd, bash, coreutils, wget, xz",
        covers: &[
            "keys let in and refused, the host key, both streams, status, input",
            "bash's lists, pipelines, options, quotes and redirections as far as an image writer goes",
            "dd, xz, gzip, wget: what they write, say and end with",
        ],
        lacks: &["blkdiscard, lsblk, power: they need a machine of one's own", "loops, conditions, here-documents"],
        count: CASES.len() as u64,
        lies: &listed,
    });
}
