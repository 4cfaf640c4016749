//! A child process that cannot outlive the test process.

use std::{
    ffi::OsString,
    fmt::Debug,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{
    eventually::{LIMIT, within},
    folder::{Folder, script},
};

/// How long a process may take to end after SIGTERM.
const TERMINATION_LIMIT: Duration = Duration::from_mins(1);

/// A running program under `supervise`: it and its descendants end when this is dropped or this process ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    supervisor: Child,
}

/// What to run. The environment is not inherited, apart from `PATH`: a developer's own `KUBECONFIG` or `DSN` must not
/// reach a server of a test.
#[derive(Debug, Clone)]
pub struct Program {
    /// Names the log file, `<name>.log`.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(String, OsString)>,
}

impl Program {
    /// A program without arguments.
    pub fn new(name: &str, path: PathBuf) -> Self {
        Self { name: name.to_owned(), path, args: Vec::new(), env: Vec::new() }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets environment variables; the last setting of a name wins.
    pub fn env<N: Into<String>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.env.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Starts it with `folder` as its working folder, `HOME` and place of the log (appended to).
    pub fn start(&self, folder: &Folder) -> Process {
        let log = folder.path().join(format!("{}.log", self.name));
        let log_file = fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut supervisor = Command::new(script("supervise"))
            .arg(&self.path)
            .args(&self.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .process_group(0) // Ctrl-C in a terminal reaches the test process alone, and that ends the rest
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be supervised: {error}", self.name));
        let mut pid = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| panic!("the supervisor of {} named no process", self.name));
        Process { name: self.name.clone(), log, pid, supervisor }
    }
}

impl Process {
    /// The process id of the program itself.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Where its output goes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its output, for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Its exit status, if it has ended: the code, or 128 + the signal that ended it.
    pub fn exit_status(&mut self) -> Option<i32> {
        self.supervisor.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none()
    }

    /// Waits until it ends, and returns its exit status as [`Self::exit_status`] does.
    pub async fn wait(&mut self) -> i32 {
        let Ok(status) = within(TERMINATION_LIMIT, async || self.exit_status()).await else {
            panic!("{} still runs; its log ends:\n{}", self.name, self.log_tail());
        };
        status
    }

    /// Sends SIGTERM and waits for the end: 0 after a clean shutdown, 143 if the signal killed it.
    pub async fn terminate(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Sends SIGKILL and waits until it is gone.
    pub async fn kill_9(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }

    /// Freezes it (SIGSTOP): connections stay open and get no answer.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        let status = self.exit_status();
        assert!(status.is_none(), "{} has ended already, with status {status:?}", self.name);
        kill_process(self.pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing of a test's server is worth a clean shutdown, and a test should end at once.
        if self.is_running() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.supervisor.wait();
        }
    }
}

/// Somebody else took the port that had just been free: the server is to be started again with another.
#[derive(Debug)]
pub struct PortTaken;

/// Waits until `probe` succeeds. Panics, with the end of the log, if the process ends or the probe never succeeds.
pub async fn ready<E: Debug>(
    process: &mut Process,
    mut probe: impl AsyncFnMut() -> Result<(), E>,
) -> Result<(), PortTaken> {
    let outcome = within(LIMIT, async || match process.exit_status() {
        Some(status) => Ok(Some(status)),
        None => probe().await.map(|()| None),
    })
    .await;
    let reason = match outcome {
        Ok(None) => return Ok(()),
        Ok(Some(_)) if process.log().contains("address already in use") => return Err(PortTaken),
        Ok(Some(status)) => format!("ended with status {status}"),
        Err(state) => format!("is not ready: {state}"),
    };
    panic!("{} {reason}; its log ends:\n{}", process.name, process.log_tail());
}

/// Starts a server with `start`, again if its port was taken in between.
pub async fn start_with_retry<T>(start: impl AsyncFn() -> Result<T, PortTaken>) -> T {
    for _ in 0..5 {
        if let Ok(server) = start().await {
            return server;
        }
    }
    panic!("five times, somebody else took the port that had just been free");
}
