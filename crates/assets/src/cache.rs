//! Where programs are kept: a folder for each, named after what it is made from.

use crate::table::{Asset, Comes};
use sha2::{Digest as _, Sha256};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In the folder of an asset: stands there once it is whole.
pub(crate) const WHOLE: &str = ".whole";
/// In the folder of an asset: held by whoever makes it.
pub(crate) const LOCK: &str = ".lock";

/// A program that is there.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program's file.
    pub path: PathBuf,
    /// Its own folder, with whatever came with it.
    pub folder: PathBuf,
    libraries: Option<PathBuf>,
}

impl Program {
    /// A command that runs it, with its own libraries where they came with it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// The folder of all programs, and the repository's folder that says how they are made.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    recipes: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/bouquet/assets`, else below `~/.cache`, else below the temporary folder.
    pub fn of_user() -> Self {
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
        let root = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(env::temp_dir);
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
        Self { root: root.join("bouquet").join("assets"), recipes }
    }

    /// A cache in another folder.
    pub fn at(root: impl Into<PathBuf>, recipes: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), recipes: recipes.into() }
    }

    /// The asset's program, if it has been made.
    pub fn program(&self, asset: &Asset) -> Option<Program> {
        let folder = self.folder(asset);
        let path = folder.join(inner(asset));
        // Multiarch folders are Debian's; the others are looked into in vain.
        let libraries = matches!(asset.comes, Comes::Debian { .. }).then(|| {
            let arch = format!("{}-linux-gnu", env::consts::ARCH);
            let places = [format!("usr/lib/{arch}"), format!("lib/{arch}"), "usr/lib".to_owned()];
            let joined: Vec<OsString> = places.iter().map(|place| folder.join(place).into_os_string()).collect();
            PathBuf::from(joined.join(&OsString::from(":")))
        });
        (path.exists() && folder.join(WHOLE).exists()).then_some(Program { path, folder, libraries })
    }

    /// Where the asset is kept once it is made.
    pub fn folder(&self, asset: &Asset) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}", asset.comes));
        for file in self.sources(asset) {
            // A file that is missing is told by whoever makes the asset.
            hash.update(fs::read(file).unwrap_or_default());
        }
        let id = hex::encode(hash.finalize());
        self.root.join(format!("{}-{}-{}", asset.name, asset.version, &id[..12]))
    }

    /// The repository's folder with the asset's recipe.
    pub(crate) fn recipe(&self, asset: &Asset) -> PathBuf {
        match asset.comes {
            Comes::Go { module, .. } => self.recipes.join("go").join(module),
            Comes::Python { requirements, .. } => self.recipes.join("python").join(format!("{requirements}.txt")),
            Comes::Npm { .. } => self.recipes.join("npm").join(asset.name),
            Comes::Debian { .. } => self.recipes.clone(),
        }
    }

    /// A folder for what several assets share, such as Debian's package lists.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn sources(&self, asset: &Asset) -> Vec<PathBuf> {
        let recipe = self.recipe(asset);
        match asset.comes {
            Comes::Go { package: ".", .. } => {
                let files = fs::read_dir(&recipe).into_iter().flatten().flatten().map(|entry| entry.path());
                let mut files: Vec<PathBuf> = files.collect();
                files.sort();
                files
            }
            Comes::Go { .. } => ["go.mod", "go.sum"].map(|file| recipe.join(file)).into(),
            Comes::Python { .. } => vec![recipe],
            Comes::Npm { .. } => ["package.json", "package-lock.json"].map(|file| recipe.join(file)).into(),
            Comes::Debian { .. } => Vec::new(),
        }
    }
}

/// The program's file below the asset's folder.
pub(crate) fn inner(asset: &Asset) -> PathBuf {
    match asset.comes {
        Comes::Go { .. } => asset.name.into(),
        Comes::Python { program, .. } => Path::new("bin").join(program),
        Comes::Npm { package, file } => Path::new("node_modules").join(package).join(file),
        Comes::Debian { program, .. } => program.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{TABLE, Tier};

    #[test]
    fn another_version_or_recipe_is_another_folder() {
        let cache = Cache::at("/nowhere", "/nowhere");
        let one = TABLE[0];
        let newer = Asset { version: "9.9.9", ..one };
        let other = Asset { comes: Comes::Python { requirements: "x", program: "y" }, ..one };
        assert_ne!(cache.folder(&one), cache.folder(&newer));
        assert_ne!(cache.folder(&one), cache.folder(&other));
        assert_eq!(cache.folder(&one), cache.folder(&Asset { tier: Tier::Bench, ..one }));
    }

    #[test]
    fn every_recipe_of_the_table_is_committed() {
        let cache = Cache::of_user();
        for asset in TABLE {
            assert!(cache.recipe(asset).exists(), "{}: {}", asset.name, cache.recipe(asset).display());
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|asset| asset.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }
}
