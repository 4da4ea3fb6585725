use super::*;
use crate::factory::{self, DiskImage};
use crate::machine::{Arch, Firmware, Machine};
use crate::world::{Greenhouse, Options};
use jiff::Timestamp;
use russh::client;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{ChannelMsg, client::Handle};
use wire::{Rng, Target, Time};

const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
const ID: MachineId = 7;

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// A world with one machine that is about to boot into rescue.
fn armed(faults: &[&str]) -> Greenhouse {
    let options = Options { faults: faults.iter().map(|rule| (*rule).to_owned()).collect(), ..Options::default() };
    let greenhouse = Greenhouse::new(&options, Time::starting_at(Timestamp::UNIX_EPOCH, Rng::seeded(1))).unwrap();
    let machine = Machine {
        vendor: "none",
        name: "builder".into(),
        vendor_id: "1".into(),
        arch: Arch::Arm64,
        firmware: Firmware::Uefi,
        cores: 2,
        memory_mib: 4096,
        disk_gib: 40,
        region: "fsn1".into(),
        public: vec!["49.12.0.9".parse().unwrap()],
        private: None,
        user_data: None,
        disk: Bytes::from(vec![7; 2 << 20]),
        rescue: Some(Armed {
            authorized_keys: vec![key(1).public_key().to_openssh().unwrap()],
            root_password: "sesame".into(),
        }),
        power: false,
        boot: 0,
        os: Os::Off,
        console: Vec::new(),
    };
    greenhouse.world.with(|state| state.machines.insert(ID, machine));
    machine::power_on(&greenhouse.world, ID);
    greenhouse
}

async fn connect(greenhouse: &Greenhouse) -> Handle<Trusting> {
    loop {
        if let Ok(stream) = greenhouse.wire().open(&Target::plain("49.12.0.9", 22)).await {
            return client::connect_stream(Arc::default(), stream, Trusting).await.unwrap();
        }
        greenhouse.world.delay(Duration::from_secs(2)).await;
    }
}

async fn root(greenhouse: &Greenhouse) -> Handle<Trusting> {
    let mut session = connect(greenhouse).await;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key(1)), None);
    assert!(session.authenticate_publickey("root", key).await.unwrap().success());
    session
}

/// Exit status, stdout, stderr.
async fn run(session: &Handle<Trusting>, command: &str, stdin: &[u8]) -> (Option<u32>, String, String) {
    let mut channel = session.channel_open_session().await.unwrap();
    channel.exec(true, command).await.unwrap();
    channel.data(stdin).await.unwrap();
    channel.eof().await.unwrap();
    let (mut status, mut out, mut err) = (None, Vec::new(), Vec::new());
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => out.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => err.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn on_disk(greenhouse: &Greenhouse) -> Option<DiskImage> {
    greenhouse.world.with(|state| DiskImage::on(&state.machines[&ID].disk))
}

#[tokio::test(start_paused = true)]
async fn an_image_fetched_unpacked_and_written_is_on_the_disk() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    let url = format!("https://factory.talos.dev/image/{VANILLA}/v1.14.6/hcloud-arm64.raw.xz");
    assert_eq!(run(&session, "blkdiscard /dev/sda", b"").await.0, Some(0));
    let began = greenhouse.world.now();
    let script = format!("set -euo pipefail; wget -qO- '{url}' | xz -dc | dd of=/dev/sda bs=4M conv=sparse && sync");
    let (status, _, err) = run(&session, &script, b"").await;
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("1048576 bytes (1.0 MB, 1.0 MiB) copied"), "{err}");
    let took_s = greenhouse.world.now().duration_since(began).as_secs();
    assert!((20..80).contains(&took_s), "{took_s} s");
    assert_eq!(on_disk(&greenhouse).unwrap().arch, Arch::Arm64);
}

#[tokio::test(start_paused = true)]
async fn an_image_streamed_by_the_client_is_on_the_disk() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    let image = greenhouse.world.with(|state| factory::prebuilt(state, &[], "1.14.6", "hcloud", Arch::Arm64)).unwrap();
    let packed = factory::Format::RawZst.pack(&DiskImage::on(&image).unwrap());
    let (status, out, err) = run(&session, "zstd -dc | dd of=/dev/sda bs=1M status=progress", &packed).await;
    assert_eq!((status, out.as_str()), (Some(0), ""));
    assert!(err.matches('\r').count() >= 19, "a line of progress each second: {err:?}");
    assert!(on_disk(&greenhouse).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_broken_pipeline_fails_only_with_pipefail() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    let writer = "curl -sSfL https://factory.talos.dev/image/nope/v1/x-arm64.raw.xz | xz -dc | dd of=/dev/sda";
    let (status, _, err) = run(&session, writer, b"").await;
    assert_eq!(status, Some(0), "bash answers with dd's status");
    assert!(err.contains("curl: (22) The requested URL returned error: 404"), "{err}");
    assert_eq!(run(&session, &format!("set -o pipefail && {writer}"), b"").await.0, Some(1));
    assert_eq!(run(&session, "wget -qO- https://nowhere.invalid/ | cat", b"").await.0, Some(0));
    assert_eq!(run(&session, "wget -q https://nowhere.invalid/x", b"").await.0, Some(4));
}

