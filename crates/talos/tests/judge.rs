//! Talos's own machinery (1.13.9, the newest that can be had as a Go module) judges what we render, and the Image Factory's
//! own package our schematic ids. `cargo xtask assets` makes both.
#![allow(clippy::unwrap_used, reason = "a program of tests, helpers included")]

mod example;
mod judging;

use example::Garden;
use judging::{Scratch, ask};
use talos::{Bundle, Platform, Schematic, TAILSCALE, differences, normalise, render};

/// Every configuration of the example, and of variants of it. Kubernetes is 1.36: machinery 1.13.9 knows no later one, and
/// only image tags differ.
fn configs(scratch: &Scratch) -> Vec<String> {
    let mut gardens = vec![("dns", Garden::new()), ("no-dns", Garden::without_dns())];
    let mut patched = Garden::new();
    patched.mesh.login_server = Some("https://hs.example.com".into());
    patched.cert_sans = vec!["100.64.0.7".into()];
    patched.cluster.patches.push(PATCH.into());
    gardens.push(("patched", patched));
    let mut alone = Garden::new();
    alone.cluster.nodes.retain(|name, _| name == "rose");
    gardens.push(("alone", alone));
    let mut files = Vec::new();
    for (name, mut garden) in gardens {
        garden.cluster.kubernetes = "1.36.2".parse().unwrap();
        for node in garden.cluster.nodes.keys() {
            for platform in [Platform::Hcloud, Platform::Oracle] {
                let config = render(&garden.input(node, platform)).unwrap();
                files.push(scratch.file(&format!("{name}-{node}-{}.yaml", platform.name()), config.expose()));
            }
        }
    }
    files
}

const PATCH: &str = "\
machine:
  sysctls: { vm.max_map_count: '262144' }
  certSANs: [talos.example.com]
  features: { diskQuotaSupport: false }
cluster:
  network: { podSubnets: [10.245.0.0/16] }
---
{ apiVersion: v1alpha1, kind: UserVolumeConfig, name: local, $patch: delete }
---
{ apiVersion: v1alpha1, kind: NetworkRuleConfig, name: mesh-vxlan, portSelector: { ports: [4789, 8472] }, ingress: [{ subnet: 100.64.0.0/16 }] }
---
{ apiVersion: v1alpha1, kind: TimeSyncConfig, enabled: false }
";

#[test]
fn machinery_accepts_every_configuration() {
    let Some(program) = assets::needed("machinery", "machinery on rendered configurations") else { return };
    let scratch = Scratch::new("configs");
    let files = configs(&scratch);
    for mode in ["cloud", "container"] {
        let args: Vec<&str> = ["config", mode].into_iter().chain(files.iter().map(String::as_str)).collect();
        let (said, content) = ask(&program, &args);
        assert!(content, "{said}");
        assert_eq!(said.matches("ok ").count(), files.len());
    }
}

#[test]
fn machinery_accepts_an_own_machine_with_its_disk() {
    let Some(program) = assets::needed("machinery", "machinery on an own machine's configuration") else { return };
    let scratch = Scratch::new("metal");
    let mut garden = Garden::new();
    garden.cluster.kubernetes = "1.36.2".parse().unwrap();
    garden.installer = Some("factory.talos.dev/metal-installer/abc:v1.13.9".into());
    garden.cluster.nodes.get_mut("lily").unwrap().patches.push("machine: {install: {disk: /dev/sda}}".into());
    let config = render(&garden.input("lily", Platform::Metal)).unwrap();
    let (said, content) = ask(&program, &["config", "metal", &scratch.file("lily.yaml", config.expose())]);
    assert!(content, "{said}");
}

#[test]
fn the_judge_does_refuse() {
    let Some(program) = assets::needed("machinery", "machinery on a broken configuration") else { return };
    let scratch = Scratch::new("broken");
    let mut garden = Garden::new();
    garden.cluster.kubernetes = "1.36.2".parse().unwrap();
    let config = render(&garden.input("rose", Platform::Hcloud)).unwrap();
    for (name, broken) in [
        ("unknown-key", config.expose().replace("certSANs", "certSANS")),
        ("bad-rule", config.expose().replace("action: blackhole", "action: swallow")),
    ] {
        let (said, content) = ask(&program, &["config", "cloud", &scratch.file(name, &broken)]);
        assert!(!content && said.contains("bad "), "{said}");
    }
}

