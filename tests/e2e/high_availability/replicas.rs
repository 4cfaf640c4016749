//! Several replicas of one operator, each at the end of its own [`Wire`], and what is known of their work.

use std::{
    collections::HashSet,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use hydra_operator::api::OAuth2Client;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    sync::OnceCell,
    task::{JoinHandle, JoinSet},
};

use crate::{
    crowd::CONVERGED,
    faults::{Seen, Wire},
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually, folder::Folder,
    },
    world::{World, shown},
};

/// Shorter than the defaults, so that a test takes seconds, and long enough for a busy machine, where a renewal may take some.
const TIMING: [&str; 3] = [
    "--leader-election-lease-duration=10s",
    "--leader-election-renew-deadline=8s",
    "--leader-election-retry-period=500ms",
];

/// Several replicas. The first is the operator of the world.
pub struct Replicas {
    pub world: World,
    pub leases: Api<Lease>,
    wires: Vec<Wire>,
    others: Vec<Operator>,
    /// What became untrue of resources that were Ready.
    relapses: Arc<Mutex<Vec<String>>>,
    _watch: JoinSet<()>,
}

/// What a fault did.
pub struct Fault {
    /// Who led.
    pub old: usize,
    pub at: Instant,
    pub wall: Timestamp,
}

/// The control plane of these tests, which keeps an audit log.
async fn control_plane() -> &'static ControlPlane {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED.get_or_init(ControlPlane::start_audited).await
}

impl Replicas {
    /// `count` of them, of which the first leads.
    pub async fn start(name: &str, count: usize) -> Self {
        let shifts = vec![0; count];
        Self::with_clocks(name, &shifts).await
    }

    /// One for each of `shifts`, by so many seconds its clock is wrong.
    pub async fn with_clocks(name: &str, shifts: &[i64]) -> Self {
        let (cp, hydra) = (control_plane().await, Hydra::shared(Generation::V2).await);
        let namespace = cp.namespace(name).await;
        let wire = Wire::new(cp, hydra).await;
        let options = options(&wire, &namespace, 0, shifts[0]).electing();
        let operator = Operator::start(cp, options).await;
        let account = operator.service_account();
        let leases = Api::namespaced(cp.client().await, &account.namespace);
        let world = World::with_operator(cp, hydra, operator, namespace).await;
        let (relapses, watch) = watch(world.resources.clone());
        let (wires, others) = (vec![wire], Vec::new());
        let mut replicas = Self { world, leases, wires, others, relapses, _watch: watch };
        replicas.leader(|leader| leader == 0).await;
        for shift in &shifts[1..] {
            replicas.add(*shift).await;
        }
        replicas
    }

    /// One more, with a clock that is wrong by so many seconds. Returns its number.
    pub async fn add(&mut self, shift: i64) -> usize {
        let number = self.wires.len();
        let wire = Wire::new(&self.world.cp, &self.world.hydra).await;
        let options = options(&wire, &self.world.namespace, number, shift);
        let options = options.replica_of(&self.world.operator);
        self.others.push(Operator::start(&self.world.cp, options).await);
        self.wires.push(wire);
        number
    }

    pub fn wire(&self, number: usize) -> &Wire {
        &self.wires[number]
    }

    pub fn operator(&self, number: usize) -> &Operator {
        if number == 0 { &self.world.operator } else { &self.others[number - 1] }
    }

    pub fn operator_mut(&mut self, number: usize) -> &mut Operator {
        if number == 0 { &mut self.world.operator } else { &mut self.others[number - 1] }
    }

