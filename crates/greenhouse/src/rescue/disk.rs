//! The disk, and the RAM disk's files.

use super::running_mut;
use super::shell::{Code, Io, Shell, Stop};
use bytes::Bytes;

/// The system disk of every cloud server.
pub(super) const DEVICE: &str = "/dev/sda";
/// What one of this world's raw images stands for takes so long to arrive, unpack and write in life: 1.2 GiB at 30 to
/// 60 MB/s.
const WRITE_MS: (u64, u64) = (20_000, 40_000);
/// Raw bytes that take that long.
const WRITE_BYTES: u64 = 1 << 20;
const SECTOR: usize = 512;
/// Nothing here is larger.
const BYTES_MAX: usize = 256 << 20;

/// What `dd` was told.
struct Copy<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    block: usize,
    count: Option<usize>,
    skip: usize,
    seek: usize,
    sparse: bool,
    progress: bool,
    quiet: bool,
}

/// A size as `dd` and `head` read it: `512`, `4k`, `4M`, `1MiB`, `1MB`.
pub(super) fn size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit {
        "" | "c" => 1,
        "kB" => 1000,
        "k" | "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

fn copy(args: &[String]) -> Result<Copy<'_>, String> {
    let mut copy = Copy {
        from: None,
        to: None,
        block: 512,
        count: None,
        skip: 0,
        seek: 0,
        sparse: false,
        progress: false,
        quiet: false,
    };
    for arg in args {
        let wrong = || format!("dd: unrecognized operand '{arg}'\nTry 'dd --help' for more information.");
        let number = |text: &str| size(text).ok_or_else(|| format!("dd: invalid number: '{text}'"));
        let (name, value) = arg.split_once('=').ok_or_else(wrong)?;
        match name {
            "if" => copy.from = Some(value),
            "of" => copy.to = Some(value),
            "bs" | "ibs" | "obs" => copy.block = number(value)?.max(1),
            "count" => copy.count = Some(number(value)?),
            "skip" => copy.skip = number(value)?,
            "seek" => copy.seek = number(value)?,
            "conv" => copy.sparse = value.split(',').any(|word| word == "sparse"),
            "status" => (copy.progress, copy.quiet) = (value == "progress", value == "none"),
            "iflag" | "oflag" => {}
            _ => return Err(wrong()),
        }
    }
    Ok(copy)
}

impl Shell {
    pub(super) fn read_file(&mut self, path: &str) -> Option<Bytes> {
        self.world.with(|state| match path {
            "/dev/null" => Some(Bytes::new()),
            DEVICE => state.machines.get(&self.id).map(|machine| machine.disk.clone()),
            path => running_mut(state, self.id)?.files.get(path).cloned(),
        })
    }

    pub(super) fn write_file(&mut self, path: &str, bytes: Bytes) {
        self.world.with(|state| match path {
            "/dev/null" => {}
            DEVICE => {
                if let Some(machine) = state.machines.get_mut(&self.id) {
                    machine.disk = overlay(&machine.disk, 0, &bytes, None);
                }
            }
            path => {
                if let Some(running) = running_mut(state, self.id) {
                    running.files.insert(path.to_owned(), bytes);
                }
            }
        });
    }

    pub(super) fn append_file(&mut self, path: &str, bytes: &[u8]) {
        let whole = match path {
            "/dev/null" | DEVICE => Bytes::copy_from_slice(bytes),
            path => [self.read_file(path).unwrap_or_default().as_ref(), bytes].concat().into(),
        };
        self.write_file(path, whole);
    }

    /// `blkdiscard` and `wipefs -a`: the disk is empty after it.
    pub(super) async fn blkdiscard(&mut self, name: &str, args: &[String], io: &mut Io) -> Code {
        match args.iter().find(|arg| !arg.starts_with('-')).map(String::as_str) {
            Some(DEVICE) => {}
            Some(other) => {
                return Ok(self.fail(io, &format!("{name}: cannot open {other}: No such file or directory"), 1));
            }
            None => return Ok(self.fail(io, &format!("{name}: no device specified"), 1)),
        }
        self.wait(2_000).await?;
        self.world.with(|state| {
            if let Some(machine) = state.machines.get_mut(&self.id) {
                machine.disk = Bytes::new();
            }
        });
        Ok(0)
    }