#[test]
fn machinery_patches_as_we_do() {
    let Some(program) = assets::needed("machinery", "machinery's strategic merge") else { return };
    let scratch = Scratch::new("patch");
    let mut garden = Garden::new();
    garden.cluster.kubernetes = "1.36.2".parse().unwrap();
    let plain = render(&garden.input("rose", Platform::Hcloud)).unwrap();
    let admission = "
cluster:
  apiServer:
    admissionControl:
      - { name: PodSecurity, configuration: { exemptions: { namespaces: [openebs] } } }
    extraArgs: { v: '4' }
    auditPolicy: { apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{ level: None }] }
  etcd: { advertisedSubnets: { $patch: delete } }
";
    for (at, patch) in [PATCH, admission].into_iter().enumerate() {
        let files = [scratch.file("plain.yaml", plain.expose()), scratch.file(&format!("{at}.yaml"), patch)];
        let (theirs, content) = ask(&program, &["patch", &files[0], &files[1]]);
        assert!(content, "{theirs}");
        let mut patched = Garden::new();
        patched.cluster.kubernetes = garden.cluster.kubernetes;
        patched.cluster.patches.push(patch.into());
        let ours = render(&patched.input("rose", Platform::Hcloud)).unwrap();
        let [ours, theirs] = [ours.expose(), &theirs].map(|config| normalise(config).unwrap());
        assert_eq!(differences(&ours, &theirs), [""; 0]);
    }
}

#[test]
fn machinery_uses_our_bundle_and_we_use_its() {
    let Some(program) = assets::needed("machinery", "machinery on secrets bundles") else { return };
    let scratch = Scratch::new("bundle");
    let ours = scratch.file("ours.yaml", example::bundle().to_talsecret_yaml().expose());
    let (said, content) = ask(&program, &["bundle", &ours]);
    assert!(content, "{said}");

    let (theirs, content) = ask(&program, &["new-bundle"]);
    assert!(content, "{theirs}");
    let mut garden = Garden::new();
    garden.bundle = Bundle::from_talsecret_yaml(&theirs).unwrap();
    let exported: serde_json::Value = serde_saphyr::from_str(garden.bundle.to_talsecret_yaml().expose()).unwrap();
    assert_eq!(exported, serde_saphyr::from_str::<serde_json::Value>(&theirs).unwrap());
    garden.cluster.kubernetes = "1.36.2".parse().unwrap();
    let config = render(&garden.input("rose", Platform::Hcloud)).unwrap();
    let (said, content) = ask(&program, &["config", "cloud", &scratch.file("rose.yaml", config.expose())]);
    assert!(content, "{said}");
    let mut rng = wire::Rng::seeded(1);
    let year = std::time::Duration::from_hours(8760);
    assert!(talos::talos_client(&garden.bundle, talos::Role::Admin, example::now(), year, &mut rng).is_ok());
    assert!(talos::kubernetes_admin(&garden.bundle, example::now(), year, &mut rng).is_ok());
}

#[test]
fn the_factory_s_package_computes_our_ids() {
    let Some(program) = assets::needed("schematic", "schematic ids") else { return };
    let scratch = Scratch::new("schematic");
    let arguments = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (at, kernel_args) in [
        &[][..],
        &["net.ifnames=0", "console=ttyS0,115200"],
        &["-console", "talos.config=https://x/?a=b&c=#d", "quiet"],
    ]
    .into_iter()
    .enumerate()
    {
        let schematic = Schematic { kernel_args: arguments(kernel_args), ..Schematic::new([TAILSCALE]) };
        let (theirs, content) = ask(&program, &[&scratch.file(&at.to_string(), &schematic.canonical())]);
        assert!(content, "{theirs}");
        assert_eq!(theirs.trim(), schematic.id(), "{}", schematic.canonical());
    }
}
