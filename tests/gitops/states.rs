//! Real objects in each state that there is, judged by the script of Argo CD and by kstatus. The examples of `deploy/argocd`
//! are these objects.

use serde_json::{Value, json};

use crate::{
    actions::{NO_TIME, annotation},
    argocd::{Health, actions, generated, health, path},
    kinds::{Kind, kinds},
    normal::normal,
    support::{
        Generation, Hydra, Operator, OperatorOptions,
        kstatus::{Verdict, verdict},
    },
    tenant::{Tenant, ready_message},
};

const UNSEEN: &str = "Waiting for the controller";
const SUSPENDED: &str = "Reconciliation is suspended";

/// An example for Argo CD's repository.
struct Example {
    kind: &'static str,
    file: &'static str,
    object: Value,
    health: Health,
}

/// Panics unless both say of the object what they should. The message is that of `Ready` where none is given.
fn judge(object: &Value, expected: (Verdict, &str), message: Option<&str>) {
    let (found, why) = verdict(object);
    assert_eq!(found, expected.0, "kstatus: {why} {object}");
    let message = message.or_else(|| ready_message(object)).unwrap_or_default().to_owned();
    let expected = Health { status: expected.1.to_owned(), message };
    assert_eq!(health(object), expected, "{object}");
}

/// A namespace with objects in each state, and those that are to be examples.
struct States {
    tenant: Tenant,
    hydra: Hydra,
    examples: Vec<Example>,
}

impl States {
    /// As [`judge`], and keeps the object under the name `file`.
    fn keep(
        &mut self,
        file: &'static str,
        kind: &Kind,
        object: &Value,
        expected: (Verdict, &str),
        message: Option<&str>,
    ) {
        judge(object, expected, message);
        let object = normal(object, &self.tenant.namespace, &self.hydra);
        let health = health(&object);
        self.examples.push(Example { kind: kind.name, file, object, health });
    }

    async fn create(&self, kind: &Kind, name: &str, spec: &Value) -> Value {
        self.tenant.apply(&kind.manifest(name, spec)).await
    }
}

#[tokio::test]
async fn argo_cd_and_kstatus_agree_about_each_state() {
    let (tenant, hydra) = (Tenant::new("states").await, Hydra::start(Generation::V2).await);
    let mut states = States { tenant, hydra, examples: Vec::new() };
    let kinds = kinds();
    for kind in &kinds {
        unseen(&mut states, kind).await;
    }
    let options = OperatorOptions::new(states.hydra.admin_url());
    let options = options.namespaces([&states.tenant.namespace]);
    let mut operator = Operator::start(states.tenant.cp, options).await;
    for kind in &kinds {
        with_hydra(&mut states, kind).await;
        suspended(&mut states, kind).await;
    }
    states.hydra.stop().await;
    for kind in &kinds {
        without_hydra(&mut states, kind).await;
    }
    operator.process().terminate().await;
    for kind in &kinds {
        without_operator(&mut states, kind).await;
    }
    for kind in &kinds {
        write(&states.examples, kind);
    }
}

async fn unseen(states: &mut States, kind: &Kind) {
    let suspended = with(&kind.good, "suspend", json!(true));
    let specs = [
        ("shop", &kind.good),
        ("annotated", &kind.good),
        ("leaving", &kind.good),
        ("edited", &kind.good),
        ("broken", &kind.broken),
        ("waiting", &kind.waiting),
        ("paused", &suspended),
    ];
    for (name, spec) in specs {
        let object = states.create(kind, name, spec).await;
        judge(&object, (Verdict::InProgress, "Progressing"), Some(UNSEEN));
    }
    let shop = states.tenant.get(kind.name, "shop").await;
    let expected = (Verdict::InProgress, "Progressing");
    states.keep("new.yaml", kind, &shop, expected, Some(UNSEEN));
}

async fn with_hydra(states: &mut States, kind: &Kind) {
    let shop = states.tenant.shows(kind.name, "shop", "Ready=True Synced").await;
    states.keep("healthy.yaml", kind, &shop, (Verdict::Current, "Healthy"), None);
    let broken = states.tenant.shows(kind.name, "broken", kind.stalled).await;
    states.keep("stalled.yaml", kind, &broken, (Verdict::Failed, "Degraded"), None);
    let waits = "Reconciling=True WaitingForSecret";
    let waiting = states.tenant.shows(kind.name, "waiting", waits).await;
    states.keep("waiting.yaml", kind, &waiting, (Verdict::InProgress, "Progressing"), None);
    for name in ["edited", "leaving"] {
        let object = states.tenant.shows(kind.name, name, "Ready=True Synced").await;
        judge(&object, (Verdict::Current, "Healthy"), None);
    }
}

