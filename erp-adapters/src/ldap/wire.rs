//! The little of LDAP v3 (RFC 4511) that reading a directory takes: bind,
//! search in pages, replace a value, StartTLS.
//!
//! `ldap3` gives the filters. Its connection is not used: it takes answers of
//! any size and depth, and ends the thread for those it does not understand,
//! while a portal must outlive a directory that talks nonsense. Here one
//! question is under way at a time, an answer has a largest size and a longest
//! time, and nothing is read before it is wanted.

use std::{io, path::Path, sync::Arc, time::Duration};

use ldap3::asn1::{ASNTag as _, PL, StructureTag, TagClass};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::{Error, Guard, Limits};

const PAGED_RESULTS: &[u8] = b"1.2.840.113556.1.4.319";
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0A;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTROLS: u8 = 0xA0;
const REFERRAL: u8 = 0xA3;

const BIND: u8 = 0x60;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const MODIFY: u8 = 0x66;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_ANSWER: u8 = 0x78;
const INTERMEDIATE: u8 = 0x79;

/// How a connection is kept from being read on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after one question in the clear.
    StartTls,
    /// None at all: only for hosts that are listed.
    Plain,
}

/// Where a directory is.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    /// Certificates of the authorities to trust instead of the system's, a PEM file.
    pub(super) ca_file: Option<String>,
}

/// A question for entries.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) base: String,
    /// Whether everything below the base is meant, or the base alone.
    pub(super) deep: bool,
    /// A filter in the text form of RFC 4515.
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    /// Entries a page; none to ask without pages.
    pub(super) page: Option<u32>,
}

/// An entry as the directory has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The values of an attribute; none where it has no such attribute.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values)
    }

    /// The first value of an attribute, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.values(name).first()?).ok()
    }
}

