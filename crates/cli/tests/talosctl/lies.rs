//! Worlds that lie: each part must notice its own lie.

use crate::desk::Desk;
use crate::{Part, configs, power, reads, roles};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A lie, and the part of talosctl's work that must fail under it.
pub const LIES: &[(&str, Part)] = &[
    ("talos-apply-forgets", configs::at_once),
    ("talos-boot-id-kept", power::boot_ids),
    ("talos-bootstrap-twice", power::bootstraps),
    ("talos-bootstrap-worker", power::bootstraps),
    ("talos-dead-silent", reads::several_nodes),
    ("talos-dry-run-applies", configs::dry_runs),
    ("talos-etcd-nameless", reads::etcd),
    ("talos-member-homeless", reads::members),
    ("talos-node-unnamed", reads::several_nodes),
    ("talos-pull-anything", power::bad_upgrades),
    ("talos-reader-resets", roles::roles),
    ("talos-service-missing", reads::services),
    ("talos-snapshot-bare", reads::snapshot),
    ("talos-staged-now", configs::staged),
    ("talos-try-stays", configs::tried),
    ("talos-version-old", reads::versions),
    ("talos-watch-unflushed", reads::watches),
];

/// As many worlds at a time as this machine has cores for.
const AT_ONCE: usize = 4;

#[test]
fn every_lie_of_the_nodes_is_caught_by_talosctl() {
    let told: Vec<&str> = greenhouse::lies().map(|(name, _)| name).filter(|name| name.starts_with("talos-")).collect();
    assert_eq!(told, LIES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "a part for each lie");
    let mut believed = Vec::new();
    for some in LIES.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let tried: Vec<_> = some.iter().map(|(lie, part)| (lie, scope.spawn(|| is_caught(lie, *part)))).collect();
            believed.extend(tried.into_iter().filter_map(|(lie, caught)| (!caught.join().unwrap()).then_some(*lie)));
        });
    }
    assert_eq!(believed, [""; 0], "talosctl was content with them");
}

/// The world is served and the cluster made first: a lie must fail its part, and nothing else.
fn is_caught(lie: &str, part: Part) -> bool {
    let Some(desk) = Desk::new(lie, "150", &[lie]) else { return true };
    catch_unwind(AssertUnwindSafe(|| part(&desk))).is_err()
}

/// The parts that only lies are tried with, on a world that tells none.
#[test]
fn what_catches_lies_is_content_with_the_truth() {
    let Some(desk) = Desk::new("talosctl-truth", "150", &[]) else { return };
    for part in [power::boot_ids, power::bad_upgrades] {
        part(&desk);
    }
}
