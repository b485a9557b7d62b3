//! The whole log as lines of JSON, for keeping and for verifying elsewhere.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use store::audit::ExportLine;

use crate::edge::{AppError, Visit};

/// Entries that are read at once.
const PART: u32 = 1_000;

/// `GET /console/audit/export`: recorded by the store. The log goes out part by part as it is read,
/// so that a long one does not have to fit into memory.
pub async fn export(visit: Visit) -> Result<Response, AppError> {
    let store = visit.portal.store.clone();
    let viewer = visit.viewer.clone();
    // The first part decides whether this is a file or an error.
    let first = store.export_audit(&viewer, 0, PART).await?;
    let after = last(&first);
    let first = lines(&first)?;
    let rest = stream::try_unfold(after, move |after| {
        let (store, viewer) = (store.clone(), viewer.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let part = store.export_audit(&viewer, after, PART).await?;
            let next = last(&part);
            Ok::<_, store::Error>(next.map(|next| (part, Some(next))))
        }
    });
    let rest = rest.map(|part| part.and_then(|part| lines(&part)));
    // What fails on the way cuts the file off: a file that ends well is whole.
    let rest = rest.inspect(|part| {
        if let Err(error) = part {
            tracing::error!(%error, "an export of the audit log was cut off");
        }
    });
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    let name = format!("audit-{}.jsonl", visit.reader.now.format("%Y-%m-%d"));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, body).into_response())
}

/// The last entry of a part.
fn last(part: &[ExportLine]) -> Option<i64> {
    part.iter().rev().find_map(|line| match line {
        ExportLine::Entry(entry) => Some(entry.seq),
        ExportLine::Key { .. } | ExportLine::Checkpoint(_) => None,
    })
}

fn lines(part: &[ExportLine]) -> Result<Bytes, store::Error> {
    let mut text = Vec::new();
    for line in part {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_line_for_each() {
        let key = || ExportLine::Key {
            public_key: "00".into(),
        };
        let text = lines(&[key(), key()]).expect("lines");
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert!(text.starts_with(b"{\"t\":\"key\""));
        assert_eq!(last(&[key()]), None);
    }
}
