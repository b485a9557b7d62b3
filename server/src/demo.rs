//! The demo company: Northwind Forge, read from a CSV folder like any other, with accounts, rules and a
//! few days of talk, all through the verbs that everybody uses.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::TimeDelta;
use domain::{
    Attribute, EmployeeId, Role, Roles, UnitId, Viewer,
    review::{Notice, Oversight, OversightRule, When},
    sourcing::{Rule, Rules, Strength},
};
use erp_adapters::Guard;
use serde::Serialize;
use store::{
    Store,
    account::{Account, NewAccount},
    chat::NewConversation,
    people::PersonCard,
    run::Phase,
    source::NewSource,
};

use crate::{clock::Story, data_dir::DataDir, jobs::Driver};

/// The demo company's name.
pub const ORGANIZATION: &str = "Northwind Forge";
/// The password of everybody in it. It is printed, so it protects nothing: the demo holds nothing of anybody.
pub const PASSWORD: &str = "anvil-harbour-copper-lantern-47";
const SOURCE: &str = "Northwind ERP";
/// Of the mail addresses of its people.
const HOST: &str = "northwindforge.example";

/// One of the cast, as `demo cast --json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// The name to sign in with.
    pub login: String,
    /// The password that the demo gave.
    pub password: &'static str,
    /// Who.
    pub employee_id: EmployeeId,
    /// The name shown.
    pub name: String,
    /// The job title shown.
    pub title: Option<String>,
    /// The superior.
    pub manager_id: Option<EmployeeId>,
    /// The roles.
    pub roles: Roles,
}

/// Who is trusted with what, by login.
fn roles(login: &str) -> Roles {
    let roles: &[Role] = match login {
        "miriam.osei" => &[Role::Hr],
        "samir.haddad" => &[Role::ComplianceOfficer],
        "jonas.vestergaard" => &[Role::PolicyAdministrator, Role::SystemAdministrator],
        "tariq.mansour" => &[Role::SystemAdministrator],
        _ => &[],
    };
    roles.iter().copied().collect()
}

fn system() -> Viewer {
    Viewer::system("demo")
}

/// Makes what of the demo company is not there yet. On a database that has it all, some reads.
///
/// # Errors
/// When the folder cannot be written or a verb fails.
pub async fn prepare(
    store: &Store,
    data_dir: &DataDir,
    guard: &Guard,
    story: &Story,
) -> anyhow::Result<()> {
    found(store, data_dir, guard, story).await?;
    let people = People::of(store).await?;
    open_accounts(store, &people).await?;
    let grace = people.viewer("grace.whitfield")?;
    if store.conversations(&grace).await?.is_empty() {
        talk(store, &people, story).await?;
        story.set(TimeDelta::zero());
        // Read once more, so that the portal's first day does not begin with old data.
        read_source(store, guard).await?;
    }
    Ok(())
}

/// Makes the company and its rules, but nobody who can sign in.
///
/// # Errors
/// As [`prepare`].
pub async fn found(
    store: &Store,
    data_dir: &DataDir,
    guard: &Guard,
    story: &Story,
) -> anyhow::Result<()> {
    read_company(store, data_dir, guard, story).await?;
    set_policies(store, &People::of(store).await?).await
}

/// Connects the folder and reads it, unless that was done before.
async fn read_company(
    store: &Store,
    data_dir: &DataDir,
    guard: &Guard,
    story: &Story,
) -> anyhow::Result<()> {
    let folder = data_dir.path().join("demo");
    erp_adapters::demo::write_to(&folder)
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    let known = store
        .sources(&system())
        .await?
        .into_iter()
        .find(|source| source.name == SOURCE);
    let read_before = known
        .as_ref()
        .is_some_and(|source| source.last_read_at.is_some());
    if read_before {
        return Ok(());
    }
    // The portal has been here for two weeks when the story begins.
    story.set(TimeDelta::days(14));
    if known.is_none() {
        let settings = BTreeMap::from([("folder".to_owned(), folder.display().to_string())]);
        let new = NewSource {
            kind: "csv".into(),
            name: SOURCE.into(),
            settings,
            secrets: BTreeMap::new(),
        };
        store.add_source(&system(), new).await?;
    }
    read_source(store, guard).await
}