    pub(super) async fn dd(&mut self, args: &[String], io: &mut Io) -> Code {
        let copy = match copy(args) {
            Ok(copy) => copy,
            Err(reason) => return Ok(self.fail(io, &reason, 1)),
        };
        let mut bytes = match copy.from {
            None => Bytes::from(self.input(io).await),
            Some("/dev/zero") if copy.count.is_some() => Bytes::from(vec![0; zeros(&copy)]),
            Some(path) => {
                if let Some(bytes) = self.read_file(path) {
                    bytes
                } else {
                    let reason = format!("dd: failed to open '{path}': No such file or directory");
                    return Ok(self.fail(io, &reason, 1));
                }
            }
        };
        if copy.from.is_some() && !self.world.lies("rescue-dd-skip-ignored") {
            bytes = bytes.slice(copy.skip.saturating_mul(copy.block).min(bytes.len())..);
        }
        if let Some(count) = copy.count {
            let count = count.saturating_sub(usize::from(self.world.lies("rescue-dd-one-block-less")));
            let wanted = count.saturating_mul(copy.block).min(BYTES_MAX);
            if copy.from == Some(DEVICE) && bytes.len() < wanted {
                // Beyond what was written, a disk reads as zeros.
                let mut padded = bytes.to_vec();
                padded.resize(wanted, 0);
                bytes = padded.into();
            }
            bytes = bytes.slice(..wanted.min(bytes.len()));
        }
        let took_ms = match copy.to {
            None => {
                self.out(io, &bytes);
                0
            }
            Some(DEVICE) if self.world.lies("rescue-dd-tail-lost") => {
                self.write_disk(&copy, &bytes.slice(..bytes.len() - bytes.len() % copy.block), io).await?
            }
            Some(DEVICE) => self.write_disk(&copy, &bytes, io).await?,
            Some(path) if path.starts_with("/dev/") && path != "/dev/null" => {
                return Ok(self.fail(io, &format!("dd: failed to open '{path}': No such device"), 1));
            }
            Some(path) => {
                self.write_file(path, bytes.clone());
                0
            }
        };
        if !copy.quiet {
            let (whole, part) = (bytes.len() / copy.block, usize::from(bytes.len() % copy.block != 0));
            let end = if copy.progress { "\n" } else { "" };
            let line = copied(bytes.len(), took_ms);
            self.err(io, &format!("{end}{whole}+{part} records in\n{whole}+{part} records out\n{line}\n"));
        }
        Ok(0)
    }

    /// Writes as slowly as in life, so that a machine that dies meanwhile has half an image.
    async fn write_disk(&mut self, copy: &Copy<'_>, bytes: &Bytes, io: &mut Io) -> Result<u64, Stop> {
        const TICK_MS: u64 = 1_000;
        let name = self.world.with(|state| state.machines.get(&self.id).map(|machine| machine.name.clone()));
        let name = name.ok_or(Stop::Gone)?;
        let whole_ms = self.world.rng(&format!("write {name}")).between(WRITE_MS.0, WRITE_MS.1);
        let total_ms = whole_ms * (bytes.len() as u64).min(64 * WRITE_BYTES) / WRITE_BYTES;
        let late = if self.world.lies("rescue-dd-shifted") { SECTOR } else { 0 };
        let offset = copy.seek.saturating_mul(copy.block).min(BYTES_MAX) + late;
        let sparse = copy.sparse.then_some(copy.block);
        let world = self.world.clone();
        let writing = async {
            let mut done_ms = 0;
            while done_ms < total_ms {
                let step = TICK_MS.min(total_ms - done_ms);
                self.wait(step).await?;
                let from = portion(bytes, done_ms, total_ms);
                done_ms += step;
                let part = bytes.slice(from..portion(bytes, done_ms, total_ms));
                self.world.with(|state| {
                    if let Some(machine) = state.machines.get_mut(&self.id) {
                        machine.disk = overlay(&machine.disk, offset + from, &part, sparse);
                    }
                });
                if copy.progress {
                    let line = copied(from + part.len(), done_ms);
                    self.err(io, &format!("\r{line}"));
                }
            }
            Ok(total_ms)
        };
        world.stage(&name, "image-write", writing).await
    }

    pub(super) fn lsblk(&mut self, args: &[String], io: &mut Io) -> i32 {
        let gib = self.world.with(|state| state.machines.get(&self.id).map_or(0, |machine| machine.disk_gib));
        let has = |letter: char| {
            args.iter().any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter))
        };
        let size = if has('b') { (gib << 30).to_string() } else { format!("{gib}G") };
        let columns = args.iter().position(|arg| arg.starts_with('-') && arg.ends_with('o'));
        let columns = columns.and_then(|at| args.get(at + 1)).map_or("NAME,SIZE,TYPE", String::as_str).to_uppercase();
        let value = |column: &str| match column {
            "NAME" if has('p') => DEVICE.to_owned(),
            "NAME" | "KNAME" => "sda".to_owned(),
            "SIZE" => size.clone(),
            "TYPE" => "disk".to_owned(),
            "MODEL" => "QEMU HARDDISK".to_owned(),
            "RO" | "RM" => "0".to_owned(),
            _ => String::new(),
        };
        let columns: Vec<&str> = columns.split(',').collect();
        let row: Vec<String> = columns.iter().map(|column| value(column)).collect();
        if !has('n') {
            self.say(io, &columns.join(" "));
        }
        self.say(io, &row.join(" "))
    }
}

