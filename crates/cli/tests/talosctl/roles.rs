//! What lesser certificates may do. They are made by the control plane itself, as `talosctl config new` asks it to.

use crate::desk::Desk;

const DENIED: &[&str] = &["code = PermissionDenied", "not authorized"];

/// A talosconfig of a role; the words that use it.
fn config(desk: &Desk, role: &str) -> String {
    let file = format!("{}.yaml", role.replace(':', "-"));
    let _ = std::fs::remove_file(desk.garden.home().join(&file));
    desk.says(&format!("config new --roles {role} {file} -n @rose"), &[]);
    desk.says(&format!("config info --talosconfig {file}"), &[&format!("Roles:               {role}")]);
    format!("--talosconfig {file} -e @rose")
}

pub fn roles(desk: &Desk) {
    let reader = config(desk, "os:reader");
    for words in [
        "version -n @rose",
        "services -n @lily",
        "get members -n @lily",
        "etcd members -n @rose",
        "dmesg -n @lily",
        "logs kubelet -n @lily",
        "health -n @rose --control-plane-nodes @rose --worker-nodes @lily",
    ] {
        desk.says(&format!("{reader} {words}"), &[]);
    }
    for words in [
        "get machineconfig -n @lily",
        "get kubeletspec -n @rose",
        "reset -n @lily --wait=false --graceful=false",
        "reboot -n @lily --wait=false",
        "service kubelet restart -n @lily",
        "read /etc/hostname -n @rose",
        "kubeconfig k.yaml -n @rose --merge=false",
        "apply-config -f bouquet.yaml -n @lily",
        "bootstrap -n @rose",
        "config new other.yaml -n @rose",
        "etcd defrag -n @rose",
        "rollback -n @lily",
    ] {
        desk.fails(&format!("{reader} {words}"), DENIED);
    }
    let operator = config(desk, "os:operator");
    desk.says(&format!("{operator} service kubelet restart -n @lily"), &["restarted"]);
    desk.says(&format!("{operator} etcd snapshot operator.db -n @rose"), &["snapshot info"]);
    desk.says(&format!("{operator} etcd defrag -n @rose"), &[]);
    for words in
        ["reset -n @lily --wait=false", "kubeconfig k.yaml -n @rose --merge=false", "get machineconfig -n @rose"]
    {
        desk.fails(&format!("{operator} {words}"), DENIED);
    }
    let backup = config(desk, "os:etcd:backup");
    desk.says(&format!("{backup} etcd snapshot backup.db -n @rose"), &["snapshot info"]);
    desk.says(&format!("{backup} etcd status -n @rose"), &["DB SIZE"]);
    desk.fails(&format!("{backup} services -n @rose"), DENIED);
    // A certificate of another authority, and none at all.
    desk.says("gen secrets -o stranger.yaml --force", &[]);
    desk.says(
        "gen config stranger https://192.0.2.1:6443 --with-secrets stranger.yaml -o stranger -t talosconfig --force",
        &[],
    );
    desk.fails("--talosconfig stranger -e @rose version -n @rose", &["code = Unavailable", "tls"]);
}