async fn read_source(store: &Store, guard: &Guard) -> anyhow::Result<()> {
    let sources = store.sources(&system()).await?;
    let source = sources
        .into_iter()
        .find(|source| source.name == SOURCE)
        .context("the demo's source is not there")?;
    let run = store.begin_run(&system(), source.id, false).await?;
    Driver::new(store.clone(), guard.clone())
        .drive(run.id)
        .await;
    let run = store.run(&system(), run.id).await?;
    anyhow::ensure!(
        run.phase == Phase::Done,
        "reading the demo company: {}",
        run.error_text.unwrap_or_default()
    );
    Ok(())
}

/// The people of the demo by login: those with a mail address of the company.
struct People(BTreeMap<String, Account>);

impl People {
    async fn of(store: &Store) -> anyhow::Result<Self> {
        let accounts = accounts(store).await?.into_iter();
        Ok(Self(
            accounts
                .filter_map(|account| Some((login(&account.person)?, account)))
                .collect(),
        ))
    }

    fn id(&self, login: &str) -> anyhow::Result<EmployeeId> {
        let account = self
            .0
            .get(login)
            .with_context(|| format!("{login} is not in the demo company"))?;
        Ok(account.person.id)
    }

    fn viewer(&self, login: &str) -> anyhow::Result<Viewer> {
        Ok(Viewer::person(self.id(login)?, roles(login)))
    }
}

/// Gives everybody a login, unless they have one.
async fn open_accounts(store: &Store, people: &People) -> anyhow::Result<()> {
    let viewer = system();
    let missing = people
        .0
        .iter()
        .filter(|(_, account)| account.login.is_none());
    let making =
        missing.map(|(login, account)| store.create_account(&viewer, new_account(login, account)));
    // Hashing is most of it, and the store has as many at once as there are cores.
    futures::future::try_join_all(making).await?;
    Ok(())
}

/// Gives one of the company a login.
///
/// # Errors
/// When the login is nobody's, or a verb fails.
pub async fn open_account(store: &Store, login: &str) -> anyhow::Result<EmployeeId> {
    let people = People::of(store).await?;
    let account = people
        .0
        .get(login)
        .with_context(|| format!("{login} is not in the demo company"))?;
    Ok(store
        .create_account(&system(), new_account(login, account))
        .await?)
}

fn new_account(login: &str, account: &Account) -> NewAccount {
    NewAccount {
        login: login.to_owned(),
        name: account.person.display_name.clone(),
        password: PASSWORD.into(),
        roles: roles(login),
        employee: Some(account.person.id),
    }
}

fn login(person: &PersonCard) -> Option<String> {
    let (login, host) = person.email.as_deref()?.split_once('@')?;
    (host == HOST).then(|| login.to_owned())
}

/// Everybody whose card or login has the company's mail host in it.
async fn accounts(store: &Store) -> anyhow::Result<Vec<Account>> {
    let mut accounts = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.accounts(&system(), HOST, cursor.as_deref()).await?;
        accounts.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(accounts);
        }
    }
}

/// Everybody of the demo who can sign in, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn cast(store: &Store) -> anyhow::Result<Vec<Member>> {
    let chart = store.chart();
    let members = accounts(store).await?.into_iter().filter_map(|account| {
        let login = account
            .login
            .filter(|own| login(&account.person).as_ref() == Some(own))?;
        Some(Member {
            login,
            password: PASSWORD,
            employee_id: account.person.id,
            name: account.person.display_name,
            title: account.person.title,
            manager_id: chart.chart.manager(account.person.id),
            roles: account.roles,
        })
    });
    Ok(members.collect())
}

/// The rules of the design's policy page, as far as they are about what people can edit.
const RULES: [(Attribute, Strength); 9] = [
    (Attribute::GivenName, Strength::Strong),
    (Attribute::FamilyName, Strength::Strong),
    (Attribute::Emails, Strength::Strong),
    (Attribute::NickName, Strength::Weak),
    (Attribute::Title, Strength::Weak),
    (Attribute::Mobile, Strength::Normal),
    (Attribute::PhoneNumbers, Strength::Weak),
    (Attribute::Photos, Strength::Weak),
    (Attribute::Timezone, Strength::Weak),
];

