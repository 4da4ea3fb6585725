//! Control groups: one folder of the rig's in every hierarchy, one below it for each machine, where its kubelet puts pods.

use crate::failure::{Failure, disk};
use crate::host::until;
use crate::machine::Machine;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MOUNTED: &str = "/sys/fs/cgroup";
const OURS: &str = "bouquet-rig";

/// The root folders of all hierarchies that a kubelet uses: several in version 1, one in version 2.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let mounted = Path::new(MOUNTED);
    if unified() {
        return vec![mounted.to_owned()];
    }
    let entries = fs::read_dir(mounted).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    folders.filter(|folder| folder.join("cgroup.procs").exists() && !folder.is_symlink()).collect()
}

/// Whether the machine has version 2 alone.
pub(crate) fn unified() -> bool {
    Path::new(MOUNTED).join("cgroup.controllers").exists()
}

/// What a machine's kubelet takes for the root of all groups.
pub(crate) fn root_of(machine: Machine) -> String {
    format!("/{OURS}/{}", machine.name)
}

/// The machine that a line of a process's `cgroup` file names.
pub(crate) fn owner(line: &str) -> Option<&str> {
    let (_, inner) = line.split_once(&format!("/{OURS}/"))?;
    inner.split('/').next()
}

/// A machine's groups, one a hierarchy.
pub(crate) fn folders_of(machine: Machine) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|hierarchy| hierarchy.join(OURS).join(machine.name)).collect()
}

/// Makes a machine's groups, empty.
pub(crate) fn make(machine: Machine) -> Result<(), Failure> {
    for hierarchy in hierarchies() {
        let mut folder = hierarchy.clone();
        for name in [OURS, machine.name] {
            if unified() {
                let control = folder.join("cgroup.subtree_control");
                disk(&control, fs::write(&control, "+cpu +cpuset +memory +pids"))?;
            }
            let above = folder.clone();
            folder.push(name);
            disk(&folder, fs::create_dir_all(&folder))?;
            // Version 1 starts a new group without processors and memory nodes, in which nothing can run.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let (false, Ok(all)) = (unified(), fs::read(above.join(file))) {
                    let own = folder.join(file);
                    disk(&own, fs::write(&own, all))?;
                }
            }
        }
    }
    Ok(())
}

/// Removes a machine's groups, or without one all of the rig's. Whatever ran in them must be dead.
pub(crate) fn remove(machine: Option<Machine>) -> Result<(), Failure> {
    const DYING: Duration = Duration::from_secs(10);
    let inner = machine.map_or_else(|| OURS.to_owned(), |machine| format!("{OURS}/{}", machine.name));
    let left = || hierarchies().into_iter().map(|hierarchy| hierarchy.join(&inner)).filter(|folder| folder.exists());
    until("control groups are removed", DYING, || left().try_for_each(|folder| remove_tree(&folder)).map(Some))
}

/// Deepest first: a group with groups in it cannot be removed. One whose last process is not buried yet is left for the next
/// try.
fn remove_tree(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            let said = format!("{error}; in it: {}", processes.replace('\n', " "));
            Err(Failure::Disk { path: folder.to_owned(), source: std::io::Error::other(said) })
        }
        _ => Ok(()),
    }
}

/// How many groups the rig has.
pub(crate) fn count() -> usize {
    fn below(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.map(|entry| 1 + below(&entry.path())).sum()
    }
    let ours = hierarchies().into_iter().map(|hierarchy| hierarchy.join(OURS)).filter(|folder| folder.exists());
    ours.map(|folder| 1 + below(&folder)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_in_a_container_is_known_by_its_group() {
        assert_eq!(owner("4:memory:/bouquet-rig/lily/kubepods/besteffort/pod1/2"), Some("lily"));
        assert_eq!(owner("0::/../bouquet-rig/rose/kubepods"), Some("rose"));
        assert_eq!(owner("4:memory:/process_api/bouquet-rigged/lily"), None);
    }
}
