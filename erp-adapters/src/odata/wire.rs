//! What OData v2 and v4 write differently, made alike.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value as Json, json};

use crate::{
    Error,
    web::{self, malformed, percent},
};

/// Which OData the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V2,
    V4,
}

/// A piece of a list.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) rows: Vec<Json>,
    /// Where the rest is, as it stands in the answer.
    pub(crate) next: Option<String>,
    /// Where later changes will be.
    pub(crate) delta: Option<String>,
    /// How many there are in all, if it says so.
    pub(crate) count: Option<u64>,
    /// What the service's clock said.
    pub(crate) date: Option<DateTime<Utc>>,
}

impl Version {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V4 => "v4",
        }
    }

    /// What is asked for: in v4 also that decimals come as texts, or digits would be lost.
    pub(crate) const fn accept(self) -> &'static str {
        match self {
            Self::V2 => "application/json",
            Self::V4 => "application/json;IEEE754Compatible=true",
        }
    }

    /// A list's answer.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn chunk(self, body: &[u8], list: &str) -> Result<Chunk, Error> {
        let mut json = web::json(body, list)?;
        let wrong = || {
            let what = format!(
                "is not a list of OData {}; is the version right?",
                self.name()
            );
            malformed(list, "the answer", &what)
        };
        let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        let mut chunk = Chunk::default();
        let rows = match self {
            Self::V2 => {
                let mut data = json.get_mut("d").map(Json::take).ok_or_else(wrong)?;
                chunk.next = text(&data, "__next");
                chunk.count = data.get("__count").and_then(whole);
                match data.get_mut("results") {
                    Some(rows) => rows.take(),
                    // As OData 1 wrote lists.
                    None => data,
                }
            }
            Self::V4 => {
                chunk.next = text(&json, "@odata.nextLink");
                chunk.delta = text(&json, "@odata.deltaLink");
                chunk.count = json.get("@odata.count").and_then(whole);
                json.get_mut("value").map(Json::take).ok_or_else(wrong)?
            }
        };
        let Json::Array(rows) = rows else {
            return Err(wrong());
        };
        chunk.rows = rows.into_iter().filter(|row| !is_removed(row)).collect();
        chunk.rows.iter_mut().for_each(|row| self.plain(row));
        Ok(chunk)
    }

    /// One record's answer.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn record(self, body: &[u8], what: &str) -> Result<Json, Error> {
        let mut json = web::json(body, what)?;
        let mut record = match self {
            Self::V2 => json.get_mut("d").map(Json::take).unwrap_or_default(),
            Self::V4 => json,
        };
        self.plain(&mut record);
        Ok(record)
    }

    /// Takes off what is about the protocol: `__metadata`, `__deferred` and
    /// `@odata.` notes go, `{results: […]}` becomes the list, `/Date(…)/` a date.
    pub(crate) fn plain(self, value: &mut Json) {
        match value {
            Json::Object(fields) => {
                fields.retain(|name, value| {
                    !(name.contains("@odata.")
                        || self == Self::V2 && (name == "__metadata" || is_deferred(value)))
                });
                if self == Self::V2 && fields.len() == 1 && fields.contains_key("results") {
                    *value = fields.remove("results").unwrap_or_default();
                    return self.plain(value);
                }
                fields.values_mut().for_each(|field| self.plain(field));
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.plain(item)),
            Json::String(text) if self == Self::V2 => {
                if let Some(date) = date(text) {
                    *text = date;
                }
            }
            _ => {}
        }
    }

    /// A moment as a filter compares it. In v2 the type has to be named: what
    /// was written with a zone is a `datetimeoffset`, what without, a `datetime`.
    pub(crate) fn literal(self, mark: &str) -> String {
        match self {
            Self::V2 if mark.ends_with('Z') => format!("datetimeoffset'{mark}'"),
            Self::V2 => format!("datetime'{mark}'"),
            Self::V4 => mark.to_owned(),
        }
    }
}

