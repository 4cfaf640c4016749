//! Rows 28, 30, 31, 33 and 38 for key sets: ends, new beginnings, rivals, and what does not decode.

use hydra_operator::api::{JsonWebKeySet, RELEASE_ANNOTATION};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, CustomResourceExt, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    Fault, Faulty, Rule, Side,
    key_sets::{Sets, message},
};
use crate::{
    on_each_generation,
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually},
    world::World,
};

on_each_generation!(
    row_28_a_deleted_namespace_removes_its_keys,
    row_30_a_set_that_is_deleted_while_hydra_is_down_waits_or_is_released,
    row_31_a_set_that_is_made_again_has_other_keys,
    row_33_the_oldest_of_two_has_the_set_and_the_other_follows,
    row_38_a_set_that_does_not_decode_stops_nothing_else,
);

/// With rights in the whole cluster: Kubernetes deletes the Roles of a namespace together with all else in it.
async fn row_28_a_deleted_namespace_removes_its_keys(generation: Generation) {
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(generation).await;
    let namespace = cp.namespace("keys-28").await;
    let operator = Operator::start(&cp, OperatorOptions::new(hydra.admin_url())).await;
    let world = World::with_operator(cp, hydra, operator, namespace).await;
    let sets = Sets(&world);
    let mut secrets = Vec::new();
    for name in ["one", "two", "three"] {
        sets.create(name, &json!({})).await;
        secrets.extend(sets.whole(name, 1).await.secrets);
    }
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", async || {
        match namespaces.get_opt(&world.namespace).await.unwrap() {
            None => Ok(()),
            Some(namespace) => Err(namespace.status),
        }
    })
    .await;
    for name in ["one", "two", "three"] {
        assert_eq!(sets.rows(name).await.len(), 0, "{name}");
    }
    let log = world.operator.log();
    assert!(secrets.iter().all(|secret| !log.contains(secret)), "the log holds a private key");
}

async fn row_30_a_set_that_is_deleted_while_hydra_is_down_waits_or_is_released(
    generation: Generation,
) {
    let world = Faulty::new("keys-30", generation).await;
    let sets = Sets(&world);
    let mut secrets = Vec::new();
    for name in ["waits", "released"] {
        sets.create(name, &json!({})).await;
        secrets.extend(sets.whole(name, 1).await.secrets);
    }
    world.wire.inject(Rule::on(Side::Hydra, Fault::LoseRequest));
    for name in ["waits", "released"] {
        sets.delete(name).await;
        let waiting = eventually(&format!("{name} says why it stays"), async || {
            let set = sets.api().get(name).await.unwrap();
            if message(&set).contains(RELEASE_ANNOTATION) { Ok(set) } else { Err(set.status) }
        })
        .await;
        assert!(waiting.metadata.deletion_timestamp.is_some());
        let shown = super::key_sets::shown(&waiting);
        assert!(shown.contains(&"Ready=False HydraUnreachable".to_owned()), "{shown:?}");
    }
    sets.annotate("released", RELEASE_ANNOTATION, "true").await;
    sets.gone("released").await;
    assert_eq!(sets.in_hydra("released").await.unwrap().len(), 1);
    assert!(sets.api().get_opt("waits").await.unwrap().is_some());
    world.wire.heal();
    sets.gone("waits").await;
    assert_eq!(sets.rows("waits").await.len(), 0);
    assert!(sets.events("released").await.contains_key("Warning KeysReleased"));
    sets.assert_no_secret_leaked(&secrets.into_iter().collect()).await;
}

async fn row_31_a_set_that_is_made_again_has_other_keys(generation: Generation) {
    let world = Faulty::new("keys-31", generation).await;
    let sets = Sets(&world);
    let first = sets.create("signing", &json!({})).await;
    let former = sets.whole("signing", 1).await;
    sets.delete("signing").await;
    sets.gone("signing").await;
    // The former outputs may be collected before or after.
    let second = sets.create("signing", &json!({})).await;
    assert_ne!(first.uid(), second.uid());
    eventually("the Secret is that of the second", async || {
        let owners = sets.private("signing").await?.metadata.owner_references.unwrap_or_default();
        owners.iter().all(|owner| Some(&owner.uid) == second.uid().as_ref()).then_some(())
    })
    .await;
    let present = sets.whole("signing", 1).await;
    assert_ne!(present.publics, former.publics);
    assert_ne!(present.current, former.current);
    let secrets = former.secrets.into_iter().chain(present.secrets).collect();
    sets.assert_no_secret_leaked(&secrets).await;
}

