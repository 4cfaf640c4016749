//! Objects that are wholly the operator's, written with its rights on a real API server.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use hydra_operator::{
    api::{GROUP, JsonWebKeySet, MANAGED_BY, MANAGED_BY_LABEL},
    kubernetes::{
        Outputs, Owner,
        outputs::{
            HeldOutput, OutputContent, OutputError, OutputKind, OutputState, Stranger, classify,
        },
        referrers::SecretEvent,
        streams,
    },
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{ControlPlane, counters::ApiserverCounters, rbac, rbac::ServiceAccount};

/// Makes of each function a test per kind: `secret::name` and `config_map::name`.
macro_rules! on_each_kind {
    ($($test:ident),+ $(,)?) => {
        mod secret {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<k8s_openapi::api::core::v1::Secret>().await;
                }
            )+
        }
        mod config_map {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<k8s_openapi::api::core::v1::ConfigMap>().await;
                }
            )+
        }
    };
}

on_each_kind!(
    a_name_is_claimed_and_nobody_elses_object_is_touched,
    all_that_is_declared_is_written_and_nothing_twice,
    data_are_put_back_and_labels_of_others_stay,
    what_is_declared_no_more_goes,
    a_version_that_is_not_the_present_one_is_a_conflict,
    an_object_that_was_replaced_is_a_conflict,
    what_a_former_resource_left_is_taken_over,
    it_is_released_or_deleted,
    immutable_data_stay,
);

const API: &str = "hydra.ory.sh/v1alpha1";
const NAME: &str = "keys-output";

/// A namespace with a resource, and the outputs of it.
struct World<K> {
    account: ServiceAccount,
    namespace: String,
    outputs: Outputs<K>,
    owner: Owner,
    /// Anybody else, with all rights.
    others: Api<K>,
}

impl<K: OutputKind> World<K> {
    async fn new() -> Self {
        Self::on(ControlPlane::shared().await).await
    }

    async fn on(cp: &ControlPlane) -> Self {
        let namespace = cp.namespace("outputs").await;
        let account = rbac::namespaced(cp, &[&namespace]).await;
        let admin = cp.client().await;
        let resources: Api<JsonWebKeySet> = Api::namespaced(admin.clone(), &namespace);
        // The garbage collector looks for it.
        let resource = serde_json::from_value(json!({
            "apiVersion": API, "kind": "JsonWebKeySet",
            "metadata": { "name": "keys" }, "spec": { "algorithm": "ES256" },
        }));
        let resource = resources.create(&PostParams::default(), &resource.unwrap()).await.unwrap();
        let marks = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())]);
        Self {
            outputs: Outputs::new(account.client().await, &namespace, marks),
            owner: Owner {
                group: GROUP.to_owned(),
                kind: JsonWebKeySet::kind(&()).into_owned(),
                name: resource.name_any(),
                uid: resource.uid().unwrap(),
            },
            others: Api::namespaced(admin, &namespace),
            namespace,
            account,
        }
    }

    async fn observe(&self) -> OutputState {
        self.outputs.observe(NAME, &self.owner).await.unwrap()
    }

    async fn write(
        &self,
        state: &OutputState,
        content: &OutputContent,
    ) -> Result<String, OutputError> {
        let owner = (&self.owner, API);
        let written = self.outputs.write(NAME, owner, state, content).await;
        Ok(written?.resource_version)
    }

    /// Observes, and writes `content`.
    async fn put(&self, content: &OutputContent) -> Result<String, OutputError> {
        self.write(&self.observe().await, content).await
    }

    /// Creates the object as somebody else.
    async fn create(&self, object: Value) -> K {
        let mut object = object;
        object["metadata"]["name"] = NAME.into();
        let object = serde_json::from_value(object).unwrap();
        self.others.create(&PostParams::default(), &object).await.unwrap()
    }

    /// Edits it as somebody else.
    async fn edit(&self, patch: Value) -> K {
        let params = PatchParams::default();
        self.others.patch(NAME, &params, &Patch::Merge(patch)).await.unwrap()
    }

    async fn get(&self) -> Option<K> {
        self.others.get_opt(NAME).await.unwrap()
    }

    /// All of it that says what it is, with texts in place of bytes.
    async fn shown(&self) -> Value {
        let object = self.get().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let data: BTreeMap<_, _> = object
            .values()
            .map(|(field, key, value)| (format!("{field}/{key}"), text(value)))
            .collect();
        let owners = object.owner_references().iter().map(|owner| owner.uid.clone());
        json!({
            "data": data,
            "labels": object.labels(),
            "annotations": object.annotations(),
            "owners": owners.collect::<Vec<_>>(),
        })
    }

    /// What [`Self::shown`] says when it is as declared.
    fn as_declared(&self, data: &Value, labels: &Value) -> Value {
        let mut all = json!({ MANAGED_BY_LABEL: MANAGED_BY });
        all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
        json!({
            "data": data, "labels": all, "annotations": { "note": "n" },
            "owners": [self.owner.uid],
        })
    }
}

