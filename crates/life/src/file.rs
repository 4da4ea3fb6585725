use std::fmt::Write;

/// The mission's cluster.
pub const MISSION: &str = include_str!("../../../examples/bouquet.yaml");

/// Its control plane alone, without DNS and with nothing in it: the smallest cluster there is.
pub const ROSE: &str = "cluster: bouquet
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
";

/// A cluster of this many Hetzner nodes: one control plane, the rest workers, with nothing in it.
pub fn nodes(count: usize) -> String {
    let mut text = String::from(
        "cluster: bouquet\ningress: none\nnodes:\n  rose: { role: control-plane, on: hetzner/hel1/cax11 }\n",
    );
    for number in 1..count {
        let _ = writeln!(text, "  lily{number}: {{ role: worker, on: hetzner/fsn1/cax21 }}");
    }
    text
}

/// A cluster of three Hetzner control planes and no workers.
pub const TRIO: &str = "cluster: bouquet
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  iris: { role: control-plane, on: hetzner/fsn1/cax11 }
  fern: { role: control-plane, on: hetzner/nbg1/cax11 }
";

/// A control plane at OCI, whose configuration is pushed rather than put where any reader of the instance sees it.
pub const TULIP: &str = "cluster: bouquet
ingress: none
nodes:
  tulip: { role: control-plane, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 4, memory: 24GiB, disk: 200GiB }
";
