//! Kill -9 at every point between two writes.
//!
//! A first run counts the writes of the operator; then there is a run for each of them in which it
//! is killed before the write is done, and one in which it is killed after the write was done and
//! before it hears of that.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::json;

use super::{Fault, Faulty, Rule};
use crate::{
    on_each_generation,
    support::{Generation, eventually},
    world::{Credentials, client_id},
};

on_each_generation!(kills_between_writes_lose_nothing);

/// Operators at the same time.
const PARALLEL: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Scenario {
    Create,
    Update,
    SecretChanged,
    SecretDeleted,
    SecretRenamed,
    Delete,
    Orphan,
}

async fn kills_between_writes_lose_nothing(generation: Generation) {
    use Scenario::{Create, Delete, Orphan, SecretChanged, SecretDeleted, Update};
    let scenarios = [Create, Update, SecretChanged, SecretDeleted, Delete, Orphan];
    let points: Vec<usize> = stream::iter(scenarios)
        .map(async |scenario| all_points(scenario, generation).await)
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let least: usize = scenarios.iter().map(|scenario| 2 * scenario.least_writes()).sum();
    let points: usize = points.iter().sum();
    assert!(points >= least, "{points} kills are less than {least}");
    println!("{points} kills on {generation:?}");
}

pub async fn kills_while_the_secret_is_renamed(generation: Generation) {
    let points = all_points(Scenario::SecretRenamed, generation).await;
    assert!(points >= 2 * Scenario::SecretRenamed.least_writes(), "{points} kills");
}

/// Returns the number of kills.
async fn all_points(scenario: Scenario, generation: Generation) -> usize {
    let mut world = Faulty::new("kill", generation).await;
    let writes = scenario.undisturbed(&world).await;
    assert!(writes.len() >= scenario.least_writes(), "{scenario:?}: {writes:?}");
    let (mut secrets, mut kills) = (BTreeSet::new(), 0);
    for (number, write) in writes.iter().enumerate() {
        for (moment, fault) in
            [("before", Fault::KillBeforeForward), ("after", Fault::KillBeforeAnswer)]
        {
            let name = format!("{scenario:?}-{number}-{moment}").to_lowercase();
            println!("{generation:?} {name}: {moment} {write}");
            let former = scenario.prepare(&world, &name).await;
            world.wire.inject(Rule::on_writes(fault).nth(number + 1));
            scenario.act(&world, &name).await;
            // Where two passes meet, the first run may have counted a write that this one needs not.
            tokio::select! {
                biased;
                () = world.killed(&name) => {}
                _ = scenario.assert_done(&world, &name, former.as_ref()) => {}
            }
            world.wire.heal();
            if world.wire.has_killed() {
                kills += 1;
                world.start_again_once_killed(&name).await;
            }
            secrets.extend(scenario.assert_done(&world, &name, former.as_ref()).await);
        }
    }
    let least = 2 * scenario.least_writes();
    assert!(kills >= least, "{scenario:?}: {kills} kills are less than {least}");
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    world.assert_no_secret_leaked(&secrets).await;
    kills
}

/// A value that a person chooses.
fn chosen(name: &str) -> String {
    format!("chosen-for-{name}")
}

impl Scenario {
    /// What nobody can do with less.
    fn least_writes(self) -> usize {
        match self {
            // Finalizer, Secret, client, status.
            Self::Create => 4,
            // Secret, client, status. New Secret, status, the former Secret's end.
            Self::SecretDeleted | Self::SecretRenamed => 3,
            // Client, status. Client or Secret, finalizer.
            Self::Update | Self::SecretChanged | Self::Delete | Self::Orphan => 2,
        }
    }

    /// The writes of a run without faults.
    async fn undisturbed(self, world: &Faulty) -> Vec<String> {
        let name = format!("{self:?}-undisturbed").to_lowercase();
        let former = self.prepare(world, &name).await;
        let then = world.wire.now();
        self.act(world, &name).await;
        self.assert_done(world, &name, former.as_ref()).await;
        world.writes(then)
    }

    /// What there is before: the credentials, unless there is nothing yet.
    async fn prepare(self, world: &Faulty, name: &str) -> Option<Credentials> {
        let spec = match self {
            Self::Create => return None,
            Self::Orphan => json!({ "deletionPolicy": "orphan" }),
            _ => json!({}),
        };
        world.create(name, &spec).await;
        Some(world.assert_whole(name).await)
    }

