//! Making a program: in its own folder, under a lock, marked as whole at the end.

use crate::cache::{Cache, LOCK, Program, WHOLE, inner};
use crate::table::{Asset, Comes};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a program could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine has not what the making needs.
    #[error("{asset} needs `{tool}`, which is not on PATH; install {package}")]
    Lacks {
        /// Name of the asset.
        asset: &'static str,
        /// The missing program.
        tool: &'static str,
        /// What is usually installed to have it.
        package: &'static str,
    },
    /// A command of the making failed.
    #[error("{asset}: `{command}` failed:\n{said}")]
    Command {
        /// Name of the asset.
        asset: &'static str,
        /// The command.
        command: String,
        /// The last lines of what it printed.
        said: String,
    },
    /// The file system refused.
    #[error("{asset}: {}: {source}", path.display())]
    Disk {
        /// Name of the asset.
        asset: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was made, and has not the program that it should have.
    #[error("{asset} came without {}", program.display())]
    Hollow {
        /// Name of the asset.
        asset: &'static str,
        /// What is missing.
        program: PathBuf,
    },
}

/// What this machine has for making programs.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Machine {
    /// Whether `tool` can be started.
    pub fn has(self, tool: &str) -> bool {
        let argument = if tool == "go" { "version" } else { "--version" };
        Command::new(tool).arg(argument).output().is_ok_and(|output| output.status.success())
    }

    /// What is missing to make the asset.
    pub fn lacks(self, asset: &Asset) -> Option<Failure> {
        let needs: &[(&'static str, &'static str)] = match asset.comes {
            Comes::Go { .. } => &[("go", "Go 1.26")],
            Comes::Python { .. } => &[("python3", "Python 3.11 with its venv module")],
            Comes::Npm { .. } => &[("npm", "Node.js with npm")],
            Comes::Debian { .. } => &[("apt-get", "a Debian"), ("dpkg-deb", "a Debian")],
        };
        let missing = needs.iter().find(|(tool, _)| !self.has(tool))?;
        Some(Failure::Lacks { asset: asset.name, tool: missing.0, package: missing.1 })
    }
}

impl Asset {
    /// Makes it, if it is not there. A making that was cut off leaves nothing that a later one could take for whole; what
    /// the package managers had fetched and built by then, they still have.
    pub fn make(&'static self, cache: &Cache) -> Result<Program, Failure> {
        if let Some(program) = cache.program(self) {
            return Ok(program);
        }
        if let Some(failure) = Machine.lacks(self) {
            return Err(failure);
        }
        let folder = cache.folder(self);
        disk(self, &folder, fs::create_dir_all(&folder))?;
        let lock = folder.join(LOCK);
        let held = disk(self, &lock, fs::File::create(&lock))?;
        disk(self, &lock, held.lock())?;
        // Whoever held the lock until now has made the same.
        if let Some(program) = cache.program(self) {
            return Ok(program);
        }
        clear(self, &folder)?;
        self.fill(cache, &folder)?;
        self.try_out(&folder)?;
        let whole = folder.join(WHOLE);
        disk(self, &whole, fs::write(&whole, ""))?;
        cache.program(self).ok_or_else(|| Failure::Hollow { asset: self.name, program: inner(self) })
    }

