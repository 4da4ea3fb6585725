//! Streams: logs, kernel log, events, files.

use super::super::boot::Boot;
use super::super::node;
use super::super::proto::common::Data;
use super::super::proto::machine as wire;
use super::{Answers, Api};
use futures::stream::{self, StreamExt as _};
use tonic::Status;

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
            return Err(Status::not_found(format!("log {service:?} was not registered")));
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
}

fn data(line: &String) -> Data {
    Data { metadata: None, bytes: format!("{line}\n").into_bytes() }
}

/// A stream of one piece.
pub(super) fn once(bytes: Vec<u8>) -> Answers<Data> {
    stream::iter([Ok(Data { metadata: None, bytes })]).boxed()
}

/// A stream of pieces as large as Talos cuts its files into (`stream.NewChunker`).
pub(super) fn in_pieces(bytes: &[u8]) -> Answers<Data> {
    let pieces: Vec<_> = bytes.chunks(1024).map(|piece| Ok(Data { metadata: None, bytes: piece.to_vec() })).collect();
    stream::iter(pieces).boxed()
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
