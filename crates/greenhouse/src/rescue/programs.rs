//! The programs of the rescue system, by name. What they print is what scripts look at, in the words of the real ones.

use super::shell::{Code, Io, Shell, Stop};
use crate::factory;
use crate::machine::{self, Arch};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::time::Duration;

/// What a client may ask for with `command -v`.
const NAMES: &[&str] = &[
    "bash",
    "blkdiscard",
    "cat",
    "curl",
    "dd",
    "echo",
    "gunzip",
    "gzip",
    "head",
    "lsblk",
    "partprobe",
    "poweroff",
    "printf",
    "reboot",
    "sh",
    "sha256sum",
    "shutdown",
    "sleep",
    "sync",
    "systemctl",
    "test",
    "true",
    "uname",
    "unxz",
    "wc",
    "wget",
    "xz",
    "xzcat",
    "zstd",
    "zstdcat",
];

impl Shell {
    /// Runs one program; 127 if there is none of that name.
    pub(super) fn program<'a>(&'a mut self, name: &'a str, args: &'a [String], io: &'a mut Io) -> BoxFuture<'a, Code> {
        Box::pin(async move {
            let short = name.rsplit('/').next().unwrap_or(name);
            Ok(match short {
                "true" | ":" | "cd" | "partprobe" | "udevadm" | "stty" | "trap" => 0,
                "false" => 1,
                "set" => self.set_options(args),
                "export" => self.export(args),
                "exit" => return Err(Stop::Exit(args.first().and_then(|code| code.parse().ok()).unwrap_or(0))),
                "sync" => {
                    self.wait(500).await?;
                    0
                }
                "sleep" => {
                    let seconds = args.first().and_then(|text| text.trim_end_matches('s').parse::<f64>().ok());
                    let wanted = Duration::from_secs_f64(seconds.unwrap_or(0.0).clamp(0.0, 86_400.0));
                    self.wait(u64::try_from(wanted.as_millis()).unwrap_or(u64::MAX)).await?;
                    0
                }
                "echo" => self.echo(args, io),
                "printf" => self.printf(args, io),
                "cat" => self.cat(args, io).await,
                "head" => self.head(args, io).await,
                "wc" => self.count(args, io).await,
                "sha256sum" => self.sha256sum(args, io).await,
                "test" => self.test(args),
                "[" => match args.split_last() {
                    Some((end, args)) if end == "]" => self.test(args),
                    _ => self.fail(io, "bash: line 1: [: missing `]'", 2),
                },
                "sh" | "bash" | "dash" => return self.sh(args, io).await,
                "uname" => self.uname(args, io),
                "hostname" => self.say(io, "rescue"),
                "whoami" => self.say(io, "root"),
                "id" => self.say(io, if args.iter().any(|arg| arg == "-u") { "0" } else { "uid=0(root) gid=0(root)" }),
                "command" | "which" | "type" => self.locate(args, io),
                "xz" | "unxz" | "xzcat" => self.unpack(short, args, io, factory::unxz, short != "xz").await,
                "zstd" | "unzstd" | "zstdcat" => self.unpack(short, args, io, factory::unzstd, short != "zstd").await,
                "gzip" | "gunzip" | "zcat" => self.unpack(short, args, io, gunzip, short != "gzip").await,
                "wget" => return self.wget(args, io).await,
                "curl" => return self.curl(args, io).await,
                "dd" => return self.dd(args, io).await,
                "blkdiscard" | "wipefs" => return self.blkdiscard(short, args, io).await,
                "lsblk" => self.lsblk(args, io),
                "poweroff" | "halt" | "reboot" | "shutdown" | "systemctl" => self.power(short, args, io),
                _ => self.fail(io, &format!("bash: line 1: {name}: command not found"), 127),
            })
        })
    }

    pub(super) fn say(&mut self, io: &mut Io, line: &str) -> i32 {
        self.out(io, format!("{line}\n"));
        0
    }

    pub(super) fn fail(&mut self, io: &mut Io, line: &str, code: i32) -> i32 {
        self.err(io, &format!("{line}\n"));
        code
    }

    fn echo(&mut self, args: &[String], io: &mut Io) -> i32 {
        let (args, end) = match args.split_first() {
            Some((first, rest)) if first == "-n" => (rest, ""),
            _ => (args, "\n"),
        };
        self.out(io, format!("{}{end}", args.join(" ")));
        0
    }