/// A number, or a text that is one: v2 writes counts as texts.
fn whole(value: &Json) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// An entry of a delta that says what is gone. Whoever is gone is seen by the ids.
fn is_removed(row: &Json) -> bool {
    row.get("@removed").is_some()
        || row
            .get("@odata.context")
            .and_then(Json::as_str)
            .is_some_and(|context| context.ends_with("$deletedEntity"))
}

fn is_deferred(value: &Json) -> bool {
    value.get("__deferred").is_some()
}

/// `/Date(1767261600000+0060)/` as `2026-01-01T10:00:00Z`, and without an offset
/// without the `Z`. The milliseconds are UTC in both; the offset is only where it was written.
fn date(text: &str) -> Option<String> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let sign = inner
        .char_indices()
        .skip(1)
        .find(|(_, c)| "+-".contains(*c));
    let (millis, zoned) = sign.map_or((inner, false), |(at, _)| (&inner[..at], true));
    let at = DateTime::from_timestamp_millis(millis.parse().ok()?)?;
    let form = if at.timestamp_subsec_millis() == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Millis
    };
    let mut text = at.to_rfc3339_opts(form, true);
    if !zoned {
        text.pop();
    }
    Some(text)
}

/// The fields and relations that are wanted, as a tree: `manager/userId` is `userId` below `manager`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    fields: Vec<String>,
    relations: Vec<(String, Wanted)>,
}

impl Wanted {
    /// Wants the relation at `path` (`empInfo/jobInfoNav`) with all its fields, until some are named.
    pub(crate) fn relation(&mut self, path: &str) {
        self.at(path);
    }

    /// The paths of all relations, the longest of each branch.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (name, below) in &self.relations {
            let further = below.paths();
            if further.is_empty() {
                paths.push(name.clone());
            }
            paths.extend(further.iter().map(|path| format!("{name}/{path}")));
        }
        paths
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.split('/')
            .filter(|name| !name.is_empty())
            .fold(self, |node, name| {
                let found = node.relations.iter().position(|(known, _)| known == name);
                let at = found.unwrap_or_else(|| {
                    node.relations.push((name.to_owned(), Self::default()));
                    node.relations.len() - 1
                });
                &mut node.relations[at].1
            })
    }

    /// Wants what a mapping reads at `from`, a pointer or the name of a field.
    /// What stands below something that is no relation is part of a field.
    pub(crate) fn field(&mut self, from: &str) {
        let pointer = from.strip_prefix('/');
        let parts: Vec<String> = match pointer {
            Some(pointer) => pointer
                .split('/')
                .filter(|part| part.parse::<usize>().is_err())
                .map(|part| part.replace("~1", "/").replace("~0", "~"))
                .collect(),
            None => vec![from.to_owned()],
        };
        let mut node = self;
        for part in parts {
            let relation = node.relations.iter().position(|(name, _)| *name == part);
            match relation {
                Some(at) => node = &mut node.relations[at].1,
                None => {
                    if !part.is_empty() && !node.fields.contains(&part) {
                        node.fields.push(part);
                    }
                    return;
                }
            }
        }
    }

    /// `$select` and `$expand` as they stand in the query, not yet escaped.
    /// With `narrow` false every field is asked for, whatever is wanted.
    pub(crate) fn options(&self, version: Version, narrow: bool) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        let (mut select, mut expand) = (Vec::new(), Vec::new());
        match version {
            Version::V4 => {
                select.clone_from(&self.fields);
                expand = self
                    .relations
                    .iter()
                    .map(|(name, below)| below.v4(name, narrow))
                    .collect();
            }
            Version::V2 => self.v2("", &mut select, &mut expand),
        }
        // Without a field of its own, a record would come as its relations alone.
        if narrow && !self.fields.is_empty() {
            options.push(("$select", select.join(",")));
        }
        if !expand.is_empty() {
            options.push(("$expand", expand.join(",")));
        }
        options
    }

    fn v4(&self, name: &str, narrow: bool) -> String {
        let mut inner = Vec::new();
        if narrow && !self.fields.is_empty() {
            inner.push(format!("$select={}", self.fields.join(",")));
        }
        if !self.relations.is_empty() {
            let below: Vec<_> = self
                .relations
                .iter()
                .map(|(name, below)| below.v4(name, narrow))
                .collect();
            inner.push(format!("$expand={}", below.join(",")));
        }
        if inner.is_empty() {
            name.to_owned()
        } else {
            format!("{name}({})", inner.join(";"))
        }
    }

    fn v2(&self, prefix: &str, select: &mut Vec<String>, expand: &mut Vec<String>) {
        select.extend(self.fields.iter().map(|name| format!("{prefix}{name}")));
        for (name, below) in &self.relations {
            let path = format!("{prefix}{name}");
            if below.fields.is_empty() && below.relations.is_empty() {
                select.push(path.clone());
            }
            if below.relations.is_empty() || !below.fields.is_empty() {
                expand.push(path.clone());
            }
            below.v2(&format!("{path}/"), select, expand);
        }
    }
}

