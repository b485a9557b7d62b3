//! Every door has a stated answer for a stranger, a colleague, a superior and an administrator.
//!
//! The doors are read from the router itself, so that a new one fails until its row is written here.

use std::collections::BTreeMap;

use axum::Router;
use domain::chat::ClientFrame;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{App, Person, answer, with};

/// Method, pattern, and what a stranger (not signed in), a colleague, a superior and an administrator are
/// answered about Noah Petersen's things; then what is sent. Administrators look after the portal and are not
/// superiors: chats and reviews are not theirs. SCIM is for sources' tokens, and for nobody's own.
const DOORS: &str = r#"
GET /healthz 200 200 200 200
GET /readyz 200 200 200 200
GET /metrics 200 200 200 200
GET /ws 401 400 400 400
GET /pkg/{file} 200 200 200 200
GET /icons.svg 200 200 200 200
GET /favicon.svg 200 200 200 200
GET /photos/{hash} 401 404 404 404
GET /api/v1/openapi.json 200 200 200 200
POST /api/v1/tokens 422 422 422 422 {}
POST /api/v1/socket-tickets 401 201 201 201 {}
GET /api/v1/me 401 200 200 200
GET /api/v1/me/looked-at 401 200 200 200
GET /api/v1/me/sign-ins 401 200 200 200
DELETE /api/v1/me/sign-ins/{id} 401 404 404 404
GET /api/v1/employees 401 200 200 200
GET /api/v1/employees/{id} 401 200 200 200
PATCH /api/v1/employees/{id} 401 403 403 403 {"attributes":{"title":"King"}}
PUT /api/v1/employees/{id}/photo 401 403 403 403 {}
GET /api/v1/employees/{id}/chain 401 200 200 200
GET /api/v1/employees/{id}/reports 401 200 200 200
GET /api/v1/org/units 401 200 200 200
GET /api/v1/employees/{id}/delegations 401 404 404 404
POST /api/v1/employees/{id}/delegations 401 404 404 404 {"delegate":"NOAH","from":"2026-11-22","until":"2026-11-23"}
DELETE /api/v1/employees/{id}/delegations/{delegation} 401 404 404 404
GET /api/v1/conversations 401 200 200 200
POST /api/v1/conversations 401 201 201 201 {"members":["NOAH"]}
GET /api/v1/conversations/{id} 401 404 404 404
GET /api/v1/conversations/{id}/messages 401 404 404 404
POST /api/v1/conversations/{id}/messages 401 404 404 404 {"client_id":"c","body":"x"}
POST /api/v1/conversations/{id}/members 401 404 404 404 {"members":["NOAH"]}
DELETE /api/v1/conversations/{id}/members/me 401 404 404 404
PUT /api/v1/conversations/{id}/read 401 404 404 404 {"seq":1}
GET /api/v1/policies/attribute-rules 401 200 200 200
POST /api/v1/policies/attribute-rules/preview 401 403 403 200 {"version":1,"rules":[]}
PUT /api/v1/policies/attribute-rules 401 403 403 200 {"version":1,"rules":[]}
GET /api/v1/policies/attribute-rules/versions 401 200 200 200
POST /api/v1/policies/attribute-rules/rollbacks 401 403 403 200 {"version":2,"to":1}
GET /api/v1/policies/source-priority 401 200 200 200
PUT /api/v1/policies/source-priority 401 403 403 200 {"version":0,"order":[]}
GET /api/v1/policies/source-priority/versions 401 200 200 200
POST /api/v1/policies/source-priority/rollbacks 401 403 403 200 {"version":1,"to":1}
GET /api/v1/policies/oversight 401 200 200 200
PUT /api/v1/policies/oversight 401 403 403 409 {"version":0,"rules":[]}
GET /api/v1/policies/oversight/versions 401 200 200 200
POST /api/v1/policies/oversight/rollbacks 401 403 403 200 {"version":1,"to":1}
GET /api/v1/policies/corrections 401 200 200 200
PUT /api/v1/policies/corrections 401 403 403 409 {"version":0,"otherwise":"manager"}
GET /api/v1/policies/corrections/versions 401 200 200 200
POST /api/v1/policies/corrections/rollbacks 401 403 403 200 {"version":1,"to":1}
GET /api/v1/corrections 401 200 200 200
POST /api/v1/corrections 401 409 409 409 {"attribute":"about","value":"x","note":"y"}
GET /api/v1/corrections/{id} 401 404 200 404
POST /api/v1/corrections/{id}/retry 401 404 409 404 {}
POST /api/v1/corrections/{id}/withdrawal 401 404 404 404 {}
POST /api/v1/corrections/{id}/refusal 401 404 200 404 {"reason":"no"}
POST /api/v1/corrections/{id}/acceptance 401 404 409 404 {}
GET /api/v1/sources 401 404 404 200
POST /api/v1/sources 401 404 404 422 {"kind":"csv","name":"x","settings":{}}
GET /api/v1/sources/{id} 401 404 404 200
GET /api/v1/sources/{id}/runs 401 404 404 200
POST /api/v1/sources/{id}/runs 401 404 404 202 {"dry_run":true}
GET /api/v1/runs/{id} 401 404 404 200
GET /api/v1/runs/{id}/steps 401 404 404 200
POST /api/v1/runs/{id}/approval 401 404 404 409 {}
POST /api/v1/runs/{id}/cancellation 401 404 404 409 {}
GET /api/v1/runs/{id}/undo 401 404 404 409
POST /api/v1/runs/{id}/undo 401 404 404 409 {}
PUT /api/v1/sources/{id}/limits 401 404 404 200 {"leavers":10}
PUT /api/v1/sources/{id}/pause 401 404 404 200 {"why":"x"}
DELETE /api/v1/sources/{id}/pause 401 404 404 200
GET /api/v1/sources/{id}/undecided 401 404 404 200
POST /api/v1/sources/{id}/undecided/decisions 401 404 404 404 {"external_id":"x","decision":"new"}
GET /api/v1/sources/{id}/linked 401 404 404 200
POST /api/v1/sources/{id}/unlinkings 401 404 404 404 {"external_id":"x"}
GET /api/v1/sources/{id}/correlation 401 404 404 200
PUT /api/v1/sources/{id}/correlation 401 404 404 200 {"clues":[]}
GET /api/v1/sources/{id}/leavers 401 404 404 200
POST /api/v1/sources/{id}/leavers/decisions 401 404 404 404 {"decision":"keep","until":"2026-11-22T00:00:00Z"}
GET /api/v1/data-quality 401 404 404 200
GET /api/v1/employees/{id}/history 401 422 422 422
GET /api/v1/reviews 401 200 200 200
POST /api/v1/reviews 401 404 201 404 {"subject":"NOAH","reason":{"category":"other","text":"to see who may"}}
GET /api/v1/reviews/{id} 401 404 200 404
GET /api/v1/reviews/{id}/messages 401 404 200 404
POST /api/v1/reviews/{id}/end 401 404 200 404 {"finding":"nothing"}
GET /api/v1/audit-log 401 404 404 200
GET /api/v1/audit-log/verification 401 404 404 200
GET /scim/v2/ServiceProviderConfig 401 401 401 401
GET /scim/v2/ResourceTypes 401 401 401 401
GET /scim/v2/ResourceTypes/{id} 401 401 401 401
GET /scim/v2/Schemas 401 401 401 401
GET /scim/v2/Schemas/{id} 401 401 401 401
GET /scim/v2/Users 401 401 401 401
POST /scim/v2/Users 401 401 401 401 {"userName":"x"}
POST /scim/v2/Users/.search 401 401 401 401 {}
GET /scim/v2/Users/{id} 401 401 401 401
PUT /scim/v2/Users/{id} 401 401 401 401 {"userName":"x"}
PATCH /scim/v2/Users/{id} 401 401 401 401 {"Operations":[]}
DELETE /scim/v2/Users/{id} 401 401 401 401
GET /scim/v2/Groups 401 401 401 401
POST /scim/v2/Groups 401 401 401 401 {"displayName":"x"}
POST /scim/v2/Groups/.search 401 401 401 401 {}
GET /scim/v2/Groups/{id} 401 401 401 401
PUT /scim/v2/Groups/{id} 401 401 401 401 {"displayName":"x"}
PATCH /scim/v2/Groups/{id} 401 401 401 401 {"Operations":[]}
DELETE /scim/v2/Groups/{id} 401 401 401 401
POST /scim/v2/.search 401 401 401 401 {}
POST /scim/v2/Bulk 401 401 401 401 {"Operations":[]}
GET /api/v1/sources/{id}/schedule 401 404 404 200
PUT /api/v1/sources/{id}/schedule 401 404 404 200 {"schedule":null}
GET /api/v1/sources/{id}/mapping 401 404 404 404
PUT /api/v1/sources/{id}/mapping 401 404 404 404 {"version":0,"mapping":{"worker":[]}}
DELETE /api/v1/me/sign-ins 401 204 204 204
"#;