/// What comes back from a search, one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Entry(Entry),
    /// Addresses of other directories, where the rest is.
    Reference(Vec<String>),
    /// The page is over. Without a cookie, so is the search.
    Done {
        cookie: Vec<u8>,
    },
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    last_id: i32,
    limits: Limits,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Connects to an address that the guard has judged, and secures the connection.
    pub(super) async fn open(guard: &Guard, to: &Endpoint) -> Result<Self, Error> {
        let limits = guard.limits();
        let mut tcp = guard.connect(&to.host, to.port).await?;
        let secured = async {
            let stream: Box<dyn Stream> = match to.security {
                Security::Plain => Box::new(tcp),
                Security::Tls => Box::new(secure(tcp, to).await?),
                Security::StartTls => {
                    start_tls(&mut tcp, &limits).await?;
                    Box::new(secure(tcp, to).await?)
                }
            };
            Ok(Self {
                stream: BufReader::new(stream),
                last_id: 1,
                limits,
            })
        };
        in_time(limits.connect, secured).await
    }

    /// Says who we are, with a password.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<(), Error> {
        let mut body = integer(INTEGER, 3);
        put(&mut body, OCTETS, dn.as_bytes());
        put(&mut body, 0x80, password.as_bytes());
        let result = self.ask(BIND, &body).await?;
        match result.code {
            0 => Ok(()),
            // Wrong password; no such account; not in a way that this account may use.
            49 | 32 | 34 | 48 => Err(Error::Unauthorized),
            _ => Err(result.error("sign in")),
        }
    }

    /// Asks for the entries after `cookie`, which is empty at first; [`Wire::next`] gives them.
    pub(super) async fn search(&mut self, search: &Search, cookie: &[u8]) -> Result<(), Error> {
        let mut body = Vec::new();
        put(&mut body, OCTETS, search.base.as_bytes());
        body.extend(integer(ENUMERATED, if search.deep { 2 } else { 0 }));
        // Aliases are not followed, and the server's own limits hold.
        body.extend(integer(ENUMERATED, 0));
        body.extend(integer(INTEGER, 0));
        body.extend(integer(INTEGER, 0));
        put(&mut body, 0x01, &[0]);
        body.extend(filter(&search.filter)?);
        let mut names = Vec::new();
        for name in &search.attributes {
            put(&mut names, OCTETS, name.as_bytes());
        }
        put(&mut body, SEQUENCE, &names);
        let controls = search.page.map(|size| {
            let mut value = integer(INTEGER, i64::from(size));
            put(&mut value, OCTETS, cookie);
            let mut sequence = Vec::new();
            put(&mut sequence, SEQUENCE, &value);
            let mut control = Vec::new();
            put(&mut control, OCTETS, PAGED_RESULTS);
            put(&mut control, OCTETS, &sequence);
            let mut controls = Vec::new();
            put(&mut controls, SEQUENCE, &control);
            controls
        });
        self.send(SEARCH, &body, controls.as_deref()).await
    }

    /// What comes next of the search under way.
    pub(super) async fn next(&mut self) -> Result<Found, Error> {
        loop {
            let message = self.receive().await?;
            let found = match message.op {
                ENTRY => entry(&message.body).map(Found::Entry),
                REFERENCE => Some(Found::Reference(texts(&message.body))),
                INTERMEDIATE => continue,
                DONE => {
                    let result = Outcome::read(&message.body).ok_or_else(nonsense)?;
                    if result.code != 0 {
                        return Err(result.error("be searched"));
                    }
                    cookie(&message.controls).map(|cookie| Found::Done { cookie })
                }
                _ => None,
            };
            return found.ok_or_else(nonsense);
        }
    }

    /// The first entry that a search of a single answer finds.
    pub(super) async fn first(&mut self, search: &Search) -> Result<Option<Entry>, Error> {
        self.search(search, &[]).await?;
        let mut entry = None;
        loop {
            match self.next().await? {
                Found::Entry(found) => entry = entry.or(Some(found)),
                Found::Reference(_) => {}
                Found::Done { .. } => return Ok(entry),
            }
        }
    }

    /// Makes `values` the only values of an attribute.
    pub(super) async fn replace(
        &mut self,
        dn: &str,
        attribute: &str,
        values: &[String],
    ) -> Result<(), Error> {
        let mut set = Vec::new();
        for value in values {
            put(&mut set, OCTETS, value.as_bytes());
        }
        let mut part = Vec::new();
        put(&mut part, OCTETS, attribute.as_bytes());
        put(&mut part, SET, &set);
        let mut change = integer(ENUMERATED, 2);
        put(&mut change, SEQUENCE, &part);
        let mut changes = Vec::new();
        put(&mut changes, SEQUENCE, &change);
        let mut body = Vec::new();
        put(&mut body, OCTETS, dn.as_bytes());
        put(&mut body, SEQUENCE, &changes);
        let result = self.ask(MODIFY, &body).await?;
        match result.code {
            0 => Ok(()),
            50 => Err(Error::Forbidden {
                what: format!("write {attribute}"),
            }),
            _ => Err(result.error(&format!("write {attribute}"))),
        }
    }

    /// A question with one answer.
    async fn ask(&mut self, op: u8, body: &[u8]) -> Result<Outcome, Error> {
        self.send(op, body, None).await?;
        let message = self.receive().await?;
        // Every answer's tag is the question's and one more.
        if message.op != op + 1 {
            return Err(nonsense());
        }
        Outcome::read(&message.body).ok_or_else(nonsense)
    }

    async fn send(&mut self, op: u8, body: &[u8], controls: Option<&[u8]>) -> Result<(), Error> {
        self.last_id += 1;
        let message = message(self.last_id, op, body, controls);
        let idle = self.limits.idle;
        in_time(idle, write(&mut self.stream, &message)).await
    }

    async fn receive(&mut self) -> Result<Message, Error> {
        let Limits { idle, bytes, .. } = self.limits;
        let message = in_time(idle, read(&mut self.stream, bytes)).await?;
        if message.id == 0 {
            let text = Outcome::read(&message.body)
                .map(|result| result.text)
                .unwrap_or_default();
            let what = format!("the directory ended the connection {}", one_line(&text));
            return Err(Error::Unreachable { what });
        }
        if message.id != i64::from(self.last_id) {
            return Err(nonsense());
        }
        Ok(message)
    }
}

async fn in_time<T>(
    after: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(after, work)
        .await
        .unwrap_or(Err(Error::TimedOut { after }))
}

async fn start_tls(tcp: &mut tokio::net::TcpStream, limits: &Limits) -> Result<(), Error> {
    let mut body = Vec::new();
    put(&mut body, 0x80, START_TLS);
    write(tcp, &message(1, EXTENDED, &body, None)).await?;
    // Read without a buffer: what came in the clear after this answer must not
    // be taken for what comes encrypted.
    let answer = read(tcp, limits.bytes.min(1 << 16)).await?;
    let result = Outcome::read(&answer.body).filter(|_| answer.op == EXTENDED_ANSWER);
    match result {
        Some(result) if result.code == 0 => Ok(()),
        Some(result) => Err(result.error("begin TLS")),
        None => Err(nonsense()),
    }
}

