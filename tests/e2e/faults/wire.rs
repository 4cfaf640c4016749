//! The proxies: one before Hydra, one before the API server, and what they have in common.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::Router;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use super::{
    fault::{Fault, Rule, Seen, Side},
    line::{Line, serve},
    listener::{Cut, Doorway},
};
use crate::support::{ControlPlane, Hydra, pki::Authority};

/// Both connections of one operator. It ends when dropped.
pub struct Wire {
    control: Arc<Control>,
    hydra_url: String,
    api_server_url: String,
    authority: Authority,
    _servers: JoinSet<()>,
}

/// What the connections have in common.
#[derive(Default)]
pub struct Control {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    /// The operator's process, to be killed at most once.
    operator: Mutex<Option<i32>>,
    hydra: Mutex<String>,
    hydra_load: Load,
    api_server_load: Load,
}

/// How many requests are under way.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A request that is under way until it is dropped, also by a client that gives up.
pub struct UnderWay(Arc<Control>, Side);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.load(self.1).now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wire {
    /// Forwards everything to these two.
    pub async fn new(cp: &ControlPlane, hydra: &Hydra) -> Self {
        let control = Arc::new(Control::default());
        hydra.admin_url().clone_into(&mut control.hydra.lock().unwrap());
        let authority = Authority::new();
        let mut servers = JoinSet::new();
        let mut addresses = Vec::new();
        for side in [Side::Hydra, Side::Kubernetes] {
            let tls = (side == Side::Kubernetes).then_some(&authority);
            let (doorway, address) = Doorway::open(tls).await;
            let line = Line::new(side, cp, control.clone());
            let router = Router::new().fallback(serve).with_state(Arc::new(line));
            let service = router.into_make_service_with_connect_info::<Cut>();
            servers.spawn(async move { axum::serve(doorway, service).await.unwrap() });
            addresses.push(address);
        }
        Self {
            control,
            hydra_url: format!("http://{}", addresses[0]),
            api_server_url: format!("https://{}", addresses[1]),
            authority,
            _servers: servers,
        }
    }

    /// Where the operator finds Hydra.
    pub fn hydra_url(&self) -> &str {
        &self.hydra_url
    }

    /// Where the operator finds the API server.
    pub fn api_server_url(&self) -> &str {
        &self.api_server_url
    }

    /// What the certificate at [`Self::api_server_url`] is checked with, PEM.
    pub fn ca_certificate(&self) -> String {
        self.authority.certificate()
    }

    /// Leads to this Hydra from now on.
    pub fn lead_to(&self, hydra: &Hydra) {
        hydra.admin_url().clone_into(&mut self.control.hydra.lock().unwrap());
    }

    /// Which process the faults that kill are about.
    pub fn set_operator(&self, pid: i32) {
        *self.control.operator.lock().unwrap() = Some(pid);
    }

    /// Adds a rule. Of several that fit a request, the one that was added first decides.
    pub fn inject(&self, rule: Rule) {
        self.control.rules.lock().unwrap().push(rule);
    }

    /// Everything is well from now on.
    pub fn heal(&self) {
        self.control.rules.lock().unwrap().clear();
    }

    /// The number of requests so far: a point in time for [`Self::since`].
    pub fn now(&self) -> usize {
        self.control.seen.lock().unwrap().len()
    }

    /// How many requests to this side there were at once.
    pub fn most_under_way(&self, side: Side) -> usize {
        self.control.load(side).most.load(Ordering::SeqCst)
    }

    /// The requests since `then`.
    pub fn since(&self, then: usize) -> Vec<Seen> {
        self.control.seen.lock().unwrap()[then..].to_vec()
    }
}

impl Control {
    /// Where Hydra is.
    pub fn hydra(&self) -> String {
        self.hydra.lock().unwrap().clone()
    }

    fn load(&self, side: Side) -> &Load {
        match side {
            Side::Hydra => &self.hydra_load,
            Side::Kubernetes => &self.api_server_load,
        }
    }

    /// Counts a request that is under way.
    pub fn begin(self: &Arc<Self>, side: Side) -> UnderWay {
        let load = self.load(side);
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        UnderWay(self.clone(), side)
    }

    /// Notes a request, and says its number and what happens to it.
    pub fn arrive(&self, seen: Seen) -> (usize, Option<Fault>) {
        let fault = self.rules.lock().unwrap().iter_mut().find_map(|rule| rule.strike(&seen));
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        (all.len() - 1, fault)
    }

    /// Notes how a request was answered.
    pub fn answered(&self, number: usize, status: u16) {
        self.seen.lock().unwrap()[number].status = Some(status);
    }

    /// Ends the operator by SIGKILL, unless that was done already.
    pub fn kill_operator(&self) {
        if let Some(pid) = self.operator.lock().unwrap().take().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
}