/// The pages, the same way: a stranger is led to the sign-in page.
const PAGES: &str = "
GET /sign-in 200 303 303 303
POST /sign-in 303 303 303 303 login=nobody&password=x
GET /invitations/{token} 404 404 404 404
POST /invitations/{token} 404 404 404 404 password=x
GET / 303 200 200 200
GET /account 303 200 200 200
POST /account/theme 303 303 303 303 theme=dark
POST /account/password 303 303 303 303 current_password=x&password=y
GET /people 303 200 200 200
GET /people/{id} 303 200 200 200
GET /people/{id}/history 303 200 200 200
GET /people/{id}/edit 303 404 404 404
POST /people/{id}/edit 303 403 403 403 title=King
POST /people/{id}/photo 303 403 403 403 --b\\r\\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.png\"\\r\\n\\r\\nx\\r\\n--b--\\r\\n
GET /people/{id}/corrections/new 303 404 404 404
POST /people/{id}/corrections/new 303 404 404 404 attribute=title
GET /corrections 303 200 200 200
GET /corrections/{id} 303 404 200 404
POST /corrections/{id}/accept 303 404 303 404 x=y
POST /corrections/{id}/decline 303 404 303 404 reason=no
POST /corrections/{id}/retry 303 404 303 404 x=y
POST /corrections/{id}/withdraw 303 404 404 404 x=y
GET /people/{id}/delegate 303 404 404 404
POST /people/{id}/delegate 303 404 404 404 x=y
POST /people/{id}/delegate/end 303 404 404 404 x=y
GET /org 303 200 200 200
GET /looked-at 303 200 200 200
GET /chat 303 200 200 200
POST /chat 303 303 303 303 with=NOAH
GET /chat/new 303 200 200 200
GET /chat/{id} 303 404 404 404
POST /chat/{id}/messages 303 404 404 404 client_id=c&body=x
GET /chat/{id}/members 303 404 404 404
POST /chat/{id}/members 303 404 404 404 with=NOAH
POST /chat/{id}/leave 303 404 404 404 x=y
GET /reviews 303 200 200 200
POST /reviews 303 404 303 404 subject=NOAH&reason.category=other&reason.text=to+see+who+may
GET /reviews/new 303 200 200 200
GET /reviews/{id} 303 404 200 404
POST /reviews/{id}/extend 303 404 303 404 why=more+time+is+needed
POST /reviews/{id}/end 303 404 303 404 finding=nothing
GET /console/rules 303 404 404 200
POST /console/rules 303 404 404 303 x=y
GET /console/rules/history 303 404 404 200
GET /console/oversight/history 303 404 404 200
GET /console/source-order 303 404 404 200
POST /console/source-order 303 404 404 303 x=y
GET /console/source-order/history 303 404 404 200
GET /console/oversight 303 404 404 200
POST /console/oversight 303 404 404 303 x=y
POST /console/policies/{kind}/roll-back 303 404 404 303 read=1&version=1
GET /console/corrections 303 404 404 200
POST /console/corrections 303 404 404 303 x=y
GET /console/corrections/history 303 404 404 200
GET /console/quality 303 404 404 200
GET /console/audit 303 404 404 200
GET /console/audit/{seq} 303 404 404 200
GET /console/audit/export 303 404 404 200
POST /console/audit/verify 303 404 404 303 x=y
GET /console/sources 303 404 404 200
GET /console/sources/new 303 404 404 200
POST /console/sources/new 303 404 404 422 kind=csv&name=x
GET /console/sources/{id} 303 404 404 200
POST /console/sources/{id} 303 404 404 422 name=x
POST /console/sources/{id}/test 303 404 404 200 x=y
GET /console/sources/{id}/leavers 303 404 404 200
POST /console/sources/{id}/leavers 303 404 404 303 x=y
POST /console/sources/{id}/token 303 404 404 404 x=y
POST /console/sources/{id}/token/revoke 303 404 404 404 x=y
POST /console/sources/{id}/decide 303 404 404 303 x=y
POST /console/sources/{id}/ask-again 303 404 404 404 x=y
POST /console/sources/{id}/unlink 303 404 404 404 x=y
POST /console/sources/{id}/correlation 303 404 404 303 employee_number=sure&mail=sure
POST /console/sources/{id}/runs 303 404 404 303 dry_run=on
GET /console/sources/{id}/runs/{run} 303 404 404 200
POST /console/sources/{id}/runs/{run}/approve 303 404 404 303 x=y
POST /console/sources/{id}/runs/{run}/cancel 303 404 404 303 x=y
GET /console/sources/{id}/runs/{run}/undo 303 404 404 200
GET /console/sources/{id}/schedule 303 404 404 200
POST /console/sources/{id}/schedule 303 404 404 422 cron=x
GET /console/sources/{id}/mapping 303 404 404 404
POST /console/sources/{id}/mapping 303 404 404 404 x=y
GET /console/sources/{id}/mapping.json 303 404 404 404
POST /console/sources/{id}/limits 303 404 404 303 joiners=x
POST /console/sources/{id}/resume 303 404 404 303 x=y
GET /console/people 303 404 404 200
GET /console/people/{id} 303 404 404 200
POST /console/people/{id}/roles 303 404 404 303 roles=employee
POST /console/people/{id}/invite 303 404 404 200 x=y
POST /account/sign-ins 303 404 404 404 x=y
POST /console/sources/{id}/runs/{run}/undo 303 404 404 303 x=y
POST /sign-out 303 303 303 303 x=y
";

