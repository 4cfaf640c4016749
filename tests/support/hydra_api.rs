//! Hydra's APIs as plain requests, for what a test asserts: not by the client that is under test.

use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};

use super::{
    counters::{self, Sample},
    hydra::{Generation, Hydra},
};

/// Without a pool: a pooled connection would die with the runtime of the test that opened it.
pub fn http() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Somebody else may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap()
    });
    &CLIENT
}

/// A status code and a JSON body (null if there is none).
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// How a client presents its secret to the token endpoint (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// In the header: `client_secret_basic`.
    Basic,
    /// In the body: `client_secret_post`.
    Post,
}

impl Hydra {
    /// A request to the admin API, `path` as in Hydra 1: `/clients/...`, with its segments encoded.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        answer(self.admin_response(method, path, body).await).await
    }

    async fn admin_response(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let prefix = match self.generation() {
            Generation::V1 => "",
            Generation::V2 => "/admin",
        };
        let mut request = http().request(method, format!("{}{prefix}{path}", self.admin_url()));
        if let Some(body) = body {
            request =
                request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    /// The client, or none.
    pub async fn get_client(&self, id: &str) -> Option<Value> {
        let answer = self.admin(Method::GET, &client_path(id), None).await;
        match answer.status {
            200 => Some(answer.body),
            404 => None,
            _ => panic!("GET of client {id}: {answer:?}"),
        }
    }

    /// Creates a client.
    pub async fn post_client(&self, client: &Value) -> Answer {
        self.admin(Method::POST, "/clients", Some(client)).await
    }

    /// Replaces a client.
    pub async fn put_client(&self, id: &str, client: &Value) -> Answer {
        self.admin(Method::PUT, &client_path(id), Some(client)).await
    }

    /// Deletes a client.
    pub async fn delete_client(&self, id: &str) -> Answer {
        self.admin(Method::DELETE, &client_path(id), None).await
    }

    /// All clients, over all pages.
    pub async fn list_all_clients(&self) -> Vec<Value> {
        let mut clients = Vec::new();
        let mut query = match self.generation() {
            Generation::V1 => Some("limit=200&offset=0".to_owned()),
            Generation::V2 => Some("page_size=200".to_owned()),
        };
        while let Some(page) = query {
            let path = format!("/clients?{page}");
            let response = self.admin_response(Method::GET, &path, None).await;
            let next = next_page(&response);
            let Answer { status: 200, body: Value::Array(page) } = answer(response).await else {
                panic!("the list of clients is refused");
            };
            // Hydra 1 names a next page after the last one as well.
            query = next.filter(|_| !page.is_empty());
            clients.extend(page);
        }
        clients
    }

    /// The ids of the clients of an owner, sorted.
    pub async fn client_ids_of(&self, owner: &str) -> Vec<String> {
        let clients = self.list_all_clients().await;
        let matching = clients.iter().filter(|client| client["owner"] == owner);
        let mut ids: Vec<_> =
            matching.map(|client| client["client_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// An access token by the client-credentials grant, or the refusal.
    pub async fn token(&self, id: &str, secret: &str) -> Result<String, Answer> {
        self.token_by(Authentication::Basic, id, secret).await
    }

    /// As [`Self::token`], with the secret presented as said.
    pub async fn token_by(
        &self,
        authentication: Authentication,
        id: &str,
        secret: &str,
    ) -> Result<String, Answer> {
        let mut form = vec![("grant_type", "client_credentials")];
        let mut request = http().post(format!("{}/oauth2/token", self.public_url()));
        match authentication {
            // Both are form-encoded first, which Hydra decodes.
            Authentication::Basic => request = request.basic_auth(encode(id), Some(encode(secret))),
            Authentication::Post => form.extend([("client_id", id), ("client_secret", secret)]),
        }
        let answer = answer(send_form(request, &form).await).await;
        match (answer.status, answer.body["access_token"].as_str()) {
            (200, Some(token)) => Ok(token.to_owned()),
            _ => Err(answer),
        }
    }

    /// What Hydra says about a token (RFC 7662): `active`, `client_id`, ...
    pub async fn introspect(&self, token: &str) -> Value {
        let prefix = match self.generation() {
            Generation::V1 => "",
            Generation::V2 => "/admin",
        };
        let url = format!("{}{prefix}/oauth2/introspect", self.admin_url());
        let answer = answer(send_form(http().post(url), &[("token", token)]).await).await;
        assert_eq!(answer.status, 200, "introspection: {answer:?}");
        answer.body
    }

    /// The requests that it has answered so far.
    pub async fn counters(&self) -> HydraCounters {
        let response = self.admin_response(Method::GET, "/metrics/prometheus", None).await;
        HydraCounters {
            generation: self.generation(),
            samples: counters::parse(&response.text().await.unwrap()),
        }
    }
}

/// Request counters of a Hydra since its last start.
///
/// Hydra 2 counts per endpoint, and only clients and keys are counted here. Hydra 1 counts by method alone, so there
/// everything counts: token requests are writes, and its health and metrics are reads.
#[derive(Debug, Clone)]
pub struct HydraCounters {
    generation: Generation,
    samples: Vec<Sample>,
}

impl HydraCounters {
    /// POST, PUT, PATCH and DELETE, whatever their outcome.
    pub fn writes(&self) -> u64 {
        self.requests(|method| matches!(method, "post" | "put" | "patch" | "delete"))
    }

    /// GETs, lists included.
    pub fn reads(&self) -> u64 {
        self.requests(|method| method == "get")
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
    fn requests(&self, pick: impl Fn(&str) -> bool) -> u64 {
        let by_method = |sample: &Sample| pick(sample.label("method"));
        let sum = match self.generation {
            Generation::V1 => {
                counters::sum(&self.samples, "requests_duration_seconds_count", by_method)
            }
            Generation::V2 => counters::sum(&self.samples, "http_requests_total", |sample| {
                let endpoint = sample.label("endpoint");
                let ours = ["/admin/clients", "/admin/keys"];
                ours.iter().any(|prefix| endpoint.starts_with(prefix)) && by_method(sample)
            }),
        };
        sum as u64
    }
}

/// A client for the client-credentials grant, as Hydra's JSON.
pub fn service_client(id: &str, secret: &str) -> Value {
    json!({
        "client_id": id,
        "client_secret": secret,
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

pub(super) async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| {
        if text.is_empty() { Value::Null } else { Value::String(text.clone()) }
    });
    Answer { status, body }
}

pub(super) async fn send_form(request: reqwest::RequestBuilder, form: &[(&str, &str)]) -> Response {
    let body: Vec<_> =
        form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(body.join("&")).send().await.unwrap()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn client_path(id: &str) -> String {
    format!("/clients/{}", encode(id))
}

/// The query of the next page (RFC 8288).
fn next_page(response: &Response) -> Option<String> {
    let links = response.headers().get(header::LINK)?.to_str().unwrap();
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let target = next.split(['<', '>']).nth(1)?;
    target.split_once('?').map(|(_, query)| query.to_owned())
}