async fn set_policies(store: &Store, people: &People) -> anyhow::Result<()> {
    let jonas = people.viewer("jonas.vestergaard")?;
    if store.policy::<Rules>(&jonas).await?.version == 0 {
        let rule = |(attribute, strength)| Rule {
            id: 0,
            attribute,
            unit: None::<UnitId>,
            source: None,
            strength,
            enforced: strength == Strength::Strong,
            empty_wins: false,
        };
        let note = "Names and mail come from HR; the rest is people's own to say.";
        store
            .set_policy::<Rules>(&jonas, 0, RULES.map(rule).into(), note)
            .await?;
    }
    if store.policy::<Oversight>(&jonas).await?.version == 0 {
        let rule = OversightRule {
            unit: None,
            on: true,
            when: When::AtTheTime,
            context: false,
            max_days: 7,
            notice: Notice::AtOnce,
            enforced: false,
            dotted: false,
            delegates: false,
        };
        let note = "Superiors may read for a reason, for a week, and people are told at once.";
        store
            .set_policy::<Oversight>(&jonas, 0, vec![rule], note)
            .await?;
    }
    Ok(())
}

/// What some people say of themselves, beside the ERP.
const OWN: [(&str, Attribute, &str); 8] = [
    (
        "grace.whitfield",
        Attribute::Title,
        "Rail & Marine Partnerships",
    ),
    ("joao.ferreira", Attribute::Title, "Line 1 Captain"),
    ("leila.farahani", Attribute::Title, "Head of Happy Clients"),
    ("yusuf.demir", Attribute::Title, "Warehouse"),
    ("viktor.novak", Attribute::Title, "Quotes and Templates"),
    ("aisha.bello", Attribute::Title, "Quality, Line 2"),
    (
        "grace.whitfield",
        Attribute::Languages,
        "English, Norwegian",
    ),
    (
        "grace.whitfield",
        Attribute::About,
        "Keeps railways and shipyards in forged parts. Ask me about lead times.",
    ),
];

/// A line of talk: minutes before now, who, what.
type Line = (i64, &'static str, &'static str);