    /// Sends a signal to a replica.
    pub fn signal(&mut self, number: usize, signal: Signal) {
        let pid = Pid::from_raw(self.operator_mut(number).process().pid()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The name of the Lease.
    pub fn lease_name(&self) -> String {
        self.world.operator.service_account().name.clone()
    }

    pub async fn lease(&self) -> Lease {
        self.leases.get(&self.lease_name()).await.unwrap()
    }

    /// Waits until one for which `expected` holds leads, and says which one it is.
    pub async fn leader(&self, expected: impl Fn(usize) -> bool) -> usize {
        eventually("the expected replica leads", async || {
            let lease = self.leases.get_opt(&self.lease_name()).await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
            let number = holder.strip_prefix("replica-").and_then(|rest| rest.split('_').next());
            let number = number.and_then(|number| number.parse().ok());
            number.filter(|number| expected(*number)).ok_or(holder)
        })
        .await
    }

    /// Creates `app-0`, `app-1`, … in the background.
    pub fn create(&self, count: usize) -> JoinHandle<()> {
        let resources = self.world.resources.clone();
        tokio::spawn(async move {
            let all = (0..count).map(|n| World::resource(&format!("app-{n}"), &json!({})));
            stream::iter(all)
                .map(async |resource| resources.create(&PostParams::default(), &resource).await)
                .buffer_unordered(8)
                .try_for_each(async |_| Ok(()))
                .await
                .unwrap();
        })
    }

    /// Waits until so many resources are Ready.
    pub async fn ready(&self, count: usize) {
        eventually(&format!("{count} are Ready"), async || {
            let resources = self.world.list().await;
            let ready = resources.iter().filter(|resource| shown(resource)[..] == CONVERGED);
            let ready = ready.count();
            if ready >= count { Ok(()) } else { Err(ready) }
        })
        .await;
    }

    /// Waits until all `count` resources are Ready, however long it takes while there is progress, and says how many clients
    /// are lost and how many there are too many.
    pub async fn settled(&self, count: usize) -> (usize, usize) {
        for part in 1..=10 {
            self.ready(count * part / 10).await;
        }
        let ids = self.world.working_ids("app", count).await;
        let namespace = format!("/{}", self.world.namespace);
        let clients = self.world.hydra.list_all_clients().await;
        let ours = clients.iter().filter(|client| {
            client["owner"].as_str().is_some_and(|owner| owner.ends_with(&namespace))
        });
        let ours: HashSet<_> = ours.filter_map(|client| client["client_id"].as_str()).collect();
        let lost = ids.iter().filter(|id| !ours.contains(id.as_str())).count();
        (lost, ours.len() - (ids.len() - lost))
    }

    /// Notes that something happens now to the one that leads.
    pub fn fault(old: usize) -> Fault {
        Fault { old, at: Instant::now(), wall: Timestamp::now() }
    }

    /// Prints a row of the table, and asserts what has to be true after any fault.
    pub async fn assert_harmless(&self, what: &str, fault: &Fault, count: usize) {
        let (lost, duplicated) = self.settled(count).await;
        let takeover = self.takeover(fault);
        let (late, audited) = (self.late_writes(fault), self.late_by_audit(fault));
        println!(
            "| {what} | {:.1} s | {lost} of {count} | {duplicated} | {late} |",
            takeover.as_secs_f64()
        );
        assert_eq!((lost, duplicated), (0, 0), "{what}");
        assert_eq!((late, audited), (0, 0), "{what}: writes of a replica that leads no more");
        assert_eq!(*self.relapses.lock().unwrap(), Vec::<String>::new(), "{what}");
    }

    /// The time from the fault to the first write of another replica.
    fn takeover(&self, fault: &Fault) -> Duration {
        let first = self.others_seen(fault).filter(is_work).map(|seen| seen.at).min();
        first.expect("another replica has written") - fault.at
    }

    fn others_seen(&self, fault: &Fault) -> impl Iterator<Item = Seen> {
        let (old, at) = (fault.old, fault.at);
        let wires = self.wires.iter().enumerate().filter(move |(number, _)| *number != old);
        wires.flat_map(|(_, wire)| wire.since(0)).filter(move |seen| seen.at > at)
    }

    /// How many writes of the former leader arrived anywhere after another replica had asked for the Lease and got it.
    fn late_writes(&self, fault: &Fault) -> usize {
        let won = |seen: &Seen| {
            is_lease(seen) && seen.is_write() && seen.status.is_some_and(|status| status < 300)
        };
        let claim = self.others_seen(fault).filter(won).map(|seen| seen.at).min();
        let claim = claim.expect("another replica has claimed the Lease");
        let writes = self.wires[fault.old].since(0);
        writes.iter().filter(|seen| is_work(seen) && seen.at > claim).count()
    }

    /// The same, as the API server tells it.
    fn late_by_audit(&self, fault: &Fault) -> usize {
        let old = self.operator(fault.old).service_account().token_id();
        let account = self.world.operator.service_account();
        let user = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
        let log = self.world.cp.audit_log();
        let ours: Vec<&Value> =
            log.iter().filter(|event| event["user"]["username"] == *user).collect();
        let at = |event: &Value| -> Timestamp {
            event["requestReceivedTimestamp"].as_str().unwrap().parse().unwrap()
        };
        let by_old = |event: &Value| {
            event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] == *old
        };
        let on_lease = |event: &Value| event["objectRef"]["resource"] == "leases";
        let succeeded = |event: &Value| event["responseStatus"]["code"].as_u64() < Some(300);
        let claims = ours.iter().filter(|event| {
            on_lease(event) && !by_old(event) && succeeded(event) && at(event) > fault.wall
        });
        let claim = claims.map(|event| at(event)).min().expect("the audit log has the claim");
        assert!(ours.iter().any(|event| by_old(event) && !on_lease(event)), "{old} wrote nothing");
        ours.iter().filter(|event| by_old(event) && !on_lease(event) && at(event) > claim).count()
    }
}

pub fn is_lease(seen: &Seen) -> bool {
    seen.path.contains("/leases")
}

/// A write that is not of the Lease.
pub fn is_work(seen: &Seen) -> bool {
    seen.is_write() && !is_lease(seen)
}

fn options(wire: &Wire, namespace: &str, number: usize, shift: i64) -> OperatorOptions {
    let options = OperatorOptions::new(wire.hydra_url())
        .api_server(wire.api_server_url(), &wire.ca_certificate())
        .namespaces([namespace])
        .args(TIMING)
        .env("HOSTNAME", &format!("replica-{number}"));
    if shift == 0 {
        return options;
    }
    options.env("LD_PRELOAD", shifted_clock()).env("CLOCK_SHIFT_SECONDS", &shift.to_string())
}

/// The library that shifts a clock, built once.
fn shifted_clock() -> &'static str {
    static BUILT: std::sync::OnceLock<(Folder, String)> = std::sync::OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = Folder::new("clock");
        let source =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/high_availability/shifted_clock.c");
        let path = folder.path().join("shifted_clock.so").display().to_string();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o", &path, source]).status();
        assert!(built.unwrap().success(), "the C compiler failed");
        (folder, path)
    });
    path
}

/// Notes each resource that was Ready and becomes not Ready.
fn watch(resources: Api<OAuth2Client>) -> (Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let relapses = Arc::new(Mutex::new(Vec::new()));
    let (noted, mut tasks) = (relapses.clone(), JoinSet::new());
    tasks.spawn(async move {
        let mut ready = HashSet::new();
        let events = watcher(resources, watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events.applied_objects());
        while let Some(event) = events.next().await {
            let Ok(resource) = event else { continue };
            let name = resource.name_any();
            let conditions = shown(&resource);
            if conditions.iter().any(|condition| condition.starts_with("Ready=True")) {
                ready.insert(name);
            } else if ready.contains(&name) {
                noted.lock().unwrap().push(format!("{name}: {conditions:?}"));
            }
        }
    });
    (relapses, tasks)
}
