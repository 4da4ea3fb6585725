//! The one registry that the nodes know, in the switch's namespace: it has the images that Talos pulls, made by us.

use super::{MESH_SWITCH, Parts};
use crate::failure::{Failure, disk, output};
use crate::host::{below, until};
use crate::image::{self, Image};
use crate::machine::SWITCH;
use crate::space::{Space, background};
use crate::strings;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

const PORT: u16 = 5000;

fn address() -> String {
    format!("{MESH_SWITCH}:{PORT}")
}

/// Where the nodes find it.
pub(super) fn url() -> String {
    format!("http://{}", address())
}

/// Starts it, empty.
pub(super) fn start(parts: &Parts, keeper: Space) -> Result<(), Failure> {
    const STARTED: Duration = Duration::from_secs(20);
    let crane = parts.programs.inside("crane")?;
    let store = below("registry");
    disk(&store, fs::create_dir_all(&store))?;
    let lead = || keeper.enter(&parts.programs, Some(SWITCH));
    let serve = strings(&["registry", "serve", "--address", &address(), "--disk", &store.display().to_string()]);
    background(lead(), "registry", &crane, &serve)?;
    until("the registry answers", STARTED, || {
        output(lead().arg(&crane).args(["catalog", "--insecure", &address()])).map(Some)
    })
    .map(drop)
}

/// Gives it images to be pulled.
pub(super) fn fill(parts: &Parts, keeper: Space, images: &[Image]) -> Result<(), Failure> {
    let crane = parts.programs.inside("crane")?;
    for image in images {
        let folder = layout(image)?;
        let name = format!("{}/{}", address(), image.name);
        let mut push = keeper.enter(&parts.programs, Some(SWITCH));
        output(push.arg(&crane).args(["push", "--insecure"]).arg(&folder).arg(&name))?;
    }
    Ok(())
}

/// What a node pulls while it boots. Names are those of the images' own registries, without the host: a mirror is asked by
/// them.
pub(super) fn of_nodes(parts: &Parts) -> Result<Vec<Image>, Failure> {
    let here = |name: &str| parts.programs.here(name);
    let mut kubelet =
        Image::of(&format!("siderolabs/kubelet:v{}", super::KUBERNETES), here("kubelet")?, &["/usr/local/bin/kubelet"]);
    // It mounts by the program of that name. Talos gives it the machine's /run as /var/run, which in an ordinary image is
    // the same: without this link it does not find containerd.
    kubelet.files.push(("/bin/busybox".into(), parts.programs.folder("containerd")?.join("bin/busybox")));
    for name in ["mount", "umount", "sh", "nsenter"] {
        kubelet.links.push((format!("/bin/{name}"), "busybox".into()));
    }
    kubelet.links.push(("/var/run".into(), "/run".into()));
    for (name, text) in [("passwd", "root:x:0:0:root:/:/bin/sh\n"), ("group", "root:x:0:\n")] {
        let file = below(format!("images/{name}"));
        disk(&file, fs::write(&file, text))?;
        kubelet.files.push((format!("/etc/{name}"), file));
    }
    Ok(vec![
        Image::of(&format!("etcd:{}", super::ETCD), here("etcd-3.6")?, &["/usr/local/bin/etcd"]),
        kubelet,
        Image::of("pause:3.10.1", here("guest")?, &["/guest", "pause"]),
    ])
}

/// What a control plane pulls once etcd runs.
pub(super) fn of_control_planes(parts: &Parts) -> Result<Vec<Image>, Failure> {
    let programs = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let image = |program: &&'static str| {
        let name = format!("{program}:v{}", super::KUBERNETES);
        Ok(Image::of(&name, parts.programs.here(program)?, &[&format!("/usr/local/bin/{program}")]))
    };
    programs.iter().map(image).collect()
}

/// The image as a folder, which is what the registry's client pushes.
fn layout(image: &Image) -> Result<PathBuf, Failure> {
    let name = image.name.replace(['/', ':'], "-");
    let (archive, folder) = (below(format!("images/{name}.tar")), below(format!("images/{name}")));
    image::write(std::slice::from_ref(image), &archive)?;
    let unpacked = File::open(&archive).and_then(|file| tar::Archive::new(file).unpack(&folder));
    disk(&folder, unpacked)?;
    Ok(folder)
}
