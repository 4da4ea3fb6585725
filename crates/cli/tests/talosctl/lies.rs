//! Worlds that lie: each part must notice its own lie.

use crate::desk::Desk;
use crate::{Part, configs, power, reads, roles};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A lie, the part of talosctl's work that must fail under it, and words of what that part complains of.
pub const LIES: &[(&str, Part, &str)] = &[
    ("talos-apply-forgets", configs::at_once, "(false, false)"),
    ("talos-boot-id-kept", power::boot_ids, "the boot id changes never came true"),
    ("talos-bootstrap-twice", power::bootstraps, "talosctl bootstrap -n @rose"),
    ("talos-bootstrap-worker", power::bootstraps, "talosctl bootstrap -n @lily"),
    ("talos-dead-silent", reads::several_nodes, "does not say \"WARNING"),
    ("talos-dry-run-applies", configs::dry_runs, "does not say \"Dry run summary"),
    ("talos-etcd-nameless", reads::etcd, "\"rose\""),
    ("talos-member-homeless", reads::members, "[]"),
    ("talos-node-unnamed", reads::several_nodes, "does not say"),
    ("talos-pull-anything", power::bad_upgrades, "does not say \"error pulling upgrade image"),
    ("talos-reader-resets", roles::roles, "reset -n @lily"),
    ("talos-service-missing", reads::services, "kubelet"),
    ("talos-snapshot-bare", reads::snapshot, "sha256 checksum not found"),
    ("talos-staged-now", configs::staged, "(true, true)"),
    ("talos-try-stays", configs::tried, "the old configuration is back never came true"),
    ("talos-version-old", reads::versions, "the server's tag is another"),
    ("talos-watch-unflushed", reads::watches, "never says \"lily\""),
];

/// As many worlds at a time as this machine has cores for.
const AT_ONCE: usize = 4;

#[test]
fn every_lie_of_the_nodes_is_caught_by_talosctl() {
    let told: Vec<&str> = greenhouse::lies().map(|(name, _)| name).filter(|name| name.starts_with("talos-")).collect();
    assert_eq!(told, LIES.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), "a part for each lie");
    let mut believed = Vec::new();
    for some in LIES.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let tried: Vec<_> = some.iter().map(|lie| scope.spawn(|| believed_why(lie))).collect();
            believed.extend(tried.into_iter().filter_map(|tried| tried.join().unwrap()));
        });
    }
    assert_eq!(believed, [""; 0], "talosctl was content with them, or complained of something else");
}

/// `None` for a lie that is caught, or cannot be told here. The nodes are made first, as far as the product gets with
/// them: it waits for some of what is not so.
fn believed_why(&(lie, part, because): &(&str, Part, &str)) -> Option<String> {
    let desk = Desk::lied_to(lie, "150")?;
    match catch_unwind(AssertUnwindSafe(|| part(&desk))) {
        Ok(()) => Some(lie.to_owned()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            (!said.contains(because)).then(|| format!("{lie}: {said}"))
        }
    }
}

/// The parts that only lies are tried with, on a world that tells none.
#[test]
fn what_catches_lies_is_content_with_the_truth() {
    let Some(desk) = Desk::new("talosctl-truth", "150", &[]) else { return };
    for part in [power::boot_ids, power::bad_upgrades] {
        part(&desk);
    }
}
