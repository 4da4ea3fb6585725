use crate::EXAMPLES;
use spec::{Cluster, Lock, LockedImage, Severity};

fn cluster() -> Cluster {
    spec::read(EXAMPLES[0].1).cluster.unwrap()
}

fn lock() -> Lock {
    let schematic = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    let image = |platform: &str| LockedImage {
        schematic: schematic.into(),
        image: format!("image/{schematic}/v1.14.6/{platform}.raw.xz"),
        installer: format!("factory.talos.dev/installer/{schematic}:v1.14.6"),
        checksum: None,
    };
    Lock {
        talos: spec::DEFAULT_TALOS,
        kubernetes: spec::DEFAULT_KUBERNETES,
        extensions: ["siderolabs/tailscale".to_owned()].into(),
        images: [
            ("hcloud/arm64".to_owned(), image("hcloud-arm64")),
            ("oracle/arm64".to_owned(), LockedImage { checksum: Some("sha256:00".into()), ..image("oracle-arm64") }),
        ]
        .into(),
    }
}

#[test]
fn a_lock_reads_back_and_writes_the_same_bytes() {
    let empty = Lock { extensions: [].into(), images: [].into(), ..lock() };
    for lock in [lock(), empty] {
        let text = lock.write();
        assert_eq!(Lock::read(&text).unwrap(), lock);
        assert_eq!(Lock::read(&text).unwrap().write(), text);
    }
    insta::assert_snapshot!(lock().write());
}

#[test]
fn a_schematic_that_looks_like_a_number_stays_text() {
    let mut lock = lock();
    for image in lock.images.values_mut() {
        image.schematic = "1e10".to_owned();
        image.image = "~ # \"quoted\"\n".to_owned();
    }
    assert_eq!(Lock::read(&lock.write()).unwrap(), lock);
}

#[test]
fn a_lock_that_fits_the_file_is_current() {
    assert_eq!(lock().staleness(&cluster()), Vec::<String>::new());
}

#[test]
fn a_stale_lock_says_what_no_longer_fits() {
    let text = EXAMPLES[0].1.replace("1.14.6", "1.14.5").replace("1.37.1", "1.36.2").replace("cax21", "cpx22");
    let cluster = spec::read(
        &text
            .replace("oci/eu-frankfurt-1/VM.Standard.A1.Flex", "address/203.0.113.7")
            .replace(", cpus: 4, memory: 24GiB, disk: 200GiB", ""),
    );
    let mut lock = lock();
    lock.images.get_mut("hcloud/arm64").unwrap().installer.push('x');
    lock.images.insert("metal/amd64".into(), lock.images["oracle/arm64"].clone());
    insta::assert_snapshot!(lock.staleness(&cluster.cluster.unwrap()).join("\n"));
}

#[test]
fn a_lock_that_cannot_be_read_is_refused_with_its_place() {
    let text = lock().write();
    for (before, after) in [
        ("format: 1", "format: 2"),
        ("talos: 1.14.6", "talos: newest"),
        ("kubernetes", "kubernets"),
        ("images:", "images: ["),
        ("extensions:", "talos:"),
    ] {
        let text = text.replacen(before, after, 1);
        let fault = Lock::read(&text).unwrap_err();
        assert_eq!((fault.code, fault.severity), ("BQ0129", Severity::Error), "{after}");
        assert!(fault.span.is_none_or(|span| text.get(span).is_some()));
    }
    assert!(Lock::read("").is_err());
}
