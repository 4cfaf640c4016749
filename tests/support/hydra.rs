//! Hydra servers of both generations, on a database file that outlives a restart.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::sync::OnceCell;

use super::{
    binaries,
    folder::Folder,
    hydra_api::http,
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
};

/// Which Hydra: the API differs between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 1.x: `/clients`.
    V1,
    /// 2.x and later: `/admin/clients`.
    V2,
}

impl Generation {
    /// Both, for tests that run on each.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    fn binary(self) -> PathBuf {
        match self {
            Self::V1 => binaries::hydra_v1(),
            Self::V2 => binaries::hydra_v2(),
        }
    }
}

/// A Hydra server with a database of its own, which has no client; the keys with which Hydra itself signs are the same in all of a test
/// process. Its ports stay the same for its whole life. It ends when dropped.
///
/// The database is an `SQLite` file, which serves parallel requests of all kinds with the settings of [`environment`]. With
/// `DSN=memory`, they fail (400, on Hydra 1 for good with "no such table").
#[derive(Debug)]
pub struct Hydra {
    generation: Generation,
    program: Program,
    process: Option<Process>,
    admin_url: String,
    public_url: String,
    folder: Folder,
}

impl Hydra {
    /// Starts one.
    pub async fn start(generation: Generation) -> Self {
        Self::start_with(generation, &[]).await
    }

    /// Starts one with environment variables (Hydra's settings) on top of the harness' own.
    pub async fn start_with(generation: Generation, settings: &[(&str, &str)]) -> Self {
        start_with_retry(async || Self::try_start(generation, settings).await).await
    }

    /// The one of this generation and test process, started at the first call. It depends on no test's runtime.
    pub async fn shared(generation: Generation) -> &'static Self {
        static V1: OnceCell<Hydra> = OnceCell::const_new();
        static V2: OnceCell<Hydra> = OnceCell::const_new();
        let shared = match generation {
            Generation::V1 => &V1,
            Generation::V2 => &V2,
        };
        shared.get_or_init(|| Self::start(generation)).await
    }

    /// Starts one on a copy of a database that has seen a first start, unless `settings` ask for a database of their own.
    async fn try_start(
        generation: Generation,
        settings: &[(&str, &str)],
    ) -> Result<Self, PortTaken> {
        if settings.iter().any(|(name, _)| ["DSN", "SECRETS_SYSTEM"].contains(name)) {
            return Self::try_first_start(generation, settings).await;
        }
        let first = Self::first_start(generation).await;
        let mut hydra = Self::prepare(generation, settings);
        first.copy_database(first.folder.path(), hydra.folder.path());
        hydra.try_run().await?;
        Ok(hydra)
    }

    /// The one of this generation and test process that was started once and stopped: 1.x makes three keys of 4096 bits at its
    /// first start, which takes as long as a whole test.
    async fn first_start(generation: Generation) -> &'static Self {
        static V1: OnceCell<Hydra> = OnceCell::const_new();
        static V2: OnceCell<Hydra> = OnceCell::const_new();
        let first = match generation {
            Generation::V1 => &V1,
            Generation::V2 => &V2,
        };
        let start = async || {
            let mut hydra =
                start_with_retry(async || Self::try_first_start(generation, &[]).await).await;
            hydra.stop().await;
            hydra
        };
        first.get_or_init(start).await
    }

    async fn try_first_start(
        generation: Generation,
        settings: &[(&str, &str)],
    ) -> Result<Self, PortTaken> {
        let mut hydra = Self::prepare(generation, settings);
        migrate(generation, &hydra.program.env);
        hydra.try_run().await?;
        Ok(hydra)
    }

    /// One that has no database yet and does not run.
    fn prepare(generation: Generation, settings: &[(&str, &str)]) -> Self {
        let name = match generation {
            Generation::V1 => "hydra1",
            Generation::V2 => "hydra2",
        };
        let folder = Folder::new(name);
        let (public_port, admin_port) = (free_port(), free_port());
        let mut env = environment(&folder, public_port, admin_port);
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        let plain_http = match generation {
            Generation::V1 => "--dangerous-force-http",
            Generation::V2 => "--dev",
        };
        Self {
            generation,
            program: Program::new(name, generation.binary())
                .args(["serve", "all", plain_http])
                .env(env),
            process: None,
            admin_url: format!("http://127.0.0.1:{admin_port}"),
            public_url: format!("http://127.0.0.1:{public_port}"),
            folder,
        }
    }

    async fn try_run(&mut self) -> Result<(), PortTaken> {
        let mut process = self.program.start(&self.folder);
        ready(&mut process, async || {
            for url in [&self.admin_url, &self.public_url] {
                let health = format!("{url}/health/ready");
                http().get(health).send().await?.error_for_status()?;
            }
            Ok::<_, reqwest::Error>(())
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Its generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// `http://127.0.0.1:<port>`, without `/admin`.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// `http://127.0.0.1:<port>`
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Where its output goes.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Ends it (SIGTERM). Its ports refuse connections until [`Self::start_again`].
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take()
            && process.is_running()
        {
            process.terminate().await;
        }
    }

    /// Starts it, also after it was killed, on the same ports with the same database.
    pub async fn start_again(&mut self) {
        self.stop().await;
        self.try_run().await.expect("nobody else uses its ports");
    }

    /// Keeps the database as it is, for [`Self::restore`]. Panics while it runs.
    pub fn back_up(&self) {
        let backup = self.folder.path().join("backup");
        fs::create_dir(&backup).unwrap();
        self.copy_database(self.folder.path(), &backup);
    }

    /// Puts the database back to what [`Self::back_up`] kept. Panics while it runs.
    pub fn restore(&self) {
        self.copy_database(&self.folder.path().join("backup"), self.folder.path());
    }

    /// The database and what `SQLite` keeps beside it.
    fn copy_database(&self, from: &Path, to: &Path) {
        assert!(self.process.is_none(), "Hydra runs");
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("hydra.sqlite{suffix}");
            // What the former state had and this one lacks must not stay.
            let _ = fs::remove_file(to.join(&name));
            if from.join(&name).exists() {
                fs::copy(from.join(&name), to.join(&name)).unwrap();
            }
        }
    }

    /// Its process, to freeze or kill it. Panics while it is stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("Hydra is stopped")
    }
}

