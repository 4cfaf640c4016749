//! What the values do: each setting of the program is among them, and wrong values are refused before anything is sent.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    helm::{CHART, Helm, objects, only},
    pod::container,
    support::folder::Folder,
};

const URL: &str = "--set=hydra.adminUrl=http://hydra-admin.hydra:4445";

#[test]
fn each_setting_of_the_program_is_a_value() {
    let help = Command::new(env!("CARGO_BIN_EXE_hydra-operator")).args(["run", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let known: BTreeSet<_> = help
        .split("[env: ")
        .skip(1)
        .map(|rest| rest.split(['=', ']']).next().unwrap().to_owned())
        .collect();
    let values = format!("--values={CHART}/ci/everything-values.yaml");
    // What excludes another: nothing is elected where nothing is written.
    let mut given = BTreeSet::new();
    for option in ["--set=rbac.secretNamespaces={team-a}", "--set=observe=true,namespaces={team-a}"]
    {
        let rendered = Helm::new().run(&["template", "release", CHART, &values, option]);
        let objects = objects(&rendered);
        let spec = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        let env = container(spec)["env"].as_array().unwrap();
        given.extend(env.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()));
    }
    let missing: Vec<_> = known.iter().filter(|name| !given.contains(*name)).collect();
    assert!(missing.is_empty(), "no value sets {missing:?}");
    let of_pods = ["POD_NAMESPACE", "TZ"];
    let unknown: Vec<_> = given
        .iter()
        .filter(|name| !known.contains(*name) && !of_pods.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "the program does not know {unknown:?}");
}

#[test]
fn wrong_values_are_refused() {
    for (options, message) in [
        (&[][..], "hydra.adminUrl is required"),
        (&[URL, "--set=replicas=2"], "additional properties 'replicas' not allowed"),
        (&[URL, "--set=hydra.adminURL=http://h"], "additional properties 'adminURL' not allowed"),
        (&["--set=hydra.adminUrl=hydra-admin:4445"], "/hydra/adminUrl"),
        (&[URL, "--set=replicaCount=two"], "/replicaCount"),
        (&[URL, "--set=concurrency=0"], "/concurrency"),
        (&[URL, "--set=hydra.forwardedProto=ftp"], "/hydra/forwardedProto"),
        (&[URL, "--set=image.digest=latest"], "/image/digest"),
        (&[URL, "--set=namespaces={Team_A}"], "/namespaces/0"),
        (
            &[URL, "--set=replicaCount=2,leaderElection.enabled=false"],
            "needs leaderElection.enabled",
        ),
        (&[URL, "--set=rbac.secretNamespaces={a,a}"], "/rbac/secretNamespaces"),
        (&[URL, "--set=namespaces={a},rbac.secretNamespaces={a}"], "exclude each other"),
        (&[URL, "--set=hydra.ca.configMap=a,hydra.ca.secret=b"], "exclude each other"),
        (
            &[URL, "--set=serviceMonitor.enabled=true,metrics.service.enabled=false"],
            "needs metrics.service.enabled",
        ),
    ] {
        let args: Vec<_> = ["template", "release", CHART].iter().chain(options).collect();
        let refused = Helm::new().refusal(&args);
        assert!(refused.contains(message), "{options:?}: {refused}");
    }
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    Helm::new().run(&["lint", "--strict", "--quiet", CHART, URL]);
}

/// It gets values that are not its own: those for all charts, and the condition that switches it on.
#[test]
fn an_umbrella_chart_can_have_it() {
    let folder = Folder::new("umbrella");
    folder.write(
        "Chart.yaml",
        "{apiVersion: v2, name: umbrella, version: 1.0.0, dependencies: [{name: hydra-operator, \
         version: '>=0.0.0', repository: '', condition: hydra-operator.enabled}]}",
    );
    folder.write(
        "values.yaml",
        "{global: {region: somewhere}, hydra-operator: {enabled: true, hydra: {adminUrl: http://h}}}",
    );
    fs::create_dir(folder.path().join("charts")).unwrap();
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART);
    std::os::unix::fs::symlink(chart, folder.path().join("charts/hydra-operator")).unwrap();
    let path = folder.path().display().to_string();
    let rendered = objects(&Helm::new().run(&["template", "release", &path]));
    assert_eq!(only(&rendered, "Deployment")["metadata"]["name"], "release-hydra-operator");
}
