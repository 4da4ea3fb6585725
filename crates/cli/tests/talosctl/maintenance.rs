//! A machine that nobody has configured: `--insecure`, from its public address.

use crate::desk::Desk;
use serde_json::{Value, json};

/// One call of Hetzner's API.
fn hetzner(desk: &Desk, words: &[&str]) -> Value {
    let variables = &desk.garden.variables;
    let mut command = desk.garden.command("curl");
    command.args(["-sS", "--noproxy", "*", "--cacert", &variables["SSL_CERT_FILE"], "-H"]);
    command
        .arg(format!("Authorization: Bearer {}", variables["HCLOUD_TOKEN"]))
        .args(["-H", "content-type: application/json"]);
    command.args(words);
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A server made from the cluster's image, without user data; its public address.
fn bare_machine(desk: &Desk) -> String {
    let endpoint = &desk.garden.variables["HCLOUD_ENDPOINT"];
    let images = hetzner(desk, &[&format!("{endpoint}/images?type=snapshot")]);
    let image = &images["images"][0]["id"];
    let server = json!({"name": "daisy", "server_type": "cax11", "image": image.to_string(), "location": "hel1"});
    let made = hetzner(desk, &[&format!("{endpoint}/servers"), "-d", &server.to_string()]);
    made["server"]["public_net"]["ipv4"]["ip"].as_str().unwrap().to_owned()
}

pub fn first_contact(desk: &Desk) {
    let daisy = bare_machine(desk);
    desk.until("it answers", || desk.talosctl(&format!("version --insecure -n {daisy}")).code == Some(0));
    let version = desk.says(&format!("version --insecure -n {daisy}"), &["Server:"]);
    assert_eq!(version.matches("Tag:         v1.13.9").count(), 2, "the client's and the server's: {version}");
    assert!(!version.contains("RBAC"), "roles come with a configuration: {version}");
    desk.says(&format!("get machinestatus --insecure -n {daisy}"), &["maintenance", "false"]);
    desk.says(&format!("get links --insecure -n {daisy}"), &["eth0"]);
    let denied = ["code = PermissionDenied", "not authorized"];
    desk.fails(&format!("get machineconfig --insecure -n {daisy}"), &denied);
    desk.fails(&format!("reset --insecure --wait=false -n {daisy}"), &denied);
    // The same address with a certificate that it does not know, and does not ask for.
    desk.fails(&format!("version -e {daisy} -n {daisy}"), &["code = Unavailable", "unknown authority"]);
    desk.write("words.yaml", "hello: world\n");
    desk.fails(&format!("apply-config --insecure -f words.yaml -n {daisy}"), &["code = InvalidArgument"]);

    desk.says("gen config daisy https://192.0.2.1:6443 -o daisy --force --kubernetes-version 1.36.2", &[]);
    let file = "-f daisy/controlplane.yaml --insecure";
    let wanted = ["Dry run summary:", "Applied configuration without a reboot (skipped in dry-run)."];
    desk.says(&format!("apply-config {file} -n {daisy} --dry-run"), &wanted);
    desk.says(&format!("get machinestatus --insecure -n {daisy}"), &["maintenance"]);
    desk.says(&format!("apply-config {file} -n {daisy}"), &["Applied configuration without a reboot"]);
    let own = format!("--talosconfig daisy/talosconfig -e {daisy} -n {daisy}");
    desk.until("it has a certificate", || desk.talosctl(&format!("{own} version")).code == Some(0));
    desk.says(&format!("{own} version"), &["RBAC"]);
    // A cluster of its own: it waits until it is told to begin.
    desk.says(&format!("{own} service etcd"), &["STATE    Preparing"]);
    desk.until("bootstrap is allowed", || desk.talosctl(&format!("{own} bootstrap")).code == Some(0));
    desk.until("etcd runs", || desk.talosctl(&format!("{own} service etcd")).text.contains("HEALTH   OK"));
    desk.says(&format!("{own} etcd members"), &["daisy"]);
    desk.fails(&format!("{own} bootstrap"), &["code = AlreadyExists"]);
    let id = hetzner(desk, &[&format!("{}/servers?name=daisy", desk.garden.variables["HCLOUD_ENDPOINT"])]);
    let server = format!("{}/servers/{}", desk.garden.variables["HCLOUD_ENDPOINT"], id["servers"][0]["id"]);
    hetzner(desk, &[&server, "-X", "DELETE"]);
}