fn content(data: &[(&str, &str)], labels: &[(&str, &str)]) -> OutputContent {
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    OutputContent {
        labels: labels.collect(),
        annotations: BTreeMap::from([("note".into(), "n".into())]),
        data: data.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..OutputContent::default()
    }
}

fn declared() -> OutputContent {
    content(&[("jwks.json", "{}"), ("kid", "1")], &[("team", "a")])
}

fn data<K: OutputKind>(texts: &[(&str, &str)]) -> Value {
    texts.iter().map(|(key, text)| ((*key).to_owned(), K::encoded(text))).collect()
}

fn is_conflict<T>(result: &Result<T, OutputError>) -> bool {
    matches!(result, Err(OutputError::Api(error)) if error.is_conflict())
}

async fn a_name_is_claimed_and_nobody_elses_object_is_touched<K: OutputKind>() {
    let world = World::<K>::new().await;
    let absent = world.observe().await;
    assert!(matches!(absent, OutputState::Absent));
    // It appears between the look and the write.
    world.create(json!({ "data": data::<K>(&[("theirs", "1")]) })).await;
    let theirs = world.shown().await;
    assert!(is_conflict(&world.write(&absent, &declared()).await));
    assert_eq!(world.shown().await, theirs);

    let foreign = world.observe().await;
    assert!(matches!(&foreign, OutputState::Foreign(Stranger::Nobody)));
    let refused = world.write(&foreign, &declared()).await;
    assert_eq!(refused, Err(OutputError::Foreign(Stranger::Nobody)));
    let no_name = world.outputs.write("a/b", (&world.owner, API), &absent, &declared()).await;
    assert_eq!(no_name, Err(OutputError::Name("a/b".to_owned())));
    assert_eq!(world.shown().await, theirs);
}

async fn all_that_is_declared_is_written_and_nothing_twice<K: OutputKind>() {
    // Nobody else writes there.
    let cp = ControlPlane::start().await;
    let world = World::<K>::on(&cp).await;
    let first = world.put(&declared()).await.unwrap();
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    assert_eq!(world.shown().await, world.as_declared(&expected, &json!({ "team": "a" })));
    assert_eq!(world.get().await.unwrap().resource_version(), Some(first.clone()));

    let (admin, resource) = (cp.client().await, K::plural(&()).into_owned());
    let before = ApiserverCounters::read(&admin).await.writes(&resource);
    assert!(before >= 2, "the claim and the content are counted");
    for _ in 0..3 {
        assert_eq!(world.put(&declared()).await.unwrap(), first);
    }
    world.edit(json!({ "metadata": { "labels": { "theirs": "1" } } })).await;
    let labelled = world.get().await.unwrap().resource_version();
    assert_eq!(world.put(&declared()).await.ok(), labelled);
    let after = ApiserverCounters::read(&admin).await.writes(&resource);
    assert_eq!(after - before, 1, "that of the label");
}

async fn data_are_put_back_and_labels_of_others_stay<K: OutputKind>() {
    let world = World::<K>::new().await;
    world.put(&declared()).await.unwrap();
    let labels = json!({ "team": "a", "theirs": "1" });
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    let as_declared = world.as_declared(&expected, &labels);
    for edit in [
        json!({ "data": data::<K>(&[("kid", "2")]) }),
        json!({ "data": data::<K>(&[("more", "x")]) }),
        json!({ "data": { "kid": null } }),
        json!({ "data": null }),
        json!({ "metadata": { "labels": { "team": "b", MANAGED_BY_LABEL: null } } }),
        json!({ "metadata": { "annotations": null } }),
    ] {
        let mut with_label = edit.clone();
        with_label["metadata"]["labels"]["theirs"] = "1".into();
        world.edit(with_label).await;
        assert_ne!(world.shown().await, as_declared, "{edit}");
        let written = world.put(&declared()).await.unwrap();
        assert_eq!(world.shown().await, as_declared, "{edit}");
        assert_eq!(world.put(&declared()).await.unwrap(), written, "{edit}");
    }
}

