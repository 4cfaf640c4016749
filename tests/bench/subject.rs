//! What is measured: the operator, or hydra-maester.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use crate::{
    support::{
        Operator, OperatorOptions,
        counters::{self, Sample},
        folder::Folder,
        hydra_api::http,
        ports::free_port,
        process::{Process, Program, ready},
    },
    world::World,
};

/// How often the metrics are read while it becomes quiet.
const INTERVAL: Duration = Duration::from_millis(250);
/// Without a pass for so long, it is quiet.
const QUIET: Duration = Duration::from_secs(2);
/// The slowest controller passes over 10,000 clients in far less.
const LIMIT: Duration = Duration::from_mins(10);

/// Which one.
pub enum Kind {
    /// This project's, at this path.
    Operator(PathBuf),
    /// The other one, at this path.
    Maester(PathBuf),
}

impl Kind {
    /// The operator as it was built with this program: next to the folder of the examples.
    pub fn operator() -> Self {
        let bench = env::current_exe().unwrap();
        let profile = bench.ancestors().nth(2).unwrap_or(Path::new(""));
        Self::Operator(profile.join(format!("hydra-operator{}", env::consts::EXE_SUFFIX)))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Operator(_) => "hydra-operator",
            Self::Maester(_) => "hydra-maester",
        }
    }
}

/// A controller at work. It ends when dropped.
pub enum Subject {
    /// This project's, as its `ServiceAccount` with the rights of `deploy/rbac`.
    Operator(Box<Operator>),
    /// The other one.
    Maester(Box<Maester>),
}

/// hydra-maester, with the rights of the administrator.
pub struct Maester {
    program: Program,
    process: Process,
    metrics_url: String,
    folder: Folder,
}

/// What a controller says it has done since its start.
struct Activity {
    passes: f64,
    /// Passes under way, and events that are still to be published.
    in_progress: f64,
    sweeps: f64,
}

impl Subject {
    /// Starts one for the servers of `world`.
    pub async fn start(world: &World, kind: &Kind) -> Self {
        match kind {
            Kind::Operator(path) => {
                let options = OperatorOptions::new(world.hydra.admin_url()).binary(path);
                Self::Operator(Box::new(Operator::start(&world.control_plane, options).await))
            }
            Kind::Maester(path) => Self::Maester(Box::new(Maester::start(world, path).await)),
        }
    }

    /// Its process id.
    pub fn pid(&mut self) -> i32 {
        match self {
            Self::Operator(operator) => operator.process().pid(),
            Self::Maester(maester) => maester.process.pid(),
        }
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        match self {
            Self::Operator(operator) => operator.process().terminate().await,
            Self::Maester(maester) => maester.process.terminate().await,
        };
    }

    /// Starts it again.
    pub async fn start_again(&mut self) {
        match self {
            Self::Operator(operator) => operator.start_again().await,
            Self::Maester(maester) => maester.run().await,
        }
    }

    /// Waits until it has looked at all of its `clients` since its start, and does nothing any more. Returns since when.
    pub async fn quiet(&self, clients: f64) -> Instant {
        timeout(LIMIT, self.until_quiet(clients)).await.expect("it becomes quiet")
    }

    async fn until_quiet(&self, clients: f64) -> Instant {
        let (mut since, mut passes) = (None, 0.0);
        loop {
            let activity = self.activity().await;
            let has_looked = match self {
                Self::Operator(_) => activity.sweeps >= 1.0,
                Self::Maester(_) => activity.passes >= clients,
            };
            let rests = activity.in_progress == 0.0 && activity.passes <= passes;
            match since {
                Some(since) if rests && Instant::now().duration_since(since) >= QUIET => {
                    return since;
                }
                Some(_) if rests => {}
                _ => since = has_looked.then(Instant::now),
            }
            passes = activity.passes;
            sleep(INTERVAL).await;
        }
    }

    async fn activity(&self) -> Activity {
        let samples = self.metrics().await;
        let sum = |name| counters::sum(&samples, name, |_| true);
        Activity {
            passes: sum("controller_runtime_reconcile_total"),
            in_progress: sum("controller_runtime_active_workers")
                + sum("hydra_operator_events_waiting"),
            sweeps: counters::sum(&samples, "hydra_operator_sweeps_total", |sample| {
                sample.label("result") == "success"
            }),
        }
    }

    async fn metrics(&self) -> Vec<Sample> {
        let url = match self {
            Self::Operator(operator) => format!("{}/metrics", operator.admin_url()),
            Self::Maester(maester) => maester.metrics_url.clone(),
        };
        counters::parse(&http().get(url).send().await.unwrap().text().await.unwrap())
    }
}

impl Maester {
    async fn start(world: &World, path: &Path) -> Self {
        let folder = Folder::new("hydra-maester");
        let admin = world.hydra.admin_url();
        let (url, port) = admin.rsplit_once(':').unwrap();
        let metrics = format!("127.0.0.1:{}", free_port());
        let program = Program::new("hydra-maester", path.to_owned())
            .arg(format!("--kubeconfig={}", world.control_plane.admin_kubeconfig().display()))
            .arg(format!("--metrics-addr={metrics}"))
            .arg(format!("--hydra-url={url}"))
            .arg(format!("--hydra-port={port}"))
            .arg("--endpoint=/admin/clients");
        let process = program.start(&folder);
        let metrics_url = format!("http://{metrics}/metrics");
        let mut maester = Self { program, process, metrics_url, folder };
        maester.wait_ready().await;
        maester
    }

    async fn run(&mut self) {
        self.process = self.program.start(&self.folder);
        self.wait_ready().await;
    }

    async fn wait_ready(&mut self) {
        let url = &self.metrics_url;
        let answers = async || http().get(url).send().await.map(drop);
        ready(&mut self.process, answers).await.expect("nobody else uses its port");
    }
}
