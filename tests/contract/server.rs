//! Real Hydra servers as child processes.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use url::Url;

use crate::ports::free_port;

/// A program that speaks the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `HYDRA_V1_BIN`, or the Hydra 1 that `tests/servers/build` builds.
    Hydra1,
    /// `HYDRA_BIN`, or the Hydra 2 that `tests/servers/build` builds.
    Hydra2,
}

impl Program {
    fn binary(self) -> PathBuf {
        let (variable, name, output) = match self {
            Self::Hydra1 => ("HYDRA_V1_BIN", "hydra1", "HYDRA_V1="),
            Self::Hydra2 => ("HYDRA_BIN", "hydra2", "HYDRA_V2="),
        };
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            return path.into();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/build");
        let built = Command::new(script).arg(name).stderr(Stdio::inherit()).output();
        let built = built.unwrap_or_else(|error| panic!("{script}: {error}"));
        assert!(built.status.success(), "{script} {name}: {}", built.status);
        let lines = String::from_utf8(built.stdout).unwrap();
        lines.lines().find_map(|line| line.strip_prefix(output)).unwrap().into()
    }
}

/// The two ports of a Hydra, on the loopback address.
#[derive(Clone, Copy)]
pub struct Ports {
    public: u16,
    admin: u16,
}

impl Ports {
    /// Ports that nobody listens on at this moment, and that no connection takes until the server does.
    pub fn free() -> Self {
        Self { public: free_port(), admin: free_port() }
    }
}

/// A running Hydra with its own data. It ends with the value.
pub struct Server {
    process: Child,
    ports: Ports,
    _folder: TempDir,
}

impl Server {
    /// Starts with the data in memory. With it Hydra 1 loses its tables as soon as requests
    /// overlap.
    pub async fn start(program: Program) -> Self {
        Self::start_with(program, Ports::free(), &[]).await
    }

    /// Starts with the data in a file, for requests that overlap.
    pub async fn start_on_disk(program: Program) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        // Without these settings parallel writers wait for each other crosswise: see the harness of the other tests.
        let settings = "_fk=true&mode=rwc&_busy_timeout=30000&_txlock=immediate&lock=false";
        let dsn = format!("sqlite://{}?{settings}", file.display());
        let migrate: &[&str] = match program {
            Program::Hydra1 => &["migrate", "sql", "-e", "--yes"],
            Program::Hydra2 => &["migrate", "sql", "up", "-e", "--yes"],
        };
        let log = File::create(folder.path().join("migration")).unwrap();
        let mut migration = Command::new(program.binary());
        migration.args(migrate).env_clear().env("DSN", &dsn).env("SQA_OPT_OUT", "true");
        let migration = migration.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        assert!(migration.success(), "{program:?}: {migration}");
        Self::start_in(folder, program, Ports::free(), &[("DSN", &dsn)]).await
    }

    /// Starts on given ports and with more settings.
    pub async fn start_with(program: Program, ports: Ports, settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), program, ports, settings).await
    }

    async fn start_in(
        folder: TempDir,
        program: Program,
        ports: Ports,
        settings: &[(&str, &str)],
    ) -> Self {
        let log = folder.path().join("log");
        let mut server = Self {
            process: command(program, ports, settings, &log).spawn().unwrap(),
            ports,
            _folder: folder,
        };
        let ready = server.admin_url().join("health/ready").unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        let http = crate::https::plain_client();
        while !http.get(ready.clone()).send().await.is_ok_and(|answer| answer.status() == 200) {
            let ended = server.process.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("{program:?} does not become ready ({ended:?}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    pub fn admin_url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}/", self.ports.admin)).unwrap()
    }

    pub fn public_url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}/", self.ports.public)).unwrap()
    }

    pub fn ports(&self) -> Ports {
        self.ports
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(
    program: Program,
    ports: Ports,
    settings: &[(&str, &str)],
    log: &std::path::Path,
) -> Command {
    let log = File::create(log).unwrap();
    let insecure = match program {
        Program::Hydra1 => "--dangerous-force-http",
        Program::Hydra2 => "--dev",
    };
    let mut command = Command::new(program.binary());
    command
        .args(["serve", "all", insecure])
        .env_clear()
        .env("DSN", "memory")
        .env("SECRETS_SYSTEM", "a-secret-for-tests-only")
        .env("SQA_OPT_OUT", "true")
        .env("URLS_SELF_ISSUER", format!("http://127.0.0.1:{}/", ports.public))
        .env("SERVE_PUBLIC_HOST", "127.0.0.1")
        .env("SERVE_PUBLIC_PORT", ports.public.to_string())
        .env("SERVE_ADMIN_HOST", "127.0.0.1")
        .env("SERVE_ADMIN_PORT", ports.admin.to_string())
        .env("OAUTH2_HASHERS_PBKDF2_ITERATIONS", "1")
        .env("OAUTH2_HASHERS_BCRYPT_COST", "4")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}