async fn what_is_declared_no_more_goes<K: OutputKind>() {
    let world = World::<K>::new().await;
    let labels = [("team", "a"), ("old", "1"), ("shared", "1")];
    world.put(&content(&[("old", "v"), ("shared", "v")], &labels)).await.unwrap();
    // Another manager wants one of each as well.
    let shared = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": { "labels": { "shared": "1" } }, "data": data::<K>(&[("shared", "v")]),
    });
    let manager = PatchParams::apply("another");
    world.others.patch(NAME, &manager, &Patch::Apply(shared)).await.unwrap();
    let written = world.put(&declared()).await.unwrap();
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    let labels = json!({ "team": "a", "shared": "1" });
    assert_eq!(world.shown().await, world.as_declared(&expected, &labels));
    assert_eq!(world.put(&declared()).await.unwrap(), written);
}

async fn a_version_that_is_not_the_present_one_is_a_conflict<K: OutputKind>() {
    let world = World::<K>::new().await;
    world.put(&declared()).await.unwrap();
    let stale = world.observe().await;
    world.edit(json!({ "data": data::<K>(&[("kid", "2")]) })).await;
    let edited = world.shown().await;
    let changed = content(&[("kid", "3")], &[]);
    assert!(is_conflict(&world.write(&stale, &changed).await));
    let read = stale.held().unwrap().version();
    let conflicts = [
        world.outputs.delete(NAME, read).await,
        world.outputs.release(NAME, read, &world.owner.uid).await,
    ];
    for result in conflicts {
        assert!(result.is_err_and(|error| error.is_conflict()));
    }
    assert_eq!(world.shown().await, edited);
}

async fn an_object_that_was_replaced_is_a_conflict<K: OutputKind>() {
    let world = World::<K>::new().await;
    world.put(&declared()).await.unwrap();
    let former = world.observe().await;
    let changed = content(&[("kid", "3")], &[]);
    world.others.delete(NAME, &DeleteParams::default()).await.unwrap();
    assert!(is_conflict(&world.write(&former, &changed).await));
    assert!(world.get().await.is_none(), "it is not made by an apply");

    let theirs = world.create(json!({ "data": data::<K>(&[("theirs", "1")]) })).await;
    let shown = world.shown().await;
    assert!(is_conflict(&world.write(&former, &changed).await));
    // The uid alone is enough, should an object of another one ever have the same resourceVersion.
    let mut disguised = theirs.clone();
    disguised.meta_mut().uid = former.held().map(|held| held.version().uid.clone());
    let disguised = OutputState::Ours(HeldOutput::of(&disguised));
    assert!(matches!(world.write(&disguised, &changed).await, Err(OutputError::Api(_))));
    let read = disguised.held().unwrap().version();
    assert!(world.outputs.delete(NAME, read).await.is_err_and(|error| error.is_conflict()));
    assert_eq!(world.shown().await, shown);
}

async fn what_a_former_resource_left_is_taken_over<K: OutputKind>() {
    let world = World::<K>::new().await;
    // Of a version that is not served, which the garbage collector does not dare to look for.
    let former = json!({
        "apiVersion": "hydra.ory.sh/v0", "kind": "JsonWebKeySet", "name": "keys", "uid": "uid-0",
    });
    world
        .create(json!({
            "metadata": { "ownerReferences": [former], "annotations": { "note": "n" } },
            "data": data::<K>(&[("jwks.json", "{}"), ("kid", "1")]),
        }))
        .await;
    let state = world.observe().await;
    let OutputState::Inherited { held, former } = &state else { panic!("not inherited") };
    assert_eq!((held.value("kid"), former.as_str()), (Some(b"1".as_slice()), "uid-0"));
    let written = world.write(&state, &declared()).await.unwrap();
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    assert_eq!(world.shown().await, world.as_declared(&expected, &json!({ "team": "a" })));
    assert_eq!(world.put(&declared()).await.unwrap(), written);
}

async fn it_is_released_or_deleted<K: OutputKind>() {
    let world = World::<K>::new().await;
    world.put(&declared()).await.unwrap();
    let before = world.shown().await;
    let state = world.observe().await;
    let read = state.held().unwrap().version();
    world.outputs.release(NAME, read, &world.owner.uid).await.unwrap();
    let mut released = before;
    released["owners"] = json!([]);
    assert_eq!(world.shown().await, released);
    assert!(matches!(world.observe().await, OutputState::Foreign(Stranger::Nobody)));

    let object = world.get().await.unwrap();
    let held = HeldOutput::of(&object);
    world.outputs.delete(NAME, held.version()).await.unwrap();
    assert!(world.get().await.is_none());
    world.outputs.delete(NAME, held.version()).await.unwrap();
    world.outputs.release(NAME, held.version(), &world.owner.uid).await.unwrap();
    assert!(matches!(classify::<K>(None, &world.owner), OutputState::Absent));
}

