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
    /// Path without query; where a secret is part of it, `*` in its place.
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

/// Oracle's pre-authenticated requests carry their token in the path: `/p/TOKEN/n/…`.
fn redacted(to: &str, path: &str) -> String {
    match path.strip_prefix("/p/").filter(|_| to == "oci").and_then(|rest| rest.split_once('/')) {
        Some((_, rest)) => format!("/p/*/{rest}"),
        None => path.to_owned(),
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
        let (to, method, path) = (to.to_owned(), method.to_owned(), redacted(to, path));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_path_is_not_written_down() {
        let mut journal = Journal::default();
        journal.open(0, "oci", "PUT", "/p/s3cret/n/ns/b/bucket/o/image");
        journal.open(0, "rose:6443", "GET", "/p/plain/n");
        let paths: Vec<&str> = journal.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["/p/*/n/ns/b/bucket/o/image", "/p/plain/n"]);
    }
}
