//! Decisions over REST: who is who, who stands in and until when, what is wrong with a mapping, and what is wrong
//! in the data.

use serde_json::{Value, json};

use crate::app::{App, Home, everywhere, with};

const EMPLOYEE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_who_is_decided_over_rest_and_taken_back() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let noah = app.person("noah.petersen").await;
        let new = json!({ "kind": "scim", "name": "Doubt" });
        let made = administrator.post("/sources", new).await.ok();
        let source = format!("/sources/{}", made["id"].as_str().unwrap());

        // By what new records are told.
        let clues = json!({ "clues": [{ "by": "employee_number", "sure": false }] });
        let set = administrator.put(&format!("{source}/correlation"), clues.clone()).await;
        assert_eq!(set.ok(), clues);
        let twice = json!({ "clues": [{ "by": "mail", "sure": true }, { "by": "mail", "sure": false }] });
        let refused = administrator.put(&format!("{source}/correlation"), twice).await;
        let refused = refused.refused(422, "invalid");
        assert_eq!(refused["errors"][0]["code"], "duplicate", "{refused}");
        let odd = json!({ "clues": [{ "by": "shoe_size", "sure": true }] });
        let refused = administrator.put(&format!("{source}/correlation"), odd).await;
        assert_eq!(refused.refused(422, "invalid")["errors"][0]["field"], "clues[0].by");

        let me = noah.get(&format!("/employees/{}", noah.id)).await.ok();
        let number = me["attributes"]["employeeNumber"]["value"].clone();
        let push = async |name: &str| {
            let user = json!({ "userName": name, "displayName": name, EMPLOYEE: { "employeeNumber": number } });
            let request = app
                .client
                .post(format!("{}/scim/v2/Users", app.url))
                .bearer_auth(made["token"].as_str().unwrap())
                .header("content-type", "application/scim+json")
                .body(user.to_string());
            assert_eq!(request.send().await.unwrap().status(), 201);
        };
        push("N. Petersen").await;
        let waits = administrator.get(&format!("{source}/undecided")).await.ok();
        let record = &waits["items"][0];
        assert_eq!(record["name"], "N. Petersen");
        assert_eq!(record["attributes"]["employeeNumber"], number);
        assert_eq!(record["candidates"][0]["id"], json!(noah.id));

        let decisions = format!("{source}/undecided/decisions");
        let decide = async |decision: &str, employee: Value| {
            let body = json!({ "external_id": record["external_id"], "decision": decision, "employee": employee });
            administrator.post(&decisions, body).await
        };
        let refused = decide("perhaps", Value::Null).await.refused(422, "invalid");
        assert_eq!(refused["errors"][0]["field"], "decision");
        let refused = decide("is", Value::Null).await.refused(422, "invalid");
        assert_eq!(refused["errors"][0]["field"], "employee");
        assert_eq!(decide("ignore", Value::Null).await.status, 204);
        decide("new", Value::Null).await.refused(409, "already_decided");
        assert_eq!(decide("ask_again", Value::Null).await.status, 204);
        assert_eq!(decide("is", json!(noah.id)).await.status, 204);
        let waits = administrator.get(&format!("{source}/undecided")).await.ok();
        assert_eq!(waits["items"], json!([]));

        let linked = administrator.get(&format!("{source}/linked")).await.ok();
        assert_eq!(linked["items"][0]["employee"]["id"], json!(noah.id));
        let link = json!({ "external_id": linked["items"][0]["external_id"] });
        let parted = administrator.post(&format!("{source}/unlinkings"), link.clone()).await;
        assert_eq!(parted.status, 204);
        let again = administrator.post(&format!("{source}/unlinkings"), link).await;
        again.refused(404, "not_found");
        let linked = administrator.get(&format!("{source}/linked")).await.ok();
        assert_eq!(linked["items"], json!([]));
        noah.post(&decisions, json!({ "external_id": "x", "decision": "new" }))
            .await
            .refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_which_somebody_stands_in_is_ended_over_rest() {
    with(&[], async |app: &App| {
        let (priya, noah) = (
            app.person("priya.raman").await,
            app.person("noah.petersen").await,
        );
        let mine = format!("/employees/{}/delegations", priya.id);
        let day = |days| app.store().today() + chrono::TimeDelta::days(days);
        let named = json!({ "delegate": noah.id, "from": day(0), "until": day(7) });
        let named = priya.post(&mine, named).await.ok();
        let one = format!("{mine}/{}", named["id"].as_str().unwrap());
        let held = priya.get(&mine).await.ok();
        assert_eq!(held["items"][0]["holds"], true);
        noah.delete(&one).await.refused(404, "not_found");
        assert_eq!(priya.delete(&one).await.status, 204);
        let held = priya.get(&mine).await.ok();
        assert_eq!(held["items"][0]["holds"], false);
        assert!(held["items"][0]["ended_at"].is_string());
        priya.delete(&one).await.refused(409, "delegation_over");
        priya
            .delete(&format!("{mine}/nobody"))
            .await
            .refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_nobody_set_is_answered_and_says_so() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let home = Home::new();
        let folder = home.0.to_str().unwrap();
        let mapping = async |kind: &str, name: &str, settings: Value| {
            let new = json!({ "kind": kind, "name": name, "settings": settings });
            let made = administrator.post("/sources", new).await.ok();
            format!("/sources/{}/mapping", made["id"].as_str().unwrap())
        };
        let lines = |answer: &Value| {
            let lines = answer["mapping"]["worker"].as_array().unwrap().iter();
            let told = |line: &Value| format!("{} {}", line["target"].as_str().unwrap(), line["from"].as_str().unwrap());
            lines.map(told).collect::<Vec<_>>()
        };

        let files = mapping("table", "Files", json!({ "folder": folder })).await;
        let empty = administrator.get(&files).await.ok();
        assert_eq!((&empty["origin"], lines(&empty).len()), (&json!("none"), 0));
        std::fs::write(home.0.join("staff.csv"), "Pers.-Nr.;Vorname;Schuhe\n7;Ada;39\n").unwrap();
        let made = administrator.get(&files).await.ok();
        assert_eq!((&made["origin"], &made["version"]), (&json!("names"), &json!(0)));
        assert_eq!(made["set_at"], Value::Null);
        assert_eq!(
            lines(&made),
            ["id Pers.-Nr.", "employeeNumber Pers.-Nr.", "name.givenName Vorname"]
        );
        // HR may read it as well, and nobody else.
        let hr = app.person("miriam.osei").await;
        assert_eq!(hr.get(&files).await.ok(), made);
        let noah = app.person("noah.petersen").await;
        noah.get(&files).await.refused(404, "not_found");

        // Set as it was answered, it says who set it.
        let set = json!({ "version": made["version"], "mapping": made["mapping"], "note": "As it is" });
        let set = administrator.put(&files, set).await.ok();
        assert_eq!((&set["origin"], &set["version"]), (&json!("set"), &json!(1)));
        assert_eq!((&set["mapping"], &set["note"]), (&made["mapping"], &json!("As it is")));

        // A file that cannot be read says so, and a preset needs nobody to ask.
        let broken = Home::new();
        std::fs::write(broken.0.join("staff.csv"), "id;ID\n1;2\n").unwrap();
        let broken = mapping("table", "Broken", json!({ "folder": broken.0.to_str().unwrap() })).await;
        let broken = administrator.get(&broken).await.ok();
        assert_eq!(broken["origin"], "unreadable");
        let preset = json!({ "preset": "bamboohr", "url": "https://api.bamboohr.example/api/gateway.php/forge", "user": "key", "password": "x" });
        let preset = administrator.get(&mapping("rest", "Bamboo", preset).await).await.ok();
        assert_eq!((&preset["origin"], &preset["version"]), (&json!("kind"), &json!(0)));
        assert!(lines(&preset).iter().any(|line| line.starts_with("id ")), "{preset}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_wrong_says_where_in_our_words() {
    with(&[], async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let home = Home::new();
        let folder = home.0.to_str().unwrap();
        let new = json!({ "kind": "table", "name": "Files", "settings": { "folder": folder } });
        let made = administrator.post("/sources", new).await.ok();
        let mapping = format!("/sources/{}/mapping", made["id"].as_str().unwrap());
        let set = async |body: Value| {
            let body = json!({ "version": 0, "mapping": body });
            administrator.put(&mapping, body).await
        };
        let told = async |body: Value| {
            let refused = set(body).await.refused(422, "invalid");
            let text = refused.to_string();
            for theirs in ["invalid type", "missing field", "variant", "line 1"] {
                assert!(!text.contains(theirs), "nobody else's words: {text}");
            }
            let errors = refused["errors"].as_array().unwrap().clone();
            let pointer = |one: Value| one["pointer"].as_str().unwrap().to_owned();
            errors.into_iter().map(pointer).collect::<Vec<_>>()
        };
        let shape = json!({ "worker": [
            { "target": "id", "from": "id" },
            { "target": "title", "from": "t", "transforms": [{ "do": "trim" }, { "do": "shout" }] },
            { "target": "shoeSize", "from": ["a"] },
        ] });
        assert_eq!(
            told(shape).await,
            [
                "/mapping/worker/1/transforms/1/do",
                "/mapping/worker/2/target",
                "/mapping/worker/2/from"
            ]
        );
        // What can be read and cannot be followed is told the same way.
        let rules = json!({ "worker": [{ "target": "title", "from": "" }, { "target": "title", "from": "x" }] });
        assert_eq!(
            told(rules).await,
            [
                "/mapping/worker",
                "/mapping/worker/0/from",
                "/mapping/worker/1/target"
            ]
        );
        let right = json!({ "worker": [{ "target": "id", "from": "id" }] });
        assert_eq!(set(right).await.ok()["version"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_data_is_listed_over_rest() {
    everywhere(async |app: &App| {
        let administrator = app.person("jonas.vestergaard").await;
        let new = json!({ "kind": "scim", "name": "Pushing" });
        let made = administrator.post("/sources", new).await.ok();
        let source = made["id"].as_str().unwrap();
        let push = async |method: reqwest::Method, path: String, body: Value| {
            let request = app
                .client
                .request(method, format!("{}/scim/v2{path}", app.url))
                .bearer_auth(made["token"].as_str().unwrap())
                .header("content-type", "application/scim+json")
                .body(body.to_string());
            request.send().await.unwrap().json::<Value>().await.unwrap()
        };
        let user = json!({
            "userName": "stray", "displayName": "Sol Stray", "timezone": "Mars",
            EMPLOYEE: { "department": "Sales" },
        });
        let made_user = push(reqwest::Method::POST, "/Users".into(), user.clone()).await;

        let wrong = async |more: &str| {
            let path = format!("/data-quality?source={source}{more}");
            administrator.get(&path).await.ok()
        };
        let listed = wrong("&kind=bad_value").await;
        assert_eq!(listed["matching"], 1, "{listed}");
        let flaw = &listed["items"][0];
        assert_eq!(flaw["field"], "timezone", "{flaw}");
        assert_eq!(flaw["people"][0]["displayName"], "Sol Stray");
        assert!(flaw["unit"].is_string(), "{flaw}");
        // Told by the source's own name for it.
        assert_eq!(flaw["place"], "stray", "{flaw}");
        let alone = wrong("&kind=detached").await;
        assert_eq!(alone["items"][0]["place"], "stray", "{alone}");
        let trend = listed["sources"].as_array().unwrap().iter();
        let trend = trend.clone().find(|one| one["id"] == source).unwrap();
        assert_eq!(trend["findings"], wrong("").await["matching"]);
        assert!(!trend["runs"].as_array().unwrap().is_empty());
        administrator
            .get("/data-quality?kind=shoe")
            .await
            .refused(422, "invalid");
        administrator
            .get("/data-quality?cursor=x")
            .await
            .refused(422, "invalid");

        // Mended at its source, it is gone with the next push.
        let mut mended = user;
        mended["timezone"] = "Europe/Oslo".into();
        let at = format!("/Users/{}", made_user["id"].as_str().unwrap());
        push(reqwest::Method::PUT, at, mended).await;
        assert_eq!(wrong("&kind=bad_value").await["matching"], 0);
    })
    .await;
}
