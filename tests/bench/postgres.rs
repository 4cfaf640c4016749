//! A `PostgreSQL` of one's own, where the machine has one.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::support::{
    folder::{Folder, script},
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
};

/// Where Debian and its descendants keep the programs, one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Users that may be there to run it: it refuses root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A server that nobody else uses, with an empty database. It ends when dropped.
pub struct Postgres {
    _process: Process,
    _data: Data,
    _folder: Folder,
    port: u16,
    version: String,
}

impl Postgres {
    /// Starts one, if the machine has the programs.
    pub async fn start() -> Option<Self> {
        let programs = programs()?;
        Some(start_with_retry(async || Self::try_start(&programs).await).await)
    }

    async fn try_start(programs: &Path) -> Result<Self, PortTaken> {
        let (folder, data) = (Folder::new("postgres"), Data::new());
        let initdb = [
            format!("--pgdata={}", data.path.display()),
            "--username=hydra".to_owned(),
            "--auth=trust".to_owned(),
            "--encoding=UTF8".to_owned(),
            "--locale=C".to_owned(),
            "--no-sync".to_owned(),
        ];
        run(as_user(&data, programs.join("initdb")).args(initdb), &folder).await;
        let port = free_port();
        // etcd does not wait for the disk either: what is compared is software.
        let settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
        let server = as_user(&data, programs.join("postgres"))
            .args(["-D".to_owned(), data.path.display().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c".to_owned(), format!("port={port}")])
            .args(settings.iter().flat_map(|setting| ["-c", setting]));
        let mut process = server.start(&folder);
        let log = process.log_path().to_owned();
        ready(&mut process, async || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.contains("ready to accept connections").then_some(()).ok_or("not in its log")
        })
        .await
        .map_err(|_| PortTaken)?;
        let version = version(programs);
        Ok(Self { _process: process, _data: data, _folder: folder, port, version })
    }

    /// Its `DSN` for Hydra.
    pub fn dsn(&self) -> String {
        let port = self.port;
        format!("postgres://hydra@127.0.0.1:{port}/postgres?sslmode=disable&max_conns=20")
    }

    /// `PostgreSQL 15.1`
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The folder of `postgres` and `initdb`.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(versions) = fs::read_dir(VERSIONS) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders
        .into_iter()
        .find(|folder| ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file()))
}

/// `postgres (PostgreSQL) 15.1 (Debian ...)`, shortened.
fn version(programs: &Path) -> String {
    let output = Command::new(programs.join("postgres")).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_numeric()));
    format!("PostgreSQL {}", number.unwrap_or("of unknown version"))
}

async fn run(program: Program, folder: &Folder) {
    let mut process = program.start(folder);
    let status = process.wait().await;
    assert_eq!(status, 0, "{} failed:\n{}", program.name, process.log_tail());
}

/// `path` as the user that the data belong to.
fn as_user(data: &Data, path: PathBuf) -> Program {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let Some((user, group)) = data.user else { return Program::new(&name, path) };
    let ids = [format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()];
    Program::new(&name, "setpriv".into()).args(ids).arg(path)
}

/// The data of a server. The folders of the harness can be entered by this user alone, which may be root.
struct Data {
    path: PathBuf,
    user: Option<(u32, u32)>,
    // Its end of the pipe closes when this is dropped, and with this process, which starts the removal.
    _remover: Child,
}

impl Data {
    fn new() -> Self {
        let prefix = "hydra-operator-bench-";
        let path = tempfile::Builder::new().prefix(prefix).tempdir().unwrap().keep();
        let user = (fs::metadata(&path).unwrap().uid() == 0).then(unprivileged);
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
        }
        let remover = Command::new(script("remove-afterwards"))
            // Ctrl-C ends the group of the terminal, and this has to outlive it.
            .process_group(0)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { path, user, _remover: remover }
    }
}

/// The ids of a user that is not root, and of its group.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &&str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = USERS.iter().find_map(ids);
    found.unwrap_or_else(|| panic!("PostgreSQL refuses root, and there is none of {USERS:?}"))
}