fn environment(folder: &Folder, public_port: u16, admin_port: u16) -> BTreeMap<String, OsString> {
    // WAL: readers are not disturbed by writers. No sync: the data need not outlive the machine. The connections:
    // otherwise as many writers as there are connections (twice the cores) wait for each other for ever. No lock of the
    // library (pop): a writer that holds it waits for a transaction that waits for it, for minutes. Transactions that take SQLite's
    // lock when they begin wait for each other; those that take it later are answered 500 ("database is locked").
    let dsn = format!(
        "sqlite://{}/hydra.sqlite?_fk=true&mode=rwc&_journal_mode=WAL&_synchronous=OFF\
         &_busy_timeout=30000&_txlock=immediate&lock=false&max_conns=100&max_idle_conns=100",
        folder.path().display()
    );
    let text = |value: &str| OsString::from(value);
    [
        ("DSN", OsString::from(dsn)),
        ("SECRETS_SYSTEM", text("only-for-tests-of-the-operator")),
        ("URLS_SELF_ISSUER", format!("http://127.0.0.1:{public_port}/").into()),
        ("SERVE_PUBLIC_HOST", text("127.0.0.1")),
        ("SERVE_PUBLIC_PORT", public_port.to_string().into()),
        ("SERVE_ADMIN_HOST", text("127.0.0.1")),
        ("SERVE_ADMIN_PORT", admin_port.to_string().into()),
        ("SQA_OPT_OUT", text("true")),
        // The cheapest hashes of client secrets that each generation accepts.
        ("OAUTH2_HASHERS_PBKDF2_ITERATIONS", text("1")),
        ("OAUTH2_HASHERS_BCRYPT_COST", text("4")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Creates the tables. Hydra does that by itself only for `DSN=memory`.
fn migrate(generation: Generation, env: &[(String, OsString)]) {
    let subcommand: &[&str] = match generation {
        Generation::V1 => &["migrate", "sql"],
        Generation::V2 => &["migrate", "sql", "up"],
    };
    let output = std::process::Command::new(generation.binary())
        .args(subcommand)
        .args(["--read-from-env", "--yes"])
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the migration of {generation:?} failed: {messages}");
}
