//! Streams: logs, kernel log, events, files, the admin's kubeconfig.

use super::super::boot::Boot;
use super::super::proto::common::Data;
use super::super::proto::machine as wire;
use super::super::{config, node, pki};
use super::{Answers, Api};
use base64::Engine as _;
use futures::stream::{self, StreamExt as _};
use std::io::Write as _;
use std::time::Duration;
use tonic::Status;

/// How long an admin's client certificate is good for (`cluster.adminKubeconfig.certLifetime`).
const ADMIN_VALID: Duration = Duration::from_hours(24 * 365);

impl Api {
    /// What the console shows is what the kernel log holds.
    pub(super) fn kernel_log(&self, follow: bool) -> Result<Answers<Data>, Status> {
        let id = self.boot.id;
        let read = move |state: &crate::world::State, from: usize| {
            let console = state.machines.get(&id).map(|machine| machine.console.clone()).unwrap_or_default();
            let end = console.len();
            (console.iter().skip(from).map(data).collect(), end)
        };
        self.look(|_| ())?;
        Ok(lines(&self.boot, 0, follow, read))
    }

    pub(super) fn service_log(&self, request: &wire::LogsRequest) -> Result<Answers<Data>, Status> {
        let (id, service) = (self.boot.id, request.id.clone());
        let known = self.look(|state| {
            node(state, id).and_then(|node| node.services.get(&service)).map(|service| service.log().len())
        })?;
        let Some(known) = known else {
            return Err(Status::unknown(format!("log {service:?} was not registered")));
        };
        let from = usize::try_from(request.tail_lines).map_or(0, |tail| known.saturating_sub(tail));
        let read = move |state: &crate::world::State, from: usize| {
            let log =
                node(state, id).and_then(|node| node.services.get(&service)).map(super::super::services::Service::log);
            let log = log.unwrap_or_default();
            let end = log.len();
            (log.iter().skip(from).map(data).collect(), end)
        };
        Ok(lines(&self.boot, from, request.follow, read))
    }

    /// An empty hello, then what is asked for of the past, then what comes.
    pub(super) fn event_stream(&self, request: &wire::EventsRequest) -> Result<Answers<wire::Event>, Status> {
        let id = self.boot.id;
        let tail = request.tail_events;
        let from = self.look(|state| node(state, id).map_or(0, |node| node.events.tail(tail)))?;
        let wanted_actor = request.with_actor_id.clone();
        let hello = stream::iter([Ok(wire::Event::default())]);
        let events = follow(&self.boot, from, true, move |state, from| {
            node(state, id).map_or((Vec::new(), from), |node| node.events.since(from))
        });
        let events = events.filter(move |event| {
            let fits = event.as_ref().map_or(true, |event| wanted_actor.is_empty() || event.actor_id == wanted_actor);
            std::future::ready(fits)
        });
        Ok(hello.chain(events).boxed())
    }

    pub(super) fn read_file(&self, path: &str) -> Result<Answers<Data>, Status> {
        let text = self.look(|state| {
            let node = node(state, self.boot.id)?;
            match path {
                "/proc/sys/kernel/random/boot_id" => Some(format!("{}\n", node.boot_id)),
                "/etc/hostname" => Some(format!("{}\n", node.hostname)),
                "/system/state/config.yaml" => {
                    let saved = state.talos.disks.get(&self.boot.id)?.config.clone()?;
                    String::from_utf8(saved.to_vec()).ok()
                }
                _ => None,
            }
        })?;
        let text = text.ok_or_else(|| Status::not_found(format!("stat {path}: no such file or directory")))?;
        Ok(once(text.into_bytes()))
    }