async fn row_33_the_oldest_of_two_has_the_set_and_the_other_follows(generation: Generation) {
    let mut world = Faulty::new("keys-33", generation).await;
    // Its own name, and the one that the other asks for.
    let spec = json!({ "setName": Sets(&world).set_name("z-oldest") });
    assert_eq!(world.operator.process().terminate().await, 0);
    let sets = Sets(&world);
    let oldest = sets.create("z-oldest", &json!({})).await;
    eventually("the other is younger", async || {
        let other = sets.create("a-younger", &spec).await;
        let is_younger = other.creation_timestamp() > oldest.creation_timestamp();
        if !is_younger {
            sets.delete("a-younger").await;
            sets.gone("a-younger").await;
        }
        is_younger
    })
    .await;
    world.start_again().await;
    let sets = Sets(&world);
    let winner = sets.whole("z-oldest", 1).await;
    let stalled = sets.shows("a-younger", "Stalled=True KeySetTaken").await;
    assert!(message(&stalled).contains("z-oldest"), "{}", message(&stalled));
    assert!(sets.private("a-younger").await.is_none());

    // Nothing but the end of the winner tells: the next look by itself is minutes away.
    sets.delete("z-oldest").await;
    sets.gone("z-oldest").await;
    let status = sets.ready("a-younger").await.status.unwrap();
    let held = sets.in_hydra("z-oldest").await.unwrap();
    assert!(held.keys().eq(status.current_key.iter()), "{status:?}");
    assert_ne!(held, winner.publics);
    sets.assert_no_secret_leaked(&winner.secrets.into_iter().collect()).await;
}

/// The definition of an older version may have let in what this one refuses.
async fn row_38_a_set_that_does_not_decode_stops_nothing_else(generation: Generation) {
    let cp = ControlPlane::start().await;
    let mut world = World::on(cp, Hydra::shared(generation).await, "keys-38", &[]).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let loosened = json!([
        { "op": "replace", "path": format!("{schema}/properties/spec"), "value": anything },
        { "op": "remove", "path": format!("{schema}/x-kubernetes-validations") },
    ]);
    let loosened = Patch::Json::<()>(serde_json::from_value(loosened).unwrap());
    let name = JsonWebKeySet::crd_name();
    definitions.patch(name, &PatchParams::default(), &loosened).await.unwrap();

    let kind = ApiResource::erase::<JsonWebKeySet>(&());
    let objects: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
    let broken: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "JsonWebKeySet",
        "metadata": { "name": "broken" },
        "spec": { "algorithm": ["ES256"], "rotation": "often" },
    }))
    .unwrap();
    eventually("the definition takes anything", async || {
        objects.create(&PostParams::default(), &broken).await.map(drop)
    })
    .await;
    told_undecodable(&objects).await;
    Sets(&world).create("well", &json!({})).await;
    let before = Sets(&world).whole("well", 1).await;

    world.operator.process().terminate().await;
    world.operator.start_again().await;
    let sets = Sets(&world);
    sets.annotate("well", hydra_operator::api::ROTATE_REQUESTED_ANNOTATION, "now").await;
    eventually("it is rotated", async || {
        let status = sets.api().get("well").await.unwrap().status.unwrap();
        status.current_key.as_deref() != Some(&*before.current)
    })
    .await;
    let well = sets.whole("well", 1).await;
    world.create("client", &json!({})).await;
    world.ready("client").await;
    assert_eq!(sets.rows("broken").await.len(), 0);
    let kept = objects.get("broken").await.unwrap();
    assert_eq!(kept.data["spec"], broken.data["spec"]);
    assert!(kept.meta().finalizers.is_none());

    let spec = serde_json::to_value(Sets::resource("broken", &json!({})).spec).unwrap();
    let valid = Patch::Merge(json!({ "spec": spec }));
    objects.patch("broken", &PatchParams::default(), &valid).await.unwrap();
    let mended = sets.whole("broken", 1).await;
    let secrets = [before, well, mended].into_iter().flat_map(|whole| whole.secrets);
    sets.assert_no_secret_leaked(&secrets.collect()).await;
}

async fn told_undecodable(objects: &Api<DynamicObject>) {
    eventually("it is told what is wrong", async || {
        let object = objects.get("broken").await.unwrap();
        let conditions = object.data["status"]["conditions"].to_string();
        if conditions.contains("Undecodable") { Ok(()) } else { Err(conditions) }
    })
    .await;
}