    async fn act(self, world: &Faulty, name: &str) {
        let secret = format!("{name}-credentials");
        match self {
            Self::Create => drop(world.create(name, &json!({})).await),
            Self::Update => drop(world.edit(name, &json!({ "scope": "admin" })).await),
            Self::SecretChanged => {
                world.edit_secret(&secret, &json!({ "CLIENT_SECRET": chosen(name) })).await;
            }
            Self::SecretDeleted => world.delete_secret(&secret).await,
            Self::SecretRenamed => {
                drop(world.edit(name, &json!({ "secretName": format!("{name}-renamed") })).await);
            }
            Self::Delete | Self::Orphan => world.delete(name).await,
        }
    }

    /// All is as it would be without a kill. Returns the secret values that there were.
    async fn assert_done(
        self,
        world: &Faulty,
        name: &str,
        former: Option<&Credentials>,
    ) -> Vec<String> {
        let secret = format!("{name}-credentials");
        let present = match self {
            Self::Delete => {
                self.assert_revoked(world, name, former.unwrap()).await;
                None
            }
            Self::Orphan => {
                world.gone(name).await;
                let kept = world.secrets.get(&secret).await.unwrap();
                assert_eq!(kept.metadata.owner_references.unwrap_or_default(), [], "{name}");
                Some(self.assert_one_client(world, name, &secret).await)
            }
            Self::SecretRenamed => {
                let renamed = format!("{name}-renamed");
                settled(world, name, &renamed).await;
                eventually(&format!("{name}: the former Secret is gone"), async || {
                    world.secrets.get_opt(&secret).await.unwrap().is_none()
                })
                .await;
                Some(self.assert_one_client(world, name, &renamed).await)
            }
            _ => {
                settled(world, name, &secret).await;
                Some(self.assert_one_client(world, name, &secret).await)
            }
        };
        if let (Some(former), Some(present)) = (former, &present) {
            assert_eq!(former.id, present.id, "{name}: another client");
            self.assert_secret(name, former, present);
        }
        let values = former.into_iter().chain(&present);
        values.filter_map(|credentials| credentials.secret.clone()).collect()
    }

    async fn assert_revoked(self, world: &Faulty, name: &str, former: &Credentials) {
        world.gone(name).await;
        assert!(world.hydra.client_ids_of(&world.owner(name)).await.is_empty(), "{name}");
        assert!(!world.gets_token(former).await, "{name} is alive");
        eventually(&format!("{name}: its Secret is collected"), async || {
            world.secrets.get_opt(&format!("{name}-credentials")).await.unwrap().is_none()
        })
        .await;
    }

    /// The one client in Hydra is that of the Secret, and is as declared.
    async fn assert_one_client(self, world: &Faulty, name: &str, secret: &str) -> Credentials {
        let credentials = world.credentials(secret).await;
        let ids = world.hydra.client_ids_of(&world.owner(name)).await;
        assert_eq!(ids, std::slice::from_ref(&credentials.id), "{name}");
        assert!(world.gets_token(&credentials).await, "{name} gets no token");
        let scope = if matches!(self, Self::Update) { "admin" } else { "read write" };
        assert_eq!(world.in_hydra(&credentials.id).await.unwrap()["scope"], scope, "{name}");
        credentials
    }

    fn assert_secret(self, name: &str, former: &Credentials, present: &Credentials) {
        match self {
            Self::SecretChanged => assert!(present.secret() == chosen(name), "{name}"),
            Self::SecretDeleted => assert!(present.secret() != former.secret(), "{name}"),
            _ => assert!(present.secret() == former.secret(), "{name}: the secret changed"),
        }
    }
}

/// Waits until the resource is as declared and status records the Secret as it is now.
async fn settled(world: &Faulty, name: &str, secret: &str) {
    eventually(&format!("{name} is settled"), async || {
        let resource = world.ready(name).await;
        let Some(secret) = world.secrets.get_opt(secret).await.unwrap() else {
            return Err("no Secret".to_owned());
        };
        let recorded = resource.status.as_ref().unwrap().secret.as_ref();
        let recorded = recorded.map(|recorded| recorded.resource_version.as_str());
        if !resource.status.as_ref().unwrap().former_secrets.is_empty() {
            return Err("a Secret of a former name is still to go".to_owned());
        }
        if recorded != secret.metadata.resource_version.as_deref() {
            return Err(format!("{recorded:?} and not {:?}", secret.metadata.resource_version));
        }
        let credentials = world.credentials(&secret.metadata.name.unwrap()).await;
        if client_id(&resource) == credentials.id { Ok(()) } else { Err("another id".to_owned()) }
    })
    .await;
}