/// Conversations by title (none: a direct one), members, and lines in order of time.
const TALK: [(Option<&str>, &[&str], &[Line]); 7] = [
    (
        Some("Noah and Aldgate desk"),
        &["leila.farahani", "abena.mensah", "noah.petersen"],
        &[
            (
                10_100,
                "leila.farahani",
                "Aldgate asks again about the wheelset order. What did we promise?",
            ),
            (
                10_093,
                "noah.petersen",
                "I told Peter at Aldgate we deliver all 48 on 20 November.",
            ),
            (
                10_091,
                "abena.mensah",
                "Their desk has it in writing as well.",
            ),
            (
                10_084,
                "noah.petersen",
                "Peter wants a call before noon, I will ring him.",
            ),
            (
                9_956,
                "leila.farahani",
                "Marta says Line 2 will not run before the 19th. The 20 November date cannot hold.",
            ),
            (
                9_950,
                "noah.petersen",
                "I will ring Peter today and set it right. My mistake.",
            ),
        ],
    ),
    (
        Some("Safety circle"),
        &[
            "ruth.achterberg",
            "owen.pritchard",
            "marta.kowalczyk",
            "joao.ferreira",
            "grace.whitfield",
        ],
        &[
            (
                4_300,
                "ruth.achterberg",
                "Walk at 15:00 by the east door. Bring the new gloves.",
            ),
            (
                4_280,
                "owen.pritchard",
                "Coil 7 is fenced off, please go round by the press.",
            ),
        ],
    ),
    (
        Some("Kestrel shaft project"),
        &[
            "maeve.doyle",
            "helena.brandt",
            "grace.whitfield",
            "camille.laurent",
            "anders.holm",
        ],
        &[
            (2_960, "maeve.doyle", "Test bars pass at 1 050 MPa."),
            (
                2_940,
                "anders.holm",
                "Same furnace, same batch: I have the log.",
            ),
            (
                2_900,
                "grace.whitfield",
                "Then Kestrel gets the certificate with the first shafts.",
            ),
        ],
    ),
    (
        Some("Line 2 customers"),
        &[
            "grace.whitfield",
            "priya.raman",
            "noah.petersen",
            "marta.kowalczyk",
            "owen.pritchard",
            "viktor.novak",
        ],
        &[
            (
                1_020,
                "marta.kowalczyk",
                "Coil goes in tonight. If the trial holds we can book Aldgate’s wheelsets on Friday and Kestrel’s shafts on Monday.",
            ),
            (
                1_016,
                "grace.whitfield",
                "Aldgate accepted a week’s slip. They did not accept two. What is the risk it fails?",
            ),
            (
                1_009,
                "marta.kowalczyk",
                "One in ten, says Lars. Then we press on Line 1 with longer cycles, about 60 % of the volume.",
            ),
            (
                113,
                "marta.kowalczyk",
                "It holds. Half rate today, full rate Monday. New dates: Line 2 recovery plan, rev C.",
            ),
            (
                80,
                "noah.petersen",
                "Aldgate called at eight. They want the first 24 wheelsets by Friday 27, the rest can wait until the week after.",
            ),
            (
                79,
                "noah.petersen",
                "They also asked whether we waive the expedite fee. I said I would come back.",
            ),
            (
                70,
                "grace.whitfield",
                "24 by Friday works with rev C. Priya, the fee is £1 150, may we drop it?",
            ),
            (
                67,
                "priya.raman",
                "Yes, once, and put it on the order as goodwill.",
            ),
            (
                64,
                "noah.petersen",
                "Then I tell Aldgate Friday 27 and no fee. Grace, will you note it on the client record?",
            ),
        ],
    ),
    (
        None,
        &["marta.kowalczyk", "grace.whitfield"],
        &[
            (75, "marta.kowalczyk", "Line 2 stays at half rate for now."),
            (71, "grace.whitfield", "Half rate until Monday, right?"),
        ],
    ),
    (
        None,
        &["sara.lund", "grace.whitfield"],
        &[(53, "sara.lund", "I sent the Aldgate statement.")],
    ),
    (
        None,
        &["noah.petersen", "grace.whitfield"],
        &[
            (50, "noah.petersen", "Do you have ten minutes today?"),
            (48, "noah.petersen", "Can you take the 14:00 with Kestrel?"),
        ],
    ),
];

/// Tells the story in order of time.
async fn talk(store: &Store, people: &People, story: &Story) -> anyhow::Result<()> {
    story.set(TimeDelta::days(9));
    for (login, attribute, value) in OWN {
        let viewer = people.viewer(login)?;
        let edits = BTreeMap::from([(attribute.name().to_owned(), Some(value.into()))]);
        store
            .edit_profile(&viewer, people.id(login)?, edits)
            .await?;
    }
    // Every conversation begins shortly before its first line; then all lines in the order of time.
    let mut moments: Vec<(i64, usize, Option<usize>)> = Vec::new();
    for (number, (_, _, lines)) in TALK.iter().enumerate() {
        moments.extend(lines.first().map(|line| (line.0 + 5, number, None)));
        moments.extend(
            lines
                .iter()
                .enumerate()
                .map(|(at, line)| (line.0, number, Some(at))),
        );
    }
    moments.sort_by_key(|(ago, ..)| std::cmp::Reverse(*ago));
    let mut conversations = BTreeMap::new();
    for (ago, number, line) in moments {
        story.set(TimeDelta::minutes(ago));
        let (title, members, lines) = &TALK[number];
        if let Some(at) = line {
            let (_, login, body) = lines[at];
            let conversation = *conversations
                .get(&number)
                .context("a line before its conversation")?;
            store
                .send(
                    &people.viewer(login)?,
                    conversation,
                    &format!("story-{number}-{at}"),
                    body,
                )
                .await?;
        } else {
            let others = members[1..]
                .iter()
                .map(|login| people.id(login))
                .collect::<Result<_, _>>()?;
            let new = NewConversation {
                members: others,
                title: title.map(str::to_owned),
            };
            let conversation = store
                .start_conversation(&people.viewer(members[0])?, new)
                .await?;
            conversations.insert(number, conversation.id);
        }
    }
    Ok(())
}
