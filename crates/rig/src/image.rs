//! Container images, made here from a program or two: an OCI archive as `ctr images import` reads it.
//!
//! One layer an image, not compressed: it never leaves the machine. Nothing in an archive hangs on when or where it was made.

use crate::failure::{Failure, disk};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// An image to be made.
#[derive(Clone, Debug)]
pub struct Image {
    /// Full name with a tag; nothing is ever pulled by it: `bouquet.test/web:1`.
    pub name: String,
    /// Files that it holds: absolute path in the image, file on this machine. All may be read and run by everybody.
    pub files: Vec<(String, PathBuf)>,
    /// Symbolic links: absolute path in the image, and what it leads to.
    pub links: Vec<(String, String)>,
    /// Program and first arguments of its containers.
    pub entrypoint: Vec<String>,
    /// Number of the user that they run as, unless a pod says otherwise.
    pub user: u32,
    /// Annotations of the image, as OCI names them.
    pub labels: Vec<(&'static str, String)>,
}

impl Image {
    /// An image of one program.
    pub fn of(name: &str, program: &Path, entrypoint: &[&str]) -> Self {
        let entrypoint: Vec<String> = entrypoint.iter().map(|&word| word.to_owned()).collect();
        let inside = entrypoint.first().cloned().unwrap_or_default();
        Self {
            name: name.to_owned(),
            files: vec![(inside, program.to_owned())],
            links: Vec::new(),
            entrypoint,
            user: 0,
            labels: Vec::new(),
        }
    }
}

/// A part of the archive: what it is called by.
struct Blob {
    digest: String,
    bytes: u64,
}

/// Writes an archive of images.
pub fn write(images: &[Image], archive: &Path) -> Result<(), Failure> {
    let file = disk(archive, File::create(archive))?;
    let mut tar = tar::Builder::new(io::BufWriter::new(file));
    let scratch = archive.with_extension("layer");
    let mut manifests = Vec::new();
    for image in images {
        let layer = disk(&scratch, write_layer(image, &scratch))?;
        let stored = File::open(&scratch).and_then(|file| append(&mut tar, &layer, file));
        disk(archive, stored)?;
        let config = disk(archive, append_json(&mut tar, &config(image, &layer)))?;
        let manifest = disk(archive, append_json(&mut tar, &manifest(&config, &layer)))?;
        manifests.push(json!({
            "mediaType": MANIFEST, "digest": manifest.digest, "size": manifest.bytes,
            "annotations": { "io.containerd.image.name": image.name },
        }));
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
    for (name, text) in [("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#), ("index.json", index.as_str())] {
        disk(archive, append_file(&mut tar, name, text.len() as u64, text.as_bytes()))?;
    }
    disk(archive, tar.into_inner().and_then(|mut file| file.flush()))?;
    disk(&scratch, std::fs::remove_file(&scratch))
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn config(image: &Image, layer: &Blob) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint, "Env": ["PATH=/:/bin:/usr/local/bin"], "User": image.user.to_string(),
            "Labels": image.labels.iter().map(|(name, value)| (*name, value)).collect::<std::collections::BTreeMap<_, _>>(),
        },
        "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
    })
}

fn manifest(config: &Blob, layer: &Blob) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.bytes },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.bytes }],
    })
}

/// The image's files and an empty `/tmp`.
fn write_layer(image: &Image, scratch: &Path) -> io::Result<Blob> {
    let mut tar =
        tar::Builder::new(Hashing { inner: io::BufWriter::new(File::create(scratch)?), hash: Sha256::new(), bytes: 0 });
    let mut folder = header(tar::EntryType::Directory, 0, 0o1777);
    tar.append_data(&mut folder, "tmp/", io::empty())?;
    for (inside, outside) in &image.files {
        let file = File::open(outside)?;
        let mut entry = header(tar::EntryType::Regular, file.metadata()?.len(), 0o755);
        tar.append_data(&mut entry, inside.trim_start_matches('/'), file)?;
    }
    for (inside, to) in &image.links {
        tar.append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), inside.trim_start_matches('/'), to)?;
    }
    let mut written = tar.into_inner()?;
    written.flush()?;
    Ok(Blob { digest: digest(written.hash), bytes: written.bytes })
}

fn append_json(tar: &mut tar::Builder<impl Write>, value: &Value) -> io::Result<Blob> {
    let text = value.to_string();
    let blob = Blob { digest: digest(Sha256::new_with_prefix(&text)), bytes: text.len() as u64 };
    append(tar, &blob, text.as_bytes())?;
    Ok(blob)
}

fn append(tar: &mut tar::Builder<impl Write>, blob: &Blob, content: impl Read) -> io::Result<()> {
    append_file(tar, &format!("blobs/{}", blob.digest.replace(':', "/")), blob.bytes, content)
}

fn append_file(tar: &mut tar::Builder<impl Write>, path: &str, bytes: u64, content: impl Read) -> io::Result<()> {
    tar.append_data(&mut header(tar::EntryType::Regular, bytes, 0o644), path, content)
}

fn header(kind: tar::EntryType, bytes: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(mode);
    header
}

fn digest(hash: Sha256) -> String {
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// Writes through, and hashes and counts what passes.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entries(archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(File::open(archive).unwrap());
        let read = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        read.collect()
    }

    #[test]
    fn every_part_of_an_archive_is_called_by_what_is_in_it() {
        let folder = std::env::temp_dir().join(format!("bouquet-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (program, archive) = (folder.join("program"), folder.join("archive.tar"));
        std::fs::write(&program, "not a real one").unwrap();
        write(&[Image::of("bouquet.test/program:1", &program, &["/program", "run"])], &archive).unwrap();
        let entries = entries(&archive);
        std::fs::remove_dir_all(&folder).unwrap();
        let index: Value = serde_json::from_slice(&entries["index.json"]).unwrap();
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "bouquet.test/program:1");
        let blobs: Vec<_> =
            entries.iter().filter_map(|(path, content)| Some((path.strip_prefix("blobs/sha256/")?, content))).collect();
        assert_eq!(blobs.len(), 3);
        for (name, content) in blobs {
            assert_eq!(digest(Sha256::new_with_prefix(content)), format!("sha256:{name}"));
        }
    }
}
