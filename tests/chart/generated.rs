//! Files that are made from the values, the definitions and the templates: `make chart` writes them.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    helm::{CHART, Helm},
    values,
};

const BEGIN: &str = "<!-- Written by `make chart` from values.yaml. -->\n";
const END: &str = "<!-- End of what `make chart` writes. -->\n";
const NOTICE: &str = "# Written by `make chart` from charts/hydra-operator. Do not edit.\n";
const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: hydra-operator-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

/// The manifests of `deploy/` with their first lines and the options they are rendered with.
const MANIFESTS: [(&str, &str, &[&str]); 8] = [
    (
        "deploy/rbac/cluster.yaml",
        "\
# What the operator may do when it watches all namespaces. For Roles in chosen namespaces see namespaced.yaml.
",
        RIGHTS,
    ),
    (
        "deploy/rbac/namespaced.yaml",
        "\
# What the operator may do when it watches one namespace: apply this once for each of --namespaces, with its name in
# place of watched-namespace. Nothing cluster-scoped is needed; for all namespaces see cluster.yaml, which has the same
# rules.
",
        &[RIGHTS[0], RIGHTS[1], "--set=namespaces={watched-namespace}"],
    ),
    (
        "deploy/rbac/secret-namespaces.yaml",
        "\
# What the operator may do when it watches all namespaces and uses the Secrets of some: apply this once for each of
# --secret-namespaces, with its name in place of watched-namespace. ClusterRole and Role together have the rules of
# cluster.yaml.
",
        &[RIGHTS[0], RIGHTS[1], "--set=rbac.secretNamespaces={watched-namespace}"],
    ),
    (
        "deploy/rbac/observe.yaml",
        "\
# What the operator needs with --observe, for all namespaces: it reads and writes nothing. For some namespaces alone,
# grant the same rules by a Role in each.
",
        &[RIGHTS[0], RIGHTS[1], "--set=observe=true"],
    ),
    (
        "deploy/rbac/leader-election.yaml",
        "\
# What the operator may do with --leader-elect, beside cluster.yaml or namespaced.yaml: hold the Lease hydra-operator
# (--leader-election-id) in its own namespace.
",
        &["--show-only=templates/leader-election.yaml"],
    ),
    (
        "deploy/base/deployment.yaml",
        "# The Deployment with the defaults of the chart. An overlay sets HYDRA_ADMIN_URL.\n",
        &["--show-only=templates/deployment.yaml"],
    ),
    (
        "deploy/monitoring/podmonitor.yaml",
        "# How a Prometheus finds the operator.\n",
        &["--show-only=templates/podmonitor.yaml", "--set=podMonitor.enabled=true"],
    ),
    (
        "deploy/monitoring/prometheusrule.yaml",
        "# Alerts; docs/monitoring.md says what to do about each.\n",
        &["--show-only=templates/prometheusrule.yaml", "--set=prometheusRule.enabled=true"],
    ),
];
const RIGHTS: &[&str] =
    &["--show-only=templates/serviceaccount.yaml", "--show-only=templates/rbac.yaml"];

/// Lines that are true of a release of Helm alone.
const OF_HELM: [&str; 3] = ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: "];

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_default()
}

/// The content that each file of the chart should have, by its path. The chart has to have them before it can be rendered.
fn of_chart() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let values = values::read(&read(&format!("{CHART}/values.yaml")));
    files.insert(format!("{CHART}/values.schema.json"), values::schema(&values));
    let readme = format!("{CHART}/README.md");
    files.insert(readme.clone(), with_table(&read(&readme), &values::table(&values)));

    let definitions = read("crds/hydra.ory.sh.yaml");
    files.insert(format!("{CHART}/files/crds.yaml"), definitions.clone());
    files.insert("deploy/crds/hydra.ory.sh.yaml".to_owned(), definitions);
    let dashboard = read(&format!("{CHART}/files/dashboard.json"));
    files.insert("deploy/monitoring/dashboard.json".to_owned(), dashboard);
    files
}

/// The same for those that the chart renders.
fn rendered() -> BTreeMap<String, String> {
    let manifest = |(path, introduction, options): (&str, _, _)| {
        (path.to_owned(), manifest(introduction, options))
    };
    MANIFESTS.map(manifest).into()
}

fn with_table(readme: &str, table: &str) -> String {
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the place of the table");
    let (_, after) = rest.split_once(END).expect("the README has the end of the table");
    format!("{before}{BEGIN}\n{table}\n{END}{after}")
}

fn manifest(introduction: &str, options: &[&str]) -> String {
    let mut args = vec!["template", "hydra-operator", CHART, "--namespace=hydra-operator-system"];
    args.push("--set=hydra.adminUrl=http://hydra-admin.hydra:4445");
    args.extend(options);
    let rendered = Helm::new().run(&args);
    let lines = rendered.lines().filter(|line| {
        let line = line.trim_start();
        !line.is_empty() && !OF_HELM.iter().any(|start| line.starts_with(start))
    });
    let body = lines.collect::<Vec<_>>().join("\n");
    let namespace = if options.contains(&RIGHTS[0]) { NAMESPACE } else { "" };
    let body = body.trim_start_matches("---\n");
    let separator = if namespace.is_empty() { "" } else { "---\n" };
    format!("{introduction}{NOTICE}{namespace}{separator}{body}\n")
}

/// With `CHART_WRITE` it writes them instead, which `make chart` does.
#[test]
fn generated_files_are_up_to_date() {
    for (path, content) in of_chart().into_iter().chain(std::iter::once_with(rendered).flatten()) {
        if std::env::var_os("CHART_WRITE").is_some() {
            fs::write(repository(&path), content).unwrap();
        } else {
            assert!(read(&path) == content, "{path} is out of date: run `make chart`");
        }
    }
}

#[test]
fn chart_and_program_have_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart: serde_json::Value =
        serde_saphyr::from_str(&read(&format!("{CHART}/Chart.yaml"))).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
}
