//! Which sets a resource may have, and which specs contradict themselves.

use serde_json::{Value, json};

use super::*;
use crate::jsonwebkeyset::testing::{annotated, resource, wanted};

fn names(names: &[(&str, &str)]) -> Permissions {
    let owned = |(namespace, name): &(&str, &str)| ((*namespace).to_owned(), (*name).to_owned());
    Permissions { names: names.iter().map(owned).collect(), ..Permissions::default() }
}

fn refused(spec: &Value, permissions: &Permissions) -> Option<(Reason, String)> {
    let failure = desired(&resource(spec), permissions).err()?;
    assert_eq!(failure.class, crate::controller::Class::Terminal);
    Some((failure.reason, failure.message))
}

#[test]
fn a_namespace_has_its_own_names_and_those_it_is_given() {
    let allowed =
        names(&[("shop", "shared"), ("shop", "app-*"), ("bank", "vault"), ("shop", "*x")]);
    let all = names(&[("shop", "*")]);
    for (permissions, name, may) in [
        (&allowed, "k8s.shop.other", true),
        (&allowed, "k8s.shop.", false),
        (&allowed, "k8s.shop", false),
        (&allowed, "k8s.shopping.other", false),
        (&allowed, "k8s.bank.vault", false),
        (&allowed, "shared", true),
        (&allowed, "shared2", false),
        (&allowed, "Shared", false),
        (&allowed, "app-", true),
        (&allowed, "app-1", true),
        (&allowed, "app", false),
        (&allowed, "vault", false),
        (&allowed, "yx", false),
        (&allowed, "hydra.openid.id-token", false),
        (&all, "anything", true),
        (&all, "k8s.bank.vault", false),
        (&all, "k8s.", false),
        (&all, "hydra.openid.id-token", false),
        (&all, "hydra.", false),
    ] {
        let spec = json!({ "algorithm": "ES256", "setName": name });
        let found = refused(&spec, permissions).map(|(reason, _)| reason);
        assert_eq!(found, (!may).then_some(Reason::KeySetNameNotAllowed), "{name}");
    }
}

#[test]
fn a_name_that_is_no_path_segment_is_none() {
    for name in ["a/b", "..", "a b", "ä", "k8s.shop./../x"] {
        let spec = json!({ "algorithm": "ES256", "setName": name });
        let (reason, message) = refused(&spec, &names(&[("shop", "*")])).unwrap();
        assert_eq!(reason, Reason::InvalidSpec, "{name}: {message}");
    }
}

#[test]
fn the_refusal_of_a_name_says_what_would_allow_it() {
    let spec = json!({ "algorithm": "ES256", "setName": "shared" });
    let (_, message) = refused(&spec, &Permissions::default()).unwrap();
    for words in ["k8s.shop.", "--allow-key-set-names=shop/shared"] {
        assert!(message.contains(words), "{message}");
    }
    let spec = json!({ "algorithm": "ES256", "setName": "hydra.openid.id-token" });
    let (_, message) = refused(&spec, &Permissions::default()).unwrap();
    assert!(message.contains("--system-key-sets-from=shop"), "{message}");
}

#[test]
fn sets_of_hydra_itself_sign_at_once_and_are_adopted() {
    let system = wanted(&json!({ "algorithm": "RS256", "setName": "hydra.openid.id-token" }));
    assert!(system.is_system && system.adopts && system.rules.signs_at_once);
    let other = wanted(&json!({ "algorithm": "RS256" }));
    assert!(!other.is_system && !other.adopts && !other.rules.signs_at_once);
    let adopting = Permissions { adopts: true, ..Permissions::default() };
    let spec = json!({ "algorithm": "RS256" });
    assert!(desired(&resource(&spec), &adopting).unwrap().adopts);
}