/// kstatus knows no suspension: it goes by whether the resource was ready, and by whether it still is as declared.
async fn suspended(states: &mut States, kind: &Kind) {
    let paused = states.tenant.shows(kind.name, "paused", "Ready=False Suspended").await;
    let expected = (Verdict::InProgress, "Suspended");
    states.keep("suspended.yaml", kind, &paused, expected, Some(SUSPENDED));

    states.tenant.shows(kind.name, "annotated", "Ready=True Synced").await;
    let annotation = json!({ "metadata": { "annotations": { "hydra.ory.sh/suspend": "true" } } });
    states.tenant.merge(kind.name, "annotated", &annotation).await;
    let annotated = states.tenant.shows(kind.name, "annotated", "Stalled=False Suspended").await;
    let expected = (Verdict::Current, "Suspended");
    states.keep("suspended_by_annotation.yaml", kind, &annotated, expected, Some(SUSPENDED));

    states.tenant.merge(kind.name, "annotated", &json!({ "spec": kind.edit })).await;
    let edited = states.tenant.shows(kind.name, "annotated", "Ready=False Suspended").await;
    judge(&edited, (Verdict::InProgress, "Suspended"), Some(SUSPENDED));
}

async fn without_hydra(states: &mut States, kind: &Kind) {
    let away = "Reconciling=True HydraUnreachable";
    states.tenant.merge(kind.name, "shop", &json!({ "spec": kind.edit })).await;
    let shop = states.tenant.shows(kind.name, "shop", away).await;
    states.keep("hydra_away.yaml", kind, &shop, (Verdict::InProgress, "Progressing"), None);

    states.tenant.delete(kind.name, "leaving").await;
    let leaving = states.tenant.shows(kind.name, "leaving", away).await;
    states.keep("deletion_waits.yaml", kind, &leaving, (Verdict::Terminating, "Progressing"), None);
}

/// What was true of a former generation says nothing of this one.
async fn without_operator(states: &mut States, kind: &Kind) {
    let edited = states.tenant.merge(kind.name, "edited", &json!({ "spec": kind.edit })).await;
    let expected = (Verdict::InProgress, "Progressing");
    states.keep("edited.yaml", kind, &edited, expected, Some(UNSEEN));

    states.tenant.delete(kind.name, "shop").await;
    let shop = states.tenant.get(kind.name, "shop").await;
    let expected = (Verdict::Terminating, "Progressing");
    states.keep("deleting.yaml", kind, &shop, expected, Some("Being deleted"));
}

fn write(examples: &[Example], kind: &Kind) {
    let mut tests = Vec::new();
    for Example { file, object, health, .. } in examples.iter().filter(|e| e.kind == kind.name) {
        let input = format!("testdata/{file}");
        generated(&path(kind.name, &input), &serde_saphyr::to_string(object).unwrap());
        tests.push(json!({ "healthStatus": health, "inputPath": input }));
    }
    let tests = serde_saphyr::to_string(&json!({ "tests": tests })).unwrap();
    generated(&path(kind.name, "health_test.yaml"), &tests);
    write_for_actions(examples, kind);
}

/// What `actions/action_test.yaml` names.
fn write_for_actions(examples: &[Example], kind: &Kind) {
    let write = |name: &str, object: &Value| {
        let path = path(kind.name, &format!("actions/testdata/{name}.yaml"));
        generated(&path, &serde_saphyr::to_string(object).unwrap());
    };
    for name in ["healthy", "suspended"] {
        let file = format!("{name}.yaml");
        let example = examples.iter().find(|e| e.kind == kind.name && e.file == file).unwrap();
        write(name, &example.object);
        for action in actions(kind.name).iter().filter(|_| name == "healthy") {
            let mut asked = example.object.clone();
            asked["metadata"]["annotations"] = json!({ annotation(action): NO_TIME });
            write(action, &asked);
        }
    }
}

fn with(spec: &Value, name: &str, value: Value) -> Value {
    let mut spec = spec.clone();
    spec[name] = value;
    spec
}
