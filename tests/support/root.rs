//! Programs in a root file system of their own, as a container has one.

use std::{ffi::OsString, path::Path};

/// The user and group of the image, which no machine has.
const NOBODY: u32 = 65_532;

/// The words that make the words after them a command in `root`, run as the user of the image. Root may change into it; anybody
/// else may where user namespaces are allowed.
pub fn entering(root: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = if rustix::process::geteuid().is_root() {
        vec!["chroot".into(), format!("--userspec={NOBODY}:{NOBODY}").into()]
    } else {
        ["unshare".into(), "--map-user".into(), NOBODY.to_string().into()]
            .into_iter()
            .chain(["--map-group".into(), NOBODY.to_string().into(), "--root".into()])
            .collect()
    };
    words.push(root.into());
    words
}