/// Every route of a router with its methods, as its `Debug` has them.
fn routes(router: &Router<impl Clone + Send + Sync + 'static>) -> Vec<(String, String)> {
    let text = format!("{router:?}");
    let text = text.split("fallback_router: ").next().unwrap();
    let mut paths = BTreeMap::new();
    let mut methods = BTreeMap::new();
    for entry in text.split("RouteId(").skip(1) {
        let (id, said) = entry.split_once("): ").unwrap();
        let quoted = |said: &str| said.split('"').nth(1).unwrap().to_owned();
        if said.starts_with('"') {
            paths.insert(id, quoted(said));
        } else {
            let (_, allowed) = said.split_once("allow_header: Bytes(b").unwrap();
            methods.insert(id, quoted(allowed));
        }
    }
    assert!(paths.keys().eq(methods.keys()), "{text}");
    paths
        .into_values()
        .zip(methods.into_values())
        .flat_map(|(path, methods)| {
            let methods = methods.split(',').filter(|method| *method != "HEAD");
            methods
                .map(|method| (method.to_owned(), path.clone()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A row: what is answered to each, and what is sent.
struct Row {
    expected: [u16; 4],
    body: Option<String>,
}

fn table(text: &str) -> BTreeMap<(String, String), (usize, Row)> {
    let mut rows = BTreeMap::new();
    for (at, line) in text.lines().filter(|line| !line.is_empty()).enumerate() {
        let mut words = line.splitn(7, ' ');
        let mut word = || {
            words
                .next()
                .unwrap_or_else(|| panic!("a short row: {line}"))
                .to_owned()
        };
        let key = (word(), word());
        let expected = [(); 4].map(|()| word().parse().unwrap());
        let row = Row {
            expected,
            body: words.next().map(str::to_owned),
        };
        assert!(rows.insert(key, (at, row)).is_none(), "twice: {line}");
    }
    rows
}

/// Things of Noah's, for the places in patterns.
struct Things {
    noah: String,
    conversation: String,
    review: String,
    correction: String,
    source: String,
    run: String,
    /// A dry run, of which there is nothing to be undone.
    dry: String,
}

impl Things {
    async fn of(app: &App, noah: &Person, priya: &Person, administrator: &Person) -> Self {
        let marta = app.person("marta.kowalczyk").await;
        let conversation = noah.talk_to(&[&marta], None).await;
        noah.say(&conversation, "1", "between us").await.ok();
        let reason = json!({ "category": "other", "text": "a reason of some length" });
        let review = priya
            .post("/reviews", json!({ "subject": noah.id, "reason": reason }))
            .await
            .ok();
        let policy = json!({ "version": 0, "otherwise": "chain" });
        administrator
            .put("/policies/corrections", policy)
            .await
            .ok();
        let wrong =
            json!({ "attribute": "emails", "value": "noah@elsewhere.example", "note": "married" });
        let correction = noah.post("/corrections", wrong).await.ok();
        let source = administrator.get("/sources").await.ok()["items"][0].clone();
        let dry = format!("/sources/{}/runs", source["id"].as_str().unwrap());
        let dry = administrator
            .post(&dry, json!({ "dry_run": true }))
            .await
            .ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            noah: noah.id.to_string(),
            conversation,
            review: text(&review["id"]),
            correction: text(&correction["id"]),
            source: text(&source["id"]),
            run: text(&source["last_run"]),
            dry: text(&dry["id"]),
        }
    }

    fn fill(&self, pattern: &str) -> String {
        let id = match pattern {
            _ if pattern.contains("/me/") => "00000000-0000-0000-0000-000000000000",
            _ if pattern.contains("/conversations/") || pattern.contains("/chat/") => {
                &self.conversation
            }
            _ if pattern.contains("/reviews/") => &self.review,
            _ if pattern.contains("/people/") => &self.noah,
            _ if pattern.contains("/corrections/") => &self.correction,
            _ if pattern.contains("/sources/") => &self.source,
            "/api/v1/runs/{id}/undo" => &self.dry,
            _ if pattern.contains("/runs/") => &self.run,
            _ => &self.noah,
        };
        let hash = "0".repeat(64);
        pattern
            .replace("{id}", id)
            .replace("{run}", &self.run)
            .replace("{file}", "optimus.css")
            .replace("{hash}", &hash)
            .replace("{token}", "nobodys")
            .replace("{seq}", "1")
            .replace("{kind}", "oversight")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_answers_everybody_as_stated() {
    with(&[], async |app: &App| {
        let noah = app.person("noah.petersen").await;
        let people = [
            app.person("camille.laurent").await,
            app.person("priya.raman").await,
            app.person("jonas.vestergaard").await,
        ];
        let things = Things::of(app, &noah, &people[1], &people[2]).await;
        let stated = [table(DOORS), table(PAGES)];
        let is_stated =
            |door: &(String, String)| stated.iter().any(|table| table.contains_key(door));

        let mut doors = routes(&server::http::router(app.running.server.clone()));
        doors.sort();
        doors.dedup();
        assert!(doors.len() > 80, "the router tells its routes: {doors:?}");
        let unstated: Vec<_> = doors.iter().filter(|door| !is_stated(door)).collect();
        assert!(
            unstated.is_empty(),
            "doors without a stated answer: {unstated:#?}"
        );
        let gone: Vec<_> = stated
            .iter()
            .flat_map(BTreeMap::keys)
            .filter(|door| !doors.contains(door))
            .collect();
        assert!(gone.is_empty(), "stated, but no door: {gone:#?}");

        let mut wrong = String::new();
        for table in stated {
            // The last rows of a table sign people out.
            let mut cookies = Vec::new();
            for person in &people {
                cookies.push(
                    app.cookie(person.login)
                        .await
                        .split(';')
                        .next()
                        .unwrap()
                        .to_owned(),
                );
            }
            let mut rows: Vec<_> = table.into_iter().collect();
            rows.sort_by_key(|(_, (at, _))| *at);
            for ((method, pattern), (_, row)) in rows {
                let mut answers = [0; 4];
                for (who, answered) in answers.iter_mut().enumerate() {
                    let url = format!("{}{}", app.url, things.fill(&pattern));
                    let mut request = app.client.request(method.parse::<Method>().unwrap(), url);
                    let api = ["/api/", "/scim/", "/photos/"]
                        .iter()
                        .any(|door| pattern.starts_with(door));
                    if let Some(person) = who.checked_sub(1) {
                        request = if api {
                            request.bearer_auth(&people[person].token)
                        } else {
                            request
                                .header("cookie", &cookies[person])
                                .header("sec-fetch-site", "same-origin")
                        };
                    }
                    if let Some(body) = &row.body {
                        let kind = match body {
                            _ if api => "application/json",
                            _ if body.starts_with("--b") => "multipart/form-data; boundary=b",
                            _ => "application/x-www-form-urlencoded",
                        };
                        request = request
                            .header("content-type", kind)
                            .body(body.replace("NOAH", &things.noah).replace("\\r\\n", "\r\n"));
                    }
                    *answered = answer(request).await.status;
                }
                if answers != row.expected {
                    wrong += &format!(
                        "{method} {pattern}: {answers:?} instead of {:?}\n",
                        row.expected
                    );
                }
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    })
    .await;
}

/// What a frame from somebody outside the conversation is answered with. A new frame does not compile
/// until it is stated here.
const fn stated(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::Send { .. }
        | ClientFrame::Resume { .. }
        | ClientFrame::Typing { .. }
        | ClientFrame::Read { .. } => "not_found",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_is_for_members_alone() {
    with(&[], async |app: &App| {
        let noah = app.person("noah.petersen").await;
        let (camille, priya, jonas) = (
            app.person("camille.laurent").await,
            app.person("priya.raman").await,
            app.person("jonas.vestergaard").await,
        );
        let conversation = Things::of(app, &noah, &priya, &jonas)
            .await
            .conversation
            .parse()
            .unwrap();
        let frames = [
            ClientFrame::Send {
                conversation,
                client_id: "c".into(),
                body: "x".into(),
            },
            ClientFrame::Resume {
                conversation,
                after_seq: 0,
            },
            ClientFrame::Typing { conversation },
            ClientFrame::Read {
                conversation,
                seq: 1,
            },
        ];
        for person in [&camille, &priya, &jonas] {
            let mut line = crate::socket::Line::open(app, person).await;
            for frame in &frames {
                line.send(serde_json::to_value(frame).unwrap()).await;
                assert_eq!(
                    line.next_of("error").await["code"],
                    stated(frame),
                    "{}: {frame:?}",
                    person.login
                );
            }
        }
    })
    .await;
}
