//! A [`World`] whose operator is at the end of a [`Wire`].

use std::ops::{Deref, DerefMut};

use axum::http::Method;

use super::{
    fault::{Seen, Side},
    wire::Wire,
};
use crate::{
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually},
    world::{Credentials, Server, World},
};

/// A namespace with an operator whose connections can fail.
pub struct Faulty {
    pub world: World,
    pub wire: Wire,
}

impl Deref for Faulty {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Faulty {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Faulty {
    /// On servers that all tests share.
    pub async fn new(name: &str, generation: Generation) -> Self {
        Self::with_args(name, Hydra::shared(generation).await, &[]).await
    }

    /// With further arguments of the operator.
    pub async fn with_args(name: &str, hydra: impl Into<Server<Hydra>>, args: &[&str]) -> Self {
        Self::on(ControlPlane::shared().await, hydra, name, args).await
    }

    /// On a control plane that may be of this test alone.
    pub async fn on(
        cp: impl Into<Server<ControlPlane>>,
        hydra: impl Into<Server<Hydra>>,
        name: &str,
        args: &[&str],
    ) -> Self {
        let (cp, hydra) = (cp.into(), hydra.into());
        let namespace = cp.namespace(name).await;
        let wire = Wire::new(&cp, &hydra).await;
        let options = OperatorOptions::new(wire.hydra_url())
            .api_server(wire.api_server_url(), &wire.ca_certificate())
            .namespaces([&namespace])
            .args(args.iter().copied());
        let mut operator = Operator::start(&cp, options).await;
        wire.set_operator(operator.process().pid());
        let world = World::with_operator(cp, hydra, operator, namespace).await;
        Self { world, wire }
    }

    /// Waits until a fault has killed the operator, and starts it again.
    pub async fn start_again_once_killed(&mut self, what: &str) {
        let process = self.world.operator.process();
        eventually(&format!("{what}: the operator is killed"), async || !process.is_running())
            .await;
        assert_eq!(process.wait().await, 128 + 9, "{what}: it was not the fault that ended it");
        self.wire.heal();
        self.start_again().await;
    }

    /// Starts the operator again after it has ended.
    pub async fn start_again(&mut self) {
        self.world.operator.start_again().await;
        self.wire.set_operator(self.world.operator.process().pid());
    }

    /// The requests to Hydra since `then` that have this method.
    pub fn hydra_requests(&self, then: usize, method: &Method) -> Vec<Seen> {
        let mut seen = self.wire.since(then);
        seen.retain(|seen| seen.side == Side::Hydra && seen.method == *method);
        seen
    }

    /// The writes to both sides since `then` that succeeded, described.
    pub fn writes(&self, then: usize) -> Vec<String> {
        let succeeded = |seen: &&Seen| seen.status.is_some_and(|status| status < 400);
        let seen = self.wire.since(then);
        seen.iter().filter(|seen| seen.is_write()).filter(succeeded).map(Seen::describe).collect()
    }

    /// The resource `name` is as declared: exactly one client of its own in Hydra, which its Secret
    /// has the credentials of. Returns these.
    pub async fn assert_whole(&self, name: &str) -> Credentials {
        self.ready(name).await;
        let credentials = self.credentials(&format!("{name}-credentials")).await;
        let ids = self.hydra.client_ids_of(&self.owner(name)).await;
        assert_eq!(ids, std::slice::from_ref(&credentials.id), "clients of {name}");
        assert!(self.gets_token(&credentials).await, "{name} gets no token");
        credentials
    }
}