async fn secure(
    tcp: tokio::net::TcpStream,
    to: &Endpoint,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, Error> {
    let name = ServerName::try_from(to.host.clone())
        .map_err(|_| Error::setting("url", "names no host that a certificate could be for"))?;
    let config = trust(to.ca_file.as_deref()).await?;
    TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| {
            let why = match error.get_ref() {
                Some(inner) => inner.to_string(),
                None => error.kind().to_string(),
            };
            let why = one_line(&why);
            Error::Unreachable {
                what: format!("no TLS with {}: {why}", to.host),
            }
        })
}

/// Trusts the authorities of `ca_file` alone, or without one those of the system.
async fn trust(ca_file: Option<&str>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let bad = |what: &str| Error::setting("ca_file", what);
            if !Path::new(path).is_absolute() {
                return Err(bad("must be a whole path, beginning with /"));
            }
            let pem = tokio::fs::read(path)
                .await
                .map_err(|error| bad(&format!("cannot be read ({})", error.kind())))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|_| bad("is not a PEM file"))?;
                roots
                    .add(certificate)
                    .map_err(|_| bad("holds a certificate that cannot be used"))?;
            }
            if roots.is_empty() {
                return Err(bad("holds no certificate in PEM form"));
            }
        }
        None => {
            let known = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            if let Ok(known) = known {
                roots.add_parsable_certificates(known.certs);
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unreachable {
            what: format!("no TLS client: {error}"),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A message from the directory.
struct Message {
    id: i64,
    op: u8,
    body: Vec<u8>,
    controls: Vec<u8>,
}

/// How a question ended.
struct Outcome {
    code: i64,
    text: String,
    referrals: Vec<String>,
}

impl Outcome {
    fn read(body: &[u8]) -> Option<Self> {
        let mut ber = Ber(body);
        let code = number(ber.expect(ENUMERATED)?)?;
        ber.expect(OCTETS)?;
        let text = String::from_utf8_lossy(ber.expect(OCTETS)?).into_owned();
        let mut referrals = Vec::new();
        while let Some((tag, content)) = ber.next() {
            if tag == REFERRAL {
                referrals = texts(content);
            }
        }
        Some(Self {
            code,
            text,
            referrals,
        })
    }

    /// What it means that we may not, or cannot, `what`.
    fn error(self, what: &str) -> Error {
        let rejected = |what: String| Error::Rejected { what };
        let text = one_line(&self.text);
        match self.code {
            3 | 11 => rejected(format!("ends the search by a limit of its own {text}")),
            4 => rejected(
                "answers no more entries than its size limit; lift that limit for the account that reads".into(),
            ),
            8 | 13 => rejected(format!("asks for TLS {text}")),
            10 => rejected(format!(
                "refers to another directory, which is not followed: {}",
                one_line(&self.referrals.join(" "))
            )),
            32 => Error::setting("base", format!("is not there, or may not be seen {text}")),
            34 => Error::setting("base", "is not a name such as ou=people,dc=example,dc=com"),
            50 => Error::Forbidden {
                what: "what it was asked for".into(),
            },
            51 | 52 => Error::RateLimited { retry_after: None },
            code => rejected(format!("does not {what}: code {code} {text}")),
        }
    }
}

fn nonsense() -> Error {
    Error::Malformed {
        record: "the directory".into(),
        field: "its answer".into(),
        what: "is not LDAP".into(),
    }
}

/// Text of the directory as it may stand in a sentence, in brackets; empty if there is none.
fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    match line.trim() {
        "" => String::new(),
        line => format!("({line})"),
    }
}

fn broken(error: &io::Error) -> Error {
    Error::Unreachable {
        what: format!("the connection broke off ({})", error.kind()),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Error> {
    stream
        .write_all(bytes)
        .await
        .map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))
}

/// One message, of at most `limit` bytes.
async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Message, Error> {
    let broken = |error: io::Error| broken(&error);
    if stream.read_u8().await.map_err(broken)? != SEQUENCE {
        return Err(nonsense());
    }
    let mut length = usize::from(stream.read_u8().await.map_err(broken)?);
    if length >= 0x80 {
        let bytes = length - 0x80;
        if !(1..=4).contains(&bytes) {
            return Err(nonsense());
        }
        length = 0;
        for _ in 0..bytes {
            length = length << 8 | usize::from(stream.read_u8().await.map_err(broken)?);
        }
    }
    if length > limit {
        return Err(Error::TooLarge {
            what: "an answer of the directory".into(),
            limit,
        });
    }
    // Beyond a usual entry, memory is taken as bytes come, not as they are announced.
    let mut message = Vec::with_capacity(length.min(4 << 10));
    let mut rest = stream.take(length as u64);
    rest.read_to_end(&mut message).await.map_err(broken)?;
    if message.len() < length {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    let mut ber = Ber(&message);
    let mut parse = || {
        let id = number(ber.expect(INTEGER)?)?;
        let (op, body) = ber.next()?;
        let controls = match ber.next() {
            Some((CONTROLS, controls)) => controls.to_vec(),
            _ => Vec::new(),
        };
        Some(Message {
            id,
            op,
            body: body.to_vec(),
            controls,
        })
    };
    parse().ok_or_else(nonsense)
}

fn entry(body: &[u8]) -> Option<Entry> {
    let mut ber = Ber(body);
    let dn = std::str::from_utf8(ber.expect(OCTETS)?).ok()?.to_owned();
    let mut list = Ber(ber.expect(SEQUENCE)?);
    let mut attributes = Vec::new();
    while !list.0.is_empty() {
        let mut part = Ber(list.expect(SEQUENCE)?);
        let name = std::str::from_utf8(part.expect(OCTETS)?).ok()?.to_owned();
        let mut set = Ber(part.expect(SET)?);
        let mut values = Vec::new();
        while !set.0.is_empty() {
            values.push(set.expect(OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Some(Entry { dn, attributes })
}

/// Where to go on; empty at the end, and where the directory has no pages.
fn cookie(controls: &[u8]) -> Option<Vec<u8>> {
    let mut list = Ber(controls);
    while !list.0.is_empty() {
        let mut control = Ber(list.expect(SEQUENCE)?);
        if control.expect(OCTETS)? != PAGED_RESULTS {
            continue;
        }
        while let Some((tag, content)) = control.next() {
            if tag == OCTETS {
                let mut value = Ber(Ber(content).expect(SEQUENCE)?);
                value.expect(INTEGER)?;
                return value.expect(OCTETS).map(<[u8]>::to_vec);
            }
        }
    }
    Some(Vec::new())
}

fn texts(content: &[u8]) -> Vec<String> {
    let mut ber = Ber(content);
    let mut all = Vec::new();
    while let Some((_, text)) = ber.next() {
        all.push(String::from_utf8_lossy(text).into_owned());
    }
    all
}

/// Reads BER (X.690) with one-byte tags and definite lengths, as RFC 4511, 5.1 has it.
struct Ber<'a>(&'a [u8]);

impl<'a> Ber<'a> {
    /// The next tag and its content; none at the end and for what is no BER.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (bytes, after) = rest.split_at_checked(usize::from(first - 0x80))?;
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    let start = if bytes[0] >= 0x80 { -1 } else { 0 };
    Some(
        bytes
            .iter()
            .fold(start, |sum, byte| sum << 8 | i64::from(*byte)),
    )
}

fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len();
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap_or_default());
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or_default();
        out.push(0x80 + u8::try_from(bytes.len() - first).unwrap_or_default());
        out.extend(&bytes[first..]);
    }
    out.extend(content);
}

fn integer(tag: u8, value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // As few bytes as keep the sign (X.690, 8.3.2); servers refuse more.
    let spare = |pair: &[u8]| match pair[0] {
        0x00 => pair[1] < 0x80,
        0xFF => pair[1] >= 0x80,
        _ => false,
    };
    let first = bytes.windows(2).take_while(|pair| spare(pair)).count();
    let mut out = Vec::new();
    put(&mut out, tag, &bytes[first..]);
    out
}

fn message(id: i32, op: u8, body: &[u8], controls: Option<&[u8]>) -> Vec<u8> {
    let mut inner = integer(INTEGER, i64::from(id));
    put(&mut inner, op, body);
    if let Some(controls) = controls {
        put(&mut inner, CONTROLS, controls);
    }
    let mut out = Vec::new();
    put(&mut out, SEQUENCE, &inner);
    out
}

/// Whether a filter can be sent. Depth is bounded, for it is read by recursion.
pub(super) fn check_filter(text: &str) -> Result<(), String> {
    let mut depth = 0_i32;
    let deep = text.chars().any(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth > 32
    });
    if deep || text.len() > 4_096 {
        return Err("is too long or too deep: at most 4096 characters and 32 brackets".into());
    }
    match ldap3::parse_filter(text) {
        Ok(_) => Ok(()),
        Err(()) => Err("is not a filter such as (objectClass=inetOrgPerson)".into()),
    }
}

fn filter(text: &str) -> Result<Vec<u8>, Error> {
    let parsed = ldap3::parse_filter(text)
        .map_err(|()| Error::setting("people_filter", "is not a filter"))?;
    let mut out = Vec::new();
    encode(&parsed.into_structure(), &mut out);
    Ok(out)
}

fn encode(tag: &StructureTag, out: &mut Vec<u8>) {
    let class = match tag.class {
        TagClass::Universal => 0x00,
        TagClass::Application => 0x40,
        TagClass::Context => 0x80,
        TagClass::Private => 0xC0,
    };
    // A filter has no tag above 9.
    let number = u8::try_from(tag.id & 0x1F).unwrap_or_default();
    match &tag.payload {
        PL::P(content) => put(out, class | number, content),
        PL::C(parts) => {
            let mut content = Vec::new();
            for part in parts {
                encode(part, &mut content);
            }
            put(out, class | 0x20 | number, &content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_can_be_read() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let mut out = Vec::new();
            put(&mut out, OCTETS, &content);
            let mut ber = Ber(&out);
            assert_eq!(ber.expect(OCTETS), Some(content.as_slice()), "{length}");
            assert_eq!(ber.0, [0_u8; 0]);
        }
        for value in [0, 1, -1, 127, 128, 4_294_967_296] {
            let out = integer(INTEGER, value);
            assert_eq!(
                number(Ber(&out).expect(INTEGER).expect("content")),
                Some(value)
            );
        }
    }

    #[test]
    fn what_is_no_ber_is_nothing() {
        for bytes in [
            &[0x30][..],
            &[0x30, 0x05, 1, 2],
            &[0x30, 0x80],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
            &[],
        ] {
            assert_eq!(Ber(bytes).next(), None, "{bytes:?}");
        }
        assert_eq!(entry(&[0x04, 1, b'x', 0x30, 2, 0x30, 9]), None);
        assert_eq!(number(&[]), None);
    }

    #[test]
    fn a_filter_is_sent_as_rfc_4511_has_it() {
        // (&(uid=a)(!(cn=b*))) by hand.
        let and = filter("(&(uid=a)(!(cn=b*)))").expect("a filter");
        let uid = [0xA3, 8, 4, 3, b'u', b'i', b'd', 4, 1, b'a'];
        let cn = [0xA4, 9, 4, 2, b'c', b'n', 0x30, 3, 0x80, 1, b'b'];
        let mut wanted = vec![0xA0, 10 + 2 + 11];
        wanted.extend(uid);
        wanted.extend([0xA2, 11]);
        wanted.extend(cn);
        assert_eq!(and, wanted);
    }

    #[test]
    fn a_filter_has_an_end() {
        assert_eq!(check_filter("(objectClass=person)"), Ok(()));
        assert!(check_filter("(objectClass=person").is_err());
        assert!(check_filter(&"(!".repeat(33)).is_err());
        assert!(check_filter(&format!("(cn={})", "a".repeat(5_000))).is_err());
    }

    #[tokio::test]
    async fn an_announced_length_takes_no_memory_and_a_false_one_ends() {
        let mut lying: &[u8] = &[0x30, 0x84, 0x01, 0xFF, 0xFF, 0xFF, 1, 2, 3];
        let error = read(&mut lying, 32 << 20)
            .await
            .map(|_| ())
            .expect_err("an end");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let mut large: &[u8] = &[0x30, 0x84, 0x7F, 0xFF, 0xFF, 0xFF];
        let error = read(&mut large, 32 << 20)
            .await
            .map(|_| ())
            .expect_err("too large");
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