    /// A gzipped tar with one file and, as in life, no trailer.
    pub(super) fn admin_kubeconfig(&self) -> Result<Answers<Data>, Status> {
        self.needs_control_plane("kubeconfig")?;
        let complete = self.look(|state| node(state, self.boot.id).and_then(|node| node.complete().cloned()))?;
        let complete = complete.ok_or_else(|| Status::failed_precondition("kubeconfig is not available yet"))?;
        let wanted = pki::Wanted {
            common_name: "admin",
            organization: Some("system:masters"),
            names: Vec::new(),
            addresses: Vec::new(),
            server: false,
            valid: ADMIN_VALID,
        };
        let now = self.boot.world.now();
        let mut rng = self.boot.world.rng(&format!("kubeconfig {} {}", self.boot.id, now.as_second()));
        let issued = pki::issue(&complete.kube_ca, &wanted, &mut rng, now)
            .ok_or_else(|| Status::internal("the Kubernetes CA cannot issue"))?;
        let text = kubeconfig(&complete, &issued);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let packed = gzip.write_all(&tar("kubeconfig", text.as_bytes())).and_then(|()| gzip.finish());
        packed.map(once).map_err(|error| Status::internal(error.to_string()))
    }
}

fn kubeconfig(complete: &config::Complete, issued: &pki::Issued) -> String {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let block = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der.to_vec()));
    let certificate = issued.chain.first().map(|der| block("CERTIFICATE", der)).unwrap_or_default();
    let cluster = &complete.cluster_name;
    let (host, port) = &complete.endpoint;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: https://{host}:{port}\n    \
         certificate-authority-data: {}\nusers:\n- name: admin@{cluster}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- context:\n    cluster: {cluster}\n    namespace: default\n    \
         user: admin@{cluster}\n  name: admin@{cluster}\ncurrent-context: admin@{cluster}\n",
        base64(complete.kube_ca.crt.as_deref().unwrap_or_default()),
        base64(certificate.as_bytes()),
        base64(block("PRIVATE KEY", &issued.key).as_bytes()),
    )
}

/// One regular file in ustar format.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = header.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

fn data(line: &String) -> Data {
    Data { metadata: None, bytes: format!("{line}\n").into_bytes() }
}

/// A stream of one piece.
pub(super) fn once(bytes: Vec<u8>) -> Answers<Data> {
    stream::iter([Ok(Data { metadata: None, bytes })]).boxed()
}

fn lines(
    boot: &Boot,
    from: usize,
    goes_on: bool,
    read: impl Fn(&crate::world::State, usize) -> (Vec<Data>, usize) + Send + Sync + 'static,
) -> Answers<Data> {
    let read = move |state: &crate::world::State, from: u64| {
        let (found, end) = read(state, usize::try_from(from).unwrap_or(usize::MAX));
        (found, end as u64)
    };
    follow(boot, from as u64, goes_on, read)
}

/// What `read` finds from a position on, again each time the node changes if it `goes_on`. Ends when the boot does, as
/// a connection to a machine that goes down.
pub(super) fn follow<T: Send + 'static>(
    boot: &Boot,
    from: u64,
    goes_on: bool,
    read: impl Fn(&crate::world::State, u64) -> (Vec<T>, u64) + Send + Sync + 'static,
) -> Answers<T> {
    struct At<R> {
        boot: Boot,
        from: u64,
        first: bool,
        over: bool,
        read: R,
    }
    let start = At { boot: boot.clone(), from, first: true, over: false, read };
    let batches = stream::unfold(start, move |mut at| async move {
        if at.over || (!at.first && !goes_on) {
            return None;
        }
        let (from, wait) = (at.from, goes_on && !at.first);
        let found = at.boot.until(|state| {
            let (found, next) = (at.read)(state, from);
            (!wait || !found.is_empty()).then_some((found, next))
        });
        let batch = if let Some((found, next)) = found.await {
            at.from = next;
            found.into_iter().map(Ok).collect()
        } else {
            at.over = true;
            vec![Err(Status::unavailable("error reading from server: connection reset by peer"))]
        };
        at.first = false;
        Some((stream::iter(batch), at))
    });
    batches.flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tar_header_carries_its_checksum() {
        let tar = tar("kubeconfig", b"abc");
        assert_eq!(tar.len(), 1024);
        let sum: u32 = tar[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(&tar[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&tar[124..135], b"00000000003");
    }
}