    fn printf(&mut self, args: &[String], io: &mut Io) -> i32 {
        let Some((format, values)) = args.split_first() else { return 2 };
        let format = format.replace("\\n", "\n").replace("\\t", "\t");
        // The format is used again until no value is left.
        let places = format.matches("%s").count() + format.matches("%d").count();
        let mut rounds: Vec<&[String]> = values.chunks(places.max(1)).collect();
        if rounds.is_empty() || places == 0 {
            rounds = vec![&[]];
        }
        for round in rounds {
            let mut text = format.clone();
            for value in round {
                let next = text.find("%s").into_iter().chain(text.find("%d")).min();
                if let Some(at) = next {
                    text.replace_range(at..at + 2, value);
                }
            }
            self.out(io, text.replace("%s", "").replace("%d", "0").replace("%%", "%"));
        }
        0
    }

    /// The bytes of files named, or of the input if none is; after the first that is missing, its exit status.
    async fn gather(&mut self, program: &str, paths: &[&str], io: &mut Io) -> Result<Vec<u8>, i32> {
        if paths.is_empty() {
            return Ok(self.input(io).await);
        }
        let mut all = Vec::new();
        for path in paths {
            match *path {
                "-" => all.extend(self.input(io).await),
                path => match self.read_file(path) {
                    Some(bytes) => all.extend_from_slice(&bytes),
                    None => return Err(self.fail(io, &format!("{program}: {path}: No such file or directory"), 1)),
                },
            }
        }
        Ok(all)
    }

    async fn cat(&mut self, args: &[String], io: &mut Io) -> i32 {
        let paths: Vec<&str> = args.iter().map(String::as_str).collect();
        match self.gather("cat", &paths, io).await {
            Ok(bytes) => {
                self.out(io, bytes);
                0
            }
            Err(code) => code,
        }
    }

