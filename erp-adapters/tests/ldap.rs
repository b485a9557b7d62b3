//! Directories that misbehave, and Active Directory's own ways, by a few lines
//! that speak LDAP on loopback.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{Attribute, Value, erp::Watermark};
use erp_adapters::{ErpAdapter, Error, Guard, Limits, Page, open};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0x84];
    out.extend(
        u32::try_from(content.len())
            .expect("a length")
            .to_be_bytes(),
    );
    out.extend(content);
    out
}

fn message(id: &[u8], op: u8, body: &[u8], controls: &[u8]) -> Vec<u8> {
    let mut inner = tlv(2, id);
    inner.extend(tlv(op, body));
    inner.extend(controls);
    tlv(0x30, &inner)
}

fn result(code: u8, text: &str) -> Vec<u8> {
    [tlv(10, &[code]), tlv(4, b""), tlv(4, text.as_bytes())].concat()
}

/// The control of a page, with where to go on.
fn page(cookie: &str) -> Vec<u8> {
    let value = tlv(0x30, &[tlv(2, &[0]), tlv(4, cookie.as_bytes())].concat());
    let control = [tlv(4, b"1.2.840.113556.1.4.319"), tlv(4, &value)].concat();
    tlv(0xA0, &tlv(0x30, &control))
}

fn entry(dn: &str, attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, value) in attributes {
        let part = [tlv(4, name.as_bytes()), tlv(0x31, &tlv(4, value))].concat();
        list.extend(tlv(0x30, &part));
    }
    [tlv(4, dn.as_bytes()), tlv(0x30, &list)].concat()
}

/// What is answered to a search: messages without their ids.
type Reply = Vec<(u8, Vec<u8>, Vec<u8>)>;

fn found(entry: Vec<u8>) -> (u8, Vec<u8>, Vec<u8>) {
    (0x64, entry, Vec::new())
}

fn done(cookie: &str) -> (u8, Vec<u8>, Vec<u8>) {
    (0x65, result(0, ""), page(cookie))
}

