//! A server as the API shows it.

use super::catalogue;
use super::servers::Server;
use super::stamp;
use crate::world::State as Everything;
use serde_json::{Value, json};

pub(super) fn server(state: &Everything, server: &Server) -> Value {
    let firewalls: Vec<Value> = server.firewalls.iter().map(|id| json!({"id": id, "status": "applied"})).collect();
    let image = server.image.and_then(|id| state.hetzner.images.get(&id)).map(super::images::Image::json);
    let ipv4 = server.ipv4.map(|ip| {
        json!({"id": server.id * 10 + 1, "ip": ip.to_string(), "blocked": false,
            "dns_ptr": format!("static.{}.clients.your-server.de", ip.to_string().replace('.', "-"))})
    });
    let ipv6 = server
        .ipv6
        .map(|net| json!({"id": server.id * 10 + 2, "ip": format!("{net}/64"), "blocked": false, "dns_ptr": []}));
    let disk_gib = if state.lies.contains("hetzner-size-as-text") {
        json!(server.kind.disk_gib.to_string())
    } else {
        json!(server.kind.disk_gib)
    };
    json!({
        "id": server.id, "name": server.name, "status": server.status, "created": stamp(server.created),
        "public_net": {"ipv4": ipv4, "ipv6": ipv6, "floating_ips": [], "firewalls": firewalls},
        "private_net": [], "server_type": server.kind.json(), "location": catalogue::location(server.location),
        "image": image, "iso": null, "rescue_enabled": server.rescue.is_some(), "locked": server.locked,
        "backup_window": null, "outgoing_traffic": 0, "ingoing_traffic": 0, "included_traffic": 21_990_232_555_520_u64,
        "protection": {"delete": false, "rebuild": false}, "labels": server.labels, "volumes": [],
        "load_balancers": [], "primary_disk_size": disk_gib, "placement_group": null,
    })
}

/// The addresses that came with a server.
pub(super) fn primary_ips(server: &Server) -> Vec<Value> {
    let one = |number: u64, kind: &str, ip: String| {
        json!({
            "id": server.id * 10 + number, "name": format!("primary_ip-{}", server.id * 10 + number), "ip": ip, "type": kind,
            "assignee_id": server.id, "assignee_type": "server", "auto_delete": true, "blocked": false, "dns_ptr": [],
            "labels": {}, "protection": {"delete": false}, "created": stamp(server.created),
            "location": catalogue::location(server.location),
        })
    };
    let ipv4 = server.ipv4.map(|ip| one(1, "ipv4", ip.to_string()));
    let ipv6 = server.ipv6.map(|net| one(2, "ipv6", format!("{net}/64")));
    ipv4.into_iter().chain(ipv6).collect()
}