/// A path with its query: `User?$select=userId&$top=1`.
pub(crate) fn query(set: &str, options: &[(&str, String)], extra: &str) -> String {
    let mut parts: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{name}={}", percent(value, "$(),'/:;=@*")))
        .collect();
    parts.extend((!extra.is_empty()).then(|| extra.to_owned()));
    if parts.is_empty() {
        return set.to_owned();
    }
    let sign = if set.contains('?') { '&' } else { '?' };
    format!("{set}{sign}{}", parts.join("&"))
}

/// A path with an id in the place of `{id}`; a `'` is doubled, as OData writes it.
pub(crate) fn person(template: &str, id: &str) -> String {
    template.replace("{id}", &percent(&id.replace('\'', "''"), "'"))
}

/// What came back for one question of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

const BOUNDARY: &str = "batch_optimus";

/// Several reads as one question: its media type and body. As JSON (OData v4.01,
/// 19) or as `multipart/mixed` (OData v2 and v4, 11.7).
pub(crate) fn batch(paths: &[String], as_json: bool, accept: &str) -> (String, Vec<u8>) {
    if as_json {
        let ask = |(at, path): (usize, &String)| {
            let headers = json!({"accept": accept});
            json!({"id": at.to_string(), "method": "GET", "url": path, "headers": headers})
        };
        let asks: Vec<_> = paths.iter().enumerate().map(ask).collect();
        let body = json!({"requests": asks}).to_string();
        return ("application/json".into(), body.into_bytes());
    }
    let mut body = String::new();
    for path in paths {
        body += &format!(
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             GET {path} HTTP/1.1\r\nAccept: {accept}\r\n\r\n\r\n"
        );
    }
    body += &format!("--{BOUNDARY}--\r\n");
    (
        format!("multipart/mixed; boundary={BOUNDARY}"),
        body.into_bytes(),
    )
}

/// The answers of a batch of `asked` questions in the order of those.
///
/// # Errors
/// [`Error::Malformed`] for anything but one answer a question.
pub(crate) fn parts(body: &[u8], as_json: bool, asked: usize) -> Result<Vec<Part>, Error> {
    let parts = if as_json {
        json_parts(&web::json(body, "$batch")?)
    } else {
        multipart(body)
    };
    parts.filter(|parts| parts.len() == asked).ok_or_else(|| {
        malformed(
            "$batch",
            "the answer",
            "holds something else than one answer to each question",
        )
    })
}

fn json_parts(json: &Json) -> Option<Vec<Part>> {
    let responses = json.get("responses")?.as_array()?;
    let mut parts: Vec<(usize, Part)> = Vec::with_capacity(responses.len());
    for response in responses {
        let at = response.get("id")?.as_str()?.parse().ok()?;
        let status = response.get("status")?.as_u64()?;
        let body = match response.get("body") {
            None => Vec::new(),
            Some(Json::String(text)) => text.clone().into_bytes(),
            Some(body) => body.to_string().into_bytes(),
        };
        let status = u16::try_from(status).ok()?;
        parts.push((at, Part { status, body }));
    }
    parts.sort_by_key(|(at, _)| *at);
    Some(parts.into_iter().map(|(_, part)| part).collect())
}