    fn fill(&'static self, cache: &Cache, fresh: &Path) -> Result<(), Failure> {
        let recipe = cache.recipe(self);
        match self.comes {
            Comes::Go { package, tags, link, .. } => {
                let mut go = Command::new("go");
                go.args(["build", "-trimpath", "-tags", tags, "-ldflags"]).arg(format!("-s -w {link}"));
                go.arg("-o").arg(fresh.join(self.name)).arg(package);
                run(self, go.current_dir(&recipe).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly"))
            }
            Comes::Python { .. } => {
                run(self, Command::new("python3").args(["-m", "venv"]).arg(fresh))?;
                let mut pip = Command::new(fresh.join("bin/python"));
                run(
                    self,
                    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&recipe),
                )
            }
            Comes::Npm { .. } => {
                for name in ["package.json", "package-lock.json"] {
                    disk(self, &recipe, fs::copy(recipe.join(name), fresh.join(name)))?;
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(fresh);
                run(self, &mut npm)
            }
            Comes::Debian { packages, .. } => self.unpack(cache, packages, fresh),
        }
    }

    /// Downloads the packages, with those of their dependencies that are not installed, and unpacks them.
    fn unpack(&'static self, cache: &Cache, packages: &[&str], fresh: &Path) -> Result<(), Failure> {
        let apt = Apt::new(self, cache)?;
        let mut wanted: Vec<String> = packages.iter().map(|&package| package.to_owned()).collect();
        wanted.extend(apt.missing(packages)?);
        wanted.sort();
        wanted.dedup();
        run(self, apt.command("download").args(&wanted).current_dir(fresh))?;
        for file in disk(self, fresh, fs::read_dir(fresh))?.flatten() {
            let path = file.path();
            if path.extension().is_some_and(|ending| ending == "deb") {
                run(self, Command::new("dpkg-deb").arg("-x").arg(&path).arg(fresh))?;
                disk(self, &path, fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    fn try_out(&'static self, fresh: &Path) -> Result<(), Failure> {
        let program = fresh.join(inner(self));
        if !program.exists() {
            return Err(Failure::Hollow { asset: self.name, program: inner(self) });
        }
        // Debian's programs want their libraries' folder, which only a cached program knows.
        if self.probe.is_empty() || matches!(self.comes, Comes::Debian { .. }) {
            return Ok(());
        }
        run(self, Command::new(program).args(self.probe))
    }
}

/// Debian's package manager with lists of its own, so that neither the machine's lists nor root are needed.
struct Apt {
    asset: &'static Asset,
    lists: PathBuf,
}

impl Apt {
    fn new(asset: &'static Asset, cache: &Cache) -> Result<Self, Failure> {
        let apt = Self { asset, lists: cache.shared("debian") };
        let partial = apt.lists.join("lists/partial");
        if !partial.exists() {
            disk(asset, &partial, fs::create_dir_all(&partial))?;
            let archives = apt.lists.join("archives/partial");
            disk(asset, &archives, fs::create_dir_all(&archives))?;
            run(asset, apt.command("update").arg("-qq"))?;
        }
        Ok(apt)
    }

    fn command(&self, verb: &str) -> Command {
        let mut apt = Command::new("apt-get");
        apt.arg("-o").arg(format!("Dir::State::lists={}", self.lists.join("lists").display()));
        apt.arg("-o").arg(format!("Dir::Cache={}", self.lists.display()));
        apt.args(["-o", "APT::Sandbox::User=root", "-q", verb]);
        apt
    }

    /// What an installation would add.
    fn missing(&self, packages: &[&str]) -> Result<Vec<String>, Failure> {
        let mut simulate = self.command("install");
        simulate.args(["--simulate", "--no-install-recommends"]).args(packages);
        let said = output(self.asset, &mut simulate)?;
        let names = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }
}

fn run(asset: &'static Asset, command: &mut Command) -> Result<(), Failure> {
    output(asset, command).map(drop)
}

/// Runs a command; what it printed on its standard output.
fn output(asset: &'static Asset, command: &mut Command) -> Result<String, Failure> {
    const LINES: usize = 30;
    let line = format!("{command:?}");
    let failed = |said: String| {
        let lines: Vec<&str> = said.lines().collect();
        let said = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Failure::Command { asset: asset.name, command: line, said }
    };
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Err(failed(error.to_string())),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Empties the folder of what an earlier making left, but for the lock.
fn clear(asset: &'static Asset, folder: &Path) -> Result<(), Failure> {
    for entry in disk(asset, folder, fs::read_dir(folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            disk(asset, &path, fs::remove_dir_all(&path))?;
        } else if entry.file_name() != LOCK {
            disk(asset, &path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}

fn disk<T>(asset: &'static Asset, path: &Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|source| Failure::Disk { asset: asset.name, path: path.to_owned(), source })
}
