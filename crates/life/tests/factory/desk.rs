//! Where the emulated factory is asked, and its judges.

use assets::Program;
use bytes::Bytes;
use greenhouse::{Greenhouse, Options};
use http::{Method, Request, response::Parts};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wire::{Body, Rng, Target, Time};

/// A factory, its judges, and a folder that goes with it.
pub struct Desk {
    world: Greenhouse,
    package: Program,
    qemu: Program,
    folder: PathBuf,
    /// Questions so far.
    pub asked: u64,
}

impl Desk {
    pub fn new(package: &Program, qemu: &Program, lies: &[&str]) -> Self {
        let options = Options { lies: lies.iter().map(ToString::to_string).collect(), ..Options::default() };
        let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        let world = Greenhouse::new(&options, time).unwrap();
        let name = lies.first().unwrap_or(&"true");
        let folder = std::env::temp_dir().join(format!("bouquet-factory-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Desk { world, package: package.clone(), qemu: qemu.clone(), folder, asked: 0 }
    }

    pub async fn ask(&mut self, request: Request<String>) -> (Parts, Bytes) {
        self.asked += 1;
        let request = request.map(|text| Body::from(Bytes::from(text)));
        let answer = self.world.wire().call(&Target::https("factory.talos.dev", 443), request).await.unwrap();
        let (head, body) = answer.into_parts();
        (head, body.collect(64 << 20).await.unwrap())
    }

    pub async fn get(&mut self, path: &str) -> (Parts, Bytes) {
        self.with(Method::GET, path).await
    }

    pub async fn with(&mut self, method: Method, path: &str) -> (Parts, Bytes) {
        self.ask(Request::builder().method(method).uri(path).body(String::new()).unwrap()).await
    }

    /// Posts a schematic: the status, and the answer where it is JSON.
    pub async fn post(&mut self, schematic: &str) -> (u16, serde_json::Value) {
        let (head, body) = self.ask(Request::post("/schematics").body(schematic.to_owned()).unwrap()).await;
        (head.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The ids by the factory's own package, in order; what it says of the first that it does not read.
    pub fn ids(&self, schematics: &[String]) -> Result<Vec<String>, String> {
        let files = schematics.iter().enumerate().map(|(at, text)| self.file(&format!("{at}.yaml"), text.as_bytes()));
        said(self.package.command().args(files)).map(|said| said.lines().map(str::to_owned).collect())
    }

    pub fn unxz(&self, packed: &[u8]) -> Result<Vec<u8>, String> {
        let file = self.file("disk.xz", packed);
        said(Command::new("xz").args(["-dkf"]).arg(file))?;
        Ok(fs::read(self.folder.join("disk")).unwrap())
    }

    /// Checks a qcow2 image and unpacks it.
    pub fn unqcow2(&self, image: &[u8]) -> Result<Vec<u8>, String> {
        let (file, raw) = (self.file("disk.qcow2", image), self.folder.join("disk.raw"));
        said(self.qemu.command().args(["check", "-q"]).arg(&file))?;
        // Eight gibibytes of zeros are a hole; of the file no more than an image's content is read.
        said(
            self.qemu
                .command()
                .args(["dd", "-f", "qcow2", "-O", "raw", "bs=1M", "count=2"])
                .args([format!("if={}", file.display()), format!("of={}", raw.display())]),
        )?;
        Ok(fs::read(raw).unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What is left behind in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    if output.status.success() { Ok(out) } else { Err(out + &err) }
}
