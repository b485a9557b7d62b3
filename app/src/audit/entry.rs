//! One entry with everything in it.

use axum::{extract::Path, response::Response};
use leptos::prelude::*;
use serde_json::Value;
use store::audit::{AuditQuery, NamedEntry};

use super::{
    page::{place, who},
    words,
};
use crate::{
    edge::{AppError, Visit},
    ui::{
        Badge, Card, Column, Crumb, Crumbs, Diff, Door, Fact, Facts, LinkButton, PageHead, Table,
        Time, format,
    },
};

/// `GET /console/audit/{seq}`
pub async fn show(visit: Visit, Path(seq): Path<String>) -> Result<Response, AppError> {
    let seq: i64 = seq
        .parse::<u32>()
        .map_err(|_| AppError::not_found())?
        .into();
    let store = &visit.portal.store;
    // The page that begins below the next entry begins with this one.
    let query = AuditQuery {
        cursor: Some((seq + 1).to_string()),
        limit: Some(1),
        ..AuditQuery::default()
    };
    let found = store.audit_log(&visit.viewer, &query).await?.items.pop();
    let named = found
        .filter(|named| named.entry.seq == seq)
        .ok_or_else(AppError::not_found)?;
    let last = store.audit_extent(&visit.viewer, 0).await?.last;
    let reader = visit.reader;
    visit
        .page(&format!("Entry {seq}"), Door::Audit, move || {
            let told = words::told(&named);
            let detail = words::detail(&named);
            let badge = view! { <Badge text=told.act tone=told.tone /> }.into_any();
            let sentence = match &told.why {
                Some(why) => format!("{}: {why}.", told.what),
                None => format!("{}.", told.what),
            };
            let entry = &named.entry;
            let when = (
                format::iso(entry.at),
                format!("{}, {}", reader.date(entry.at), reader.time_with_seconds(entry.at)),
            );
            let earlier = (seq > 1).then(|| format!("/console/audit/{}", seq - 1));
            let later = (seq < last).then(|| format!("/console/audit/{}", seq + 1));
            let address = entry.address.clone().unwrap_or_else(|| "None".to_owned());
            let action = entry.action.clone();
            let subject = about(&named);
            let actor = who(&named);
            let (prev, hash) = (entry.prev.to_string(), entry.hash.to_string());
            let changes = words::changes(&entry.action, &detail);
            let raw = pretty(&detail, &entry.detail);
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("Audit log", "/console/audit"), Crumb::here(format!("Entry {}", place(seq)))] />
                    <PageHead title=format!("Entry {}", place(seq)) sentence=sentence badge=badge>
                        {earlier.map(|href| view! { <LinkButton text="Earlier" href=href /> })}
                        {later.map(|href| view! { <LinkButton text="Later" href=href /> })}
                    </PageHead>
                    <div class="stack stack--loose">
                        <Card title="Who, when, what" id="facts">
                            <Facts one=true>
                                <Fact label="Who">{actor}</Fact>
                                <Fact label="When">
                                    <Time iso=when.0 text=when.1 />
                                </Fact>
                                <Fact label="Act">
                                    <span class="mono">{action}</span>
                                </Fact>
                                <Fact label="About">{subject}</Fact>
                                <Fact label="Address">{address}</Fact>
                            </Facts>
                        </Card>
                        {(!changes.is_empty()).then(|| before_and_after(changes))}
                        <Card title="Detail as it is written" id="detail">
                            <pre class="audit__raw" tabindex="0" role="group" aria-label="Detail">
                                {raw}
                            </pre>
                        </Card>
                        <Card title="Place in the chain" id="hashes">
                            <Facts one=true>
                                <Fact label="Before it">
                                    <span class="mono audit__hash">{prev}</span>
                                </Fact>
                                <Fact label="This one">
                                    <span class="mono audit__hash">{hash}</span>
                                </Fact>
                            </Facts>
                        </Card>
                    </div>
                </div>
            }
        })
        .await
}

/// About whom, with a link to people and sources.
fn about(named: &NamedEntry) -> AnyView {
    let Some(text) = words::subject(named) else {
        return "Nothing in particular".into_any();
    };
    let href = match named.entry.subject.split_once(':') {
        Some(("person", id)) if named.subject_name.is_some() => Some(format!("/people/{id}")),
        Some(("source", id)) => Some(format!("/console/sources/{id}")),
        Some(("policy", "attribute_rules")) => Some("/console/rules/history".to_owned()),
        Some(("policy", "oversight")) => Some("/console/oversight/history".to_owned()),
        _ => None,
    };
    match href {
        Some(href) => view! { <a href=href>{text}</a> }.into_any(),
        None => text.into_any(),
    }
}

fn before_and_after(changes: Vec<words::Row>) -> AnyView {
    let rows = changes
        .into_iter()
        .map(|(label, from, to)| {
            view! {
                <tr>
                    <th scope="row">{label}</th>
                    <td>
                        <Diff from=from to=to />
                    </td>
                </tr>
            }
        })
        .collect::<Vec<_>>();
    view! {
        <Table caption="What was changed" columns=vec![Column::new("What"), Column::new("Before and after")]>
            {rows}
        </Table>
    }
    .into_any()
}

/// The detail in lines; to the letter where it is no JSON.
fn pretty(detail: &Value, written: &str) -> String {
    if detail.is_null() {
        return written.to_owned();
    }
    serde_json::to_string_pretty(detail).unwrap_or_else(|_| written.to_owned())
}
