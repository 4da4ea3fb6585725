//! What was asked of the vendors and nodes.

use serde::Serialize;

/// One call that reached somebody. Bodies and headers, where secrets are, are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Position in the journal, from 0.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Who was asked: `hetzner`, `oci`, `rose:50000`, …
    pub to: String,
    /// HTTP method; `POST` for gRPC.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// HTTP status of the answer; 0 if there was none.
    pub status: u16,
}

impl Entry {
    /// Whether the call is one that changes something: not GET or HEAD, and not a gRPC read.
    pub fn is_mutating(&self) -> bool {
        is_mutating(&self.method, &self.path)
    }
}

/// gRPC methods of Talos that change something; every other one reads.
const GRPC_WRITES: &[&str] = &[
    "ApplyConfiguration",
    "Bootstrap",
    "Reset",
    "Reboot",
    "Shutdown",
    "Rollback",
    "Upgrade",
    "Pull",
    "EtcdRemoveMemberByID",
    "EtcdLeaveCluster",
    "EtcdForfeitLeadership",
    "EtcdRecover",
    "ServiceStart",
    "ServiceStop",
    "ServiceRestart",
];

pub(crate) fn is_mutating(method: &str, path: &str) -> bool {
    match path.rsplit_once('/') {
        Some((service, call)) if service.contains("Service") || service.contains("cosi.") => {
            GRPC_WRITES.contains(&call)
        }
        _ => !matches!(method, "GET" | "HEAD"),
    }
}

#[derive(Default)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens an entry; its status is filled in by [`Journal::close`].
    pub(crate) fn open(&mut self, at_ms: i64, to: &str, method: &str, path: &str) -> u64 {
        let seq = self.entries.len() as u64;
        let (to, method, path) = (to.to_owned(), method.to_owned(), path.to_owned());
        self.entries.push(Entry { seq, at_ms, to, method, path, status: 0 });
        seq
    }

    pub(crate) fn close(&mut self, seq: u64, status: u16) {
        let at = usize::try_from(seq).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.status = status;
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
