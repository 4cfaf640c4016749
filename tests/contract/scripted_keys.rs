//! What a real server cannot be made to do with keys.

use std::time::Duration;

use hydra_operator::hydra::{
    Deletion, ErrorKind, Generation, Hydra, HydraConfig, HydraError, KeyRequest,
};
use serde_json::{Value, json};

use crate::keys::{key, kid, private_value, set};
use crate::scripted::{absent, server};
use crate::scripted_server::{Reply, Scripted};
use crate::{config, hydra};

fn request(kid: &hydra_operator::hydra::KeyId) -> KeyRequest<'_> {
    KeyRequest { kid, algorithm: "ES256", key_use: "sig" }
}

/// A pair as Hydra 1 answers it.
fn pair(kid: &str) -> Value {
    let (mut private, mut public) = (private_value(), private_value());
    private["kid"] = format!("private:{kid}").into();
    public["kid"] = format!("public:{kid}").into();
    public.as_object_mut().unwrap().remove("d");
    json!({ "keys": [private, public] })
}

async fn every_error(hydra: &Hydra) -> Vec<HydraError> {
    let (set, kid) = (set("s"), kid("a"));
    let errors = [
        hydra.get_key_set(&set).await.err(),
        hydra.create_key(&set, &request(&kid)).await.err(),
        hydra.published_keys().await.err(),
    ];
    errors.into_iter().map(Option::unwrap).collect()
}

fn with_public(server: &Scripted, request_timeout: Duration) -> Hydra {
    let public_url = Some(server.url.clone());
    Hydra::new(HydraConfig { public_url, request_timeout, ..config(&server.url) }).unwrap()
}

#[tokio::test]
async fn answers_that_are_no_keys_are_errors_without_their_words() {
    let d = private_value()["d"].as_str().unwrap().to_owned();
    let mut no_type = private_value();
    no_type["kty"] = json!(1);
    let mut no_text = private_value();
    no_text["d"] = json!([d]);
    for body in [
        json!([]),
        json!(d),
        json!({}),
        json!({ "keys": null }),
        json!({ "keys": d }),
        json!({ "keys": [d] }),
        json!({ "keys": [no_type] }),
        json!({ "keys": [no_text] }),
        private_value(),
    ] {
        let server = server(Generation::V2, move |_| Reply::json(200, &body));
        for error in every_error(&with_public(&server, Duration::from_secs(15))).await {
            assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(200)));
            assert!(!format!("{error} {error:?}").contains(&d), "{error}");
        }
    }
    let front = server(Generation::V2, |_| Reply::html(200));
    for error in every_error(&with_public(&front, Duration::from_secs(15))).await {
        assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(200)));
        assert!(!error.to_string().contains("another program"), "{error}");
    }
}

#[tokio::test]
async fn answers_with_keys_without_an_end_are_given_up() {
    for (reply, words) in
        [((|| Reply::Cut) as fn() -> Reply, "broke off"), (|| Reply::Endless, "larger than 4 MiB")]
    {
        let server = server(Generation::V2, move |_| reply());
        for error in every_error(&with_public(&server, Duration::from_secs(15))).await {
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

/// Hydra does not store a key that it has made for a caller who has left.
#[tokio::test]
async fn the_making_of_a_key_is_waited_for() {
    let server = server(Generation::V1, |_| {
        std::thread::sleep(Duration::from_secs(3));
        Reply::json(201, &pair("a"))
    });
    let hydra = with_public(&server, Duration::from_secs(1));
    let error = hydra.get_key_set(&set("s")).await.err().unwrap();
    assert!(error.to_string().contains("within the time allowed"), "{error}");
    let made = hydra.create_key(&set("s"), &request(&kid("a"))).await.unwrap();
    assert_eq!((made.kid.as_str(), made.published_kid.as_str()), ("a", "public:a"));
}

#[tokio::test]
async fn another_key_than_the_one_asked_for_is_no_answer() {
    for body in [pair("b"), json!({ "keys": [] }), {
        let [mut both, b] = [pair("a"), pair("b")];
        both["keys"].as_array_mut().unwrap().extend(b["keys"].as_array().unwrap().iter().cloned());
        both
    }] {
        let server = server(Generation::V1, move |_| Reply::json(201, &body));
        let error = hydra(&server.url).create_key(&set("s"), &request(&kid("a"))).await;
        assert_eq!(error.err().unwrap().kind(), ErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn no_part_of_a_key_comes_back_in_an_error() {
    for status in [400, 500] {
        let server = server(Generation::V2, move |request| {
            if request.method == "GET" {
                return absent();
            }
            // As a part of it, or in another form, Hydra or a proxy could repeat it too.
            let said = format!("{} {}", request.body, &private_value()["d"].as_str().unwrap()[..9]);
            Reply::json(status, &json!({ "error": said, "error_description": said }))
        });
        let put = hydra(&server.url).put_key(&set("s"), &kid("a"), &key(private_value())).await;
        let error = put.unwrap_err();
        assert_eq!(error.status(), Some(status));
        let text = format!("{error} {error:?} {}", error.explanation());
        assert!(!text.contains("jpsQnnGQm") && text.contains("not repeated"), "{text}");
    }
}

#[tokio::test]
async fn an_empty_set_and_an_absent_one_are_alike() {
    let server = server(Generation::V25, |request| match request.method.as_str() {
        "GET" if request.path() == "/admin/keys/empty" => Reply::json(200, &json!({ "keys": [] })),
        _ => absent(),
    });
    let hydra = hydra(&server.url);
    for name in ["empty", "absent"] {
        assert!(hydra.get_key_set(&set(name)).await.unwrap().is_none());
        let deleted = hydra.delete_key_of_id(&set(name), &kid("a")).await.unwrap();
        assert_eq!(deleted, Deletion::Absent);
    }
}

/// As a Hydra does that keeps its keys in a hardware module.
#[tokio::test]
async fn a_key_that_is_gone_may_be_told_as_absent() {
    let server = server(Generation::V1, |request| match request.method.as_str() {
        "GET" => Reply::json(200, &pair("a")),
        _ => absent(),
    });
    let deleted = hydra(&server.url).delete_key_of_id(&set("s"), &kid("a")).await.unwrap();
    assert_eq!(deleted, Deletion::Absent);
    let paths: Vec<_> = server.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(paths, ["/keys/s", "/keys/s/private%3Aa", "/keys/s/public%3Aa"]);
}

#[tokio::test]
async fn a_page_of_another_program_is_not_an_absent_set() {
    let server = server(Generation::V2, |_| Reply::html(404));
    let hydra = hydra(&server.url);
    let error = hydra.get_key_set(&set("s")).await.err().unwrap();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(404)));
    let error = hydra.put_key(&set("s"), &kid("a"), &key(private_value())).await.err().unwrap();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(404)));
}
