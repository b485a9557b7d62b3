//! A running OpenLDAP against what its own `ldapsearch` says.
//!
//! `e2e/ldap/up` starts one and prints the variables that this file reads;
//! without them it says that it was skipped. `ldapsearch`, `ldapmodify` and
//! the others share no code with the adapter. The test changes people, and
//! puts back what it changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use base64::Engine as _;
use domain::{
    Attribute, Value,
    erp::{Fault, Watermark, Worker},
};
use erp_adapters::{ErpAdapter, Error, Guard, Readable, open};
use futures::TryStreamExt as _;

const UNITS: &str = "(objectClass=organizationalUnit)";

/// The directory's own programs, and its address.
struct Directory(BTreeMap<&'static str, String>);

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn directory() -> Option<Directory> {
    let names = [
        "LDAP_URL",
        "LDAPS_URL",
        "LDAP_BASE",
        "LDAP_BIND",
        "LDAP_PLAIN",
        "LDAP_LIMITED",
        "LDAP_PASSWORD",
        "LDAP_CA",
        "LDAP_BIN",
        "LDAP_LIB",
    ];
    let known: BTreeMap<_, _> = names
        .into_iter()
        .filter_map(|name| Some((name, env::var(name).ok()?)))
        .collect();
    if known.len() < names.len() {
        eprintln!(
            "SKIPPED: e2e/ldap/up starts a directory and prints {}",
            names.join(", ")
        );
        return None;
    }
    Some(Directory(known))
}

/// An entry as `ldapsearch` prints it.
type Entry = BTreeMap<String, Vec<Vec<u8>>>;

fn first(entry: &Entry, name: &str) -> Option<String> {
    let value = entry.get(name)?.first()?;
    Some(String::from_utf8(value.clone()).expect("text"))
}

impl Directory {
    fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    fn run(&self, program: &str, args: &[&str], input: &str) -> String {
        let mut child = Command::new(format!("{}/{program}", self.get("LDAP_BIN")))
            .args([
                "-x",
                "-H",
                self.get("LDAP_URL"),
                "-D",
                self.get("LDAP_BIND"),
                "-w",
                self.get("LDAP_PASSWORD"),
            ])
            .args(args)
            .env("LD_LIBRARY_PATH", self.get("LDAP_LIB"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes()).expect("written");
        drop(stdin);
        let done = child.wait_with_output().expect("an end");
        assert!(done.status.success(), "{program} {args:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    /// Every entry that matches, by name.
    fn search(&self, filter: &str, attributes: &[&str]) -> BTreeMap<String, Entry> {
        let paged = ["-LLL", "-o", "ldif-wrap=no", "-E", "pr=100/noprompt", "-b"];
        let args: Vec<_> = paged
            .into_iter()
            .chain([self.get("LDAP_BASE"), filter])
            .chain(attributes.iter().copied())
            .collect();
        let ldif = self.run("ldapsearch", &args, "");
        let mut entries = BTreeMap::new();
        for block in ldif.split("\n\n") {
            let mut entry = Entry::new();
            for line in block.lines().filter(|line| !line.starts_with('#')) {
                let (name, rest) = line.split_once(':').expect("an attribute");
                let value = match rest.strip_prefix(':') {
                    Some(base64) => base64::engine::general_purpose::STANDARD
                        .decode(base64.trim())
                        .expect("base64"),
                    None => rest.trim().as_bytes().to_vec(),
                };
                entry.entry(name.to_owned()).or_default().push(value);
            }
            if let Some(dn) = first(&entry, "dn") {
                entries.insert(dn, entry);
            }
        }
        entries
    }

    fn modify(&self, ldif: &str) {
        self.run("ldapmodify", &[], ldif);
    }

    fn open_with(&self, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
        let mut settings: BTreeMap<_, _> = [
            ("url", self.get("LDAP_URL")),
            ("bind_dn", self.get("LDAP_BIND")),
            ("password", self.get("LDAP_PASSWORD")),
            ("base", self.get("LDAP_BASE")),
            ("unit_filter", UNITS),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        let guard = Guard::new(["127.0.0.1", "localhost"]).expect("a list");
        open("ldap", &settings, None, &guard).expect("an adapter")
    }
}

/// One after the other: they are about one directory, and some change it.
#[tokio::test]
async fn a_directory_is_read_and_written() {
    let Some(directory) = directory() else { return };
    everyone_is_read_as_the_directory_says(&directory).await;
    units_can_be_those_that_people_name(&directory).await;
    what_changes_is_read_and_nothing_else(&directory).await;
    a_connection_is_secured_or_refused(&directory).await;
    what_an_account_may_not_is_said_and_takes_nobody_away(&directory).await;
    a_sample_shows_what_there_is_but_no_password(&directory).await;
    values_are_written_back_by_who_may(&directory).await;
}

struct Pull {
    people: BTreeMap<String, Worker>,
    faults: Vec<Fault>,
    upto: Watermark,
}

async fn pull(ldap: &dyn ErpAdapter, since: Option<&Watermark>) -> Pull {
    let pages: Vec<_> = ldap
        .workers(since.cloned())
        .try_collect()
        .await
        .expect("a pull");
    let upto = pages.last().expect("a page").watermark.clone();
    let mut people = BTreeMap::new();
    let mut faults = Vec::new();
    for page in pages {
        faults.extend(page.faults);
        for worker in page.workers {
            people.insert(worker.external_id.clone(), worker);
        }
    }
    Pull {
        people,
        faults,
        upto,
    }
}

/// The name above, for names without escapes in the parts above the first.
fn above(dn: &str) -> String {
    let at = dn.find(",ou=").expect("a unit above");
    dn[at + 1..].to_owned()
}

async fn everyone_is_read_as_the_directory_says(directory: &Directory) {
    let ldap = directory.open_with(&[]);
    let structure = ldap.units().await.expect("units");
    let all = pull(ldap.as_ref(), None).await;

    let entries = directory.search("(objectClass=inetOrgPerson)", &["*", "entryUUID"]);
    assert!(entries.len() >= 130);
    assert_eq!(all.people.len(), entries.len());
    let units = directory.search(UNITS, &["*", "entryUUID", "dn"]);
    let id = |dn: &str| {
        let entry = entries.get(dn).or_else(|| units.get(dn));
        entry.and_then(|entry| first(entry, "entryUUID"))
    };

    let texts = [
        (Attribute::DisplayName, "cn"),
        (Attribute::GivenName, "givenName"),
        (Attribute::FamilyName, "sn"),
        (Attribute::Title, "title"),
        (Attribute::Emails, "mail"),
        (Attribute::PhoneNumbers, "telephoneNumber"),
        (Attribute::EmployeeNumber, "employeeNumber"),
        (Attribute::Location, "l"),
    ];
    let mut photos = 0;
    for (dn, entry) in &entries {
        let worker = &all.people[&id(dn).expect("an id")];
        for (attribute, name) in texts {
            assert_eq!(
                worker.text(attribute).map(str::to_owned),
                first(entry, name),
                "{name} of {dn}"
            );
        }
        assert!(worker.active, "{dn}");
        assert_eq!(worker.unit, id(&above(dn)), "unit of {dn}");
        // slapd gives names back as they were typed in: in capitals, with spaces, escaped one way or the other.
        let plain = |dn: &str| dn.replace(" , ", ",").replace("\\,", "\\2c").to_lowercase();
        let manager = first(entry, "manager").and_then(|manager| {
            let mut names = entries.keys();
            id(names.find(|dn| plain(dn) == plain(&manager))?)
        });
        assert_eq!(worker.manager, manager, "manager of {dn}");
        assert_eq!(worker.photo.is_some(), entry.contains_key("jpegPhoto"));
        if let Some(photo) = entry.get("jpegPhoto")
            && photos < 20
        {
            let bytes = ldap.photo(&worker.external_id).await.expect("a photo");
            assert_eq!(bytes.expect("there").bytes, photo[0], "photo of {dn}");
            photos += 1;
        }
    }
    assert!(photos > 10);

    // The one unit above all others has no parent; each other has the entry above it.
    assert_eq!(structure.units.len(), units.len());
    for unit in &structure.units {
        let found = units
            .iter()
            .find(|(dn, _)| id(dn).as_ref() == Some(&unit.external_id));
        let (dn, entry) = found.expect("an entry");
        assert_eq!(Some(&unit.name), first(entry, "ou").as_ref());
        let parent = dn
            .split_once(",ou=")
            .and_then(|(_, rest)| id(&format!("ou={rest}")));
        assert_eq!(unit.parent, parent, "parent of {dn}");
    }
    assert!(
        structure
            .units
            .iter()
            .filter(|unit| unit.parent.is_none())
            .count()
            == 1
    );

    // The reference is told once and named; the manager who is not there is told with the name.
    let told: Vec<_> = structure.faults.iter().map(|fault| &fault.what).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("ldap://directory.elsewhere.test/"),
        "{told:?}"
    );
    assert!(told[0].contains("not followed"), "{told:?}");
    assert_eq!(all.faults.len(), 1, "{:?}", all.faults);
    assert_eq!(all.faults[0].field.as_deref(), Some("manager"));
    assert!(all.faults[0].what.contains("uid=gone"));

    let ids = ldap.worker_ids().await.expect("ids");
    assert_eq!(ids.unreadable, 0);
    assert_eq!(ids.ids, all.people.keys().cloned().collect::<BTreeSet<_>>());

    let probe = ldap.probe().await.expect("a probe");
    assert_eq!(probe.system, "OpenLDAP");
    assert_eq!(probe.people, entries.len() as u64);
    assert_eq!(probe.units, units.len() as u64);
    assert!(
        probe
            .access
            .iter()
            .all(|access| access.readable == Readable::Yes || access.what.contains("(mobile)")),
        "{:?}",
        probe.access
    );
}

async fn units_can_be_those_that_people_name(directory: &Directory) {
    let ldap = directory.open_with(&[("unit_filter", "")]);
    let structure = ldap.units().await.expect("units");
    let mut names: Vec<_> = structure
        .units
        .iter()
        .map(|unit| unit.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["D0", "D1", "D2", "D3", "D4"]);
    let all = pull(ldap.as_ref(), None).await;
    let entries = directory.search("(uid=u12)", &["departmentNumber", "entryUUID"]);
    let entry = entries.values().next().expect("u12");
    let worker = &all.people[&first(entry, "entryUUID").expect("an id")];
    assert_eq!(worker.unit.as_deref(), Some("D2"));
}

async fn what_changes_is_read_and_nothing_else(directory: &Directory) {
    let ldap = directory.open_with(&[]);
    let before = pull(ldap.as_ref(), None).await;
    // What is newer than the watermark's overlap: nothing, unless this ran a moment ago.
    let recent: BTreeSet<_> = pull(ldap.as_ref(), Some(&before.upto))
        .await
        .people
        .into_keys()
        .collect();
    assert!(recent.len() < 3 || before.upto.0 == "2026-11-01T08:00:00Z");
    let fresh = |delta: &Pull| -> Vec<String> {
        let ids = delta.people.keys().filter(|id| !recent.contains(*id));
        ids.cloned().collect()
    };
    let base = directory.get("LDAP_BASE").to_owned();
    let office = format!("ou=office,{base}");

    // Added, changed, renamed and moved.
    directory.modify(&format!(
        "dn: uid=temp,{office}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: temp\ncn: Temp\nsn: Temp\n\
         title: Temp\nmanager: uid=u0,ou=works,{base}\njpegPhoto:: /9j/4AAQ\n"
    ));
    let ldap = directory.open_with(&[]);
    let delta = pull(ldap.as_ref(), Some(&before.upto)).await;
    let found = directory.search("(uid=temp)", &["entryUUID"]);
    let uuid = first(found.values().next().expect("temp"), "entryUUID").expect("an id");
    assert_eq!(fresh(&delta), [uuid.as_str()]);
    let temp = &delta.people[&uuid];
    assert_eq!(temp.text(Attribute::Title), Some("Temp"));
    assert!(temp.manager.is_some());
    let photo = temp.photo.clone().expect("a photo");
    assert!(delta.upto.0 > before.upto.0);

    directory.modify(&format!(
        "dn: uid=temp,{office}\nchangetype: modrdn\nnewrdn: cn=Temp\\, Renamed\ndeleteoldrdn: 0\n\
         newsuperior: ou=ledger,{office}\n\n\
         dn: cn=Temp\\, Renamed,ou=ledger,{office}\nchangetype: modify\nreplace: title\ntitle: Clerk\n-\n\
         delete: jpegPhoto\n"
    ));
    let ldap = directory.open_with(&[]);
    let delta = pull(ldap.as_ref(), Some(&before.upto)).await;
    assert_eq!(fresh(&delta), [uuid.as_str()], "the id stays");
    let moved = &delta.people[&uuid];
    assert_eq!(moved.text(Attribute::Title), Some("Clerk"));
    assert_ne!(moved.unit, temp.unit);
    assert_eq!(moved.photo, None, "was {photo}");

    let name = format!("cn=Temp\\, Renamed,ou=ledger,{office}");
    assert!(ldap.worker_ids().await.expect("ids").ids.contains(&uuid));
    directory.run("ldapdelete", &[&name], "");
    assert!(!ldap.worker_ids().await.expect("ids").ids.contains(&uuid));
    let delta = pull(ldap.as_ref(), Some(&before.upto)).await;
    assert_eq!(fresh(&delta), [""; 0]);
}

async fn values_are_written_back_by_who_may(directory: &Directory) {
    let ldap = directory.open_with(&[]);
    let found = directory.search("(uid=u20)", &["entryUUID", "title", "l"]);
    let entry = found.values().next().expect("u20");
    let id = first(entry, "entryUUID").expect("an id");
    let old = first(entry, "title").expect("a title");
    let title = |text: &str| Value::Text(text.to_owned());
    let held = || {
        let found = directory.search("(uid=u20)", &["title", "l"]);
        let entry = found.values().next().expect("u20").clone();
        (first(&entry, "title"), first(&entry, "l"))
    };

    assert!(ldap.writable().contains(&Attribute::Title));
    assert!(!ldap.writable().contains(&Attribute::Photos));
    let text = title("Fitter (wheels) *");
    ldap.write(&id, Attribute::Title, Some(&text))
        .await
        .expect("written");
    assert_eq!(held().0.as_deref(), Some("Fitter (wheels) *"));
    ldap.write(&id, Attribute::Location, Some(&title("Oslo")))
        .await
        .expect("written");
    assert_eq!(held().1.as_deref(), Some("Oslo"));
    ldap.write(&id, Attribute::Location, None)
        .await
        .expect("taken away");
    assert_eq!(held().1, None);

    let reader = directory.open_with(&[("bind_dn", directory.get("LDAP_PLAIN"))]);
    let refused = reader
        .write(&id, Attribute::Title, Some(&title("King")))
        .await;
    assert_eq!(
        refused,
        Err(Error::Forbidden {
            what: "write title".into()
        })
    );
    // The directory has its own rules: a person without a family name cannot be.
    let refused = ldap.write(&id, Attribute::FamilyName, None).await;
    assert!(
        matches!(refused, Err(Error::Rejected { .. })),
        "{refused:?}"
    );
    let refused = ldap.write("*)(uid=u1", Attribute::Title, Some(&text)).await;
    assert!(
        matches!(refused, Err(Error::Rejected { .. })),
        "{refused:?}"
    );
    ldap.write(&id, Attribute::Title, Some(&title(&old)))
        .await
        .expect("put back");
    assert_eq!(held().0, Some(old));
}

async fn a_connection_is_secured_or_refused(directory: &Directory) {
    let ca = directory.get("LDAP_CA");
    let start = [("starttls", "yes"), ("ca_file", ca)];
    let ldap = directory.open_with(&start);
    assert!(ldap.probe().await.expect("StartTLS").people >= 130);
    let ldaps = [("url", directory.get("LDAPS_URL")), ("ca_file", ca)];
    let ldap = directory.open_with(&ldaps);
    assert!(ldap.probe().await.expect("TLS").people >= 130);

    // The system knows nothing of this authority.
    for settings in [
        &[("starttls", "yes")][..],
        &[("url", directory.get("LDAPS_URL"))],
    ] {
        let error = directory
            .open_with(settings)
            .probe()
            .await
            .expect_err("no trust");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
    // The certificate is for 127.0.0.1 and localhost, and for nobody else.
    let other = directory.get("LDAPS_URL").replace("127.0.0.1", "127.0.0.2");
    let guard = Guard::new(["127.0.0.0/8"]).expect("a list");
    let settings: BTreeMap<_, _> = [
        ("url", other.as_str()),
        ("base", directory.get("LDAP_BASE")),
        ("ca_file", ca),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let ldap = open("ldap", &settings, None, &guard).expect("an adapter");
    assert!(matches!(ldap.probe().await, Err(Error::Unreachable { .. })));
    // A password in the clear is not sent to a host that is not listed.
    let mut settings = settings;
    settings.insert("url".into(), directory.get("LDAP_URL").into());
    let error = open("ldap", &settings, None, &Guard::default()).expect_err("refused");
    assert!(error.to_string().contains("OPTIMUS_ERP_HOSTS"), "{error}");
}

async fn what_an_account_may_not_is_said_and_takes_nobody_away(directory: &Directory) {
    let wrong = directory.open_with(&[("password", "wrong")]);
    assert_eq!(wrong.units().await.map(drop), Err(Error::Unauthorized));
    let limited = directory.open_with(&[("bind_dn", directory.get("LDAP_LIMITED"))]);
    let error = limited.worker_ids().await.expect_err("a limit");
    assert!(error.to_string().contains("limit"), "{error}");
    let pages: Result<Vec<_>, _> = limited.workers(None).try_collect().await;
    assert!(pages.is_err(), "half of the people are no people");
    let nowhere = directory.open_with(&[("base", "ou=nowhere,dc=erp,dc=test")]);
    let error = nowhere.units().await.expect_err("no base");
    assert!(
        error.to_string().starts_with("base is not there"),
        "{error}"
    );
    // The base itself is somewhere else.
    let base = format!("ou=elsewhere,{}", directory.get("LDAP_BASE"));
    let error = directory
        .open_with(&[("base", &base)])
        .units()
        .await
        .expect_err("a referral");
    assert!(
        error.to_string().contains("directory.elsewhere.test"),
        "{error}"
    );
}

async fn a_sample_shows_what_there_is_but_no_password(directory: &Directory) {
    let samples = directory.open_with(&[]).sample(5).await.expect("samples");
    assert_eq!(samples.len(), 5);
    for sample in &samples {
        let record = sample.record.as_object().expect("a record");
        assert!(record.contains_key("entryUUID"));
        assert!(record.contains_key("parentDn"));
        assert!(!record.contains_key("userPassword"));
        assert!(!sample.record.to_string().contains("eyes"));
    }
    let photo = samples
        .iter()
        .find_map(|sample| sample.record.get("jpegPhoto"));
    assert!(photo.expect("a photo").to_string().contains("bytes"));
}

/// Where the time goes, for a directory of any size: `e2e/ldap/test` runs it with 20,000 people.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "the figures are what it is for")]
async fn time_goes_to_the_directory_more_than_to_us() {
    let Some(directory) = directory() else { return };
    let wanted = [
        "cn",
        "sn",
        "givenName",
        "title",
        "mail",
        "telephoneNumber",
        "mobile",
        "employeeNumber",
        "l",
        "manager",
        "modifyTimestamp",
        "entryUUID",
    ];
    let begun = Instant::now();
    let args = [
        "-LLL",
        "-E",
        "pr=500/noprompt",
        "-b",
        directory.get("LDAP_BASE"),
        "(objectClass=inetOrgPerson)",
    ];
    let args: Vec<_> = args.into_iter().chain(wanted).collect();
    directory.run("ldapsearch", &args, "");
    let alone = begun.elapsed();
    let ldap = directory.open_with(&[]);
    let begun = Instant::now();
    ldap.units().await.expect("units");
    let index = begun.elapsed();
    let begun = Instant::now();
    let all = pull(ldap.as_ref(), None).await;
    let people = begun.elapsed();
    let begun = Instant::now();
    ldap.worker_ids().await.expect("ids");
    let ids = begun.elapsed();
    eprintln!(
        "{} people: ldapsearch of the same {alone:?}; names and ids {index:?}, people {people:?}, ids again {ids:?}",
        all.people.len()
    );
    assert!(all.people.len() >= 130);
}