#[tokio::test(start_paused = true)]
async fn the_shell_is_bash_enough() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    for (script, status, out) in [
        ("echo a b; echo \"$(uname -m)\"", 0, "a b\naarch64\n"),
        ("false || echo rescued && echo on", 0, "rescued\non\n"),
        ("false; echo $?", 0, "1\n"),
        ("set -e; false; echo never", 1, ""),
        ("set -e; false || true; echo still", 0, "still\n"),
        ("X='1 2'; printf '%s-' $X; echo \"$X\"", 0, "1-2-1 2\n"),
        ("echo hidden >/dev/null; echo err 2>&1 1>/dev/null", 0, ""),
        ("nonsense 2>&1 | head -c 4", 0, "bash"),
        ("nonsense", 127, ""),
        ("if true; then echo; fi", 2, ""),
        ("echo one >/tmp/x; echo two >>/tmp/x; cat /tmp/x | wc -l", 0, "2\n"),
        ("[ -b /dev/sda ] && ! [ -e /dev/sdb ] && exit 3", 3, ""),
        ("bash -c 'set -e; exit 4; echo no'; echo $?", 0, "4\n"),
        ("lsblk -bdno SIZE /dev/sda", 0, "42949672960\n"),
        ("head -c 3 /dev/sda | sha256sum | head -c 8", 0, "6a7dc6f4"),
        ("cat", 0, "given"),
        ("command -v wget xz && command -v nothing", 1, "/usr/bin/wget\n/usr/bin/xz\n"),
    ] {
        let (found, said, _) = run(&session, script, b"given").await;
        assert_eq!((found, said.as_str()), (Some(status), out), "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn sshd_is_first_silent_then_refused_then_there() {
    let greenhouse = armed(&["hetzner rescue-refused=300 for builder"]);
    let target = Target::plain("49.12.0.9", 22);
    let early = greenhouse.wire().open(&target).await.err();
    assert!(matches!(early, Some(wire::Error::TimedOut(_))), "{early:?}");
    greenhouse.world.delay(Duration::from_mins(1)).await;
    let later = greenhouse.wire().open(&target).await.err();
    assert!(matches!(later, Some(wire::Error::Refused(_))), "{later:?}");
    greenhouse.world.delay(Duration::from_mins(5)).await;
    assert!(greenhouse.wire().open(&target).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_the_armed_keys_and_the_password_let_root_in() {
    let greenhouse = armed(&[]);
    let mut session = connect(&greenhouse).await;
    let stranger = PrivateKeyWithHashAlg::new(Arc::new(key(2)), None);
    assert!(!session.authenticate_publickey("root", stranger).await.unwrap().success());
    assert!(!session.authenticate_password("root", "wrong").await.unwrap().success());
    assert!(session.authenticate_password("root", "sesame").await.unwrap().success());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_dies_while_writing_has_half_an_image_and_no_session() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    let image = greenhouse.world.with(|state| factory::prebuilt(state, &[], "1.14.6", "hcloud", Arch::Arm64)).unwrap();
    let world = greenhouse.world.clone();
    greenhouse.world.spawn(async move {
        world.delay(Duration::from_millis(1_500)).await;
        machine::power_off(&world, ID);
    });
    let (status, ..) = run(&session, "dd of=/dev/sda", &image).await;
    assert_eq!(status, None, "the session broke off");
    assert!(on_disk(&greenhouse).is_none());
}

#[tokio::test(start_paused = true)]
async fn poweroff_ends_the_rescue_system_and_the_next_boot_is_the_disks() {
    let greenhouse = armed(&[]);
    let session = root(&greenhouse).await;
    assert_eq!(run(&session, "shutdown -h now", b"").await.0, Some(0));
    greenhouse.world.delay(Duration::from_secs(10)).await;
    let (power, armed) =
        greenhouse.world.with(|state| (state.machines[&ID].power, state.machines[&ID].rescue.is_some()));
    assert!(!power && !armed);
}
