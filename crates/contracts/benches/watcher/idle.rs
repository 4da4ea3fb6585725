//! What one replica costs that has nothing to do.

use crate::field::{Field, LIMIT};
use crate::zone::ZONE;
use serde_json::json;
use std::time::Duration;

const NODES: usize = 20;
const HOSTS: usize = 100;
const REST: Duration = Duration::from_mins(2);

pub async fn run() {
    let Some(field) = Field::new(NODES).await else { return };
    for number in 0..HOSTS {
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": format!("shop-{number}"), "namespace": "shop"},
            "spec": {"ingressClassName": "traefik", "rules": [{"host": format!("shop-{number}.{ZONE}")}],
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
        field.stage.hand.apply(&object).await;
    }
    let pods = field.start_watchers("default").await;
    let whole = async || field.zone.holding("CNAME", &format!("lb.{ZONE}")) == HOSTS;
    field.stage.until("everything is published", LIMIT, whole).await;
    field.until_serving(NODES).await;
    tokio::time::sleep(REST).await;
    for (number, pod) in pods.iter().enumerate() {
        let mib = |line: &str| pod.memory_kib(line).unwrap_or_default() / 1024;
        println!(
            "replica {number}: {} MiB now, {} MiB at the peak; {NODES} nodes, {HOSTS} hosts",
            mib("VmRSS"),
            mib("VmHWM")
        );
    }
}
