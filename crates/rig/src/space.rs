//! Namespaces: how the outermost ones begin and end, and how a command gets into them.
//!
//! The rig is one process, the keeper, that is the first of a process namespace and has a mount namespace of its own; all
//! else is below it. Network namespaces are named in *its* `/run`, everything is mounted on *its* side, so that SIGKILL of
//! that one process takes every process, mount and namespace with it, and the machine has seen none of them. Where the rig
//! is tied to who started it, the keeper reads from a pipe, and ends when the other end does.

use crate::failure::{Failure, disk, output, plain};
use crate::host::{KEEPER, MARK, below, first, mark, signal, until};
use crate::machine::Machine;
use crate::programs::Programs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// `unshare` is killed with its child, and its child with it.
const BUNDLE: [&str; 6] = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation=private"];

/// A process whose namespaces commands can be sent into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    name: &'static str,
    first: u32,
}

impl Space {
    /// The namespaces of the first process of that name, if it lives.
    pub fn of(name: &'static str) -> Option<Self> {
        first(name).map(|first| Self { name, first })
    }

    /// The namespaces of a machine that has power.
    pub fn of_machine(machine: Machine) -> Result<Self, Failure> {
        Self::of(machine.name).ok_or_else(|| Failure::Nothing(format!("running machine {}", machine.name)))
    }

    /// Begins the rig. The child is what holds the keeper's standard input, where the rig is tied.
    pub fn begin(programs: &Programs, tied: bool) -> Result<(Self, Child), Failure> {
        let script = r#"mount -t tmpfs -o mode=755 bouquet-rig /run && mkdir /run/netns && mount --bind "$1" "$2" && exec "$3" "$4" "$5""#;
        let mut unshare = Command::new("unshare");
        programs.equip(&mut unshare, KEEPER);
        unshare.args(BUNDLE).args(["--", "sh", "-c", script, "sh"]).arg(&programs.cache);
        unshare.arg(below("assets")).arg(below("bin/guest")).arg(if tied { "keep" } else { "init" }).arg(KEEPER);
        let input = if tied { Stdio::piped() } else { Stdio::null() };
        Self::spawn(KEEPER, unshare.stdin(input))
    }

    /// Begins a machine: namespaces of its own within the rig's, around a network namespace that is there already.
    pub fn begin_machine(
        self,
        programs: &Programs,
        name: &'static str,
        script: &str,
    ) -> Result<(Self, Child), Failure> {
        let mut nsenter = self.enter(programs, Some(name));
        nsenter
            .env(MARK, mark(name))
            .arg("unshare")
            .args(BUNDLE)
            .args(["--uts", "--ipc", "--", "sh", "-ec", script, "sh", name]);
        Self::spawn(name, nsenter.stdin(Stdio::null()))
    }

    /// Starts what has the first process of that name in it.
    pub fn spawn(name: &'static str, command: &mut Command) -> Result<(Self, Child), Failure> {
        let path = below(format!("logs/{name}.log"));
        let log = disk(&path, std::fs::File::create(&path))?;
        let to_log = disk(&path, log.try_clone())?;
        // A group of its own: what a terminal sends to its foreground is not meant for the rig.
        let spawned = command.stdout(log).stderr(to_log).process_group(0).spawn();
        let mut child = disk(Path::new(command.get_program()), spawned)?;
        let space = until(&format!("{name} has its first process"), SOON, || {
            if matches!(child.try_wait(), Ok(Some(_))) {
                let said = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(Failure::Command { command: format!("first process of {name}"), said });
            }
            Ok(Self::of(name))
        })?;
        Ok((space, child))
    }

    /// A command in the keeper's namespaces, and in one of the networks that it has named.
    pub fn enter(self, programs: &Programs, network: Option<&str>) -> Command {
        let mut nsenter = Command::new("nsenter");
        programs.equip(&mut nsenter, self.name);
        nsenter.arg(format!("--target={}", self.first)).args(["--mount", "--pid"]);
        if let Some(network) = network {
            // The keeper names networks in its own view of the files, which the kernel shows below its process.
            let view = Path::new("/proc").join(self.first.to_string()).join("root");
            nsenter.arg(format!("--net={}", view.join("run/netns").join(network).display()));
        }
        nsenter.arg("--");
        nsenter
    }

    /// A command on a machine, in all of its namespaces.
    pub fn on(self, programs: &Programs) -> Command {
        let mut nsenter = Command::new("nsenter");
        programs.equip(&mut nsenter, self.name);
        nsenter.arg(format!("--target={}", self.first)).args(["--mount", "--pid", "--net", "--uts", "--ipc", "--"]);
        nsenter
    }

    /// Kills the first process, and with it everything in its namespaces; returns when the last of them is gone.
    pub fn end(self) -> Result<(), Failure> {
        signal("KILL", &[self.first]);
        let gone = || !PathBuf::from(format!("/proc/{}", self.first)).exists();
        until("the rig's first process is gone", SOON, || Ok(gone().then_some(())))
    }
}

/// Starts a program that goes on by itself in the namespaces which the command leads into; what it prints goes to a file.
pub(crate) fn background(mut lead: Command, log: &str, program: &Path, arguments: &[String]) -> Result<(), Failure> {
    let log = below(format!("logs/{log}.log"));
    // The shell ends at once, so that the program becomes a child of the namespace's first process.
    lead.args(["sh", "-c", r#"exec >>"$0" 2>&1 </dev/null; "$@" &"#]).arg(log).arg(program).args(arguments);
    output(lead.process_group(0)).map(drop)
}

/// Runs a command that reads `input`; what it printed on standard output.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<String, Failure> {
    let words = plain(command);
    let failed = |said: String| Failure::Command { command: words, said };
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match piped.spawn() {
        Ok(child) => child,
        Err(error) => return Err(failed(error.to_string())),
    };
    // One that does not read to the end says why by itself.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    match child.wait_with_output() {
        Ok(ended) if ended.status.success() => Ok(String::from_utf8_lossy(&ended.stdout).into_owned()),
        Ok(ended) => Err(failed(String::from_utf8_lossy(&ended.stderr).into_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}
