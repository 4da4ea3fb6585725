//! What happens to machines and programs, and how it is made good.

use crate::failure::Failure;
use crate::host::{running, signal};
use crate::machine::{Machine, ROSE, SWITCH};
use crate::space::Space;
use crate::{Rig, cgroup};

impl Rig {
    /// Pulls a machine's cable out. It goes on by itself, in a mesh of one.
    pub fn cut(&self, machine: Machine) -> Result<(), Failure> {
        self.ip(Some(SWITCH), &format!("link set {} down\n", machine.port()))
    }

    /// Puts a machine's cable back in.
    pub fn heal(&self, machine: Machine) -> Result<(), Failure> {
        self.ip(Some(SWITCH), &format!("link set {} up\n", machine.port()))
    }

    /// Stops all processes of a program on a machine, in containers or not, where they are, without a word to anybody.
    pub fn freeze(&self, program: &str, machine: Machine) -> Result<(), Failure> {
        send("STOP", program, machine)
    }

    /// Lets them go on.
    pub fn thaw(&self, program: &str, machine: Machine) -> Result<(), Failure> {
        send("CONT", program, machine)
    }

    /// Kills all processes of a program on a machine, in containers or not.
    pub fn end(&self, program: &str, machine: Machine) -> Result<(), Failure> {
        send("KILL", program, machine)
    }

    /// Takes the power from a machine: all that ran on it is gone at once, and so is its network.
    pub fn kill(&self, machine: Machine) -> Result<(), Failure> {
        self.ip(Some(SWITCH), &format!("link del {}\n", machine.port()))?;
        Space::of_machine(machine)?.end()?;
        self.ip(None, &format!("netns del {}\n", machine.name))
    }

    /// Gives a machine that was killed its power back; its disk is as it was.
    pub fn start(&mut self, machine: Machine) -> Result<(), Failure> {
        cgroup::remove(Some(machine))?;
        self.cable(machine)?;
        self.boot(machine)?;
        self.start_tailscaled(machine)?;
        self.join(machine, None)?;
        self.lay_pod_network(machine)?;
        if machine == ROSE {
            self.start_api()?;
            self.start_controllers()?;
        }
        self.start_node(machine)
    }
}

/// Sends a signal to all processes of a program on a machine.
fn send(name: &str, program: &str, machine: Machine) -> Result<(), Failure> {
    let pids = running(program, machine.name);
    if pids.is_empty() {
        return Err(Failure::Nothing(format!("{program} on {}", machine.name)));
    }
    signal(name, &pids);
    Ok(())
}