/// The boundary is the first line: whatever the header says, the body begins with it.
fn multipart(body: &[u8]) -> Option<Vec<Part>> {
    let text = std::str::from_utf8(body).ok()?;
    let text = text.trim_start();
    let boundary = text.lines().next()?.trim_end();
    if !boundary.starts_with("--") || boundary.len() < 3 {
        return None;
    }
    let mut parts = Vec::new();
    for piece in text.split(boundary).skip(1) {
        if piece.starts_with("--") {
            return Some(parts);
        }
        // Headers of the part, status line and headers of the answer, body.
        let piece = piece.replace("\r\n", "\n");
        let (_, answer) = piece.split_once("\n\n")?;
        let (head, body) = answer
            .trim_start()
            .split_once("\n\n")
            .unwrap_or((answer, ""));
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        let body = body.trim().as_bytes().to_vec();
        parts.push(Part { status, body });
    }
    // No closing boundary: the answer broke off.
    None
}

/// A record of which there are several, each for a time.
#[derive(Debug, PartialEq)]
pub(crate) struct Effective {
    /// The one that counts.
    pub(crate) row: Json,
    /// The day on which it begins, if it is not there yet.
    pub(crate) begins: Option<NaiveDate>,
    /// The last day of the last one, if it ends.
    pub(crate) ends: Option<NaiveDate>,
}

