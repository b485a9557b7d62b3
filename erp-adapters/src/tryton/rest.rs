//! Tryton's REST door: questions, answers, and the forms of its values.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Timelike as _, Utc};
use reqwest::{
    Method,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};

use crate::{
    Error, Guard,
    net::{Answer, Http},
};

/// A record, or a part of one.
pub(super) type Row = Map<String, Json>;

const CONTEXT: HeaderName = HeaderName::from_static("x-tryton-context");
const TRIES: u32 = 3;
/// How long a pull waits of its own accord, when Tryton asks for a rest.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One database of a Tryton.
#[derive(Debug)]
pub(super) struct Rest {
    http: Http,
    headers: HeaderMap,
    database: String,
}

/// What is asked of a model.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) model: &'a str,
    pub(super) domain: Json,
    pub(super) fields: &'a [&'a str],
    /// `active_test`, `company`.
    pub(super) context: Json,
    /// The most rows in an answer.
    pub(super) limit: usize,
}

/// Some rows, and Tryton's own time when it answered.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) at: Option<DateTime<Utc>>,
}

/// Tryton's error; `description` may say more than people should be told.
#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    message: String,
}

impl Rest {
    pub(super) fn new(guard: &Guard, url: &str, database: &str, key: &str) -> Result<Self, Error> {
        let http = guard.open("url", url)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if database.starts_with('.') || !database.chars().all(plain) {
            return Err(Error::setting(
                "database",
                "holds characters that no database name has",
            ));
        }
        let mut key = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| Error::setting("key", "holds characters that no key has"))?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, key);
        // What it says no with is told apart by its English text.
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        Ok(Self {
            http,
            headers,
            database: database.to_owned(),
        })
    }

    fn path(&self, model: &str, rest: &str) -> String {
        format!("{}/rest/model/{model}{rest}", self.database)
    }

    fn headers(&self, context: &Json) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Ok(context) = HeaderValue::try_from(encode(context)) {
            headers.insert(CONTEXT, context);
        }
        headers
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Option<&Json>,
    ) -> Result<Answer, Error> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(|body| body.to_string().into_bytes());
        self.http
            .ask(method, self.http.below(path)?, headers, body)
            .await
    }

    /// A question that only reads, tried again while that makes sense.
    async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        model: &str,
        rest: &str,
        context: &Json,
        body: Option<&Json>,
    ) -> Result<(T, Option<DateTime<Utc>>), Error> {
        let path = self.path(model, rest);
        let mut tries = 1;
        loop {
            let answer = self
                .ask(method.clone(), &path, self.headers(context), body)
                .await;
            let error = match answer.and_then(|answer| judge(answer, model, "read")) {
                Ok((bytes, at)) => {
                    let strange = |_| malformed(model, "the answer", "is not what Tryton answers");
                    return serde_json::from_slice(&bytes)
                        .map(|told| (told, at))
                        .map_err(strange);
                }
                Err(error) => error,
            };
            let pause = match &error {
                Error::RateLimited { retry_after } => retry_after.unwrap_or(LONGEST_WAIT),
                Error::Unreachable { .. } => Duration::from_millis(500) * tries,
                _ => return Err(error),
            };
            if tries == TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// The rows that come first by id.
    pub(super) async fn rows(&self, question: &Question<'_>) -> Result<Rows, Error> {
        let mut rest = format!(
            "?s={}&o={}&d={}",
            question.limit,
            encode(&json!([["id", "ASC"]])),
            encode(&question.domain)
        );
        for field in question.fields {
            rest += "&f=";
            rest += field;
        }
        let (rows, at) = self
            .read(Method::GET, question.model, &rest, &question.context, None)
            .await?;
        Ok(Rows { rows, at })
    }

    /// The rows after `after`, and the id of the last; none at the end.
    ///
    /// Pages go by id, so nobody is missed who is there all the time, and an
    /// answer with fewer rows than asked for need not be the last.
    pub(super) async fn after(
        &self,
        question: &Question<'_>,
        after: i64,
    ) -> Result<Option<(Rows, i64)>, Error> {
        let page = Question {
            domain: json!([["id", ">", after], question.domain]),
            ..question.clone()
        };
        let rows = self.rows(&page).await?;
        let mut last = after;
        for row in &rows.rows {
            // Else the same page would come for ever.
            last = id(row).filter(|id| *id > last).ok_or_else(|| {
                malformed(
                    question.model,
                    "id",
                    "does not follow the order that was asked for",
                )
            })?;
        }
        Ok((!rows.rows.is_empty()).then_some((rows, last)))
    }

    /// Every row, page after page.
    pub(super) async fn all(&self, question: &Question<'_>) -> Result<Vec<Row>, Error> {
        let (mut all, mut after) = (Vec::new(), 0);
        while let Some((page, last)) = self.after(question, after).await? {
            all.extend(page.rows);
            after = last;
        }
        Ok(all)
    }

    /// How many there are, inactive ones included.
    pub(super) async fn count(&self, model: &str) -> Result<u64, Error> {
        let context = json!({"active_test": false});
        let (count, _) = self
            .read(
                Method::POST,
                model,
                "/search_count",
                &context,
                Some(&json!({"domain": []})),
            )
            .await?;
        Ok(count)
    }

    /// The record `id`, or none if there is none.
    pub(super) async fn one(
        &self,
        model: &str,
        id: i64,
        fields: &[&str],
    ) -> Result<Option<Row>, Error> {
        let question = Question {
            model,
            domain: json!([["id", "=", id]]),
            fields,
            context: json!({"active_test": false}),
            limit: 1,
        };
        Ok(self.rows(&question).await?.rows.into_iter().next())
    }

    /// Changes the record `id`. Not tried again: it may have been done.
    pub(super) async fn put(&self, model: &str, id: i64, values: &Json) -> Result<(), Error> {
        self.write(Method::PUT, model, &format!("/{id}?f=id"), values)
            .await
    }

    /// Makes a record.
    pub(super) async fn create(&self, model: &str, values: &Json) -> Result<(), Error> {
        self.write(Method::POST, model, "?f=id", values).await
    }

    async fn write(
        &self,
        method: Method,
        model: &str,
        rest: &str,
        values: &Json,
    ) -> Result<(), Error> {
        let path = self.path(model, rest);
        let answer = self
            .ask(method, &path, self.headers.clone(), Some(values))
            .await?;
        judge(answer, model, "write").map(drop)
    }
}

fn encode(value: &Json) -> String {
    general_purpose::URL_SAFE.encode(value.to_string())
}

/// The body of a good answer, or what the other kinds of answer mean.
fn judge(
    answer: Answer,
    model: &str,
    what: &str,
) -> Result<(Vec<u8>, Option<DateTime<Utc>>), Error> {
    let rejected = |what: String| Err(Error::Rejected { what });
    let forbidden = Error::Forbidden {
        what: match what {
            "read" => model.to_owned(),
            _ => format!("{what} {model}"),
        },
    };
    match answer.status.as_u16() {
        200 if answer.media_type == "application/json" => Ok((answer.body, answer.date)),
        // A record that may be written and not be read.
        204 if what == "write" => Ok((Vec::new(), answer.date)),
        200 => Err(malformed(model, "the answer", "is a page and not data; is this the address of Tryton itself?")),
        400 => {
            let said: Complaint = serde_json::from_slice(&answer.body).unwrap_or_default();
            match one_line(&said.message) {
                // Reading takes nothing that could be wrong, but for rights.
                Some(line) if line.starts_with("You are not allowed") => Err(forbidden),
                // Read by people who have never heard of models.
                Some(line) if what == "write" => rejected(format!("refused it: {line}")),
                Some(line) => rejected(format!("refused to {what} {model}: {line}")),
                None => rejected(format!("refused to {what} {model}")),
            }
        }
        401 => Err(Error::Unauthorized),
        403 => Err(forbidden),
        404 if what == "write" => rejected("has no such record any more".to_owned()),
        404 => rejected("has no REST door for this database; it must be Tryton 8 or newer, and the database's name right".into()),
        408 | 502..=504 => Err(Error::Unreachable { what: format!("answers {}", answer.status.as_u16()) }),
        429 => Err(Error::RateLimited { retry_after: answer.retry_after }),
        status => rejected(format!("failed with {status} while asked to {what} {model}; its own log says why")),
    }
}

fn one_line(message: &str) -> Option<String> {
    let line: String = message
        .lines()
        .next()?
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

pub(super) fn malformed(record: &str, field: &str, what: &str) -> Error {
    Error::Malformed {
        record: record.to_owned(),
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

/// Keeps "may not" as an answer, and lets everything else end what is under way.
pub(super) fn allowed<T>(result: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Err(error) if !matches!(error, Error::Forbidden { .. }) => Err(error),
        result => Ok(result),
    }
}

pub(super) fn id(row: &Row) -> Option<i64> {
    row.get("id")?.as_i64().filter(|id| *id > 0)
}

/// `party.lang` of a row whose field `party` was asked for in parts.
pub(super) fn part<'a>(row: &'a Row, path: &str) -> Option<&'a Json> {
    let mut names = path.split('.');
    let first = row.get(names.next()?)?;
    names.try_fold(first, |at, name| at.get(name))
}

pub(super) fn text<'a>(row: &'a Row, path: &str) -> Option<&'a str> {
    part(row, path)?.as_str().filter(|text| !text.is_empty())
}