/// A directory that lets everybody in and answers searches by `answer`, which is given the bytes of each.
async fn directory(answer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> u16 {
    let answer = Arc::new(answer);
    serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while let Some((id, op, body)) = read(&mut stream).await {
                let replies = match op {
                    0x60 => vec![(0x61, result(0, ""), Vec::new())],
                    0x63 => answer(&body),
                    _ => return,
                };
                for (op, body, controls) in replies {
                    let bytes = message(&id, op, &body, &controls);
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    })
    .await
}

async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Id, operation and the rest of a message.
async fn read(stream: &mut TcpStream) -> Option<(Vec<u8>, u8, Vec<u8>)> {
    stream.read_u8().await.ok()?;
    let first = stream.read_u8().await.ok()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        length = 0;
        for _ in 0..first - 0x80 {
            length = length << 8 | usize::from(stream.read_u8().await.ok()?);
        }
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.ok()?;
    // An id of ours is short, and the operation follows it.
    let id = rest[2..2 + usize::from(rest[1])].to_vec();
    let op = rest[2 + id.len()];
    Some((id, op, rest))
}

fn adapter(port: u16, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
    let url = format!("ldap://127.0.0.1:{port}");
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in [("url", url.as_str()), ("base", "dc=erp,dc=test")]
        .iter()
        .chain(more)
    {
        settings.insert((*key).to_owned(), (*value).to_owned());
    }
    let limits = Limits {
        connect: Duration::from_millis(500),
        idle: Duration::from_millis(300),
        total: Duration::from_secs(2),
        bytes: 1 << 20,
    };
    let guard = Guard::new(["127.0.0.1"])
        .expect("a list")
        .with_limits(limits);
    open("ldap", &settings, None, &guard).expect("an adapter")
}

async fn pages(ldap: &dyn ErpAdapter, since: Option<&str>) -> Result<Vec<Page>, Error> {
    let since = since.map(|since| Watermark(since.to_owned()));
    ldap.workers(since).try_collect().await
}

#[tokio::test]
async fn whoever_does_not_speak_ldap_ends_the_run_in_time() {
    let silent = serve(|stream| async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(stream);
    });
    let error = adapter(silent.await, &[])
        .units()
        .await
        .expect_err("silence");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");

    let web = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = adapter(web.await, &[]).units().await.expect_err("HTTP");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");

    let gone = serve(|stream| async move { drop(stream) });
    let error = adapter(gone.await, &[]).units().await.expect_err("gone");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");

    let huge = serve(|mut stream| async move {
        let _ = stream
            .write_all(&[0x30, 0x84, 0x7F, 0xFF, 0xFF, 0xFF, 2, 1, 2])
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let error = adapter(huge.await, &[]).units().await.expect_err("2 GiB");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    // Deep enough to exhaust the stack of a reader that goes down by recursion.
    let deep = serve(|mut stream| async move {
        let Some((id, ..)) = read(&mut stream).await else {
            return;
        };
        let mut nested = Vec::new();
        for _ in 0..100_000 {
            nested.extend([0x30, 0x80]);
        }
        let _ = stream.write_all(&message(&id, 0x64, &nested, &[])).await;
    });
    let error = adapter(deep.await, &[]).units().await.expect_err("a well");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");

    // Drop by drop it would take for ever.
    let slow = serve(|mut stream| async move {
        loop {
            if stream.write_all(&[0x30]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let error = adapter(slow.await, &[]).units().await.expect_err("an end");
    assert!(
        matches!(error, Error::Malformed { .. } | Error::TimedOut { .. }),
        "{error}"
    );

    let unlisted = adapter(1, &[]).units().await.expect_err("nobody listens");
    assert!(matches!(unlisted, Error::Unreachable { .. }), "{unlisted}");
}

#[tokio::test]
async fn an_address_is_judged_where_it_leads() {
    let guard = Guard::new(["10.0.0.1"]).expect("a list");
    let settings = [("url", "ldaps://localhost:1"), ("base", "dc=x")];
    let settings = settings
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let ldap = open("ldap", &settings, None, &guard).expect("an adapter");
    let error = ldap.units().await.expect_err("refused");
    assert!(matches!(error, Error::NotAllowed { .. }), "{error}");
}

#[tokio::test]
async fn half_of_the_people_are_no_people() {
    let one = || found(entry("uid=a,dc=erp,dc=test", &[("entryUUID", b"1")]));
    // The connection breaks after the first entry.
    let port = serve(move |mut stream| async move {
        let Some((id, ..)) = read(&mut stream).await else {
            return;
        };
        let (op, body, controls) = one();
        let _ = stream.write_all(&message(&id, op, &body, &controls)).await;
    });
    let ldap = adapter(port.await, &[]);
    assert!(matches!(
        ldap.worker_ids().await,
        Err(Error::Unreachable { .. })
    ));
    // The size limit is met.
    for code in [3, 4, 11] {
        let port = directory(move |_| vec![one(), (0x65, result(code, "limit"), Vec::new())]);
        let ldap = adapter(port.await, &[]);
        let error = ldap.worker_ids().await.expect_err("a limit");
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
    }
    let port = directory(|_| vec![(0x65, result(51, "busy"), Vec::new())]);
    let error = adapter(port.await, &[])
        .worker_ids()
        .await
        .expect_err("busy");
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
}

#[tokio::test]
async fn pages_that_never_end_are_ended() {
    let port = directory(|_| {
        let again = entry("uid=a,dc=erp,dc=test", &[("entryUUID", b"1")]);
        vec![found(again), done("again")]
    });
    let error = adapter(port.await, &[])
        .worker_ids()
        .await
        .expect_err("no end");
    assert!(error.to_string().contains("never end"), "{error}");
    let port = directory(|_| vec![done("again")]);
    let error = adapter(port.await, &[])
        .worker_ids()
        .await
        .expect_err("no end");
    assert!(error.to_string().contains("never end"), "{error}");
    // A server that knows no pages answers all at once.
    let port = directory(|_| {
        let mut all: Reply = (0..2_500)
            .map(|number| {
                let dn = format!("uid=u{number},dc=erp,dc=test");
                found(entry(&dn, &[("entryUUID", number.to_string().as_bytes())]))
            })
            .collect();
        all.push((0x65, result(0, ""), Vec::new()));
        all
    });
    let ldap = adapter(port.await, &[]);
    let pages = pages(ldap.as_ref(), None).await.expect("everyone");
    assert!(pages.len() > 2, "a part at a time");
    assert_eq!(
        pages.iter().map(|page| page.workers.len()).sum::<usize>(),
        2_500
    );
}

#[tokio::test]
async fn an_id_twice_and_a_name_twice_are_told() {
    let port = directory(|_| {
        vec![
            found(entry("uid=a,dc=erp,dc=test", &[("entryUUID", b"1")])),
            found(entry("uid=b,dc=erp,dc=test", &[("entryUUID", b"1")])),
            found(entry("uid=c,dc=erp,dc=test", &[("cn", b"No id")])),
            found(entry(
                "uid=d,dc=erp,dc=test",
                &[("entryUUID", b"4"), ("manager", b"UID=A, dc=ERP,dc=test")],
            )),
            done(""),
        ]
    });
    let ldap = adapter(port.await, &[]);
    let pages = pages(ldap.as_ref(), None).await.expect("pages");
    let page = &pages[0];
    let ids: Vec<_> = page
        .workers
        .iter()
        .map(|worker| worker.external_id.as_str())
        .collect();
    assert_eq!(ids, ["1", "4"]);
    assert_eq!(page.workers[1].manager.as_deref(), Some("1"));
    let left_out: Vec<_> = page
        .faults
        .iter()
        .filter(|fault| fault.left_out)
        .map(|fault| fault.place.as_str())
        .collect();
    assert_eq!(left_out, ["uid=b,dc=erp,dc=test", "uid=c,dc=erp,dc=test"]);
    let ids = ldap.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (2, 1));
}

#[tokio::test]
async fn active_directory_has_ways_of_its_own() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let port = directory(move |search| {
        log.lock()
            .expect("a list")
            .push(String::from_utf8_lossy(search).into_owned());
        let ada = b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF";
        let bob = b"\x01\x22\x11\x00\x55\x44\x77\x66\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF";
        let unit = b"\x02\x22\x11\x00\x55\x44\x77\x66\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF";
        if String::from_utf8_lossy(search).contains("organizationalUnit") {
            let works = entry(
                "OU=Works,DC=erp,DC=test",
                &[
                    ("objectGUID", unit),
                    ("ou", b"Works"),
                    ("managedBy", b"CN=Ada,OU=Works,DC=erp,DC=test"),
                ],
            );
            return vec![found(works), done("")];
        }
        vec![
            found(entry(
                "CN=Ada,OU=Works,DC=erp,DC=test",
                &[
                    ("objectGUID", ada),
                    ("displayName", "Åda".as_bytes()),
                    ("userAccountControl", b"512"),
                    ("whenChanged", b"20261119090000.0Z"),
                    ("thumbnailPhoto", b"\xFF\xD8\xFF"),
                ],
            )),
            found(entry(
                "CN=Bob,CN=Users,OU=Works,DC=erp,DC=test",
                &[
                    ("objectGUID", bob),
                    ("displayName", b"Bob"),
                    ("userAccountControl", b"514"),
                    ("whenChanged", b"20261120090000.0Z"),
                    ("manager", b"CN=Ada,OU=Works,DC=erp,DC=test"),
                ],
            )),
            // Another directory has a part of this one.
            (0x73, tlv(4, b"ldap://other.test/DC=other"), Vec::new()),
            done(""),
        ]
    })
    .await;
    let settings = [
        ("preset", "active-directory"),
        ("unit_filter", "(objectClass=organizationalUnit)"),
    ];
    let ldap = adapter(port, &settings);
    let structure = ldap.units().await.expect("units");
    let ada = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(structure.units[0].heads, [ada]);
    assert_eq!(structure.faults.len(), 1);
    assert!(
        structure.faults[0]
            .what
            .contains("ldap://other.test/DC=other")
    );
    let pages = pages(ldap.as_ref(), Some("2026-11-19T10:00:00Z"))
        .await
        .expect("people");
    let people = &pages[0].workers;
    assert_eq!(people[0].external_id, ada);
    assert!(people[0].active);
    assert_eq!(people[0].text(Attribute::DisplayName), Some("Åda"));
    assert!(!people[1].active, "ACCOUNTDISABLE");
    assert_eq!(people[1].manager.as_deref(), Some(ada));
    assert_eq!(
        people[1].unit.as_deref(),
        Some("00112202-4455-6677-8899-aabbccddeeff"),
        "the nearest one above"
    );
    assert_eq!(pages[0].watermark.0, "2026-11-20T09:00:00Z");
    let photo = ldap.photo(ada).await.expect("a photo").expect("there");
    assert_eq!(photo.bytes, b"\xFF\xD8\xFF");
    assert!(!format!("{ldap:?}").contains("password"));

    let asked = asked.lock().expect("a list");
    let delta = asked
        .iter()
        .any(|search| search.contains("whenChanged") && search.contains("20261119095000.0Z"));
    assert!(delta, "ten minutes before");
    // Bytes and not their text: 00112233 turned round; lossily, what is no text is a mark.
    assert!(
        asked
            .iter()
            .any(|search| search.contains("objectGUID") && search.contains("3\"\u{11}\0UDwf"))
    );
}

/// Every text in a message, in its order.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let long = usize::from(first & 0x7F);
        let (length, rest) = match first {
            0x80.. => rest.split_at(long),
            _ => (&[*first][..], rest),
        };
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let (content, rest) = rest.split_at(length);
        match tag {
            0x04 => found.push(String::from_utf8_lossy(content).into_owned()),
            tag if tag & 0x20 != 0 => found.extend(texts(content)),
            _ => {}
        }
        bytes = rest;
    }
    found
}

/// A directory of people, by id, name and what their `manager` holds, that takes whatever is written.
async fn people(
    people: &'static [(&'static str, &'static str, &'static str)],
) -> (u16, Arc<Mutex<Vec<Vec<String>>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&written);
    let port = serve(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            while let Some((id, op, body)) = read(&mut stream).await {
                let asked = texts(&body);
                let mut replies = Vec::new();
                if op == 0x63 {
                    let whom = people.iter().find(|(id, dn, _)| {
                        asked[0] == *dn || asked.windows(2).any(|two| two == ["entryUUID", *id])
                    });
                    let code = match whom {
                        Some((_, dn, above)) => {
                            let above = ("manager", above.as_bytes());
                            let held = [above].into_iter().filter(|(_, above)| !above.is_empty());
                            replies.push((0x64, entry(dn, &held.collect::<Vec<_>>())));
                            0
                        }
                        None if asked[0] == "dc=erp,dc=test" => 0,
                        None => 32,
                    };
                    replies.push((0x65, result(code, "")));
                } else {
                    log.lock().expect("a list").push(asked);
                    replies.push((op + 1, result(0, "")));
                }
                for (op, body) in replies {
                    let bytes = message(&id, op, &body, &[]);
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    (port.await, written)
}

#[tokio::test]
async fn a_superior_goes_out_as_the_name_of_an_entry_that_is_not_below() {
    let (port, written) = people(&[
        ("1", "cn=Ada,dc=erp,dc=test", ""),
        ("2", "cn=Bob\\, Jr,dc=erp,dc=test", "cn=Ada,dc=erp,dc=test"),
        ("3", "cn=Cy,dc=erp,dc=test", "CN=Bob\\2c Jr, dc=erp,dc=test"),
        ("4", "cn=Dee,dc=erp,dc=test", "cn=gone,dc=erp,dc=test"),
        // These two are each other's superior; and one of a directory that writes ids.
        ("5", "cn=Eve,dc=erp,dc=test", "cn=Flo,dc=erp,dc=test"),
        ("6", "cn=Flo,dc=erp,dc=test", "cn=Eve,dc=erp,dc=test"),
        ("7", "cn=Gus,dc=erp,dc=test", "4"),
    ])
    .await;
    let ldap = adapter(port, &[]);
    assert!(ldap.writable().contains(&Attribute::Manager));
    let write = async |whose: &str, above: Option<&str>| {
        let above = above.map(Value::from);
        let attribute = Attribute::Manager;
        ldap.write(whose, attribute, above.as_ref()).await
    };
    for (whose, above) in [
        ("3", Some("1")),
        ("1", Some("4")),
        ("3", Some("5")),
        ("4", Some("2")),
        ("7", Some("3")),
        ("3", None),
    ] {
        assert_eq!(write(whose, above).await, Ok(()), "{whose} {above:?}");
    }
    let rejected = |what: &str| Err(Error::Rejected { what: what.into() });
    for nobody in ["99", "*)(cn=Ada"] {
        assert_eq!(
            write("3", Some(nobody)).await,
            rejected(&format!("has nobody with the id “{nobody}”"))
        );
    }
    for below in ["2", "7"] {
        let whose = if below == "2" { "2" } else { "4" };
        assert_eq!(
            write(whose, Some(below)).await,
            rejected("has the new superior below this person already")
        );
    }
    let at = |name: &str| format!("cn={name},dc=erp,dc=test");
    let change = |whose: &str, above: &[&str]| {
        let head = [at(whose), "manager".to_owned()];
        let above = above.iter().map(|above| (*above).to_owned());
        head.into_iter().chain(above).collect::<Vec<_>>()
    };
    assert_eq!(
        *written.lock().expect("a list"),
        [
            change("Cy", &[&at("Ada")]),
            change("Ada", &[&at("Dee")]),
            change("Cy", &[&at("Eve")]),
            change("Dee", &[&at("Bob\\, Jr")]),
            change("Gus", &["3"]),
            change("Cy", &[]),
        ]
    );
}

#[tokio::test]
async fn start_tls_is_asked_for_before_anything_else() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let port = serve(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            while let Some((id, op, _)) = read(&mut stream).await {
                log.lock().expect("a list").push(op);
                let _ = stream
                    .write_all(&message(&id, 0x78, &result(2, "no TLS here"), &[]))
                    .await;
            }
        }
    });
    let settings = [
        ("starttls", "yes"),
        ("bind_dn", "cn=a,dc=x"),
        ("password", "hush"),
    ];
    let error = adapter(port.await, &settings)
        .units()
        .await
        .expect_err("no TLS");
    assert!(error.to_string().contains("no TLS here"), "{error}");
    assert_eq!(
        *heard.lock().expect("a list"),
        [0x77],
        "no password without TLS"
    );
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let refused = |more: &[(&str, &str)]| {
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in [("url", "ldaps://directory.example"), ("base", "dc=x")]
            .iter()
            .chain(more)
        {
            settings.insert((*key).to_owned(), (*value).to_owned());
        }
        let guard = Guard::default();
        open("ldap", &settings, None, &guard)
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(&[("url", "ldap://directory.example")]).contains("OPTIMUS_ERP_HOSTS"));
    assert!(refused(&[("url", "https://directory.example")]).contains("ldaps://"));
    assert!(refused(&[("url", "ldaps://a:b@directory.example")]).contains("password"));
    assert!(refused(&[("url", "ldaps://directory.example/dc=x")]).contains("must end"));
    assert!(refused(&[("starttls", "yes")]).starts_with("starttls"));
    assert!(refused(&[("bind_dn", "cn=a")]).starts_with("password"));
    assert!(refused(&[("base", "people")]).starts_with("base"));
    assert!(refused(&[("people_filter", "(a=b")]).starts_with("people_filter"));
    assert!(refused(&[("preset", "novell")]).contains("openldap, active-directory"));
}
