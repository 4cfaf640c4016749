//! Kill -9 at every point between two writes for a key set: see [`super::crash`], which does the same for clients.

use std::collections::BTreeSet;

use axum::http::Method;
use futures::{StreamExt, stream};
use hydra_operator::api::{REVOKE_KEY_ANNOTATION, ROTATE_REQUESTED_ANNOTATION};
use serde_json::json;

use super::{
    Fault, Faulty, Rule,
    key_sets::{Sets, Whole},
};
use crate::{
    on_each_generation,
    support::{Generation, eventually, jose},
};

on_each_generation!(kills_between_writes_lose_no_key_and_make_no_second_one);

/// Operators at the same time.
const PARALLEL: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Scenario {
    Create,
    /// Hydra 1 makes no keys for ES384, so the operator does.
    CreateHere,
    Import,
    Rotate,
    /// A key that the operator makes takes the place of another.
    RotateHere,
    Revoke,
    Delete,
    Orphan,
}

async fn kills_between_writes_lose_no_key_and_make_no_second_one(generation: Generation) {
    use Scenario::{Create, CreateHere, Delete, Import, Orphan, Revoke, Rotate, RotateHere};
    let scenarios = match generation {
        Generation::V1 => {
            vec![Create, CreateHere, Import, Rotate, RotateHere, Revoke, Delete, Orphan]
        }
        Generation::V2 => vec![Create, Import, Rotate, Revoke, Delete, Orphan],
    };
    let least: usize = scenarios.iter().map(|scenario| 2 * scenario.least_writes()).sum();
    let kills: Vec<usize> = stream::iter(scenarios)
        .map(async |scenario| all_points(scenario, generation).await)
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let kills: usize = kills.iter().sum();
    assert!(kills >= least, "{kills} kills are less than {least}");
    println!("{kills} kills on {generation:?}");
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
            let then = world.wire.now();
            world.wire.inject(Rule::on_writes(fault).nth(number + 1));
            scenario.act(&world, &name, former.as_ref()).await;
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
            let made = world.hydra_requests(then, &Method::POST);
            let made = made.iter().filter(|seen| seen.status == Some(201)).count();
            assert_eq!(made, scenario.made_by_hydra(), "{name}: keys that Hydra made");
        }
    }
    Sets(&world).assert_no_secret_leaked(&secrets).await;
    kills
}

impl Scenario {
    /// What nobody can do with less.
    fn least_writes(self) -> usize {
        match self {
            // Finalizer, record, key, ConfigMap, Secret, status. Record, two keys, ConfigMap, Secret, status.
            Self::Create | Self::Import | Self::Revoke => 6,
            // And the Secret with what the operator has made.
            Self::CreateHere => 7,
            // Record, key, ConfigMap, Secret, status; ConfigMap, key, status.
            Self::Rotate | Self::RotateHere => 8,
            // Key, finalizer.
            Self::Delete => 2,
            // ConfigMap, Secret, finalizer.
            Self::Orphan => 3,
        }
    }

    /// How many keys Hydra makes, whatever happens.
    fn made_by_hydra(self) -> usize {
        match self {
            Self::Create | Self::Rotate | Self::Revoke => 1,
            _ => 0,
        }
    }

    /// The writes of a run without faults.
    async fn undisturbed(self, world: &Faulty) -> Vec<String> {
        let name = format!("{self:?}-undisturbed").to_lowercase();
        let former = self.prepare(world, &name).await;
        let then = world.wire.now();
        self.act(world, &name, former.as_ref()).await;
        self.assert_done(world, &name, former.as_ref()).await;
        world.writes(then)
    }

    /// What there is before: the keys, unless there is nothing yet.
    async fn prepare(self, world: &Faulty, name: &str) -> Option<Whole> {
        let spec = match self {
            Self::Import => {
                let key = jose::generate("ES256", &format!("{name}-key")).jwk;
                let jwks = json!({ "keys": [key] }).to_string();
                world.create_secret(&format!("{name}-import"), &json!({ "jwks.json": jwks })).await;
                return None;
            }
            Self::Create | Self::CreateHere => return None,
            Self::RotateHere => json!({ "algorithm": "ES384" }),
            Self::Orphan => json!({ "deletionPolicy": "orphan" }),
            Self::Rotate | Self::Revoke | Self::Delete => json!({}),
        };
        Sets(world).create(name, &spec).await;
        Some(Sets(world).whole(name, 1).await)
    }

    async fn act(self, world: &Faulty, name: &str, former: Option<&Whole>) {
        let sets = Sets(world);
        match self {
            Self::Create => drop(sets.create(name, &json!({})).await),
            Self::CreateHere => drop(sets.create(name, &json!({ "algorithm": "ES384" })).await),
            Self::Import => {
                let secret = json!({ "secretRef": { "name": format!("{name}-import") } });
                sets.create(name, &json!({ "import": secret })).await;
            }
            Self::Rotate | Self::RotateHere => {
                sets.annotate(name, ROTATE_REQUESTED_ANNOTATION, "now").await;
            }
            Self::Revoke => {
                sets.annotate(name, REVOKE_KEY_ANNOTATION, &former.unwrap().current).await;
            }
            Self::Delete | Self::Orphan => sets.delete(name).await,
        }
    }

    /// All is as it would be without a kill. Returns all that is private of the keys that there were.
    async fn assert_done(self, world: &Faulty, name: &str, former: Option<&Whole>) -> Vec<String> {
        let sets = Sets(world);
        let mut secrets = former.map(|former| former.secrets.clone()).unwrap_or_default();
        match self {
            Self::Delete => {
                sets.gone(name).await;
                assert_eq!(sets.rows(name).await.len(), 0, "{name}");
                eventually(&format!("{name}: its outputs are collected"), async || {
                    sets.private(name).await.is_none() && sets.public(name).await.is_none()
                })
                .await;
            }
            Self::Orphan => {
                sets.gone(name).await;
                let kept = sets.in_hydra(name).await.unwrap();
                assert_eq!(kept, former.unwrap().publics, "{name}");
                let secret = sets.private(name).await.unwrap().metadata;
                let map = sets.config_maps().get(&format!("{name}-public")).await.unwrap().metadata;
                for kept in [secret, map] {
                    assert_eq!(kept.owner_references.unwrap_or_default(), [], "{name}");
                }
            }
            Self::Rotate | Self::RotateHere | Self::Revoke => {
                let former = former.unwrap();
                eventually(&format!("{name}: another key is signed with"), async || {
                    let status = sets.api().get(name).await.unwrap().status?;
                    status.current_key.is_some_and(|kid| kid != former.current).then_some(())
                })
                .await;
                let present = sets.whole(name, 1).await;
                assert_ne!(present.publics.values().next(), former.publics.values().next());
                secrets.extend(present.secrets);
            }
            Self::Create | Self::CreateHere | Self::Import => {
                secrets.extend(sets.whole(name, 1).await.secrets);
            }
        }
        if matches!(self, Self::CreateHere | Self::RotateHere) {
            self.assert_kept(world, name).await;
        }
        secrets
    }

    /// The Secret of the operator's own holds the key that it has made, and no other.
    async fn assert_kept(self, world: &Faulty, name: &str) {
        let status = Sets(world).api().get(name).await.unwrap().status.unwrap();
        assert_eq!(json!(status.keys[0].origin), "Operator", "{name}");
        let kept = world.secrets.get(&format!("{name}-key-material")).await.unwrap();
        let kept = kept.data.unwrap()["jwks.json"].0.clone();
        let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        let kids: Vec<_> = kept["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
        assert_eq!(kids, [&json!(status.current_key)], "{name}");
    }
}
