//! cargo, run by what cargo itself has started.

use std::env;
use std::process::Command;

/// What cargo tells a program that it runs about that program's package. Build scripts of some dependencies ask to be run anew when
/// it is another: everything above them would be compiled again whenever somebody else starts cargo.
const OF_A_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// A cargo that knows nothing of who starts it.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| OF_A_PACKAGE.iter().any(|prefix| name.starts_with(prefix))) {
        cargo.env_remove(name);
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_told_of_the_package_that_starts_it() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some() && env::var_os("CARGO_MANIFEST_DIR").is_some());
        let removed: Vec<_> =
            cargo().get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name.to_owned()).collect();
        assert!(["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"].iter().all(|name| removed.iter().any(|gone| gone == name)));
    }
}