/// The records of a field that holds several.
pub(super) fn parts<'a>(row: &'a Row, path: &str) -> impl Iterator<Item = &'a Row> {
    part(row, path)
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_object)
}

/// What a reference points to: an id, or a record with one.
pub(super) fn reference(row: &Row, path: &str) -> Option<i64> {
    let value = part(row, path)?;
    value.as_i64().or_else(|| id(value.as_object()?))
}

fn class<'a>(value: &'a Json, name: &str) -> Option<&'a Row> {
    value
        .as_object()
        .filter(|row| row.get("__class__").and_then(Json::as_str) == Some(name))
}

fn number(row: &Row, field: &str) -> Option<u32> {
    u32::try_from(row.get(field)?.as_u64()?).ok()
}

/// `{"__class__": "date", "year": 2026, "month": 3, "day": 1}`.
pub(super) fn date(value: &Json) -> Option<NaiveDate> {
    calendar(class(value, "date")?)
}

fn calendar(row: &Row) -> Option<NaiveDate> {
    let year = i32::try_from(row.get("year")?.as_i64()?).ok()?;
    NaiveDate::from_ymd_opt(year, number(row, "month")?, number(row, "day")?)
}

/// `{"__class__": "datetime", "year": 2026, …, "second": 4, "microsecond": 0}`, in UTC.
pub(super) fn moment(value: &Json) -> Option<NaiveDateTime> {
    let row = class(value, "datetime")?;
    calendar(row)?.and_hms_micro_opt(
        number(row, "hour")?,
        number(row, "minute")?,
        number(row, "second")?,
        number(row, "microsecond")?,
    )
}

