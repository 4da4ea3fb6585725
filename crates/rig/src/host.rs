//! What the rig does on the machine itself: it reads the process table, signals what is its own, and waits.

use crate::failure::{Failure, output};
use crate::machine::MACHINES;
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

/// A process of the rig's, as the machine sees it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub pid: u32,
    /// Program and arguments.
    words: Vec<String>,
    /// Whether the program is the rig's own `guest`, outside of any container.
    guest: bool,
    parent: u32,
    /// Resident memory that is its own, in KiB.
    pub memory_kib: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let words = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words = words.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let guest = fs::read_link(folder.join("exe")).is_ok_and(|exe| exe.starts_with(ROOT));
        let parent = field("PPid:")?.parse().ok()?;
        let memory_kib = field("RssAnon:").and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Some(Self { pid, words, guest, parent, memory_kib })
    }

    /// Whether this is the first process of that name: of a machine, or of the rig.
    fn leads(&self, name: &str) -> bool {
        self.guest && self.words.get(1).is_some_and(|verb| verb == "init" || verb == "keep") && self.named(2, name)
    }

    fn named(&self, place: usize, name: &str) -> bool {
        self.words.get(place).is_some_and(|word| word == name)
    }

    /// Whether it runs that program.
    fn runs(&self, program: &str) -> bool {
        self.words.first().is_some_and(|word| Path::new(word).file_name().is_some_and(|name| name == program))
    }
}

/// The process table at one moment.
pub(crate) struct Table(Vec<Process>);

impl Table {
    pub fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(pids.filter_map(Process::read).collect())
    }

    /// The first process of a machine, or of the rig.
    pub fn first(&self, name: &str) -> Option<u32> {
        self.0.iter().find(|process| process.leads(name)).map(|process| process.pid)
    }

    /// All processes of the rig. Each machine is asked for: its first process was sent in from outside, and so is below
    /// somebody else.
    pub fn all(&self) -> Vec<&Process> {
        let names = MACHINES.iter().map(|machine| machine.name).chain([KEEPER]);
        let firsts: Vec<u32> = names.filter_map(|name| self.first(name)).collect();
        let ours =
            |process: &&Process| firsts.iter().any(|first| process.pid == *first || self.descends(process, *first));
        self.0.iter().filter(ours).collect()
    }

    /// All processes on a machine that run a program of that name.
    pub fn running(&self, program: &str, first: u32) -> Vec<u32> {
        let found = self.0.iter().filter(|process| process.runs(program) && self.descends(process, first));
        found.map(|process| process.pid).collect()
    }

    fn descends(&self, process: &Process, first: u32) -> bool {
        let mut at = process;
        while at.parent != 0 {
            if at.parent == first {
                return true;
            }
            let Some(parent) = self.0.iter().find(|other| other.pid == at.parent) else { return false };
            at = parent;
        }
        false
    }
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
    let free = Duration::from_secs(900);
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
