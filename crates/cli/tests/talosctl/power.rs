//! What begins, restarts, renews and ends nodes.

use crate::desk::Desk;

/// The tailscale extension alone: what the product has had made for this cluster.
const SCHEMATIC: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
const BOOT_ID: &str = "read /proc/sys/kernel/random/boot_id";

pub fn bootstraps(desk: &Desk) {
    desk.fails("bootstrap -n @rose", &["code = AlreadyExists", "etcd data directory is not empty"]);
    desk.fails("bootstrap -n @lily", &["code = Unimplemented", "bootstrap is only available on control plane nodes"]);
    desk.fails("bootstrap -n @rose,@lily", &[]);
}

/// Without waiting, for worlds that are too fast for talosctl's own tracker.
pub fn boot_ids(desk: &Desk) {
    let before = desk.says(&format!("{BOOT_ID} -n @lily"), &["-"]);
    desk.says("reboot -n @lily --wait=false", &[]);
    desk.until("the boot id changes", || {
        let said = desk.talosctl(&format!("{BOOT_ID} -n @lily"));
        said.code == Some(0) && said.text != before
    });
}

pub fn reboots(desk: &Desk) {
    let before = desk.says(&format!("{BOOT_ID} -n @lily"), &["-"]);
    let wanted = ["actor ID", "sequence: reboot action: START", "events check condition met", "post check passed"];
    desk.says("reboot -n @lily --timeout 1m", &wanted);
    assert_ne!(desk.says(&format!("{BOOT_ID} -n @lily"), &["-"]), before);
    // The control plane is the endpoint too: the way to both goes while they do.
    let said = desk.says("reboot -n @rose,@lily --timeout 1m", &["unavailable, retrying..."]);
    assert_eq!(said.matches("post check passed").count(), 2, "{said}");
    desk.says("health -n @rose --control-plane-nodes @rose --worker-nodes @lily", &["schedulable: OK"]);
    // A configuration that waited for a reboot has had it; one that needs one gets it.
    desk.keep_config("@lily", "lily.yaml");
    let patch = "{\"machine\":{\"env\":{\"MARK\":\"set\"}}}";
    desk.run(&["machineconfig", "patch", "lily.yaml", "--patch", patch, "-o", "env.yaml"]);
    desk.says("apply-config -f env.yaml -n @lily --mode staged", &["Staged"]);
    desk.says("reboot -n @lily --timeout 1m", &["post check passed"]);
    assert!(desk.keep_config("@lily", "lily.yaml").contains("MARK"));
    desk.run(&["machineconfig", "patch", "lily.yaml", "--patch", &patch.replace("MARK", "OTHER"), "-o", "env.yaml"]);
    let wanted = ["Applied configuration with a reboot: this config change can't be applied in immediate mode"];
    desk.says("apply-config -f env.yaml -n @lily --mode auto", &wanted);
    desk.until("the node is back with it", || {
        desk.talosctl("get machineconfig v1alpha1 -n @lily -o jsonpath={.spec}").text.contains("OTHER")
    });
}

/// With a drain: talosctl takes the kubeconfig of the node and goes to the Kubernetes API by its name.
pub fn drained_upgrade(desk: &Desk) {
    let image = format!("factory.talos.dev/hcloud-installer/{SCHEMATIC}:v1.13.10");
    let wanted = ["upgrade completed", "cordon", "post check passed", "uncordon"];
    let said = desk.says(&format!("upgrade -n @rose -i {image} --timeout 1m"), &wanted);
    assert!(said.contains("drain"), "{said}");
    desk.says("version -n @rose", &["Tag:         v1.13.10"]);
}

/// Refused before anything changes.
pub fn bad_upgrades(desk: &Desk) {
    let image = "factory.talos.dev/hcloud-installer/nosuch:v1.13.10";
    let wanted = ["error pulling upgrade image", "code = NotFound", "failed to resolve image"];
    desk.fails(&format!("upgrade -n @lily --drain=false -i {image}"), &wanted);
}

pub fn upgrades(desk: &Desk) {
    bad_upgrades(desk);
    let image = format!("factory.talos.dev/hcloud-installer/{SCHEMATIC}:v1.13.10");
    let wanted = ["Exit code: 0", "upgrade completed", "events check condition met", "post check passed"];
    desk.says(&format!("upgrade -n @lily --drain=false -i {image} --timeout 1m"), &wanted);
    desk.says("version -n @lily", &["Tag:         v1.13.10"]);
    let status = desk.status();
    let lily = status["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "lily").unwrap();
    assert_eq!(lily["talos"], "1.13.10");
    desk.says("rollback -n @lily", &[]);
    desk.until("the system before it is back", || {
        desk.talosctl("version -n @lily").text.contains("v1.13.9\n\tSHA:         5")
    });
}

pub fn resets(desk: &Desk) {
    desk.fails("reset -n @lily --system-labels-to-wipe NOSUCH", &["failed to get volume status with label \"NOSUCH\""]);
    // Without its STATE the node gets its first configuration again; EPHEMERAL keeps its place on the mesh.
    let wanted = ["actor ID", "events check condition met", "post check passed"];
    desk.says("reset -n @lily --system-labels-to-wipe STATE --reboot --timeout 1m", &wanted);
    desk.until("the node is back", || desk.talosctl("version -n @lily").code == Some(0));
    assert!(!desk.keep_config("@lily", "lily.yaml").contains("OTHER"), "the patches went with STATE");
    desk.says("reset -n @lily --timeout 1m", &["actor ID", "events check condition met"]);
    desk.until("it is gone", || desk.talosctl("version -n @lily").code == Some(1));
}
