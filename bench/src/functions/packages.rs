//! The binaries that are measured: those of the packages, where they are for this machine.
//!
//! `make build` makes packages for arm64, which another machine cannot run. Then, and where there are no
//! packages, the functions are built as this program was, and the measurement says so.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow};

use crate::zips::FUNCTIONS;

/// A binary a function.
pub(super) struct Binaries {
    paths: BTreeMap<&'static str, PathBuf>,
    /// What they are.
    pub(super) what: String,
}

impl Binaries {
    /// Unpacks the packages, or builds the functions.
    pub(super) fn find(packages: &Path, folder: &Path) -> anyhow::Result<Self> {
        match unpacked(packages, folder)? {
            Some(paths) => Ok(Self {
                paths,
                what: format!("the packages in {}", packages.display()),
            }),
            None => built(packages),
        }
    }

    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.paths.get(name).cloned();
        path.with_context(|| format!("{name} has no binary"))
    }
}

/// The binaries of the packages; `None` when one is missing, or is for another kind of machine.
fn unpacked(
    packages: &Path,
    folder: &Path,
) -> anyhow::Result<Option<BTreeMap<&'static str, PathBuf>>> {
    let own = machine_of(&std::env::current_exe()?)?;
    let mut paths = BTreeMap::new();
    for function in FUNCTIONS {
        let zip = packages.join(function.name).join("bootstrap.zip");
        if !zip.exists() {
            return Ok(None);
        }
        let into = folder.join(function.name);
        let done = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([&zip, &into])
            .status()
            .context("python3 is needed to unpack a package")?;
        anyhow::ensure!(done.success(), "{} cannot be unpacked", zip.display());
        let binary = into.join("bootstrap");
        if machine_of(&binary)? != own {
            return Ok(None);
        }
        fs::set_permissions(&binary, Permissions::from_mode(0o755))?;
        paths.insert(function.name, binary);
    }
    Ok(Some(paths))
}

/// What kind of machine a program is for: `e_machine` of its ELF header.
fn machine_of(path: &Path) -> anyhow::Result<[u8; 2]> {
    let mut header = [0; 20];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .with_context(|| format!("read {}", path.display()))?;
    let [.., low, high] = header;
    Ok([low, high])
}

/// Builds the functions with the profile that this program was built with.
fn built(packages: &Path) -> anyhow::Result<Binaries> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this program is in no folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => return Err(anyhow!("the profile is not told by {}", folder.display())),
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", profile]);
    for function in FUNCTIONS {
        cargo.args(["--package", &format!("weir-{}", function.name)]);
    }
    anyhow::ensure!(cargo.status()?.success(), "the functions cannot be built");
    let path = |name| (name, folder.join(name));
    Ok(Binaries {
        paths: FUNCTIONS
            .iter()
            .map(|function| path(function.name))
            .collect(),
        what: format!(
            "built with the profile {profile}, as {} has no packages for this machine",
            packages.display()
        ),
    })
}