async fn immutable_data_stay<K: OutputKind>() {
    let world = World::<K>::new().await;
    world.put(&declared()).await.unwrap();
    world.edit(json!({ "immutable": true, "metadata": { "labels": { "team": "b" } } })).await;
    world.put(&declared()).await.unwrap();
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    let as_declared = world.as_declared(&expected, &json!({ "team": "a" }));
    assert_eq!(world.shown().await, as_declared);
    let other = content(&[("kid", "2")], &[("team", "a")]);
    assert_eq!(world.put(&other).await, Err(OutputError::Immutable));
    assert_eq!(world.shown().await, as_declared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_has_its_type_and_keeps_it() {
    let world = World::<Secret>::new().await;
    let keys = |secret_type: &str, data: &[(&str, &str)]| OutputContent {
        secret_type: secret_type.to_owned(),
        ..content(data, &[("team", "a")])
    };
    let basic = "kubernetes.io/basic-auth";
    let both = keys(basic, &[("username", "u"), ("kid", "1")]);
    world.put(&both).await.unwrap();
    assert_eq!(world.get().await.unwrap().type_.as_deref(), Some(basic));
    // The first write was one of all data, which an apply alone does not take back.
    let written = world.put(&keys(basic, &[("username", "u")])).await.unwrap();
    let expected = json!({ "data/username": "u" });
    let as_declared = world.as_declared(&expected, &json!({ "team": "a" }));
    assert_eq!(world.shown().await, as_declared);
    assert_eq!(world.put(&keys(basic, &[("username", "u")])).await.unwrap(), written);

    let wrong = OutputError::Type { is: basic.to_owned(), shall: "Opaque".to_owned() };
    assert_eq!(world.put(&declared()).await, Err(wrong));
    assert_eq!(world.shown().await, as_declared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_read_whosever_the_secret_is() {
    let world = World::<Secret>::new().await;
    assert!(world.outputs.read_data(NAME).await.unwrap().is_none());
    assert!(world.outputs.read_data("../configmaps/x").await.unwrap().is_none());
    let theirs = world.create(json!({ "data": { "key.pem": "/wA=" } })).await;
    let (version, data) = world.outputs.read_data(NAME).await.unwrap().unwrap();
    assert_eq!(Some(version.resource_version), theirs.resource_version());
    let values = data
        .iter()
        .map(|(key, value)| (key.as_str(), secrecy::ExposeSecret::expose_secret(value).to_vec()));
    assert_eq!(values.collect::<Vec<_>>(), [("key.pem", vec![0xff, 0])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binary_data_of_others_go_from_a_config_map() {
    let world = World::<ConfigMap>::new().await;
    world.put(&declared()).await.unwrap();
    // One is in the way of a key that is declared.
    world
        .edit(json!({ "data": { "kid": null }, "binaryData": { "kid": "/wA=", "x": "/wA=" } }))
        .await;
    world.put(&declared()).await.unwrap();
    let expected = json!({ "data/jwks.json": "{}", "data/kid": "1" });
    assert_eq!(world.shown().await, world.as_declared(&expected, &json!({ "team": "a" })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_of_config_maps_tells_of_those_with_the_label_alone() {
    let world = World::<ConfigMap>::new().await;
    let client = world.account.client().await;
    let api = Api::namespaced(client, &world.namespace);
    let scope = Some(world.namespace.clone());
    let selector = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let mut events = Box::pin(streams::config_maps(api, &selector, scope.clone()));
    assert_eq!(next(&mut events).await, SecretEvent::ListBegins { namespace: scope.clone() });
    assert_eq!(next(&mut events).await, SecretEvent::ListEnds { namespace: scope });

    let mut other: ConfigMap = serde_json::from_value(json!({ "data": { "a": "b" } })).unwrap();
    other.metadata.name = Some("another".to_owned());
    world.others.create(&PostParams::default(), &other).await.unwrap();
    let object = (world.namespace.clone(), NAME.to_owned());
    let written = world.put(&declared()).await.unwrap();
    loop {
        let SecretEvent::Seen { secret, version } = next(&mut events).await else {
            panic!("it is there")
        };
        assert_eq!(secret, object);
        if version.resource_version == written {
            break;
        }
    }
    world.edit(json!({ "metadata": { "labels": { MANAGED_BY_LABEL: null } } })).await;
    assert_eq!(next(&mut events).await, SecretEvent::Gone { secret: object });
}

async fn next(events: &mut (impl Stream<Item = SecretEvent> + Unpin)) -> SecretEvent {
    let limit = crate::support::eventually::LIMIT;
    let event = tokio::time::timeout(limit, events.next()).await;
    event.expect("the watch tells nothing").expect("the watch has ended")
}