/// How many bytes are written by then: whole pages, so that sparse blocks stay aligned.
fn portion(bytes: &Bytes, done_ms: u64, total_ms: u64) -> usize {
    if done_ms >= total_ms {
        return bytes.len();
    }
    let part = usize::try_from(bytes.len() as u64 * done_ms / total_ms).unwrap_or(0);
    part - part % 4096
}

fn zeros(copy: &Copy<'_>) -> usize {
    copy.count.unwrap_or(0).saturating_mul(copy.block).min(BYTES_MAX)
}

/// `1048576 bytes (1.0 MB, 1.0 MiB) copied, 28.1 s, 37 kB/s`; what has no larger unit is not said again.
#[allow(clippy::cast_precision_loss, reason = "shown with two figures")]
fn copied(bytes: usize, took_ms: u64) -> String {
    let seconds = took_ms as f64 / 1000.0;
    let number = bytes as f64;
    let rate = scaled(number / seconds.max(0.001), 1e3, &["B", "kB", "MB", "GB"]);
    let [si, iec] = [(1e3, ["B", "kB", "MB", "GB"]), (1024.0, ["B", "KiB", "MiB", "GiB"])]
        .map(|(step, units)| scaled(number, step, &units));
    let amount = match bytes {
        1 => "1 byte".to_owned(),
        0..1000 => format!("{bytes} bytes"),
        1000..1024 => format!("{bytes} bytes ({si})"),
        _ => format!("{bytes} bytes ({si}, {iec})"),
    };
    format!("{amount} copied, {seconds:.1} s, {rate}/s")
}

/// In the largest unit that leaves a one before the point; a decimal below ten.
fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut unit = units.iter();
    let mut shown = unit.next().copied().unwrap_or_default();
    for larger in unit {
        if number < step {
            break;
        }
        (number, shown) = (number / step, larger);
    }
    if number < 9.95 { format!("{number:.1} {shown}") } else { format!("{number:.0} {shown}") }
}

/// A disk after a write at `offset`. With `sparse`, blocks of zeros are skipped and what was there stays.
fn overlay(old: &Bytes, offset: usize, new: &[u8], sparse: Option<usize>) -> Bytes {
    let mut disk = old.to_vec();
    disk.resize(disk.len().max(offset + new.len()), 0);
    let block = sparse.unwrap_or(new.len()).max(1);
    for (at, chunk) in new.chunks(block).enumerate() {
        if sparse.is_some() && chunk.iter().all(|byte| *byte == 0) {
            continue;
        }
        let from = offset + at * block;
        if let Some(there) = disk.get_mut(from..from + chunk.len()) {
            there.copy_from_slice(chunk);
        }
    }
    disk.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_write_leaves_old_bytes_where_the_image_has_zeros() {
        let old = Bytes::from(vec![9; 8]);
        assert_eq!(overlay(&old, 0, &[1, 1, 0, 0], Some(2)).as_ref(), [1, 1, 9, 9, 9, 9, 9, 9]);
        assert_eq!(overlay(&old, 0, &[1, 1, 0, 0], None).as_ref(), [1, 1, 0, 0, 9, 9, 9, 9]);
        assert_eq!(overlay(&Bytes::new(), 2, &[1], None).as_ref(), [0, 0, 1]);
    }

    #[test]
    fn amounts_are_said_as_dd_says_them() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1000, "1000 bytes (1.0 kB)"),
            (1300, "1300 bytes (1.3 kB, 1.3 KiB)"),
            (104_857_600, "104857600 bytes (105 MB, 100 MiB)"),
        ] {
            assert_eq!(copied(bytes, 1_000).split(" copied, ").next(), Some(said));
        }
    }

    #[test]
    fn sizes_are_read_as_dd_reads_them() {
        assert_eq!(
            [size("512"), size("4M"), size("1MB"), size("2k")],
            [Some(512), Some(4 << 20), Some(1_000_000), Some(2048)]
        );
        assert_eq!([size("M"), size("4X"), size("")], [None, None, None]);
    }
}
