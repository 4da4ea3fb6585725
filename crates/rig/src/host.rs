//! What the rig does on the machine itself: it reads the process table, signals what is its own, and waits.

use crate::cgroup;
use crate::failure::{Failure, output};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// All that a rig keeps on disk. There is one rig a machine: its addresses and control groups are fixed too.
pub(crate) const ROOT: &str = "/var/lib/bouquet-rig";
/// Name of the outermost first process; the others bear their machine's name.
pub(crate) const KEEPER: &str = "rig";

/// A path below the state folder.
pub(crate) fn below(path: impl AsRef<Path>) -> PathBuf {
    Path::new(ROOT).join(path)
}

/// The variable in the environment of everything that the rig starts.
pub(crate) const MARK: &str = "BOUQUET_RIG";

/// What it holds: whose state folder, and the name of the machine or of the rig itself.
pub(crate) fn mark(owner: &str) -> String {
    format!("{ROOT}:{owner}")
}

/// A process of the rig's, as this machine sees it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub pid: u32,
    /// What it bears the mark of, or whose control group it is in, as processes in containers are.
    owner: String,
    /// Program and arguments.
    words: Vec<String>,
    /// Whether it is a first process: one that does nothing but be there.
    leads: bool,
    /// Resident memory that is its own, in KiB.
    pub memory_kib: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let environment = strings(&fs::read(folder.join("environ")).ok()?);
        let ours = format!("{MARK}={}", mark(""));
        let marked = environment.iter().find_map(|line| line.strip_prefix(&ours));
        let groups = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
        let owner = marked.or_else(|| groups.lines().find_map(cgroup::owner))?.to_owned();
        let words = strings(&fs::read(folder.join("cmdline")).unwrap_or_default());
        let leads = fs::read_link(folder.join("exe")).is_ok_and(|exe| leads(&exe, &words));
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next());
        let memory_kib = resident.and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Some(Self { pid, owner, words, leads, memory_kib })
    }

    /// Whether it runs that program.
    fn runs(&self, program: &str) -> bool {
        self.words.first().is_some_and(|word| Path::new(word).file_name().is_some_and(|name| name == program))
    }
}

/// Whether this is the command line of a first process. Neither half is enough: all of the rig's programs lie in its folder,
/// and containers run the same program under their own path.
fn leads(exe: &Path, words: &[String]) -> bool {
    // So the kernel calls a program whose file is gone: it runs nonetheless.
    let exe = exe.to_string_lossy();
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(&exe);
    let runs = |program: &str, verbs: &[&str]| {
        Path::new(exe) == below(program) && words.get(1).is_some_and(|verb| verbs.contains(&verb.as_str()))
    };
    runs("bin/guest", &["init", "keep"]) || runs("bin/launcher", &["node"])
}

/// What stands between bytes of value zero, as the kernel prints lists.
fn strings(list: &[u8]) -> Vec<String> {
    list.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Everything of the rig's that runs, those included that lead into its namespaces from outside.
pub(crate) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).collect()
}

/// The first process of a machine, or of the rig.
pub(crate) fn first(name: &str) -> Option<u32> {
    processes().into_iter().find(|process| process.leads && process.owner == name).map(|process| process.pid)
}

/// All processes on a machine that run a program of that name.
pub(crate) fn running(program: &str, name: &str) -> Vec<u32> {
    let found = processes().into_iter().filter(|process| process.owner == name && process.runs(program));
    found.map(|process| process.pid).collect()
}

/// Sends a signal to processes; those that are gone by then do not count.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null", name]);
    // A failure means that one of them had ended.
    let _ = output(shell.args(pids.iter().map(u32::to_string)));
}

/// Now, for measuring.
#[allow(clippy::disallowed_methods, reason = "real machines keep real time; nothing here is replayed")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "real machines keep real time; nothing here is replayed")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks until there is something to see, or the time is over; the last failure is told then.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    const EVERY: Duration = Duration::from_millis(150);
    let begun = now();
    loop {
        let last = match look() {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => None,
            Err(failure) => Some(failure.to_string()),
        };
        if begun.elapsed() >= limit {
            return Err(Failure::Late { what: what.to_owned(), limit, last });
        }
        pause(EVERY);
    }
}

/// Held by whoever brings a rig up, and as long as the rig is tied to it. A name in the kernel, not a file: it is free again
/// the moment its holder dies, and nothing is left of it.
pub(crate) fn lock() -> Result<UnixListener, Failure> {
    let free = Duration::from_mins(15);
    until("the rig of another process on this machine to end", free, || {
        name_taken().map(Some).map_err(|source| Failure::Disk { path: PathBuf::from("@bouquet-rig"), source })
    })
}

#[cfg(target_os = "linux")]
fn name_taken() -> std::io::Result<UnixListener> {
    use std::os::linux::net::SocketAddrExt as _;
    UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name("bouquet-rig")?)
}

#[cfg(not(target_os = "linux"))]
fn name_taken() -> std::io::Result<UnixListener> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_process_leads() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let guest = below("bin/guest");
        assert!(leads(&guest, &words("guest init lily")));
        assert!(leads(&guest, &words("guest keep rig")));
        assert!(leads(&below("bin/guest (deleted)"), &words("guest keep rig")));
        assert!(!leads(&guest, &words("guest get http://198.51.100.2/ web.rig.test")));
        assert!(!leads(&below("assets/kubelet-1.37.2/kubelet"), &words("kubelet init")));
        assert!(!leads(Path::new("/guest"), &words("/guest init lily")));
    }
}
