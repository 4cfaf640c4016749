//! The command line of the real binary: help, wrong settings, exit statuses.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Each flag with its variable, as the manual of the program has them.
const SETTINGS: [(&str, &str); 32] = [
    ("--hydra-admin-url", "HYDRA_ADMIN_URL"),
    ("--hydra-public-url", "HYDRA_PUBLIC_URL"),
    ("--hydra-ca-file", "HYDRA_CA_FILE"),
    ("--hydra-client-cert-file", "HYDRA_CLIENT_CERT_FILE"),
    ("--hydra-client-key-file", "HYDRA_CLIENT_KEY_FILE"),
    ("--hydra-headers-file", "HYDRA_HEADERS_FILE"),
    ("--hydra-forwarded-proto", "HYDRA_FORWARDED_PROTO"),
    ("--allow-resource-hydra-admin", "ALLOW_RESOURCE_HYDRA_ADMIN"),
    ("--hydra-request-timeout", "HYDRA_REQUEST_TIMEOUT"),
    ("--namespaces", "WATCH_NAMESPACE"),
    ("--secret-namespaces", "SECRET_NAMESPACES"),
    ("--resync-interval", "RESYNC_INTERVAL"),
    ("--remove-duplicate-clients", "REMOVE_DUPLICATE_CLIENTS"),
    ("--client-id-key", "CLIENT_ID_KEY"),
    ("--client-secret-key", "CLIENT_SECRET_KEY"),
    ("--allow-key-set-names", "ALLOW_KEY_SET_NAMES"),
    ("--system-key-sets-from", "SYSTEM_KEY_SETS_FROM"),
    ("--adopt-key-sets", "ADOPT_KEY_SETS"),
    ("--concurrency", "CONCURRENCY"),
    ("--observe", "OBSERVE"),
    ("--admin-listen", "ADMIN_LISTEN"),
    ("--log-format", "LOG_FORMAT"),
    ("--log-level", "LOG_LEVEL"),
    ("--log-level-file", "LOG_LEVEL_FILE"),
    ("--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("--resource-metrics", "RESOURCE_METRICS"),
    ("--leader-elect", "LEADER_ELECT"),
    ("--leader-election-namespace", "POD_NAMESPACE"),
    ("--leader-election-id", "LEADER_ELECTION_ID"),
    ("--leader-election-lease-duration", "LEADER_ELECTION_LEASE_DURATION"),
    ("--leader-election-renew-deadline", "LEADER_ELECTION_RENEW_DEADLINE"),
    ("--leader-election-retry-period", "LEADER_ELECTION_RETRY_PERIOD"),
];

/// A value for each setting that it must refuse.
const REFUSED: [(&str, &str); 16] = [
    ("HYDRA_ADMIN_URL", "hydra-admin"),
    ("HYDRA_CLIENT_CERT_FILE", "cert.pem"),
    ("HYDRA_CLIENT_KEY_FILE", "key.pem"),
    ("HYDRA_FORWARDED_PROTO", "ftp"),
    ("ALLOW_RESOURCE_HYDRA_ADMIN", "http://hydra-b:4445"),
    ("HYDRA_REQUEST_TIMEOUT", "1ms"),
    ("WATCH_NAMESPACE", "Team_A"),
    ("SECRET_NAMESPACES", "Team_A"),
    ("RESYNC_INTERVAL", "5"),
    ("ALLOW_KEY_SET_NAMES", "payments"),
    ("SYSTEM_KEY_SETS_FROM", "Team_A"),
    ("CONCURRENCY", "0"),
    ("ADMIN_LISTEN", "8080"),
    ("LOG_FORMAT", "xml"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
    ("LEADER_ELECTION_LEASE_DURATION", "1500ms"),
];

/// A cluster that nobody serves.
const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: test, user: {}}]
";

/// The program with no setting in its environment.
fn operator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydra-operator"));
    command.stdin(Stdio::null()).env_remove("KUBECONFIG");
    for (_, variable) in SETTINGS {
        command.env_remove(variable);
    }
    command
}

fn run(args: &[&str]) -> Output {
    operator().args(args).output().unwrap()
}

/// `run` with a URL that is right, for tests of another setting.
fn run_with_url() -> Command {
    let mut command = operator();
    command.arg("run").env("HYDRA_ADMIN_URL", "https://hydra.test:4445");
    command
}

fn flag_of(variable: &str) -> &'static str {
    let found = SETTINGS.iter().find(|(_, env)| *env == variable);
    found.expect("a variable of SETTINGS").0
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn help_has_every_flag_with_its_variable() {
    let output = run(&["run", "--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    for (flag, variable) in SETTINGS {
        let starts = |end| help.split_once(&format!("\n      {flag}{end}"));
        let (_, after) = starts(' ').or_else(|| starts('\n')).expect(flag);
        let own = after.split("\n      --").next().unwrap();
        assert!(own.contains(&format!("[env: {variable}]")), "{flag}: {own}");
    }
    // kube reads this variable by itself, as a list of files.
    assert!(help.contains("--kubeconfig <FILE>") && help.contains("$KUBECONFIG"), "{help}");
    assert_eq!(
        help.matches("\n      --").count(),
        SETTINGS.len() + 1,
        "a flag is missing in SETTINGS:\n{help}"
    );
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "too long: {line}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("hydra-operator {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_setting_ends_at_once_and_is_named() {
    for (variable, value) in REFUSED {
        let flag = flag_of(variable);
        let by_variable = run_with_url().env(variable, value).output().unwrap();
        let by_flag = run_with_url().args([flag, value]).output().unwrap();
        for output in [by_variable, by_flag] {
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{variable}={value}: {message}");
            assert!(message.contains(flag), "{flag} is not named: {message}");
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn a_missing_url_is_named() {
    let output = run(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--hydra-admin-url"));
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    for url in ["http://user:hunter2@hydra.test", "http://user:hunter2@hydra.test:port"] {
        let output = operator().arg("run").env("HYDRA_ADMIN_URL", url).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(message.starts_with("Error: --hydra-admin-url (HYDRA_ADMIN_URL) "), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn an_unknown_subcommand_is_refused() {
    assert_eq!(run(&["start"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
}

#[test]
fn an_admin_address_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
    let output = run_with_url()
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .args(["--admin-listen", &address])
        .output()
        .unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("Error: ") && last.contains("--admin-listen"), "{message}");
    assert!(last.contains(&address), "{message}");
}

#[test]
fn crds_prints_the_definitions() {
    let output = run(&["crds"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let yaml = text(&output.stdout);
    assert!(yaml.contains("kind: CustomResourceDefinition"), "{yaml}");
    assert!(yaml.contains("name: oauth2clients.hydra.ory.sh"), "{yaml}");
    assert!(output.stderr.is_empty());
}

#[test]
fn generated_pages_of_the_manual_are_up_to_date() {
    let pages: [(&str, &[&str]); 5] = [
        ("docs/reasons.md", &["reasons"]),
        ("docs/metrics.md", &["metrics"]),
        ("docs/reference/oauth2client.md", &["reference", "oauth2client"]),
        ("docs/reference/jsonwebkeyset.md", &["reference", "jsonwebkeyset"]),
        ("docs/reference/cli.md", &["reference", "cli"]),
    ];
    for (file, args) in pages {
        let output = run(args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert!(
            std::fs::read_to_string(committed).is_ok_and(|page| page == text(&output.stdout)),
            "{file} is not what the code says: run `make docs` and commit the result"
        );
    }
}
