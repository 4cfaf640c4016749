//! Temporary folders that do not outlive the test process, except for the logs of a failure.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The folder of this test process.
struct Root {
    path: PathBuf,
    // Its end of the pipe closes with this process, which starts the removal.
    _remover: Child,
}

static ROOT: LazyLock<Root> = LazyLock::new(|| {
    let path = tempfile::Builder::new().prefix("hydra-operator-").tempdir().unwrap().keep();
    if std::env::var_os("KEEP_LOGS").is_some() {
        keep(&path);
    }
    let report = std::panic::take_hook();
    let root = path.clone();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        keep(&root);
    }));
    let remover = Command::new(script("remove-afterwards"))
        // Ctrl-C ends the group of the terminal, and this has to outlive it.
        .process_group(0)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Root { path, _remover: remover }
});

fn keep(root: &Path) {
    let marker = root.join("keep");
    if !marker.exists() {
        eprintln!("The logs of the servers are kept in {}", root.display());
    }
    // A full disk must not turn a failing test into an abort.
    let _ = fs::write(marker, "");
}

/// A script of the harness.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name)
}

/// A temporary folder: removed when dropped, unless the thread panics or `KEEP_LOGS` is set.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Creates an empty folder whose name starts with `name`.
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = ROOT.path.join(format!("{name}-{number}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only this user can read, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(content.as_ref()).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os("KEEP_LOGS").is_none() {
            // What is still there goes with the folder of the process.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
