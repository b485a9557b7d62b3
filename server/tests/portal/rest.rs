//! The contract of `/api/v1`.

use serde_json::{Value, json};

use crate::app::{App, everywhere, until};

fn attribute<'a>(employee: &'a Value, name: &str) -> &'a Value {
    &employee["attributes"][name]
}

#[tokio::test(flavor = "multi_thread")]
async fn me_says_who_one_is_and_whom_one_is_above() {
    everywhere(async |app: &App| {
        let priya = app.person("priya.raman").await;
        let me = priya.get("/me").await.ok();
        assert_eq!(me["displayName"], "Priya Raman");
        assert_eq!(me["title"], "Head of Sales");
        assert_eq!(me["roles"], json!(["employee"]));
        assert_eq!(me["oversees"]["count"], 7);
        assert_eq!(me["oversees"]["direct"].as_array().map(Vec::len), Some(7));
        let jonas = app.person("jonas.vestergaard").await;
        let roles = jonas.get("/me").await.ok()["roles"].clone();
        assert_eq!(
            roles,
            json!(["employee", "policy_administrator", "system_administrator"])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_tells_both_values_and_the_rule() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let path = format!("/employees/{}", grace.id);
        let before = grace.get(&path).await.ok();
        let title = attribute(&before, "title");
        assert_eq!(title["value"], "Key Account Manager");
        assert_eq!(title["source"], "erp");
        assert_eq!(title["erp"]["source"], "Northwind ERP");
        assert_eq!(title["own"], Value::Null);
        assert_eq!(title["overridden"], false);
        assert_eq!(title["editable"], true);
        assert_eq!(title["rule"]["strength"], "weak");
        assert_eq!(title["rule"]["scope"], "organization");
        assert_eq!(attribute(&before, "birthDate")["value"], "1988-02-09", "one's own");

        let edit = json!({ "attributes": { "title": "Rail & Marine Partnerships", "skills": ["rail", "marine"] } });
        let after = grace.patch(&path, edit).await.ok();
        let title = attribute(&after, "title");
        assert_eq!(title["value"], "Rail & Marine Partnerships");
        assert_eq!(title["source"], "own");
        assert_eq!(title["erp"]["value"], "Key Account Manager");
        assert_eq!(title["own"]["value"], "Rail & Marine Partnerships");
        assert_eq!(title["overridden"], true);
        assert_eq!(attribute(&after, "skills")["value"], json!(["rail", "marine"]));

        let camille = app.person("camille.laurent").await;
        let seen = camille.get(&path).await.ok();
        assert_eq!(seen["relation"], "colleague");
        assert_eq!(attribute(&seen, "title")["editable"], false, "it is not hers");
        assert_eq!(attribute(&seen, "birthDate"), &Value::Null, "not for her eyes");

        let taken_away = grace.patch(&path, json!({ "attributes": { "title": null } })).await.ok();
        assert_eq!(attribute(&taken_away, "title")["value"], "Key Account Manager");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_refused_with_the_reason() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let camille = app.person("camille.laurent").await;
        let path = format!("/employees/{}", grace.id);
        let set = |name: &str, value: Value| json!({ "attributes": { name: value } });

        camille
            .patch(&path, set("title", "Queen".into()))
            .await
            .refused(403, "forbidden");

        let locked = grace
            .patch(&path, set("emails", "g@northwindforge.example".into()))
            .await;
        let locked = locked.refused(409, "locked_by_rule");
        assert_eq!(locked["rule"]["attribute"], "emails");
        assert!(
            locked["rule"]["id"].as_u64().is_some_and(|id| id > 0),
            "{locked}"
        );
        insta::assert_json_snapshot!("locked_by_rule", locked);

        let wrong = json!({ "attributes": {
            "timezone": "Mars", "salary": "1", "title": "x".repeat(121), "pronouns": "a\u{0}b"
        } });
        let wrong = grace.patch(&path, wrong).await.refused(422, "invalid");
        let mut fields: Vec<_> = wrong["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["code"].as_str().unwrap())
            .collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["bad_format", "control_characters", "too_long", "unknown"]
        );
        let unchanged = grace.get(&path).await.ok();
        assert_eq!(
            attribute(&unchanged, "title")["own"],
            Value::Null,
            "all or none"
        );

        grace
            .patch(&path, json!({ "attributes": { "title": 7 } }))
            .await
            .refused(422, "invalid");
        grace.patch(&path, json!([])).await.refused(422, "invalid");
        grace
            .patch("/employees/nobody", set("title", "x".into()))
            .await
            .refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_searched_and_paged() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let mut names = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = grace
                .get(&format!("/employees?limit=10{cursor}"))
                .await
                .ok();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 10);
            names.extend(
                items
                    .iter()
                    .map(|item| item["displayName"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names.len(), 41);
        names.dedup();
        assert_eq!(names.len(), 41, "nobody twice");

        let found = grace.get("/employees?q=ferreira").await.ok();
        let item = &found["items"][0];
        assert_eq!(item["displayName"], "João Ferreira");
        assert_eq!(attribute(item, "title")["value"], "Forge Line Lead");
        assert_eq!(attribute(item, "birthDate"), &Value::Null);
        let units = grace.get("/org/units").await.ok();
        let sales = units["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|unit| unit["name"] == "Sales")
            .unwrap()
            .clone();
        let sales = grace
            .get(&format!(
                "/employees?unit={}",
                sales["id"].as_str().unwrap()
            ))
            .await
            .ok();
        assert_eq!(
            sales["items"].as_array().map(Vec::len),
            Some(8),
            "with Key accounts below it"
        );

        for bad in ["limit=0", "limit=1000", "limit=x", "unit=x", "cursor=x"] {
            grace
                .get(&format!("/employees?{bad}"))
                .await
                .refused(422, "invalid");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hr_leafs_through_a_list_without_a_trace_of_private_attributes() {
    everywhere(async |app: &App| {
        let miriam = app.person("miriam.osei").await;
        let grace = app.person("grace.whitfield").await;
        let page = miriam.get("/employees?q=whitfield").await.ok();
        assert_eq!(attribute(&page["items"][0], "birthDate"), &Value::Null);
        assert_eq!(grace.get("/me/looked-at").await.ok()["items"], json!([]));
        let full = miriam.get(&format!("/employees/{}", grace.id)).await.ok();
        assert_eq!(attribute(&full, "birthDate")["value"], "1988-02-09");
        let looks = grace.get("/me/looked-at").await.ok();
        assert_eq!(looks["items"][0]["what"], "private_attributes");
        assert_eq!(looks["items"][0]["who"]["displayName"], "Miriam Osei");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_has_chains_and_reports() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let names = |list: &Value| -> Vec<String> {
            list["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["displayName"].as_str().unwrap().into())
                .collect()
        };
        let chain = grace
            .get(&format!("/employees/{}/chain", grace.id))
            .await
            .ok();
        assert_eq!(names(&chain), ["Priya Raman", "Ingrid Halvorsen"]);
        let priya = app.id_of("priya.raman").await;
        let reports = grace.get(&format!("/employees/{priya}/reports")).await.ok();
        assert!(names(&reports).contains(&"Grace Whitfield".to_owned()));
        assert_eq!(reports["items"].as_array().map(Vec::len), Some(7));
        grace
            .get("/employees/00000000-0000-0000-0000-000000000000/chain")
            .await
            .refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_sent_once_and_page_by_seq() {
    everywhere(async |app: &App| {
        let (grace, noah, camille) = (
            app.person("grace.whitfield").await,
            app.person("noah.petersen").await,
            app.person("camille.laurent").await,
        );
        let conversation = grace.talk_to(&[&noah], None).await;
        assert_eq!(
            noah.talk_to(&[&grace], None).await,
            conversation,
            "there is one for each pair"
        );
        for n in 1..=7 {
            let sent = grace
                .say(&conversation, &format!("c-{n}"), &format!("line {n}"))
                .await;
            assert_eq!(sent.status, 201);
            assert_eq!(sent.json()["seq"], n);
        }
        let again = grace.say(&conversation, "c-3", "something else").await;
        assert_eq!(
            (again.status, &again.json()["seq"], &again.json()["body"]),
            (200, &json!(3), &json!("line 3"))
        );

        let path = format!("/conversations/{conversation}/messages");
        let seqs = |page: Value| -> Vec<i64> {
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| message["seq"].as_i64().unwrap())
                .collect()
        };
        assert_eq!(seqs(noah.get(&path).await.ok()), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            seqs(noah.get(&format!("{path}?after_seq=2&limit=2")).await.ok()),
            [3, 4]
        );
        assert_eq!(
            seqs(noah.get(&format!("{path}?before_seq=3&limit=5")).await.ok()),
            [1, 2]
        );
        let end = noah.get(&format!("{path}?limit=2")).await.ok();
        assert_eq!(
            (&end["earlier"], &end["last_seq"]),
            (&json!(true), &json!(7))
        );

        assert_eq!(
            noah.put(
                &format!("/conversations/{conversation}/read"),
                json!({ "seq": 7 })
            )
            .await
            .status,
            204
        );
        assert_eq!(
            noah.get("/conversations").await.ok()["items"][0]["read_seq"],
            7
        );

        grace
            .say(&conversation, "c-0", "")
            .await
            .refused(422, "invalid");
        grace
            .say(&conversation, "c-0", &"x".repeat(100_000))
            .await
            .refused(422, "invalid");
        grace
            .say(&conversation, "not visible", "x")
            .await
            .refused(422, "invalid");
        grace
            .say(&conversation, "c-0", &"x".repeat(2_000_000))
            .await
            .refused(413, "too_large");
        camille
            .say(&conversation, "c-0", "let me in")
            .await
            .refused(404, "not_found");
        camille.get(&path).await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_members_who_come_and_go() {
    everywhere(async |app: &App| {
        let (grace, noah, camille) = (
            app.person("grace.whitfield").await,
            app.person("noah.petersen").await,
            app.person("camille.laurent").await,
        );
        let group = grace.talk_to(&[&noah], Some("Aldgate")).await;
        grace.say(&group, "1", "before").await.ok();
        let joined = grace
            .post(
                &format!("/conversations/{group}/members"),
                json!({ "members": [camille.id] }),
            )
            .await
            .ok();
        assert_eq!(joined["members"].as_array().map(Vec::len), Some(3));
        grace.say(&group, "2", "after").await.ok();
        let seen = camille
            .get(&format!("/conversations/{group}/messages"))
            .await
            .ok();
        assert_eq!(
            seen["items"].as_array().map(Vec::len),
            Some(1),
            "what comes after"
        );
        assert_eq!(
            camille
                .delete(&format!("/conversations/{group}/members/me"))
                .await
                .status,
            204
        );
        camille
            .get(&format!("/conversations/{group}"))
            .await
            .refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_previewed_set_and_rolled_back() {
    everywhere(async |app: &App| {
        let jonas = app.person("jonas.vestergaard").await;
        let grace = app.person("grace.whitfield").await;
        let path = format!("/employees/{}", grace.id);
        grace
            .patch(
                &path,
                json!({ "attributes": { "title": "Rail & Marine Partnerships" } }),
            )
            .await
            .ok();

        let read = grace.get("/policies/attribute-rules").await.ok();
        assert_eq!(read["version"], 1);
        let mut rules = read["rules"].as_array().unwrap().clone();
        rules.retain(|rule| rule["attribute"] != "title");
        rules.push(json!({ "attribute": "title", "strength": "strong" }));
        let set = json!({ "version": 1, "rules": rules });

        let preview = jonas
            .post("/policies/attribute-rules/preview", set.clone())
            .await
            .ok();
        assert_eq!(
            (&preview["people"], &preview["values"]),
            (&json!(1), &json!(1)),
            "{preview}"
        );
        assert_eq!(
            preview["changes"][0]["employee"]["displayName"],
            "Grace Whitfield"
        );
        assert_eq!(preview["changes"][0]["to"], "Key Account Manager");
        let still = grace.get(&path).await.ok();
        assert_eq!(
            attribute(&still, "title")["value"],
            "Rail & Marine Partnerships",
            "a preview writes nothing"
        );

        grace
            .put("/policies/attribute-rules", set.clone())
            .await
            .refused(403, "forbidden");
        let now = jonas
            .put("/policies/attribute-rules", set.clone())
            .await
            .ok();
        assert_eq!(now["version"], 2);
        jonas
            .put("/policies/attribute-rules", set)
            .await
            .refused(409, "stale_version");
        let locked = grace.get(&path).await.ok();
        let title = attribute(&locked, "title");
        assert_eq!(title["value"], "Key Account Manager");
        assert_eq!(
            title["own"]["value"], "Rail & Marine Partnerships",
            "the own value is kept"
        );
        assert_eq!(title["editable"], false);

        let back = json!({ "version": 2, "to": 1, "note": "Sales asked for it" });
        assert_eq!(
            jonas
                .post("/policies/attribute-rules/rollbacks", back)
                .await
                .ok()["version"],
            3
        );
        let returned = grace.get(&path).await.ok();
        assert_eq!(
            attribute(&returned, "title")["value"],
            "Rail & Marine Partnerships"
        );
        let history = jonas.get("/policies/attribute-rules/versions").await.ok();
        assert_eq!(history["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(history["items"][0]["set_by_name"], "Jonas Vestergaard");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_none_are_refused() {
    everywhere(async |app: &App| {
        let jonas = app.person("jonas.vestergaard").await;
        let put = async |rules: Value| jonas.put("/policies/attribute-rules", json!({ "version": 1, "rules": rules })).await;
        let wrong = put(json!([{ "attribute": "salary", "strength": "fierce" }])).await.refused(422, "invalid");
        insta::assert_json_snapshot!("a_rule_that_is_none", wrong);
        put(json!([{ "attribute": "title", "strength": "weak" }, { "attribute": "title", "strength": "none" }]))
            .await
            .refused(422, "invalid");
        put(json!([{ "attribute": "title", "strength": "weak", "forever": true }])).await.refused(422, "invalid");
        let nowhere = json!([{ "attribute": "title", "strength": "weak", "unit": "00000000-0000-0000-0000-000000000001" }]);
        put(nowhere).await.refused(422, "invalid");
        jonas.put("/policies/attribute-rules", json!({ "version": 1, "rules": [], "extra": 1 })).await.refused(422, "invalid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversight_is_read_and_set_like_the_rules() {
    everywhere(async |app: &App| {
        let jonas = app.person("jonas.vestergaard").await;
        let rule = |days: u16| json!([{ "on": true, "when": "now", "max_days": days, "notice": "at_the_end" }]);
        assert_eq!(jonas.get("/policies/oversight").await.ok()["rules"][0]["when"], "at_the_time");
        let bad = json!({ "version": 1, "rules": rule(1000) });
        jonas.put("/policies/oversight", bad).await.refused(422, "invalid");
        let set = jonas.put("/policies/oversight", json!({ "version": 1, "rules": rule(3) })).await.ok();
        assert_eq!((&set["version"], &set["rules"][0]["max_days"]), (&json!(2), &json!(3)));
        let back = json!({ "version": 2, "to": 1 });
        assert_eq!(jonas.post("/policies/oversight/rollbacks", back).await.ok()["version"], 3);
        assert_eq!(jonas.get("/policies/oversight/versions").await.ok()["items"].as_array().map(Vec::len), Some(3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superior_reviews_and_leaves_a_trace() {
    everywhere(async |app: &App| {
        let (grace, noah, priya) =
            (app.person("grace.whitfield").await, app.person("noah.petersen").await, app.person("priya.raman").await);
        let marta = app.person("marta.kowalczyk").await;
        let conversation = noah.talk_to(&[&marta], None).await;
        noah.say(&conversation, "1", "We deliver all 48 wheelsets on the 20th.").await.ok();
        marta.say(&conversation, "2", "Line 2 will not run before the 19th.").await.ok();

        let reason = json!({ "category": "client_complaint", "text": "Aldgate says that 48 wheelsets were promised." });
        let open = |subject| json!({ "subject": subject, "reason": reason, "case": "C-2291" });
        grace.post("/reviews", open(noah.id)).await.refused(404, "not_found");
        noah.post("/reviews", open(noah.id)).await.refused(404, "not_found");
        priya.post("/reviews", open(marta.id)).await.refused(404, "not_found");
        let short = json!({ "subject": noah.id, "reason": { "category": "other", "text": "why" } });
        priya.post("/reviews", short).await.refused(422, "invalid");

        let review = priya.post("/reviews", open(noah.id)).await;
        assert_eq!(review.status, 201);
        let id = review.json()["id"].as_str().unwrap().to_owned();
        let page = priya.get(&format!("/reviews/{id}/messages")).await.ok();
        let lines: Vec<_> = page["items"].as_array().unwrap().iter().map(|line| (&line["body"], &line["redacted"])).collect();
        assert_eq!(
            lines,
            [(&json!("We deliver all 48 wheelsets on the 20th."), &json!(false)), (&Value::Null, &json!(true))],
            "the words of people outside the line are redacted"
        );
        let hits = priya.get(&format!("/reviews/{id}/messages?q=wheelsets")).await.ok();
        assert_eq!(hits["items"].as_array().map(Vec::len), Some(1));
        noah.get(&format!("/reviews/{id}/messages")).await.refused(404, "not_found");

        let looks = noah.get("/me/looked-at").await.ok();
        let what: Vec<_> = looks["items"].as_array().unwrap().iter().map(|look| look["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["searched", "read", "opened"]);
        let ended = priya.post(&format!("/reviews/{id}/end"), json!({ "finding": "Corrected the same day." })).await.ok();
        assert!(ended["ended_at"].is_string());
        priya.get(&format!("/reviews/{id}/messages")).await.refused(409, "review_over");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_connected_looked_at_and_read() {
    everywhere(async |app: &App| {
        let tariq = app.person("tariq.mansour").await;
        let grace = app.person("grace.whitfield").await;
        grace.get("/sources").await.refused(404, "not_found");
        grace
            .post(
                "/sources",
                json!({ "kind": "csv", "name": "x", "settings": { "folder": "/etc" } }),
            )
            .await
            .refused(404, "not_found");

        let folder = app.data_dir.join("second");
        server::seed::write_to(&folder, 30, 0).unwrap();
        let settings = json!({ "folder": folder.display().to_string() });
        let source = tariq
            .post(
                "/sources",
                json!({ "kind": "csv", "name": "Second", "settings": settings }),
            )
            .await;
        assert_eq!(source.status, 201);
        let id = source.json()["id"].as_str().unwrap().to_owned();
        tariq
            .post(
                "/sources",
                json!({ "kind": "csv", "name": "Second", "settings": settings }),
            )
            .await
            .refused(409, "name_taken");
        for settings in [
            json!({}),
            json!({ "path": "/x" }),
            json!({ "folder": "relative" }),
        ] {
            tariq
                .post(
                    "/sources",
                    json!({ "kind": "csv", "name": "Third", "settings": settings }),
                )
                .await
                .refused(422, "invalid");
        }
        let odoo = json!({ "url": "http://127.0.0.1:9", "api_key": "s3cret" });
        let refused = tariq
            .post(
                "/sources",
                json!({ "kind": "odoo", "name": "Odoo", "settings": odoo }),
            )
            .await;
        assert!(
            refused.text.contains("OPTIMUS_ERP_HOSTS") && !refused.text.contains("s3cret"),
            "{refused:?}"
        );
        refused.refused(422, "invalid");

        let run = async |dry_run: bool| {
            let started = tariq
                .post(
                    &format!("/sources/{id}/runs"),
                    json!({ "dry_run": dry_run }),
                )
                .await;
            assert_eq!(started.status, 202, "{started:?}");
            let path = format!("/runs/{}", started.json()["id"].as_str().unwrap());
            until("the run is over", async || {
                let run = tariq.get(&path).await.ok();
                (!run["ended_at"].is_null()).then_some(run)
            })
            .await
        };
        let planned = run(true).await;
        assert_eq!(
            (&planned["phase"], &planned["totals"]["joiners"]),
            (&json!("done"), &json!(30)),
            "{planned}"
        );
        assert_eq!(planned["steps"]["items"].as_array().map(Vec::len), Some(30));
        assert_eq!(app.store().chart().chart.len(), 41, "nothing was written");
        let done = run(false).await;
        assert_eq!(
            (&done["phase"], &done["totals"]["joiners"]),
            (&json!("done"), &json!(30))
        );
        assert_eq!(app.store().chart().chart.len(), 71);
        let again = run(false).await;
        assert_eq!(again["totals"]["unchanged"], 30);
        assert_eq!(
            tariq.get(&format!("/sources/{id}/runs")).await.ok()["items"]
                .as_array()
                .map(Vec::len),
            Some(3)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_many_leavers_asks_first() {
    everywhere(async |app: &App| {
        let tariq = app.person("tariq.mansour").await;
        let folder = app.data_dir.join("second");
        server::seed::write_to(&folder, 30, 0).unwrap();
        let settings = json!({ "folder": folder.display().to_string() });
        let source = tariq
            .post(
                "/sources",
                json!({ "kind": "csv", "name": "Second", "settings": settings }),
            )
            .await
            .ok();
        let id = source["id"].as_str().unwrap().to_owned();
        let start = async || {
            let started = tariq
                .post(&format!("/sources/{id}/runs"), json!({}))
                .await
                .ok();
            format!("/runs/{}", started["id"].as_str().unwrap())
        };
        let phase = async |path: &str, wanted: &'static str| {
            until(wanted, async || {
                (tariq.get(path).await.ok()["phase"] == wanted).then_some(())
            })
            .await;
        };
        let first = start().await;
        phase(&first, "done").await;

        server::seed::write_to(&folder, 20, 0).unwrap();
        let stopped = start().await;
        phase(&stopped, "waiting").await;
        assert_eq!(tariq.get(&stopped).await.ok()["error"], "too_many_leavers");
        tariq
            .post(&format!("/sources/{id}/runs"), json!({}))
            .await
            .refused(409, "run_in_progress");
        assert_eq!(
            tariq
                .post(&format!("{stopped}/cancellation"), json!({}))
                .await
                .ok()["phase"],
            "cancelled"
        );
        assert_eq!(app.store().chart().chart.len(), 71);

        let approved = start().await;
        phase(&approved, "waiting").await;
        tariq
            .post(&format!("{approved}/approval"), json!({}))
            .await
            .ok();
        phase(&approved, "done").await;
        assert_eq!(app.store().chart().chart.len(), 61);

        // It was a mistake: the ten come back, and the next run asks before it does so again.
        let preview = tariq.get(&format!("{approved}/undo")).await.ok();
        assert_eq!(
            (&preview["totals"]["returners"], &preview["left_in_all"]),
            (&json!(10), &json!(0))
        );
        let who = preview["steps"][0]["employee"].as_str().unwrap().to_owned();
        let undo = tariq
            .post(&format!("{approved}/undo"), json!({}))
            .await
            .ok();
        let undo = format!("/runs/{}", undo["id"].as_str().unwrap());
        phase(&undo, "done").await;
        assert_eq!(app.store().chart().chart.len(), 71);
        let undone = tariq.get(&approved).await.ok();
        assert_eq!(undone["undoable"], false);
        assert_eq!(
            format!("/runs/{}", undone["undone_by"].as_str().unwrap()),
            undo
        );
        tariq
            .post(&format!("{approved}/undo"), json!({}))
            .await
            .refused(409, "not_undoable");
        let paused = tariq.get(&format!("/sources/{id}")).await.ok();
        assert!(paused["paused_since"].is_string(), "{paused}");
        let again = start().await;
        phase(&again, "waiting").await;
        let exceeded = tariq.get(&again).await.ok()["exceeded"].clone();
        assert_eq!(
            (&exceeded[0]["limit"], &exceeded[1]["limit"]),
            (&json!("leavers"), &json!("paused"))
        );
        tariq
            .post(&format!("{again}/cancellation"), json!({}))
            .await
            .ok();
        let resumed = tariq.delete(&format!("/sources/{id}/pause")).await.ok();
        assert!(resumed["paused_since"].is_null());

        let past = tariq
            .get(&format!("/employees/{who}/history?attribute=active"))
            .await
            .ok();
        let causes: Vec<_> = past["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["cause"])
            .collect();
        assert_eq!(causes.len(), 3, "{past}");
        assert_eq!(
            (&causes[0]["undo"], &causes[1]["undo"], &causes[2]["kind"]),
            (&json!(true), &json!(false), &json!("came"))
        );
        let then = tariq
            .get(&format!("/employees/{who}/history?on=2020-01-01"))
            .await
            .ok();
        assert!(then["profile"].is_null());
        tariq
            .get(&format!("/employees/{who}/history?attribute=shoeSize"))
            .await
            .refused(422, "invalid");

        let limits = json!({ "leavers": 50, "four_eyes": true });
        let set = tariq
            .put(&format!("/sources/{id}/limits"), limits)
            .await
            .ok();
        assert_eq!(
            (&set["leaver_percent"], &set["limits"]["four_eyes"]),
            (&json!(50), &json!(true))
        );
        assert_eq!(set["limits"]["joiners"], 50);
        tariq
            .put(&format!("/sources/{id}/limits"), json!({ "leavers": 101 }))
            .await
            .refused(422, "invalid");

        // A word that is misspelt changes nothing, and starts nothing.
        let cron = json!({ "cron": "0 6 * * *", "zone": "Europe/Oslo" });
        for (door, misspelt) in [
            ("limits", json!({ "leaver": 5 })),
            ("schedule", cron),
            ("schedule", json!({})),
        ] {
            let door = format!("/sources/{id}/{door}");
            tariq.put(&door, misspelt).await.refused(422, "invalid");
        }
        let runs = format!("/sources/{id}/runs");
        let before = tariq.get(&runs).await.ok();
        tariq
            .post(&runs, json!({ "dryrun": true }))
            .await
            .refused(422, "invalid");
        assert_eq!(tariq.get(&runs).await.ok(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_filtered_and_verified() {
    everywhere(async |app: &App| {
        let (samir, grace) = (
            app.person("samir.haddad").await,
            app.person("grace.whitfield").await,
        );
        grace.get("/audit-log").await.refused(404, "not_found");
        let page = samir.get("/audit-log?limit=2").await.ok();
        let seq = page["items"][0]["seq"].as_i64().unwrap();
        let next = samir
            .get(&format!(
                "/audit-log?limit=2&cursor={}",
                page["next_cursor"].as_str().unwrap()
            ))
            .await
            .ok();
        assert_eq!(next["items"][0]["seq"], seq - 2);
        let policies = samir.get("/audit-log?action=policy.").await.ok();
        assert!(!policies["items"].as_array().unwrap().is_empty());
        assert!(
            policies["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|entry| entry["action"].as_str().unwrap().starts_with("policy."))
        );
        let verified = samir.get("/audit-log/verification").await.ok();
        assert_eq!(
            (&verified["ok"], &verified["broken"]),
            (&json!(true), &Value::Null)
        );
        samir
            .get("/audit-log?from=yesterday")
            .await
            .refused(422, "invalid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_listed_and_ended() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let other = app
            .sign_in("grace.whitfield", server::demo::PASSWORD)
            .await
            .ok()["access_token"]
            .clone();
        let list = grace.get("/me/sign-ins").await.ok();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            list["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["current"] == true)
                .count(),
            1
        );
        assert_eq!(grace.delete("/me/sign-ins").await.status, 204);
        let mut gone = grace.clone();
        gone.token = other.as_str().unwrap().into();
        gone.get("/me").await.refused(401, "unauthenticated");
        grace.get("/me").await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_describes_every_row_of_the_contract() {
    crate::app::with(&[], async |app: &App| {
        let document = app.get("/api/v1/openapi.json").await.ok();
        assert_eq!(document["openapi"], "3.1.0");
        for (path, methods) in [
            ("/tokens", "post"),
            ("/me", "get"),
            ("/employees", "get"),
            ("/employees/{id}", "get patch"),
            ("/employees/{id}/chain", "get"),
            ("/employees/{id}/reports", "get"),
            ("/org/units", "get"),
            ("/conversations", "get post"),
            ("/conversations/{id}/messages", "get post"),
            ("/policies/attribute-rules", "get put"),
            ("/policies/attribute-rules/preview", "post"),
            ("/sources", "get post"),
            ("/sources/{id}/runs", "post"),
            ("/runs/{id}", "get"),
            ("/reviews", "post"),
            ("/reviews/{id}/messages", "get"),
            ("/audit-log", "get"),
            ("/me/looked-at", "get"),
            ("/socket-tickets", "post"),
        ] {
            for method in methods.split(' ') {
                let operation = &document["paths"][format!("/api/v1{path}")][method];
                assert!(
                    operation["responses"]["default"].is_object(),
                    "{method} {path}"
                );
            }
        }
        assert!(document["components"]["schemas"]["Problem"].is_object());
    })
    .await;
}