#[test]
fn what_is_not_said_has_a_default() {
    let found = wanted(&json!({ "algorithm": "PS384" }));
    assert_eq!(found.set.as_str(), "k8s.shop.signing");
    assert_eq!(
        found.rules,
        Rules {
            algorithm: "PS384".into(),
            key_use: "sig".into(),
            interval: None,
            publish_before: Duration::from_hours(1),
            retain: Duration::from_hours(24),
            signs_at_once: false,
        }
    );
    let empty = json!({ "interval": "", "publishBefore": "", "retain": "" });
    let found_empty = wanted(&json!({ "algorithm": "PS384", "setName": "", "rotation": empty }));
    assert_eq!(found_empty, found);
    let annotated = annotated(resource(&json!({ "algorithm": "PS384" })), "suspend", "true");
    assert_eq!(desired(&annotated, &Permissions::default()).ok(), Some(found));
}

#[test]
fn durations_are_those_of_go() {
    let rotation = json!({ "interval": "720h", "publishBefore": "1h30m", "retain": "1.5s" });
    let rules = wanted(&json!({ "algorithm": "ES256", "rotation": rotation })).rules;
    assert_eq!(rules.interval, Some(Duration::from_hours(720)));
    assert_eq!(rules.publish_before, Duration::from_mins(90));
    assert_eq!(rules.retain, Duration::from_millis(1500));
}

#[test]
fn keys_of_hydra_itself_may_be_replaced_more_often_than_others_are_published() {
    let rotation = json!({ "interval": "30m" });
    let spec =
        json!({ "algorithm": "RS256", "setName": "hydra.openid.id-token", "rotation": rotation });
    let rules = wanted(&spec).rules;
    assert_eq!(rules.interval, Some(Duration::from_mins(30)));
}

/// What the API server refuses too, but for a definition that is older than the operator.
#[test]
fn contradictions_are_refused_with_the_way_out() {
    let output = |name: &str| json!({ "name": name });
    let import = json!({ "secretRef": { "name": "keys" } });
    let rotation = |rotation: Value| json!({ "algorithm": "ES256", "rotation": rotation });
    let system = |more: Value| {
        let mut spec = json!({ "algorithm": "RS256", "setName": "hydra.openid.id-token" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    for (spec, words) in [
        (json!({ "algorithm": "" }), "spec.algorithm"),
        (json!({ "algorithm": "ML-DSA-44" }), "ML-DSA-44"),
        (json!({ "algorithm": "ES256", "use": "wrap" }), "sig or enc"),
        (rotation(json!({ "interval": "soon" })), "spec.rotation.interval"),
        (rotation(json!({ "publishBefore": "-1h" })), "spec.rotation.publishBefore"),
        (rotation(json!({ "retain": "1d" })), "spec.rotation.retain"),
        (rotation(json!({ "interval": "1h" })), "longer than publishBefore"),
        (rotation(json!({ "interval": "2h", "publishBefore": "2h" })), "longer than publishBefore"),
        (rotation(json!({ "interval": "0s", "publishBefore": "0s" })), "at least 1s"),
        (
            json!({ "algorithm": "ES256", "import": import, "rotation": { "interval": "720h" } }),
            "remove spec.rotation.interval",
        ),
        (
            json!({ "algorithm": "HS256", "outputs": { "publicConfigMap": output("keys") } }),
            "remove spec.outputs.publicConfigMap",
        ),
        (
            json!({ "algorithm": "ES256", "outputs": { "publicConfigMap": output("") } }),
            "write a name",
        ),
        (
            json!({ "algorithm": "ES256", "outputs": { "privateSecret": output("") } }),
            "write a name",
        ),
        (
            system(json!({ "outputs": { "privateSecret": output("keys") } })),
            "remove spec.outputs.privateSecret",
        ),
        (system(json!({ "import": import })), "remove spec.import"),
        (system(json!({ "use": "enc" })), "remove spec.use"),
    ] {
        let permissions = Permissions {
            system_from: BTreeSet::from(["shop".to_owned()]),
            ..Permissions::default()
        };
        let (reason, message) = refused(&spec, &permissions).unwrap_or_else(|| panic!("{spec}"));
        assert_eq!(reason, Reason::InvalidSpec, "{spec}");
        assert!(message.contains(words), "{spec}: {message}");
    }
}
