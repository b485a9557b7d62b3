//! Sign-in, headers, and what comes from elsewhere.

use reqwest::Method;
use serde_json::json;
use server::demo::PASSWORD;

use crate::app::{App, answer, everywhere, with};

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_answer() {
    everywhere(async |app: &App| {
        assert_eq!(app.get("/healthz").await.status, 200);
        assert_eq!(app.get("/readyz").await.status, 200);
        app.get("/api/v1/me").await.refused(401, "unauthenticated");
        let metrics = app.get("/metrics").await;
        assert!(
            metrics.text.contains("optimus_people 41"),
            "{}",
            metrics.text
        );
        assert!(
            metrics.text.contains("route=\"/api/v1/me\""),
            "{}",
            metrics.text
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_like_an_unknown_login_and_slowed_down() {
    everywhere(async |app: &App| {
        app.person("grace.whitfield").await;
        let wrong = app.sign_in("grace.whitfield", "not the password").await;
        let unknown = app.sign_in("nobody.atall", "not the password").await;
        assert_eq!(wrong.text, unknown.text);
        wrong.refused(401, "unauthenticated");
        let mut last = unknown;
        for _ in 0..30 {
            last = app.sign_in("grace.whitfield", "not the password").await;
            if last.status == 429 {
                break;
            }
        }
        assert!(
            last.headers["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
                > 0
        );
        last.refused(429, "too_many_attempts");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_short_and_ends_with_its_sign_in() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let token = app.sign_in("grace.whitfield", PASSWORD).await.ok();
        assert_eq!(token["token_type"], "Bearer");
        assert_eq!(token["expires_in"], 3600);
        for bad in ["", "rubbish", &format!("{}x", grace.token)] {
            let mut other = grace.clone();
            other.token = bad.into();
            let refused = other.get("/me").await;
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
            refused.refused(401, "unauthenticated");
        }
        let ticket = grace.post("/socket-tickets", json!({})).await.ok()["ticket"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut other = grace.clone();
        other.token = ticket;
        other.get("/me").await.refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_security_headers() {
    with(
        &[("OPTIMUS_PUBLIC_URL", "https://portal.example")],
        async |app: &App| {
            for path in [
                "/sign-in",
                "/api/v1/me",
                "/healthz",
                "/nothing",
                "/icons.svg",
            ] {
                let headers = app.get(path).await.headers;
                let policy = headers["content-security-policy"].to_str().unwrap();
                for part in [
                    "default-src 'none'",
                    "'strict-dynamic' 'nonce-",
                    "'wasm-unsafe-eval'",
                    "style-src 'self';",
                    "connect-src 'self' wss://portal.example;",
                    "form-action 'self'",
                    "frame-ancestors 'none'",
                    "base-uri 'none'",
                ] {
                    assert!(policy.contains(part), "{path}: {policy}");
                }
                assert!(
                    !policy.contains("unsafe-inline") && !policy.contains('*'),
                    "{policy}"
                );
                assert_eq!(headers["referrer-policy"], "same-origin");
                assert_eq!(headers["x-content-type-options"], "nosniff");
                assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
                assert_eq!(headers["strict-transport-security"], "max-age=31536000");
                assert_eq!(headers["x-request-id"].len(), 16);
            }
            let nonce = async || {
                app.get("/sign-in").await.headers["content-security-policy"]
                    .to_str()
                    .unwrap()
                    .to_owned()
            };
            assert_ne!(nonce().await, nonce().await, "a nonce is for one answer");
            assert_eq!(
                app.get("/api/v1/me").await.headers["cache-control"],
                "no-store"
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_sign_in_leads_to_the_door_and_writes_no_session() {
    with(&[], async |app: &App| {
        let away = app.get("/people?q=x").await;
        assert_eq!(away.status, 303);
        assert_eq!(away.headers["location"], "/sign-in?next=/people%3Fq%3Dx");
        assert!(away.headers.get("set-cookie").is_none(), "{away:?}");
        let nothing = app.get("/nothing").await;
        assert_eq!(nothing.status, 404);
        assert!(nothing.text.starts_with("<!doctype html>"));
        app.get("/api/v1/nothing").await.refused(404, "not_found");
        let post = app.client.post(format!("{}/api/v1/me", app.url));
        answer(post).await.refused(405, "method_not_allowed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browsers_cookie_signs_in_and_cannot_be_used_from_elsewhere() {
    everywhere(async |app: &App| {
        app.person("grace.whitfield").await;
        let cookie = app.cookie("grace.whitfield").await;
        for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let ask = |method: Method, path: &str, headers: &[(&str, &str)]| {
            let mut request = app
                .client
                .request(method, format!("{}{path}", app.url))
                .header("cookie", &cookie);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request
        };
        assert_eq!(
            answer(ask(Method::GET, "/api/v1/me", &[])).await.ok()["displayName"],
            "Grace Whitfield"
        );
        let ticket = "/api/v1/socket-tickets";
        answer(ask(
            Method::POST,
            ticket,
            &[("sec-fetch-site", "same-origin")],
        ))
        .await
        .ok();
        answer(ask(Method::POST, ticket, &[("origin", &app.url)]))
            .await
            .ok();
        for elsewhere in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[],
        ] {
            answer(ask(Method::POST, ticket, elsewhere))
                .await
                .refused(403, "cross_site");
        }
        let page = answer(ask(
            Method::POST,
            "/sign-out",
            &[("sec-fetch-site", "cross-site")],
        ))
        .await;
        assert_eq!(page.status, 403);
        assert!(
            page.text.starts_with("<!doctype html>"),
            "a page for people"
        );
        assert_eq!(
            answer(ask(
                Method::POST,
                "/sign-out",
                &[("sec-fetch-site", "same-origin")]
            ))
            .await
            .status,
            303
        );
        answer(ask(Method::GET, "/api/v1/me", &[]))
            .await
            .refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_none_is_told_without_internals() {
    with(&[], async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let post = |body: &'static str, kind: &'static str| {
            let request = grace.request(Method::POST, "/api/v1/conversations");
            answer(request.header("content-type", kind).body(body))
        };
        insta::assert_json_snapshot!(
            "no_json",
            post("{", "application/json")
                .await
                .refused(400, "bad_request")
        );
        insta::assert_json_snapshot!(
            "a_field_is_missing",
            post("{}", "application/json").await.refused(422, "invalid")
        );
        insta::assert_json_snapshot!(
            "a_field_is_wrong",
            post(r#"{"members":["x"]}"#, "application/json")
                .await
                .refused(422, "invalid")
        );
        post("members=x", "text/plain")
            .await
            .refused(415, "unsupported_media_type");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_ever_under_their_version_only() {
    with(&[], async |app: &App| {
        let plain = app.get("/icons.svg").await;
        assert_eq!(plain.headers["cache-control"], "no-cache");
        assert_eq!(plain.headers["content-type"], "image/svg+xml");
        let versioned = app.get("/icons.svg?v=1").await;
        assert_eq!(
            versioned.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        let tag = plain.headers["etag"].to_str().unwrap().to_owned();
        let again = app
            .client
            .get(format!("{}/icons.svg", app.url))
            .header("if-none-match", tag);
        let again = answer(again).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        for path in ["/pkg/..%2f..%2fCargo.toml", "/pkg/nothing.js"] {
            assert_eq!(app.get(path).await.status, 404, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portrait_is_set_served_and_kept_from_strangers() {
    everywhere(async |app: &App| {
        let (grace, camille) = (
            app.person("grace.whitfield").await,
            app.person("camille.laurent").await,
        );
        let put = |person: &crate::app::Person, bytes: Vec<u8>| {
            let request = person.request(
                Method::PUT,
                &format!("/api/v1/employees/{}/photo", grace.id),
            );
            answer(request.header("content-type", "image/png").body(bytes))
        };
        put(&grace, b"no picture".to_vec())
            .await
            .refused(422, "invalid");
        put(&grace, vec![0; 10 << 20])
            .await
            .refused(413, "too_large");
        put(&camille, PNG.to_vec()).await.refused(403, "forbidden");
        assert_eq!(put(&grace, PNG.to_vec()).await.status, 204);
        let me = grace.get("/me").await.ok();
        let photo = me["photo"].as_str().unwrap().to_owned();
        let served = answer(camille.request(Method::GET, &photo)).await;
        assert_eq!(
            (
                served.status,
                served.headers["content-type"].to_str().unwrap()
            ),
            (200, "image/jpeg")
        );
        assert!(
            served.headers["cache-control"]
                .to_str()
                .unwrap()
                .starts_with("private")
        );
        app.get(&photo).await.refused(401, "unauthenticated");
    })
    .await;
}

/// One red pixel.
const PNG: [u8; 69] = [
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0,
    0, 0, 144, 119, 83, 222, 0, 0, 0, 12, 73, 68, 65, 84, 120, 218, 99, 248, 207, 192, 0, 0, 3, 1,
    1, 0, 247, 3, 65, 67, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];
