//! Kubeconfigs, for clients of the tests and as files for kubectl and the operator.

use base64::{Engine, prelude::BASE64_STANDARD};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::pki::Identity;

/// Who a kubeconfig speaks for.
#[derive(Debug, Clone)]
pub enum User<'a> {
    /// By client certificate.
    Certificate(&'a Identity),
    /// By bearer token.
    Token(&'a str),
}

/// The text of a kubeconfig for the server at `url`. It is JSON, which is YAML.
pub fn kubeconfig(url: &str, ca_certificate: &str, user: &User<'_>) -> String {
    let encode = |pem: &str| BASE64_STANDARD.encode(pem);
    let user: Value = match user {
        User::Certificate(identity) => json!({
            "client-certificate-data": encode(&identity.certificate),
            "client-key-data": encode(&identity.key),
        }),
        User::Token(token) => json!({ "token": token }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": {
            "server": url,
            "certificate-authority-data": encode(ca_certificate),
        }}],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    });
    format!("{config:#}\n")
}

/// A client for a kubeconfig's text. It belongs to the runtime that it is made in, so each test makes its own.
pub async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}
