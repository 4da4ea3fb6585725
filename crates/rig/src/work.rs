//! What is done on a rig that is up: images and manifests, requests of the client, commands on machines.

use crate::Rig;
use crate::failure::{Failure, disk, output};
use crate::host::{below, until};
use crate::image::{self, Image};
use crate::machine::{CLIENT, MACHINES, Machine, ROSE, SWITCH};
use crate::space::{Space, feed};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Rig {
    /// Asks for a page as somebody on the internet would, who has resolved `host` by himself.
    pub fn get(&self, url: &str, host: &str) -> Result<Answer, Failure> {
        let mut get = self.keeper.enter(&self.programs, Some(CLIENT));
        let said = output(get.arg(below("bin/guest")).args(["get", url, host]))?;
        let read = said.split_once('\n').and_then(|(status, body)| Some((status.parse().ok()?, body.to_owned())));
        read.map(|(status, body)| Answer { status, body }).ok_or(Failure::Unread { program: "guest", said })
    }

    /// Makes an archive of images in the rig's folder.
    pub fn archive(&self, name: &str, images: &[Image]) -> Result<PathBuf, Failure> {
        let archive = below(format!("images/{name}.tar"));
        image::write(images, &archive).map(|()| archive)
    }

    /// An image of one of the programs in the table of assets that the rig has at hand.
    pub fn image(&self, name: &str, program: &str, entrypoint: &[&str]) -> Result<Image, Failure> {
        Ok(Image::of(name, self.programs.here(program)?, entrypoint))
    }

    /// Gives every machine the images of an archive; pods name them with `imagePullPolicy: Never`.
    pub fn import(&self, archive: &Path) -> Result<(), Failure> {
        let mut running = Vec::new();
        for machine in MACHINES {
            let mut ctr = self.ctr(machine)?;
            let input = disk(archive, File::open(archive))?;
            ctr.args(["images", "import", "-"]).stdin(input).stdout(Stdio::null());
            running.push(disk(archive, ctr.stderr(Stdio::piped()).spawn())?);
        }
        for import in running {
            let ended = disk(archive, import.wait_with_output())?;
            if !ended.status.success() {
                let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                return Err(Failure::Command { command: format!("ctr images import {}", archive.display()), said });
            }
        }
        Ok(())
    }

    /// Applies manifests, with the administrator's rights.
    pub fn apply(&self, manifests: &str) -> Result<(), Failure> {
        let mut kubectl = self.kubectl_command()?;
        feed(kubectl.args(["apply", "--server-side", "--filename=-"]), manifests).map(drop)
    }

    /// Runs `kubectl` with the administrator's rights; what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failure> {
        output(self.kubectl_command()?.args(arguments))
    }

    /// A command on a machine, in its namespaces: `rig.command(LILY)?.args(["ip", "address"])`.
    pub fn command(&self, machine: Machine) -> Result<Command, Failure> {
        Ok(Space::of_machine(machine)?.on(&self.programs))
    }

    /// A command on the internet, at [`INTERNET_ADDRESS`], which every machine and every pod can reach: for servers of others
    /// that the cluster asks. It sees this machine's files.
    pub fn internet(&self) -> Command {
        self.keeper.enter(&self.programs, Some(SWITCH))
    }

    /// Waits until the API calls all of these machines Ready.
    pub fn until_ready(&self, machines: &[Machine]) -> Result<(), Failure> {
        const STARTED: Duration = Duration::from_secs(90);
        let names: Vec<&str> = machines.iter().map(|machine| machine.name).collect();
        until(&format!("Ready: {}", names.join(", ")), STARTED, || {
            let nodes = self.nodes()?;
            let ready = |name: &&str| nodes.iter().any(|node| node.name == **name && node.ready);
            Ok(names.iter().all(ready).then_some(()))
        })
    }

    fn kubectl_command(&self) -> Result<Command, Failure> {
        let mut kubectl = self.command(ROSE)?;
        kubectl.arg(self.programs.inside("kubectl")?).arg(format!("--kubeconfig={}", self.kubeconfig().display()));
        kubectl.arg("--request-timeout=20s");
        Ok(kubectl)
    }
}
