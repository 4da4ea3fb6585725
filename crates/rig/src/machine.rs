//! The rig's machines, and which address is whose. All of it is fixed: addresses exist only inside of namespaces.

use std::fmt::Write as _;

/// The switch's own address in the wide area: the mesh's coordination server is there, and nobody else unless it is put there.
pub const SWITCH_ADDRESS: &str = "198.51.100.254";
/// All pods of the cluster.
pub(crate) const POD_CIDR: &str = "10.244.0.0/16";
/// All Services of the cluster.
pub(crate) const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The API, as pods see it.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
/// The resolver, as pods see it.
pub(crate) const DNS_SERVICE: &str = "10.96.0.10";
/// What Tailscale's device carries (1280 bytes) less a VXLAN header.
pub(crate) const POD_MTU: u16 = 1230;

/// The switch's namespace: the wide area, with the mesh's coordination server in it.
pub(crate) const SWITCH: &str = "switch";
/// The namespace of somebody on the internet: in the wide area, not in the mesh.
pub(crate) const CLIENT: &str = "client";
const CLIENT_ADDRESS: &str = "198.51.100.100";

/// A machine of the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name, as Kubernetes, Tailscale and its namespace call it.
    pub name: &'static str,
    ordinal: u8,
}

impl Machine {
    /// Its address in the wide area.
    pub fn public(self) -> String {
        format!("198.51.100.{}", self.ordinal)
    }

    /// Its address in the mesh: headscale gives them in the order in which machines join.
    pub fn mesh(self) -> String {
        format!("100.64.0.{}", self.ordinal)
    }

    /// The pods that run on it.
    pub(crate) fn pods(self) -> String {
        format!("10.244.{}.0/24", self.ordinal)
    }

    /// Its end of the pod network, in flannel's manner the first address of its pods.
    fn tunnel(self) -> String {
        format!("10.244.{}.0", self.ordinal)
    }

    fn tunnel_mac(self) -> String {
        format!("0e:64:00:00:00:{:02x}", self.ordinal)
    }

    /// The switch's end of its cable.
    pub(crate) fn port(self) -> String {
        format!("w-{}", self.name)
    }
}

/// The machine that the control plane runs on.
pub const ROSE: Machine = Machine { name: "rose", ordinal: 1 };
/// A worker.
pub const LILY: Machine = Machine { name: "lily", ordinal: 2 };
/// Another worker.
pub const TULIP: Machine = Machine { name: "tulip", ordinal: 3 };
/// All of them, in the order in which they join the mesh.
pub const MACHINES: [Machine; 3] = [ROSE, LILY, TULIP];

/// The wide area: a bridge in the switch's namespace, as lines for `ip -batch`.
pub(crate) fn switch_links() -> String {
    format!(
        "link set lo up\nlink add wan type bridge\nlink set wan up\naddress add {SWITCH_ADDRESS}/24 dev wan\n{}",
        cable(CLIENT, "w-client")
    )
}

/// In the switch's namespace: a cable into another one, where its end is called `eth0`.
pub(crate) fn cable(namespace: &str, port: &str) -> String {
    format!(
        "link add {port} type veth peer name eth0 netns {namespace}\nlink set {port} master wan\nlink set {port} up\n"
    )
}

/// In a machine's or the client's namespace: its address in the wide area.
pub(crate) fn uplink(address: &str) -> String {
    format!(
        "link set lo up\nlink set eth0 up\naddress add {address}/24 dev eth0\nroute add default via {SWITCH_ADDRESS}\n"
    )
}

pub(crate) fn client_links() -> String {
    uplink(CLIENT_ADDRESS)
}

/// In a machine's namespace, once it is in the mesh: the pod network, laid as flannel's VXLAN backend lays it.
pub(crate) fn pod_links(machine: Machine) -> String {
    let mut lines = format!(
        "link add flannel.1 type vxlan id 1 dev tailscale0 local {} dstport 8472 nolearning\n\
         link set flannel.1 address {} mtu {POD_MTU} up\n\
         address add {}/32 dev flannel.1\n",
        machine.mesh(),
        machine.tunnel_mac(),
        machine.tunnel(),
    );
    for other in MACHINES.into_iter().filter(|other| *other != machine) {
        let (tunnel, mac, pods) = (other.tunnel(), other.tunnel_mac(), other.pods());
        let _ = writeln!(lines, "neighbour add {tunnel} lladdr {mac} dev flannel.1 nud permanent");
        let _ = writeln!(lines, "route add {pods} via {tunnel} dev flannel.1 onlink");
    }
    lines
}

/// Who answers for which tunnel address, as lines for `bridge -batch`.
pub(crate) fn pod_forwarding(machine: Machine) -> String {
    let mut lines = String::new();
    for other in MACHINES.into_iter().filter(|other| *other != machine) {
        let _ = writeln!(lines, "fdb add {} dev flannel.1 dst {} self permanent", other.tunnel_mac(), other.mesh());
    }
    lines
}

/// Pods leave the cluster under their machine's address, and speak to each other under their own: flannel's rules, as input
/// for `iptables-restore`.
pub(crate) fn pod_masquerade() -> String {
    format!(
        "*nat\n:FLANNEL-POSTRTG - [0:0]\n\
         -A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG\n\
         -A FLANNEL-POSTRTG -s {POD_CIDR} -d {POD_CIDR} -j RETURN\n\
         -A FLANNEL-POSTRTG -s {POD_CIDR} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully\n\
         -A FLANNEL-POSTRTG ! -s {POD_CIDR} -d {POD_CIDR} -j MASQUERADE --random-fully\n\
         COMMIT\n\
         *filter\n:FLANNEL-FWD - [0:0]\n\
         -A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD\n\
         -A FLANNEL-FWD -s {POD_CIDR} -j ACCEPT\n-A FLANNEL-FWD -d {POD_CIDR} -j ACCEPT\nCOMMIT\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_knows_the_way_to_the_pods_of_the_others() {
        for machine in MACHINES {
            let (links, forwarding) = (pod_links(machine), pod_forwarding(machine));
            for other in MACHINES {
                assert_eq!(links.contains(&format!("route add {}", other.pods())), other != machine);
                assert_eq!(forwarding.contains(&format!("dst {} ", other.mesh())), other != machine);
            }
        }
    }
}