/// The other way round.
pub(super) fn as_moment(at: NaiveDateTime) -> Json {
    json!({
        "__class__": "datetime", "year": at.year(), "month": at.month(), "day": at.day(),
        "hour": at.hour(), "minute": at.minute(), "second": at.second(), "microsecond": at.nanosecond() / 1_000,
    })
}

/// `{"__class__": "Decimal", "decimal": "100.00"}`: exact, never a float.
pub(super) fn decimal(value: &Json) -> Option<Decimal> {
    let text = class(value, "Decimal")?.get("decimal")?.as_str()?;
    let mut amount = Decimal::from_str_exact(text).ok()?;
    if amount.is_zero() {
        // `-0.00` is what a debt that was paid adds up to.
        amount.set_sign_positive(true);
    }
    Some(amount)
}

/// `{"__class__": "bytes", "base64": "…"}`, in lines.
pub(super) fn bytes(value: &Json) -> Option<Vec<u8>> {
    let text = class(value, "bytes")?.get("base64")?.as_str()?;
    let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    general_purpose::STANDARD.decode(dense).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        let at = json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 22, "hour": 0, "minute": 25, "second": 34, "microsecond": 226951});
        let read = moment(&at).expect("a moment");
        assert_eq!(read.to_string(), "2026-11-22 00:25:34.226951");
        assert_eq!(as_moment(read), at);
        let day = json!({"__class__": "date", "year": 2026, "month": 2, "day": 30});
        assert_eq!(date(&day), None, "there is no such day");
        let money = |text: &str| decimal(&json!({"__class__": "Decimal", "decimal": text}));
        assert_eq!(money("-0.00").expect("money").to_string(), "0.00");
        assert_eq!(
            money("1234567890123.45").expect("money").to_string(),
            "1234567890123.45"
        );
        assert_eq!(money("NaN"), None);
        assert_eq!(decimal(&json!(1.5)), None, "a float is no money");
        let image = json!({"__class__": "bytes", "base64": "/9j/\n4AAQ\n"});
        assert_eq!(bytes(&image), Some(vec![0xff, 0xd8, 0xff, 0xe0, 0, 0x10]));
    }
}
