//! SCIM as Entra ID, Okta and others speak it, against the whole portal.

use std::time::Duration;

use domain::{EmployeeId, SourceId, Viewer};
use reqwest::{Method, header};
use sea_orm::{ConnectionTrait as _, Database, DatabaseBackend, Statement};
use serde_json::{Value, json};
use store::{run::Read, source::Decision};

use crate::app::{Answer, App, Person, answer, everywhere, until, with};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// An identity provider with a source's token.
struct Idp {
    url: String,
    token: String,
    source: SourceId,
    client: reqwest::Client,
}

impl Idp {
    /// Connected by the administrator, who is told the token once.
    async fn connected(app: &App, administrator: &Person, name: &str) -> Self {
        let new = json!({ "kind": "scim", "name": name });
        let source = administrator.post("/sources", new).await.ok();
        let text = |name: &str| source[name].as_str().unwrap().to_owned();
        let kept = administrator
            .get(&format!("/sources/{}", text("id")))
            .await
            .ok();
        assert!(kept.get("token").is_none(), "told once: {kept}");
        Self {
            url: format!("{}/scim/v2", app.url),
            token: text("token"),
            source: text("id").parse().unwrap(),
            client: app.client.clone(),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self
            .request(method, path)
            .header("content-type", "application/scim+json; charset=utf-8");
        answer(request.body(body.to_string())).await
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    /// A PATCH with these operations.
    async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.send(Method::PATCH, path, body).await
    }

    /// Pushes a user; answers the resource.
    async fn user(&self, body: Value) -> Value {
        let made = self.post("/Users", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(made.headers["content-type"], "application/scim+json");
        made.json()
    }
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

fn at(resource: &Value) -> String {
    format!(
        "/{}s/{}",
        resource["meta"]["resourceType"].as_str().unwrap(),
        id(resource)
    )
}

/// Fails unless it was refused so, in SCIM's form.
#[track_caller]
fn refused(answer: Answer, status: u16, kind: Option<&str>) -> Answer {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.headers["content-type"], "application/scim+json",
        "{answer:?}"
    );
    let body = answer.json();
    assert_eq!(
        body["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
    );
    assert_eq!(body["status"], status.to_string());
    assert_eq!(body["scimType"].as_str(), kind, "{body}");
    assert!(!body["detail"].as_str().unwrap().is_empty());
    answer
}

/// Those whom the directory finds.
async fn found(who: &Person, q: &str) -> Vec<Value> {
    let list = who.get(&format!("/employees?q={q}")).await.ok();
    list["items"].as_array().unwrap().clone()
}

async fn attribute(who: &Person, employee: &Value, name: &str) -> Value {
    let path = format!("/employees/{}", employee["id"].as_str().unwrap());
    who.get(&path).await.ok()["attributes"][name]["value"].clone()
}

/// As Entra ID sends somebody new.
fn entra() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "58342554-38d6-4ec8-948c-50044d0a33fd",
        "userName": "tove.ahlmarksson@northwind.example",
        "active": true,
        "displayName": "Tove Ahlmarksson",
        "password": "hunter2 hunter2",
        "emails": [{ "primary": true, "type": "work", "value": "tove.ahlmarksson@northwind.example" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Tove Ahlmarksson", "familyName": "Ahlmarksson", "givenName": "Tove" },
        "title": "Metallurgist", "preferredLanguage": "sv-SE", "profileUrl": "https://tove.example",
        "roles": [], "x509Certificates": [{ "value": "MIIB" }],
        ENTERPRISE: { "employeeNumber": "90210", "department": "Metallurgy", "organization": "Northwind" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_takes_somebody_through_their_time_here() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Entra ID").await;

        // Entra asks first whether the token is good, then whether the person is there.
        let test = "/Users?filter=userName+eq+%226c2a7d6b-9d39-4a4b-8a12-1f0b1c1c1c1c%22";
        assert_eq!(idp.get(test).await.ok()["totalResults"], 0);

        let tove = idp.user(entra()).await;
        assert_eq!(tove["userName"], "tove.ahlmarksson@northwind.example");
        assert_eq!(
            tove["x509Certificates"],
            json!([{ "value": "MIIB" }]),
            "it is kept for the client"
        );
        assert!(tove.get("password").is_none() && !tove.to_string().contains("hunter2"));
        assert_eq!(
            tove["meta"]["location"],
            format!("{}{}", idp.url, at(&tove))
        );
        let whole = idp.get(&at(&tove)).await;
        assert_eq!(
            whole.headers["etag"],
            tove["meta"]["version"].as_str().unwrap()
        );
        assert_eq!(whole.json(), tove);

        let people = found(&administrator, "ahlmarksson").await;
        let [person] = people.as_slice() else {
            panic!("{people:?}")
        };
        assert_eq!(
            attribute(&administrator, person, "title").await,
            "Metallurgist"
        );
        assert_eq!(
            attribute(&administrator, person, "department").await,
            "Metallurgy"
        );
        assert_eq!(
            attribute(&administrator, person, "employeeNumber").await,
            "90210"
        );

        // She signs in, and moves on under a superior.
        let employee: EmployeeId = person["id"].as_str().unwrap().parse().unwrap();
        let invitation = app
            .store()
            .invite(&Viewer::system("test"), employee)
            .await
            .unwrap();
        let password = "a crucible full of sunrise 77";
        let form = format!("password={}&repeat={0}", password.replace(' ', "+"));
        let chosen = app
            .client
            .post(format!("{}/invitations/{}", app.url, invitation.token))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(answer(chosen.body(form)).await.status, 303);
        let signed_in = app.sign_in(&invitation.login, password).await.ok();
        let token = signed_in["access_token"].as_str().unwrap().to_owned();
        let me = async || {
            let request = app
                .client
                .get(format!("{}/api/v1/me", app.url))
                .bearer_auth(&token);
            answer(request).await.status
        };
        assert_eq!(me().await, 200);

        let boss = idp
            .user(json!({ "userName": "boss", "displayName": "Signe Boss" }))
            .await;
        let operations = json!([
            { "op": "Replace", "path": "title", "value": "Master Metallurgist" },
            { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": id(&boss) },
            { "op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Bergen" },
            { "op": "Replace", "path": format!("{ENTERPRISE}:department"), "value": "Castings" },
        ]);
        let now = idp.patch(&at(&tove), operations).await.ok();
        assert_eq!(now["title"], "Master Metallurgist");
        assert_eq!(now[ENTERPRISE]["manager"], json!({ "value": id(&boss) }));
        assert_ne!(now["meta"]["version"], tove["meta"]["version"]);
        let named = format!("{}?attributes={ENTERPRISE}:manager.displayName", at(&tove));
        let named = idp.get(&named).await.ok();
        assert_eq!(named[ENTERPRISE]["manager"]["displayName"], "Signe Boss");
        let chain = administrator
            .get(&format!("/employees/{employee}/chain"))
            .await
            .ok();
        assert!(chain.to_string().contains("Signe Boss"), "{chain}");
        assert_eq!(
            attribute(&administrator, person, "department").await,
            "Castings"
        );
        assert_eq!(
            attribute(&administrator, person, "location").await,
            "Bergen"
        );
        let units = administrator.get("/org/units").await.ok().to_string();
        assert!(
            units.contains("Castings") && !units.contains("Metallurgy"),
            "nobody is left in it: {units}"
        );

        // Switched off, as Entra writes it: her sign-in ends with the answer.
        let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
        assert_eq!(idp.patch(&at(&tove), off).await.ok()["active"], false);
        assert_eq!(me().await, 401);
        assert!(found(&administrator, "ahlmarksson").await.is_empty());
        // … and on again: the same person.
        let on = json!([{ "op": "Replace", "path": "active", "value": "True" }]);
        idp.patch(&at(&tove), on).await.ok();
        assert_eq!(
            found(&administrator, "ahlmarksson").await[0]["id"],
            person["id"]
        );

        // Deleted, and hired again: another resource, the same person.
        assert_eq!(idp.delete(&at(&tove)).await.status, 204);
        refused(idp.get(&at(&tove)).await, 404, None);
        refused(idp.delete(&at(&tove)).await, 404, None);
        assert!(found(&administrator, "ahlmarksson").await.is_empty());
        let again = idp.user(entra()).await;
        assert_ne!(id(&again), id(&tove), "an id is never given twice");
        assert_eq!(
            found(&administrator, "ahlmarksson").await[0]["id"],
            person["id"]
        );

        let log = administrator
            .get("/audit-log?limit=200")
            .await
            .ok()
            .to_string();
        for action in [
            "source.resource_made",
            "source.resource_changed",
            "person.left",
            "run.done",
        ] {
            assert!(log.contains(action), "{action} is in the log");
        }
        assert!(!log.contains("hunter2") && !log.contains(&idp.token));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_pushes_people_and_groups() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Okta").await;
        let okta = |login: &str, given: &str, active: bool| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": login, "name": { "givenName": given, "familyName": "Oktason" },
                "emails": [{ "primary": true, "value": login, "type": "work" }],
                "displayName": format!("{given} Oktason"), "locale": "en-US", "externalId": format!("00u{given}"),
                "groups": [], "password": "1mz050nq", "active": active,
            })
        };
        let una = idp.user(okta("una@okta.example", "Una", true)).await;
        let sven = idp.user(okta("sven@okta.example", "Sven", true)).await;
        refused(
            idp.post("/Users", okta("UNA@okta.example", "Una", true)).await,
            409,
            Some("uniqueness"),
        );
        let query = "/Users?filter=userName%20eq%20%22Una%40okta.example%22&startIndex=1&count=100";
        let list = idp.get(query).await.ok();
        assert_eq!((&list["totalResults"], &list["Resources"][0]), (&json!(1), &una));

        // Okta updates by PUT, and switches off by a PATCH without a path.
        let mut put = okta("una@okta.example", "Una Maria", true);
        put["title"] = "Smith".into();
        put["id"] = id(&una).into();
        let now = idp.send(Method::PUT, &at(&una), put.clone()).await.ok();
        assert_eq!(now["title"], "Smith");
        put.as_object_mut().unwrap().remove("title");
        let now = idp.send(Method::PUT, &at(&una), put).await.ok();
        assert!(now.get("title").is_none(), "a PUT leaves nothing of what was before");
        let off = json!([{ "op": "replace", "value": { "active": false } }]);
        assert_eq!(idp.patch(&at(&sven), off).await.ok()["active"], false);
        assert_eq!(found(&administrator, "oktason").await.len(), 1);

        // A group push.
        let members = json!([{ "value": id(&una), "display": "una@okta.example" }]);
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "Smiths", "members": members,
        });
        let made = idp.post("/Groups", group).await;
        assert_eq!(made.status, 201, "{made:?}");
        let smiths = made.json();
        let renamed = json!([
            { "op": "replace", "value": { "id": id(&smiths), "displayName": "Black Smiths" } },
        ]);
        assert_eq!(idp.patch(&at(&smiths), renamed).await.ok()["displayName"], "Black Smiths");
        let operations = json!([
            { "op": "add", "path": "members", "value": [{ "value": id(&sven) }, { "value": id(&una) }] },
            { "op": "remove", "path": format!("members[value eq \"{}\"]", id(&una)) },
        ]);
        let now = idp.patch(&at(&smiths), operations).await.ok();
        assert_eq!(now["members"], json!([{ "value": id(&sven) }]));
        let groups = idp.get(&at(&sven)).await.ok()["groups"].clone();
        assert_eq!(groups[0]["display"], "Black Smiths");
        assert_eq!(groups[0]["$ref"], format!("{}{}", idp.url, at(&smiths)));
        let member_of = format!("/Groups?filter=members+eq+%22{}%22&excludedAttributes=members", id(&sven));
        let list = idp.get(&member_of).await.ok();
        assert_eq!(list["totalResults"], 1);
        assert!(list["Resources"][0].get("members").is_none());
        let stranger = json!([{ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }]);
        refused(idp.patch(&at(&smiths), stranger).await, 400, Some("invalidValue"));
        assert_eq!(idp.delete(&at(&sven)).await.status, 204);
        let now = idp.get(&at(&smiths)).await.ok();
        assert!(now.get("members").is_none(), "who is deleted is in no group: {now}");
        assert_eq!(idp.delete(&at(&smiths)).await.status, 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_keep_writers_apart() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Versions").await;
        let user = idp.user(json!({ "userName": "v" })).await;
        let tag = user["meta"]["version"].as_str().unwrap().to_owned();
        let put = async |tag: &str, title: &str| {
            let request = idp
                .request(Method::PUT, &at(&user))
                .header(header::IF_MATCH, tag)
                .json(&json!({ "userName": "v", "title": title }));
            answer(request).await
        };
        let now = put(&tag, "One").await;
        assert_eq!(now.status, 200, "{now:?}");
        refused(put(&tag, "Two").await, 412, None);
        assert_eq!(put("*", "Two").await.ok()["title"], "Two");
        let stale = idp
            .request(Method::DELETE, &at(&user))
            .header(header::IF_MATCH, &tag);
        refused(answer(stale).await, 412, None);

        let now = idp.get(&at(&user)).await;
        let tag = now.headers["etag"].to_str().unwrap().to_owned();
        let known = idp
            .request(Method::GET, &at(&user))
            .header(header::IF_NONE_MATCH, &tag);
        let known = answer(known).await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        // The same again is no change.
        let same = put("*", "Two").await.ok();
        assert_eq!(same["meta"]["version"], tag.as_str());
        assert_eq!(
            same["meta"]["lastModified"],
            now.json()["meta"]["lastModified"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_own_source_alone() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let mine = Idp::connected(app, &administrator, "Mine").await;
        let mut theirs = Idp::connected(app, &administrator, "Theirs").await;
        let user = mine.user(json!({ "userName": "same" })).await;
        refused(theirs.get(&at(&user)).await, 404, None);
        refused(
            theirs
                .patch(&at(&user), json!([{ "op": "remove", "path": "title" }]))
                .await,
            404,
            None,
        );
        refused(theirs.delete(&at(&user)).await, 404, None);
        let member = json!({ "displayName": "G", "members": [{ "value": id(&user) }] });
        refused(
            theirs.post("/Groups", member).await,
            400,
            Some("invalidValue"),
        );
        theirs.user(json!({ "userName": "same" })).await;
        assert_eq!(theirs.get("/Users").await.ok()["totalResults"], 1);

        for token in ["", "scim_wrong", &administrator.token] {
            let good = std::mem::replace(&mut theirs.token, token.into());
            let no = refused(theirs.get("/Users").await, 401, None);
            assert_eq!(no.headers["www-authenticate"], "Bearer");
            theirs.token = good;
        }
        let without = answer(app.client.get(format!("{}/Users", theirs.url))).await;
        assert_eq!(
            refused(without, 401, None).headers["www-authenticate"],
            "Bearer"
        );
        // A SCIM token is no sign-in.
        let request = app.client.get(format!("{}/api/v1/me", app.url));
        assert_eq!(answer(request.bearer_auth(&mine.token)).await.status, 401);

        // A new token takes the place of the one before at once, and one that is taken away is none.
        let system = Viewer::system("test");
        let old = theirs.token.clone();
        theirs.token = app
            .store()
            .renew_scim_token(&system, theirs.source)
            .await
            .unwrap();
        theirs.get("/Users").await.ok();
        let kept = app
            .store()
            .scim_token(&system, theirs.source)
            .await
            .unwrap();
        assert!(kept.unwrap().last_used_at.is_some());
        let new = std::mem::replace(&mut theirs.token, old);
        refused(theirs.get("/Users").await, 401, None);
        theirs.token = new;
        app.store()
            .revoke_scim_token(&system, theirs.source)
            .await
            .unwrap();
        refused(theirs.get("/Users").await, 401, None);

        // While a source is paused, nothing of it is taken, and its client is told when to come again.
        app.store()
            .pause_source(&system, mine.source, "looked at")
            .await
            .unwrap();
        let paused = mine.post("/Users", json!({ "userName": "later" })).await;
        assert!(
            refused(paused, 503, None)
                .headers
                .contains_key("retry-after")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_scims_words() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Wrong").await;
        let user = idp.user(json!({ "userName": "w" })).await;
        refused(idp.post("/Users", json!({})).await, 400, Some("invalidValue"));
        refused(idp.post("/Users", json!([])).await, 400, Some("invalidSyntax"));
        refused(idp.get("/Users?filter=userName+is+%22x%22").await, 400, Some("invalidFilter"));
        refused(idp.get("/Users?startIndex=one").await, 400, Some("invalidValue"));
        refused(idp.patch(&at(&user), json!([{ "op": "add", "path": "x y", "value": 1 }])).await, 400, Some("invalidPath"));
        refused(idp.patch(&at(&user), json!([{ "op": "remove", "path": "userName" }])).await, 400, Some("mutability"));
        refused(idp.patch(&at(&user), json!([{ "op": "remove" }])).await, 400, Some("noTarget"));
        refused(idp.get("/Nothing").await, 404, None);
        refused(idp.get("/Users/not-an-id").await, 404, None);
        refused(idp.get("/Schemas/urn:nobody").await, 404, None);
        refused(idp.get("/Schemas?filter=id+eq+%22x%22").await, 403, None);
        let method = refused(idp.delete("/Users").await, 405, None);
        assert!(method.headers.contains_key("allow"));
        let text = idp.request(Method::POST, "/Users").header("content-type", "text/plain").body("{}");
        refused(answer(text).await, 415, None);
        let broken = idp.request(Method::POST, "/Users").header("content-type", "application/json").body("{");
        refused(answer(broken).await, 400, Some("invalidSyntax"));
        let large = json!({ "userName": "x", "photos": [{ "value": format!("data:{}", "x".repeat(1 << 20)) }] });
        refused(idp.post("/Users", large).await, 413, None);
        let bad = json!({ "userName": "nul\u{0}" });
        refused(idp.post("/Users", bad).await, 400, Some("invalidValue"));
        // Nothing of all this was taken.
        assert_eq!(idp.get("/Users?count=0").await.ok()["totalResults"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_found_sorted_and_cut_to_what_was_asked_for() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Search").await;
        for (name, title) in [("c", Some("Zinc")), ("a", Some("brass")), ("d", None), ("b", Some("Iron"))] {
            idp.user(json!({ "userName": name, "title": title, "emails": [{ "value": format!("{name}@x.example") }] })).await;
        }
        idp.post("/Groups", json!({ "displayName": "b" })).await.ok();
        let names = |list: &Value| -> Vec<String> {
            let resources = list["Resources"].as_array().unwrap();
            resources.iter().map(|one| one["userName"].as_str().unwrap_or("-").to_owned()).collect()
        };
        let by_title = idp.get("/Users?sortBy=title").await.ok();
        assert_eq!(names(&by_title), ["a", "b", "c", "d"], "without a title comes last");
        let down = idp.get("/Users?sortBy=userName&sortOrder=descending&startIndex=2&count=2").await.ok();
        assert_eq!(names(&down), ["c", "b"]);
        assert_eq!((&down["totalResults"], &down["startIndex"], &down["itemsPerPage"]), (&json!(4), &json!(2), &json!(2)));
        let page = idp.get("/Users?startIndex=4&count=10").await.ok();
        assert_eq!((names(&page), &page["totalResults"]), (vec!["b".to_owned()], &json!(4)));
        let filter = "emails.value+ew+%22%40x.example%22+and+(title+pr+and+not+(title+eq+%22IRON%22))";
        let list = idp.get(&format!("/Users?filter={filter}&sortBy=userName&attributes=userName,emails.value")).await.ok();
        assert_eq!(names(&list), ["a", "c"]);
        let first = list["Resources"][0].as_object().unwrap();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["emails", "id", "schemas", "userName"]);

        let search = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": "userName eq \"b\" or displayName eq \"b\"", "excludedAttributes": ["title"],
        });
        let both = idp.post("/.search", search.clone()).await.ok();
        let kinds: Vec<_> = both["Resources"].as_array().unwrap().iter().map(|one| one["meta"]["resourceType"].clone()).collect();
        assert_eq!(kinds, ["User", "Group"]);
        assert!(!both.to_string().contains("Iron"));
        assert_eq!(names(&idp.post("/Users/.search", search).await.ok()), ["b"]);
        let groups = idp.get("/Groups?filter=meta.resourceType+eq+%22Group%22").await.ok();
        assert_eq!(groups["totalResults"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_come_as_one() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Bulk").await;
        let bulk = |operations: Value, most: Option<u64>| {
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                "failOnErrors": most, "Operations": operations,
            })
        };
        // The report and the group come before those whom they name.
        let operations = json!([
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data":
                { "displayName": "All", "members": [{ "value": "bulkId:r" }, { "value": "bulkId:m" }] } },
            { "method": "POST", "path": "/Users", "bulkId": "r", "data":
                { "userName": "report", "displayName": "Rune Report", ENTERPRISE: { "manager": { "value": "bulkId:m" } } } },
            { "method": "post", "path": "/Users", "bulkId": "m", "data": { "userName": "manager", "displayName": "Mia Manager" } },
            { "method": "PATCH", "path": "/Users/bulkId:m", "data":
                { "Operations": [{ "op": "add", "path": "title", "value": "Chief" }] } },
            { "method": "POST", "path": "/Users", "bulkId": "again", "data": { "userName": "REPORT" } },
            { "method": "DELETE", "path": "/Users/00000000-0000-0000-0000-000000000000" },
        ]);
        let done = idp.post("/Bulk", bulk(operations, None)).await.ok();
        let answers = done["Operations"].as_array().unwrap();
        let statuses: Vec<_> = answers.iter().map(|one| one["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["201", "201", "201", "200", "409", "404"], "{done}");
        assert_eq!(answers[4]["response"]["scimType"], "uniqueness");
        assert_eq!(answers[1]["bulkId"], "r");
        let group = answers[0]["location"].as_str().unwrap().replace(&idp.url, "");
        assert_eq!(idp.get(&group).await.ok()["members"].as_array().unwrap().len(), 2);
        let report = &found(&administrator, "rune").await[0];
        let chain = administrator.get(&format!("/employees/{}/chain", report["id"].as_str().unwrap())).await.ok();
        assert!(chain.to_string().contains("Mia Manager"), "{chain}");

        let circle = json!([
            { "method": "POST", "path": "/Users", "bulkId": "x", "data": { "userName": "x", ENTERPRISE: { "manager": "bulkId:y" } } },
            { "method": "POST", "path": "/Users", "bulkId": "y", "data": { "userName": "y", ENTERPRISE: { "manager": "bulkId:x" } } },
            { "method": "POST", "path": "/Users", "bulkId": "z", "data": { "userName": "z" } },
        ]);
        let done = idp.post("/Bulk", bulk(circle, Some(1))).await.ok();
        let answers = done["Operations"].as_array().unwrap();
        let statuses: Vec<_> = answers.iter().map(|one| one["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["409", "201"], "one error is enough: {done}");

        let many: Vec<_> = (0..101).map(|n| json!({ "method": "POST", "path": "/Users", "bulkId": n.to_string() })).collect();
        refused(idp.post("/Bulk", bulk(many.into(), None)).await, 413, None);
        refused(idp.post("/Bulk", bulk(json!([{ "method": "POST", "path": "/Users" }]), None)).await, 400, Some("invalidSyntax"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_could_be_two_people_waits_for_a_decision() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let (noah, marta) = (
            app.person("noah.petersen").await,
            app.person("marta.kowalczyk").await,
        );
        let idp = Idp::connected(app, &administrator, "Doubt").await;
        let value = async |who: &Person, name: &str| {
            let me = who.get(&format!("/employees/{}", who.id)).await.ok();
            me["attributes"][name]["value"].as_str().unwrap().to_owned()
        };
        let both = json!({
            "userName": "doubtful", "title": "Smelter",
            "emails": [{ "value": value(&marta, "emails").await, "type": "work" }],
            ENTERPRISE: { "employeeNumber": value(&noah, "employeeNumber").await },
        });
        let user = idp.user(both).await;
        assert_eq!(
            idp.get(&at(&user)).await.ok(),
            user,
            "for the client it is there"
        );
        let system = Viewer::system("test");
        let waits = app.store().undecided(&system).await.unwrap();
        let mine: Vec<_> = waits
            .iter()
            .filter(|one| one.source == idp.source)
            .collect();
        let [record] = mine.as_slice() else {
            panic!("{waits:?}")
        };
        assert_eq!(record.candidates.len(), 2);
        assert_eq!(
            app.store()
                .source(&system, idp.source)
                .await
                .unwrap()
                .people,
            0
        );

        // What is decided comes true at once: no run will come.
        let decision = Decision::Is(noah.id);
        app.store()
            .decide(&system, idp.source, &record.external_id, decision)
            .await
            .unwrap();
        assert_eq!(
            app.store()
                .source(&system, idp.source)
                .await
                .unwrap()
                .people,
            1
        );
        let waits = app.store().undecided(&system).await.unwrap();
        assert!(
            waits.iter().all(|one| one.source != idp.source),
            "{waits:?}"
        );

        // Noah is in the other source too: his leaving here alone does not make him leave.
        assert_eq!(idp.delete(&at(&user)).await.status, 204);
        assert_eq!(noah.get("/me").await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superior_may_come_later_and_a_photo_comes_as_data() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Order").await;
        let report = idp
            .user(json!({
                "userName": "early", "displayName": "Early Report", "timezone": "Mars",
                "photos": [{ "value": "https://169.254.169.254/latest/meta-data", "type": "photo" }],
                ENTERPRISE: { "manager": { "value": "ext-9" } },
            }))
            .await;
        let employee = found(&administrator, "early").await[0]["id"].as_str().unwrap().to_owned();
        let chain = async || administrator.get(&format!("/employees/{employee}/chain")).await.ok().to_string();
        assert!(!chain().await.contains("Late Boss"));
        idp.user(json!({ "userName": "late", "displayName": "Late Boss", "externalId": "ext-9" })).await;
        assert!(chain().await.contains("Late Boss"), "{}", chain().await);

        // Nothing is fetched from elsewhere: it is kept as it came, and said.
        let system = Viewer::system("test");
        let faults = app.store().scim_faults(&system, idp.source).await.unwrap();
        let fields: Vec<_> = faults.iter().filter_map(|fault| fault.field.as_deref()).collect();
        assert_eq!(fields, ["timezone", "photos"]);
        assert!(faults[1].what.contains("not fetched"), "{faults:?}");
        let kept = idp.get(&at(&report)).await.ok();
        assert_eq!(kept["photos"][0]["value"], "https://169.254.169.254/latest/meta-data");

        let png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
        let operations = json!([
            { "op": "replace", "path": "photos", "value": [{ "value": png, "type": "photo" }] },
            { "op": "remove", "path": "timezone" },
        ]);
        idp.patch(&at(&report), operations).await.ok();
        let person = administrator.get(&format!("/employees/{employee}")).await.ok();
        let hash = person["attributes"]["photos"]["value"].as_str().unwrap_or_default().to_owned();
        assert_eq!(hash.len(), 64, "re-encoded and kept: {person}");
        assert!(app.store().scim_faults(&system, idp.source).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_hold_its_source() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Impatient").await;
        for n in 0..20 {
            let body = json!({ "userName": format!("user-{n}"), "title": "T" });
            let request = idp.request(Method::POST, "/Users").json(&body);
            // Whether it was answered in that time does not matter.
            drop(request.timeout(Duration::from_millis(n)).send().await);
        }
        idp.user(json!({ "userName": "last" })).await;
        let system = Viewer::system("test");
        until("nobody is there by half", async || {
            let total = idp.get("/Users").await.ok()["totalResults"].as_u64();
            let source = app.store().source(&system, idp.source).await.unwrap();
            (total == Some(source.people)).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_pushed_is_not_read_and_its_page_says_so() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Pushing").await;
        idp.user(json!({ "userName": "p", "displayName": "Petra Pushed" }))
            .await;
        let cookie = app.cookie("jonas.vestergaard").await;
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = async |method: Method, path: String| {
            let request = app
                .client
                .request(method, format!("{}{path}", app.url))
                .header("cookie", &cookie)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin");
            answer(request).await
        };
        let home = format!("/console/sources/{}", idp.source);
        let shown = page(Method::GET, home.clone()).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains("/scim/v2") && shown.text.contains("Make a new token"));
        assert!(!shown.text.contains("Run now") && !shown.text.contains(&idp.token));

        let renewed = page(Method::POST, format!("{home}/token")).await;
        assert_eq!(renewed.status, 200);
        let token = renewed
            .text
            .split("scim_")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        refused(idp.get("/Users").await, 401, None);
        let idp = Idp {
            token: format!("scim_{token}"),
            ..idp
        };
        assert_eq!(idp.get("/Users").await.ok()["totalResults"], 1);

        // A run finds nothing to read, and nobody leaves by it.
        let run = administrator
            .post(&format!("/sources/{}/runs", idp.source), json!({}))
            .await
            .ok();
        let run = format!("/runs/{}", run["id"].as_str().unwrap());
        let failed = until("the run is over", async || {
            let run = administrator.get(&run).await.ok();
            (run["phase"] == "failed").then_some(run)
        })
        .await;
        assert_eq!(failed["error"], "rejected", "{failed}");
        assert_eq!(found(&administrator, "petra").await.len(), 1);

        let revoked = page(Method::POST, format!("{home}/token/revoke")).await;
        assert_eq!(revoked.status, 303);
        refused(idp.get("/Users").await, 401, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_undone_and_the_next_one_is_heard_again() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Entra").await;
        let person = json!({ "userName": "una@entra.example", "displayName": "Una Entrason", "title": "Fitter" });
        let una = idp.user(person).await;
        let title = json!([{ "op": "replace", "path": "title", "value": "Cog" }]);
        idp.patch(&at(&una), title.clone()).await.ok();
        let shown = async || {
            let una = found(&administrator, "entrason").await.remove(0);
            attribute(&administrator, &una, "title").await
        };
        assert_eq!(shown().await, "Cog");

        let runs = format!("/sources/{}/runs", idp.source);
        let run = administrator.get(&runs).await.ok()["items"][0].clone();
        assert_eq!((&run["undoable"], &run["totals"]["changed"]), (&json!(true), &json!(1)));
        let run = format!("/runs/{}", run["id"].as_str().unwrap());
        let preview = administrator.get(&format!("{run}/undo")).await.ok();
        assert_eq!((&preview["exceeded"], &preview["left_in_all"]), (&json!([]), &json!(0)));
        let undo = administrator.post(&format!("{run}/undo"), json!({})).await.ok();
        assert_eq!(undo["phase"], "planning");
        let undo = format!("/runs/{}", undo["id"].as_str().unwrap());
        until("the undo is over", async || {
            (administrator.get(&undo).await.ok()["phase"] == "done").then_some(())
        })
        .await;
        assert_eq!(shown().await, "Fitter");

        // Until somebody ends the pause nothing is taken; then the next push says all of it again.
        let bolt = json!([{ "op": "replace", "path": "nickName", "value": "Bolt" }]);
        let held = idp.patch(&at(&una), bolt.clone()).await;
        assert!(held.status >= 400, "{held:?}");
        assert_eq!(shown().await, "Fitter");
        let pause = format!("/sources/{}/pause", idp.source);
        administrator.delete(&pause).await.ok();
        idp.patch(&at(&una), bolt).await.ok();
        assert_eq!(shown().await, "Cog");
    })
    .await;
}

/// Five thousand users of a source, as if they had been pushed one by one: that would take a minute.
async fn five_thousand(app: &App, source: SourceId) -> Vec<uuid::Uuid> {
    let system = Viewer::system("test");
    let (store, now) = (app.store(), chrono::DateTime::<chrono::Utc>::UNIX_EPOCH);
    let file = app.data_dir.join("optimus.sqlite");
    let db = Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let (mut ids, mut workers) = (Vec::new(), Vec::new());
    for chunk in 0..50 {
        let mut values: Vec<sea_orm::Value> = vec![source.0.into(), now.into()];
        let mut rows = Vec::new();
        for at in chunk * 100..chunk * 100 + 100 {
            let id = domain::ids::uuid_v7(
                now,
                [0, 0, 0, 0, 0, 0, 0, 0, (at / 256) as u8, (at % 256) as u8],
            );
            let user = json!({ "userName": format!("m{at:04}"), "displayName": format!("Member {at:04}"), "active": true });
            let record = id.to_string();
            workers.push(domain::scim::worker(user.as_object().unwrap(), &record, None).0);
            let first = values.len() + 1;
            rows.push(format!(
                "(${}, $1, 'User', ${}, ${}, ${}, 'v', '[]', $2, $2)",
                first,
                first + 1,
                first + 2,
                first + 3
            ));
            let name = user["userName"].as_str().unwrap().to_owned();
            values.extend([
                id.into(),
                record.into(),
                name.into(),
                user.to_string().into(),
            ]);
            ids.push(id);
        }
        let insert = format!(
            "INSERT INTO scim_resources (id, source_id, kind, record, user_name, body, version, faults, created_at, changed_at) VALUES {}",
            rows.join(", ")
        );
        let insert = Statement::from_sql_and_values(DatabaseBackend::Sqlite, insert, values);
        db.execute_raw(insert).await.unwrap();
    }
    db.close().await.unwrap();
    let run = store.begin_run(&system, source, false).await.unwrap().id;
    let read = Read {
        workers,
        faults: Vec::new(),
    };
    store.read_page(&system, run, read).await.unwrap();
    store.plan_run(&system, run, None).await.unwrap();
    while store.apply_run(&system, run).await.unwrap() > 0 {}
    store.end_run(&system, run, None).await.unwrap();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_switched_off_by_a_wrong_filter_stay_until_somebody_decides() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let idp = Idp::connected(app, &administrator, "Directory").await;
        let ids = five_thousand(app, idp.source).await;
        let source = format!("/sources/{}", idp.source);
        let people = async || administrator.get(&source).await.ok()["people"].clone();
        assert_eq!(people().await, 5_000);
        let limits = json!({ "leavers": 1 });
        administrator.put(&format!("{source}/limits"), limits).await.ok();

        // Somebody narrows a filter, and the identity provider switches everybody off who is out of its sight.
        for ids in ids.chunks(100) {
            let operations: Vec<_> = ids
                .iter()
                .map(|id| {
                    let data = json!({ "schemas": [PATCH], "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
                    json!({ "method": "PATCH", "path": format!("/Users/{id}"), "data": data })
                })
                .collect();
            let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations });
            let answers = idp.post("/Bulk", body).await.ok();
            for answer in answers["Operations"].as_array().unwrap() {
                assert_eq!(answer["status"], "200", "the client is answered as always: {answer}");
            }
        }
        let off = idp.get("/Users?filter=active%20eq%20false&count=0").await.ok();
        assert_eq!(off["totalResults"], 5_000, "and reads what it wrote");
        assert_eq!(people().await, 4_950, "one in a hundred left, and nobody else");
        assert_eq!(found(&administrator, "Member+4999").await.len(), 1);

        let waits = administrator.get(&format!("{source}/leavers")).await.ok();
        assert_eq!(waits["waiting"]["count"], 4_950);
        assert_eq!(waits["items"].as_array().unwrap().len(), 50);
        let cookie = app.cookie("jonas.vestergaard").await;
        let cookie = cookie.split(';').next().unwrap().to_owned();
        for path in ["/".to_owned(), format!("/console{source}"), "/console/sources".into()] {
            let request = app.client.get(format!("{}{path}", app.url));
            let page = answer(request.header("cookie", &cookie)).await;
            assert_eq!(page.status, 200);
            assert!(page.text.contains("4\u{202f}950 people "), "{path} says so");
        }

        // The filter is mended, and the identity provider switches them on again.
        let on = json!([{ "op": "Replace", "path": "active", "value": "True" }]);
        idp.patch(&format!("/Users/{}", ids[4_999]), on).await.ok();
        let waits = administrator.get(&format!("{source}/leavers")).await.ok();
        assert_eq!(waits["waiting"]["count"], 4_949);
        // Of the others somebody says that they have indeed left.
        let decision = json!({ "decision": "let_go", "until": waits["waiting"]["until"] });
        let decisions = format!("{source}/leavers/decisions");
        let decided = administrator.post(&decisions, decision.clone()).await;
        assert_eq!(decided.ok()["people"], 4_949);
        assert_eq!(people().await, 1);
        let again = administrator.post(&decisions, decision).await;
        again.refused(404, "not_found");
        let left = administrator.get(&format!("{source}/leavers")).await.ok();
        assert_eq!((&left["waiting"], &left["items"]), (&Value::Null, &json!([])));
    })
    .await;
}