/// Of rows with `startDate`, `endDate` and `seqNumber`, the one that counts
/// `today`: of those that have begun and not ended the newest, of several that
/// begin on one day the highest number. If none has begun, the next to begin;
/// if all are over, the last.
pub(crate) fn effective(rows: &[Json], today: NaiveDate) -> Option<Effective> {
    let day = |row: &Json, field: &str| {
        let text = row.get(field)?.as_str()?;
        NaiveDate::parse_and_remainder(text, "%Y-%m-%d")
            .ok()
            .map(|(day, _)| day)
    };
    let number = |row: &Map<String, Json>| row.get("seqNumber").and_then(whole).unwrap_or(0);
    let mut dated: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let end = day(row, "endDate").unwrap_or(NaiveDate::MAX);
            Some((day(row, "startDate")?, number(row.as_object()?), end, row))
        })
        .collect();
    dated.sort_by_key(|(start, number, ..)| (*start, *number));
    let begun = |(start, ..): &&(NaiveDate, u64, NaiveDate, &Json)| *start <= today;
    let now = dated.iter().rfind(|row| begun(row) && row.2 >= today);
    let first_ahead = dated.iter().find(|row| !begun(row)).map(|row| row.0);
    let ahead = || dated.iter().rfind(|row| Some(row.0) == first_ahead);
    let (start, _, _, row) = now.or_else(ahead).or(dated.last())?;
    let last = dated.iter().map(|row| row.2).max()?;
    Some(Effective {
        row: (*row).clone(),
        begins: (*start > today).then_some(*start),
        // Year 9999 is how a date without end is written.
        ends: (last < NaiveDate::from_ymd_opt(9000, 1, 1)?).then_some(last),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v2_answer_is_made_plain() {
        let body = json!({"d": {"__count": "57", "__next": "http://x/User?$skiptoken=1", "results": [{
            "__metadata": {"uri": "u"},
            "userId": "u1",
            "hireDate": "/Date(1767261600000+0060)/",
            "changed": "/Date(1767261600123)/",
            "before": "/Date(-86400000)/",
            "pay": "1000000000000.01",
            "manager": {"__deferred": {"uri": "u"}},
            "jobs": {"results": [{"__metadata": {}, "start": "/Date(0)/"}]},
            "none": {"results": []},
            "note": "/Date(soon)/",
        }]}});
        let chunk = Version::V2
            .chunk(body.to_string().as_bytes(), "User")
            .expect("a chunk");
        assert_eq!(
            (chunk.count, chunk.next.as_deref()),
            (Some(57), Some("http://x/User?$skiptoken=1"))
        );
        insta::assert_json_snapshot!(chunk.rows, @r#"
        [
          {
            "before": "1969-12-31T00:00:00",
            "changed": "2026-01-01T10:00:00.123",
            "hireDate": "2026-01-01T10:00:00Z",
            "jobs": [
              {
                "start": "1970-01-01T00:00:00"
              }
            ],
            "none": [],
            "note": "/Date(soon)/",
            "pay": "1000000000000.01",
            "userId": "u1"
          }
        ]
        "#);
        for list in [
            r#"{"d":[{"userId":"u1"}]}"#,
            r#"{"d":{"results":[{"userId":"u1"}]}}"#,
        ] {
            let chunk = Version::V2.chunk(list.as_bytes(), "User").expect("a chunk");
            assert_eq!(chunk.rows, [json!({"userId": "u1"})]);
        }
    }

    #[test]
    fn a_v4_answer_is_made_plain() {
        let body = json!({
            "@odata.context": "$metadata#User", "@odata.count": 57, "@odata.nextLink": "User?$skiptoken=1",
            "@odata.deltaLink": "User?$deltatoken=2",
            "value": [
                {"@odata.etag": "W/1", "userId": "u1", "manager": {"@odata.id": "x", "userId": "u0"}, "manager@odata.navigationLink": "y"},
                {"@odata.context": "$metadata#User/$deletedEntity", "id": "u2", "reason": "deleted"},
                {"@removed": {"reason": "deleted"}, "id": "u3"},
            ],
        });
        let chunk = Version::V4
            .chunk(body.to_string().as_bytes(), "User")
            .expect("a chunk");
        assert_eq!(
            chunk.rows,
            [json!({"userId": "u1", "manager": {"userId": "u0"}})]
        );
        assert_eq!(
            (chunk.count, chunk.delta.as_deref()),
            (Some(57), Some("User?$deltatoken=2"))
        );
    }

    #[test]
    fn the_other_version_and_half_an_answer_are_told_apart() {
        let said = |version: Version, body: &str| {
            let chunk = version.chunk(body.as_bytes(), "User");
            chunk.expect_err("malformed").to_string()
        };
        assert!(said(Version::V4, r#"{"d":{"results":[]}}"#).contains("is the version right?"));
        assert!(said(Version::V2, r#"{"value":[]}"#).contains("is the version right?"));
        assert!(said(Version::V4, r#"{"value":[{"userId":"u"#).contains("breaks off"));
        assert!(said(Version::V4, "<html>").contains("is not JSON"));
    }

    #[test]
    fn a_v2_filter_names_the_type_of_a_time() {
        for (mark, literal) in [
            (
                "2026-04-30T23:50:00Z",
                "datetimeoffset'2026-04-30T23:50:00Z'",
            ),
            ("2026-04-30T23:50:00", "datetime'2026-04-30T23:50:00'"),
        ] {
            assert_eq!(Version::V2.literal(mark), literal);
            assert_eq!(Version::V4.literal(mark), mark);
        }
    }

    #[test]
    fn what_is_wanted_is_asked_for_in_either_version() {
        let mut wanted = Wanted::default();
        for path in ["manager", "empInfo/jobInfoNav"] {
            wanted.relation(path);
        }
        for from in [
            "userId",
            "/manager/userId",
            "/empInfo/jobInfoNav/jobTitle",
            "/address/city",
            "/tags/0",
            "userId",
        ] {
            wanted.field(from);
        }
        let said = |version, narrow| {
            let options = wanted.options(version, narrow);
            options
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert_eq!(
            said(Version::V4, true),
            "$select=userId,address,tags&$expand=manager($select=userId),empInfo($expand=jobInfoNav($select=jobTitle))"
        );
        assert_eq!(
            said(Version::V2, true),
            "$select=userId,address,tags,manager/userId,empInfo/jobInfoNav/jobTitle&$expand=manager,empInfo/jobInfoNav"
        );
        assert_eq!(
            said(Version::V4, false),
            "$expand=manager,empInfo($expand=jobInfoNav)"
        );
        assert_eq!(
            said(Version::V2, false),
            "$expand=manager,empInfo/jobInfoNav"
        );
    }

    #[test]
    fn an_id_cannot_leave_its_place() {
        assert_eq!(person("User('{id}')", "o'neil"), "User('o''neil')");
        assert_eq!(
            person("User('{id}')", "../a?b#c/d"),
            "User('..%2Fa%3Fb%23c%2Fd')"
        );
    }

    #[test]
    fn a_batch_is_read_in_the_order_asked() {
        let paths = ["User/$count".to_owned(), "Nothing".to_owned()];
        let (media_type, body) = batch(&paths, false, "application/json");
        assert_eq!(media_type, "multipart/mixed; boundary=batch_optimus");
        insta::assert_snapshot!(String::from_utf8_lossy(&body).replace('\r', ""), @"
        --batch_optimus
        Content-Type: application/http
        Content-Transfer-Encoding: binary

        GET User/$count HTTP/1.1
        Accept: application/json


        --batch_optimus
        Content-Type: application/http
        Content-Transfer-Encoding: binary

        GET Nothing HTTP/1.1
        Accept: application/json


        --batch_optimus--
        ");
        let part = |status: u16, body: &str| Part {
            status,
            body: body.into(),
        };
        let answer = "--x_1\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n57\r\n\
                      --x_1\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n\r\n--x_1--\r\n";
        let parted = parts(answer.as_bytes(), false, 2);
        assert_eq!(parted, Ok(vec![part(200, "57"), part(404, "")]));
        let broken = &answer[..answer.len() - 12];
        assert!(parts(broken.as_bytes(), false, 2).is_err());
        let (_, body) = batch(&paths, true, "application/json");
        insta::assert_snapshot!(String::from_utf8_lossy(&body), @r#"{"requests":[{"headers":{"accept":"application/json"},"id":"0","method":"GET","url":"User/$count"},{"headers":{"accept":"application/json"},"id":"1","method":"GET","url":"Nothing"}]}"#);
        let answer = r#"{"responses":[{"id":"1","status":404},{"id":"0","status":200,"body":57}]}"#;
        let parted = parts(answer.as_bytes(), true, 2);
        assert_eq!(parted, Ok(vec![part(200, "57"), part(404, "")]));
        assert!(parts(answer.as_bytes(), true, 3).is_err());
    }

    #[test]
    fn of_dated_rows_the_one_of_today_counts() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let row = |start: &str, end: &str, number: u64, title: &str| json!({"startDate": format!("{start}T00:00:00"), "endDate": end, "seqNumber": number.to_string(), "jobTitle": title});
        let rows = [
            row("2026-06-01", "9999-12-31", 1, "Head"),
            row("2020-01-01", "2023-12-31", 1, "Apprentice"),
            row("2024-01-01", "2026-05-31", 2, "Smith"),
            row("2024-01-01", "2026-05-31", 1, "Wrong"),
        ];
        let on = |today: &str| {
            let found = effective(&rows, day(today)).expect("one");
            let title = found.row["jobTitle"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            (title, found.begins, found.ends)
        };
        assert_eq!(on("2026-05-31"), ("Smith".into(), None, None));
        assert_eq!(on("2026-06-01"), ("Head".into(), None, None));
        assert_eq!(
            on("2019-12-31"),
            ("Apprentice".into(), Some(day("2020-01-01")), None)
        );
        let over = effective(&rows[1..], day("2026-06-01")).expect("one");
        assert_eq!((over.begins, over.ends), (None, Some(day("2026-05-31"))));
        assert_eq!(over.row["jobTitle"], "Smith");
        assert_eq!(
            effective(&[json!({"jobTitle": "x"})], day("2026-06-01")),
            None
        );
    }
}