    async fn head(&mut self, args: &[String], io: &mut Io) -> i32 {
        let mut paths = Vec::new();
        let (mut bytes_wanted, mut lines_wanted) = (None, 10);
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            match arg {
                "-c" => bytes_wanted = args.next().and_then(super::disk::size),
                "-n" => lines_wanted = args.next().and_then(|text| text.parse().ok()).unwrap_or(10),
                path if !path.starts_with('-') || path == "-" => paths.push(path),
                option => match option.strip_prefix("-c").and_then(super::disk::size) {
                    Some(size) => bytes_wanted = Some(size),
                    None => {
                        lines_wanted = option.trim_start_matches("-n").trim_start_matches('-').parse().unwrap_or(10);
                    }
                },
            }
        }
        let mut bytes = match self.gather("head", &paths, io).await {
            Ok(bytes) => bytes,
            Err(code) => return code,
        };
        if let Some(wanted) = bytes_wanted {
            // A device goes on with zeros where its image ends.
            let is_device = paths.contains(&super::disk::DEVICE);
            if is_device || wanted < bytes.len() {
                bytes.resize(wanted, 0);
            }
        } else {
            let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').take(lines_wanted).collect();
            bytes = lines.concat();
        }
        self.out(io, bytes);
        0
    }

    async fn count(&mut self, args: &[String], io: &mut Io) -> i32 {
        let paths: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
        match self.gather("wc", &paths, io).await {
            Ok(bytes) if args.iter().any(|arg| arg == "-l") => {
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
                self.say(io, &lines.to_string())
            }
            Ok(bytes) => self.say(io, &bytes.len().to_string()),
            Err(code) => code,
        }
    }

    async fn sha256sum(&mut self, args: &[String], io: &mut Io) -> i32 {
        let paths: Vec<&str> =
            args.iter().map(String::as_str).filter(|arg| *arg == "-" || !arg.starts_with('-')).collect();
        let name = paths.first().copied().unwrap_or("-").to_owned();
        match self.gather("sha256sum", &paths, io).await {
            Ok(bytes) => self.say(io, &format!("{}  {name}", hex::encode(Sha256::digest(bytes)))),
            Err(code) => code,
        }
    }

    fn test(&mut self, args: &[String]) -> i32 {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        let holds = match args.as_slice() {
            ["!", rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(|arg| (*arg).to_owned()).collect();
                return i32::from(self.test(&rest) == 0);
            }
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-b", path] => *path == super::disk::DEVICE,
            ["-e" | "-r" | "-w", path] => *path == super::disk::DEVICE || self.read_file(path).is_some(),
            ["-f", path] => *path != super::disk::DEVICE && self.read_file(path).is_some(),
            ["-s", path] => self.read_file(path).is_some_and(|bytes| !bytes.is_empty()),
            [left, "=" | "==", right] => left == right,
            [left, "!=", right] => left != right,
            [left, "-eq", right] => number(left) == number(right),
            [left, "-ne", right] => number(left) != number(right),
            [left, "-gt", right] => number(left) > number(right),
            [left, "-ge", right] => number(left) >= number(right),
            [left, "-lt", right] => number(left) < number(right),
            [left, "-le", right] => number(left) <= number(right),
            _ => false,
        };
        i32::from(!holds)
    }

    /// `sh -c TEXT`, or a script on its input.
    async fn sh(&mut self, args: &[String], io: &mut Io) -> Code {
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg.starts_with('-') && arg.ends_with('c') {
                let flags = arg.trim_end_matches('c').to_owned();
                let text = rest.next().cloned().unwrap_or_default();
                return self.nested(&flags, &text, io).await;
            }
        }
        let text = String::from_utf8_lossy(&self.input(io).await).into_owned();
        self.nested(&args.join(" "), &text, io).await
    }

    fn uname(&mut self, args: &[String], io: &mut Io) -> i32 {
        let arch = self.world.with(|state| state.machines.get(&self.id).map(|machine| machine.arch));
        let machine = if arch == Some(Arch::Arm64) { "aarch64" } else { "x86_64" };
        let kernel = "6.12.57";
        let text = match args.first().map(String::as_str) {
            Some("-m" | "-p" | "-i") => machine.to_owned(),
            Some("-r") => kernel.to_owned(),
            Some("-a") => format!("Linux rescue {kernel} #1 SMP {machine} GNU/Linux"),
            _ => "Linux".to_owned(),
        };
        self.say(io, &text)
    }

    fn locate(&mut self, args: &[String], io: &mut Io) -> i32 {
        let found: Vec<&String> = args.iter().filter(|name| NAMES.contains(&name.as_str())).collect();
        for name in &found {
            self.say(io, &format!("/usr/bin/{name}"));
        }
        i32::from(found.is_empty())
    }

    async fn unpack(
        &mut self,
        name: &str,
        args: &[String],
        io: &mut Io,
        how: fn(&[u8]) -> Result<Vec<u8>, String>,
        decompresses: bool,
    ) -> i32 {
        let is_flag = |letter: char, long: &str| {
            args.iter()
                .any(|arg| arg == long || (arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter)))
        };
        if !(decompresses || is_flag('d', "--decompress") || is_flag('d', "--uncompress")) {
            return self.fail(io, &format!("{name}: compressing is not done here"), 1);
        }
        let paths: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
        let packed = match self.gather(name, &paths, io).await {
            Ok(packed) => packed,
            Err(code) => return code,
        };
        match how(&packed) {
            Ok(raw) => {
                self.out(io, raw);
                0
            }
            Err(reason) => {
                let status = i32::from(!self.world.lies("rescue-unpack-forgives"));
                self.fail(io, &format!("{name}: {reason}"), status)
            }
        }
    }

    /// `poweroff`, `reboot`, `shutdown [-h|-r] now`, `systemctl poweroff|reboot`: in a few seconds.
    fn power(&mut self, name: &str, args: &[String], io: &mut Io) -> i32 {
        let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
        let reboots = match name {
            "reboot" => true,
            "shutdown" => has("-r"),
            "systemctl" if has("reboot") => true,
            "systemctl" if has("poweroff") || has("halt") => false,
            "systemctl" => return self.fail(io, "systemctl: unknown operation", 1),
            _ => false,
        };
        let (world, id, boot) = (self.world.clone(), self.id, self.boot);
        self.world.spawn(async move {
            world.delay_between(&format!("rescue down {id} {boot}"), 2_000, 4_000).await;
            if world.with(|state| machine::is_boot(state, id, boot)) {
                if reboots {
                    machine::power_cycle(&world, id);
                } else {
                    machine::power_off(&world, id);
                }
            }
        });
        0
    }
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut raw = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(packed).take(256 << 20).read_to_end(&mut raw);
    read.map(|_| raw).map_err(|_| "stdin: not in gzip format".to_owned())
}
