//! Inviting somebody: the link is shown once, and the mail that would carry it is put into the
//! outbox, a folder beside the database, until mail is configured.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use axum::{extract::Path, response::Response};
use chrono::{DateTime, Utc};
use domain::EmployeeId;
use leptos::prelude::*;
use store::account::Invitation;

use crate::{
    edge::{AppError, Visit, id},
    ui::{
        Banner, Card, Crumb, Crumbs, Door, Fact, Facts, LinkButton, PageHead, Time, Tone, format,
    },
};

/// `POST /console/people/{id}/invite`: answers with the link itself, because it is kept nowhere,
/// not in the session either.
pub async fn invite(visit: Visit, Path(who): Path<String>) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let portal = visit.portal.clone();
    let invitation = portal.store.invite(&visit.viewer, who).await?;
    let link = format!(
        "{}/invitations/{}",
        portal.site.public_url, invitation.token
    );
    let mail = mail(
        &portal.site.organization,
        &portal.site.public_url,
        &invitation,
        &link,
        visit.reader.now,
    );
    let written = match mail {
        Some(mail) => {
            let random: [u8; 8] = portal.store.random();
            let name = format!(
                "{}-{:016x}.eml",
                visit.reader.now.format("%Y%m%dT%H%M%SZ"),
                u64::from_be_bytes(random)
            );
            put(portal.site.data_dir.join("outbox"), name, mail).await
        }
        None => Mail::NoAddress,
    };
    let reader = visit.reader;
    visit
        .page("Invitation", Door::Roles, move || {
            let name = invitation.person.display_name;
            let page = format!("/console/people/{who}");
            let until = (format::iso(invitation.expires_at), reader.moment(invitation.expires_at));
            let login = invitation.login;
            let mail = match written {
                Mail::Written(name) => format!("Lies in the outbox as {name}, until mail is configured."),
                Mail::NoAddress => "None: no address is known. Hand the link over yourself.".to_owned(),
                Mail::Failed => "Could not be written to the outbox. Hand the link over yourself.".to_owned(),
            };
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("People and roles", "/console/people"),
                        Crumb::link(name.clone(), page.clone()),
                        Crumb::here("Invitation"),
                    ] />
                    <PageHead title="Invitation" sentence=format!("For {name}, and for nobody else.") />
                    <div class="stack stack--loose">
                        <Banner title="This link is shown once" tone=Tone::Warning>
                            "Copy it now. Whoever has it can choose the password."
                        </Banner>
                        <div class="field">
                            <label class="field__label" for="link">
                                "One-time link"
                            </label>
                            <input class="input mono" id="link" readonly value=link />
                        </div>
                        <Card title="About it" id="about">
                            <Facts one=true>
                                <Fact label="For">{name}</Fact>
                                <Fact label="Signs in as">{login}</Fact>
                                <Fact label="Holds until">
                                    <Time iso=until.0 text=until.1 />
                                </Fact>
                                <Fact label="Mail">{mail}</Fact>
                            </Facts>
                        </Card>
                        <p>
                            <LinkButton text="Done" href=page />
                        </p>
                    </div>
                </div>
            }
        })
        .await
}

/// What became of the mail.
enum Mail {
    /// The file's name.
    Written(String),
    NoAddress,
    Failed,
}

/// Writes a mail for the portal's owner alone: the link in it is a key.
async fn put(folder: PathBuf, name: String, mail: String) -> Mail {
    let path = folder.join(&name);
    let write = move || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(mail.as_bytes())?;
        file.sync_all()
    };
    let done = tokio::task::spawn_blocking(write).await;
    match done.map_err(std::io::Error::other).flatten() {
        Ok(()) => Mail::Written(name),
        Err(error) => {
            tracing::warn!(%error, "a mail was not put into the outbox");
            Mail::Failed
        }
    }
}

/// The mail with the link (RFC 5322, its headers in UTF-8 as RFC 6532 has them); none for somebody
/// without an address.
fn mail(
    organization: &str,
    public_url: &str,
    invitation: &Invitation,
    link: &str,
    now: DateTime<Utc>,
) -> Option<String> {
    let person = &invitation.person;
    let address = person.email.as_deref()?;
    let host = public_url.split("//").last().unwrap_or_default();
    let host = host
        .split([':', '/'])
        .next()
        .filter(|host| !host.is_empty());
    let host = host.unwrap_or("localhost");
    let quoted = |name: &str| {
        let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let plain =
        |text: &str| -> String { text.chars().filter(|letter| !letter.is_control()).collect() };
    let lines = [
        format!("From: {} <no-reply@{host}>", quoted(organization)),
        format!("To: {} <{}>", quoted(&person.display_name), plain(address)),
        format!(
            "Subject: Your invitation to OPTIMUS at {}",
            plain(organization)
        ),
        format!("Date: {}", now.to_rfc2822()),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
        String::new(),
        format!("Hello {},", plain(&person.display_name)),
        String::new(),
        format!(
            "{} invites you to its portal. You sign in as {}.",
            plain(organization),
            invitation.login
        ),
        "Choose a password here:".to_owned(),
        String::new(),
        link.to_owned(),
        String::new(),
        format!(
            "The link works once, until {} UTC.",
            invitation.expires_at.format("%-d %B %Y, %H:%M")
        ),
        String::new(),
    ];
    Some(lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;
    use store::people::PersonCard;

    fn invitation(name: &str, email: Option<&str>) -> Invitation {
        Invitation {
            token: "t0ken".into(),
            expires_at: Utc.with_ymd_and_hms(2026, 11, 26, 9, 5, 0).unwrap(),
            person: PersonCard {
                id: EmployeeId(uuid::Uuid::nil()),
                display_name: name.into(),
                title: None,
                department: None,
                unit: None,
                location: None,
                email: email.map(Into::into),
                employee_number: None,
                photo: None,
                active: true,
            },
            login: "grace".into(),
        }
    }

    fn written(name: &str, email: Option<&str>) -> Option<String> {
        let now = Utc.with_ymd_and_hms(2026, 11, 19, 9, 5, 0).unwrap();
        let link = "https://portal.example:8443/invitations/t0ken";
        mail(
            "Northwind Forge",
            "https://portal.example:8443",
            &invitation(name, email),
            link,
            now,
        )
    }

    #[test]
    fn a_mail_says_who_where_and_until_when() {
        let mail =
            written("Grace Whitfield", Some("grace@northwindforge.example")).expect("a mail");
        let (head, body) = mail.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains("From: \"Northwind Forge\" <no-reply@portal.example>"));
        assert!(head.contains("To: \"Grace Whitfield\" <grace@northwindforge.example>"));
        assert!(head.contains("Date: Thu, 19 Nov 2026 09:05:00 +0000"));
        assert!(body.contains("\r\nhttps://portal.example:8443/invitations/t0ken\r\n"));
        assert!(body.contains("until 26 November 2026, 09:05 UTC"));
    }

    #[test]
    fn nothing_in_a_name_becomes_a_header() {
        let mail =
            written("Eve\r\nBcc: all@example.org \"x\"", Some("eve@example.org")).expect("a mail");
        assert!(!mail.contains("\r\nBcc"), "{mail}");
        assert!(mail.contains("\\\"x\\\""));
    }

    #[test]
    fn without_an_address_there_is_no_mail() {
        assert_eq!(written("Grace Whitfield", None), None);
    }
}
