//! The authorization-code flow with OpenID Connect (OpenID Connect Core, section 3.1), with the login and the consent of a
//! person accepted through the admin API.

use std::{collections::BTreeMap, sync::LazyLock};

use reqwest::{Method, Response, header, redirect::Policy};
use serde_json::{Value, json};
use url::Url;

use super::{
    control_plane::unique,
    hydra::Hydra,
    hydra_api::{answer, http, send_form},
};

/// Nobody listens there: the code is read from the redirection.
const REDIRECT_URI: &str = "http://127.0.0.1:1/callback";
const SECRET: &str = "only-for-tests-of-login";

/// What a login ends with.
#[derive(Clone)]
pub struct Tokens {
    /// A JWT, signed with the current key of `hydra.openid.id-token`.
    pub id_token: String,
    pub access_token: String,
}

impl Hydra {
    /// Lets the person `subject` log in to a new client, which stays, as its access token would go with it. Hydra's settings
    /// of the pages for login and consent do not matter: only the challenge is read from where it sends the browser.
    pub async fn log_in(&self, subject: &str) -> Tokens {
        let id = unique("login");
        let created = self.post_client(&login_client(&id)).await;
        assert_eq!(created.status, 201, "{created:?}");
        self.tokens_by_code(&id, subject).await
    }

    /// The public keys that tokens are checked with.
    pub async fn published_keys(&self) -> Value {
        let url = format!("{}/.well-known/jwks.json", self.public_url());
        let answer = answer(http().get(url).send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn tokens_by_code(&self, client_id: &str, subject: &str) -> Tokens {
        let mut browser = Browser::default();
        let start = self.authorization_url(client_id);
        let state = query(&start, "state");

        let login = browser.redirected(&start).await;
        let challenge = query(&login, "login_challenge");
        let resumed = self.accept("login", &challenge, &json!({ "subject": subject })).await;
        let consent = browser.redirected(&resumed).await;
        let challenge = query(&consent, "consent_challenge");
        let granted = json!({ "grant_scope": ["openid"] });
        let resumed = self.accept("consent", &challenge, &granted).await;
        let callback = browser.redirected(&resumed).await;

        assert!(callback.as_str().starts_with(REDIRECT_URI), "{callback}");
        assert_eq!(query(&callback, "state"), state);
        self.exchange(client_id, &query(&callback, "code")).await
    }

    fn authorization_url(&self, client_id: &str) -> Url {
        let parameters = [
            ("client_id", client_id),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", REDIRECT_URI),
            ("state", &unique("state")),
            ("nonce", &unique("nonce")),
        ];
        let endpoint = format!("{}/oauth2/auth", self.public_url());
        Url::parse_with_params(&endpoint, parameters).unwrap()
    }

    /// Where the browser goes on once the request for `step` is accepted.
    async fn accept(&self, step: &str, challenge: &str, body: &Value) -> Url {
        // What Hydra makes of a challenge needs no escaping.
        let path = format!("/oauth2/auth/requests/{step}/accept?{step}_challenge={challenge}");
        let answer = self.admin(Method::PUT, &path, Some(body)).await;
        assert_eq!(answer.status, 200, "{step}: {answer:?}");
        answer.body["redirect_to"].as_str().unwrap().parse().unwrap()
    }

    async fn exchange(&self, client_id: &str, code: &str) -> Tokens {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
        let request = http().post(format!("{}/oauth2/token", self.public_url()));
        let request = request.basic_auth(client_id, Some(SECRET));
        let answer = answer(send_form(request, &form).await).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Tokens { id_token: token("id_token"), access_token: token("access_token") }
    }
}

fn login_client(id: &str) -> Value {
    json!({
        "client_id": id,
        "client_secret": SECRET,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "openid",
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

/// The parameter of a redirection. Hydra says there, too, what went wrong.
fn query(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(parameter, _)| parameter == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// As much of a browser as Hydra needs: it keeps cookies. Hydra marks some as for HTTPS only, which loopback is as good as.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Where a page sends it, unless that is the same server again: then where that page sends it.
    async fn redirected(&mut self, from: &Url) -> Url {
        let mut url = from.clone();
        loop {
            let response = self.get(&url).await;
            let status = response.status();
            let Some(location) = response.headers().get(header::LOCATION) else {
                panic!("{}: {status} is no redirection", url.path());
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if !url.path().ends_with("/oauth2/auth") {
                return url;
            }
        }
    }

    async fn get(&mut self, url: &Url) -> Response {
        static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
            let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy();
            client.pool_max_idle_per_host(0).build().unwrap()
        });
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = CLIENT.get(url.clone()).header(header::COOKIE, cookies.join("; "));
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}
