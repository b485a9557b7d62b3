//! Plain forms: Post/Redirect/Get, with what was typed brought back.

use std::collections::BTreeMap;

use axum::{
    Form,
    extract::{FromRequest, Request},
    response::{IntoResponse, Redirect, Response},
};
use domain::Violation;
use tower_sessions::Session;

use super::{AppError, Flash, Problem};
use crate::words;

/// A posted form, field by field, in the order sent. Fields are small texts;
/// the request's size is limited before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posted {
    /// Where it was posted to.
    pub path: String,
    fields: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let path = request.uri().path().to_owned();
        let bad = |_| Violation::BadFormat {
            field: "form".into(),
            expected: "a form".into(),
        };
        let Form(fields) = Form::from_request(request, state).await.map_err(bad)?;
        Ok(Self { path, fields })
    }
}

impl Posted {
    /// A form of which nothing is brought back, such as an upload.
    #[must_use]
    pub fn nothing_kept(path: String) -> Self {
        Self {
            path,
            fields: Vec::new(),
        }
    }

    /// A field's text; empty where it was not sent.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.fields
            .iter()
            .find(|(name, _)| name == field)
            .map_or("", |(_, value)| value)
    }

    /// A field's text, if there is any in it.
    #[must_use]
    pub fn filled(&self, field: &str) -> Option<&str> {
        Some(self.get(field).trim()).filter(|text| !text.is_empty())
    }

    /// Every text sent under that name.
    pub fn all<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(name, _)| name == field)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    #[must_use]
    pub fn ticked(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    /// Every field in the order sent.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field as an id, a number, a date …
    ///
    /// # Errors
    /// [`Violation::BadFormat`] naming `expected`.
    pub fn parse<T: std::str::FromStr>(&self, field: &str, expected: &str) -> Result<T, Violation> {
        self.get(field)
            .trim()
            .parse()
            .map_err(|_| Violation::BadFormat {
                field: field.into(),
                expected: expected.into(),
            })
    }

    fn typed(&self) -> BTreeMap<String, String> {
        self.fields
            .iter()
            .filter(|(name, _)| !name.contains("password"))
            .cloned()
            .collect()
    }
}

/// Answers a form: on to `next` with `done`, or back to `form` with what was
/// typed and what is wrong. What is not there, or not the viewer's, is an error page.
///
/// # Errors
/// [`AppError`] for what a person cannot mend in the form.
pub async fn answer<T>(
    session: &Session,
    posted: &Posted,
    result: Result<T, store::Error>,
    form: &str,
    next: impl FnOnce(T) -> String,
    done: &str,
) -> Result<Response, AppError> {
    let error = match result {
        Ok(value) => {
            if !done.is_empty() {
                Flash::done(done).leave(session).await;
            }
            return Ok(Redirect::to(&next(value)).into_response());
        }
        Err(error) => error,
    };
    let problem = Problem::from(&error);
    if matches!(problem.status, 404 | 403 | 500..) && problem.code != "busy" {
        return Err(error.into());
    }
    let flash = Flash {
        message: Some(words::problem(&problem).1),
        failed: true,
        form: posted.path.clone(),
        typed: posted.typed(),
        violations: problem.violations,
    };
    flash.leave(session).await;
    Ok(Redirect::to(form).into_response())
}
