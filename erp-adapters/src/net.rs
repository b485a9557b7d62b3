//! The way out: an HTTP client that goes only where it may.
//!
//! Whoever may type an address into a form could otherwise make the server
//! fetch from its own network (server-side request forgery, CWE-918). So the
//! address that was checked is the address connected to, redirects are not
//! followed, proxies of the environment are not used, and an answer has a
//! largest size and a longest time.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, DATE, HeaderMap, LINK, RETRY_AFTER},
    redirect::Policy,
};
use serde::Serialize;
use tokio::net::TcpStream;

use crate::Error;

/// How long and how much an ERP may answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time until a connection stands, name resolution and TLS included.
    pub connect: Duration,
    /// Longest silence in the middle of an answer.
    pub idle: Duration,
    /// Longest time for one question and its whole answer.
    pub total: Duration,
    /// Largest answer in bytes, counted after decompression.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(120),
            bytes: 32 << 20,
        }
    }
}

/// Which hosts adapters may talk to.
///
/// Public addresses are open. Loopback and private ones only when listed, by
/// name or by network. Link-local ones and those where clouds hand out
/// credentials are never open, listed or not.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    hosts: Arc<Hosts>,
    limits: Limits,
}

impl Guard {
    /// A guard that also lets through `hosts`: names (`erp.internal`),
    /// addresses (`10.1.2.3`, `::1`) and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// [`Error::Setting`] for an entry that is none of these.
    pub fn new<S: AsRef<str>>(hosts: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let hosts = hosts
            .into_iter()
            .map(|host| Listed::parse(host.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            hosts: Arc::new(Hosts(hosts)),
            limits: Limits::default(),
        })
    }

    /// The same guard with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A connection to `host`, for what is not HTTP: the address that was
    /// judged is the one connected to.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::Unreachable`], [`Error::TimedOut`].
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let host = plain(host);
        let connect = async {
            let unreachable = || Error::Unreachable {
                what: format!("no connection to {host}, port {port}"),
            };
            let mut failure = unreachable();
            let addresses = tokio::net::lookup_host((host.as_str(), port))
                .await
                .map_err(|_| unreachable())?;
            for address in addresses {
                match self.hosts.judge(&host, address.ip()) {
                    Ok(()) => match TcpStream::connect(address).await {
                        Ok(stream) => return Ok(stream),
                        Err(error) => {
                            tracing::debug!(%error, %address, "no connection");
                            failure = unreachable();
                        }
                    },
                    Err(refused) => failure = refused.into(),
                }
            }
            Err(failure)
        };
        let after = self.limits.connect;
        tokio::time::timeout(after, connect)
            .await
            .unwrap_or(Err(Error::TimedOut { after }))
    }

    /// Whether `host` is listed, and so may be talked to without TLS.
    pub(crate) fn lists(&self, host: &str) -> bool {
        let host = plain(host);
        let literal = host.parse().ok();
        self.hosts.lists(&host, literal)
    }

    /// How long and how much an ERP may answer.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A client for everything below `base`, an `https` address.
    ///
    /// Plain `http` would send the key readable by anyone on the way, so it
    /// is taken only for hosts that are listed.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is not such an address, [`Error::NotAllowed`].
    pub(crate) fn open(&self, key: &str, base: &str) -> Result<Http, Error> {
        let bad = |what: &str| Error::setting(key, what);
        let mut base = Url::parse(base.trim())
            .map_err(|_| bad("is not an address such as https://erp.example"))?;
        let Some(host) = base.host_str().map(plain) else {
            return Err(bad("names no host"));
        };
        if !matches!(base.scheme(), "https" | "http") {
            return Err(bad("must begin with https://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("must not hold a name or password"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(bad("must end before ? and #"));
        }
        let literal = host.parse::<IpAddr>().ok();
        if let Some(ip) = literal {
            self.hosts.judge(&host, ip)?;
        }
        if base.scheme() == "http" && !self.hosts.lists(&host, literal) {
            return Err(bad(
                "must begin with https://, or its host must be listed in OPTIMUS_ERP_HOSTS",
            ));
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let client = Client::builder()
            .dns_resolver(Arc::new(Resolver(Arc::clone(&self.hosts))))
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(self.limits.connect)
            .read_timeout(self.limits.idle)
            .timeout(self.limits.total)
            .pool_max_idle_per_host(2)
            .user_agent(concat!("optimus/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Unreachable {
                what: format!("no TLS client: {error}"),
            })?;
        Ok(Http {
            client,
            base,
            limits: self.limits,
        })
    }
}

/// A client bound to one ERP.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    base: Url,
    limits: Limits,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Media type in lower case without parameters; empty when none was sent.
    pub(crate) media_type: String,
    /// How long to wait, when the ERP said so.
    pub(crate) retry_after: Option<Duration>,
    /// When it was given by the ERP's own clock.
    pub(crate) date: Option<DateTime<Utc>>,
    /// The `next` of its `Link` header (RFC 8288), as it stands there.
    pub(crate) next: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// Posts `body` as JSON to `path` below the base.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: HeaderMap,
        body: &impl Serialize,
    ) -> Result<Answer, Error> {
        self.send(
            self.client
                .post(self.below(path)?)
                .headers(headers)
                .json(body),
        )
        .await
    }

    /// Gets `path` below the base, without any key.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Error> {
        self.send(self.client.get(self.below(path)?)).await
    }

    /// Sends a question to `url`, which has to be of the base's own origin.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Error> {
        if url.origin() != self.base.origin() {
            return Err(foreign(&url));
        }
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        self.send(request).await
    }

    /// The address of `path` below the base.
    pub(crate) fn below(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|_| Error::Rejected {
            what: format!("has no path {path}"),
        })
    }

    /// Where a link leads that an answer of `from` holds, relative or whole.
    ///
    /// The key would go with the question, so a link to another scheme, host
    /// or port is refused. One thing is mended: a service on this machine that
    /// calls itself by another of the machine's own names (`localhost` for
    /// `127.0.0.1`) is asked where it was asked before, if the link stays below
    /// the base; the other name itself is never connected to.
    pub(crate) fn link(&self, link: &str, from: &Url) -> Result<Url, Error> {
        let mut url = from.join(link).map_err(|_| Error::Malformed {
            record: "the answer".into(),
            field: "the next link".into(),
            what: "is not an address".into(),
        })?;
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        let same = url.scheme() == self.base.scheme()
            && url.port_or_known_default() == self.base.port_or_known_default()
            && [&url, &self.base].into_iter().all(is_this_machine)
            && url.path().starts_with(self.base.path());
        if !same || url.set_host(self.base.host_str()).is_err() {
            return Err(foreign(&url));
        }
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let response = request.send().await.map_err(|error| self.failure(error))?;
        if response.status().is_redirection() {
            let what = "sends us to another address; enter the address where it ends".into();
            return Err(Error::Rejected { what });
        }
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<Answer, Error> {
        let headers = response.headers();
        let media_type = text(headers, &CONTENT_TYPE)
            .split(';')
            .next()
            .map(|kind| kind.trim().to_ascii_lowercase())
            .unwrap_or_default();
        let retry_after = wait(text(headers, &RETRY_AFTER), text(headers, &DATE));
        let date = DateTime::parse_from_rfc2822(text(headers, &DATE))
            .ok()
            .map(|date| date.with_timezone(&Utc));
        let next = next_of(text(headers, &LINK));
        let status = response.status();
        let headers = headers.clone();
        let mut body = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| self.failure(error))?
        {
            if body.len() + part.len() > self.limits.bytes {
                return Err(Error::TooLarge {
                    what: "the answer".into(),
                    limit: self.limits.bytes,
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer {
            status,
            media_type,
            retry_after,
            date,
            next,
            headers,
            body,
        })
    }

    /// What a person is told; reqwest's own text may hold the whole address.
    fn failure(&self, error: reqwest::Error) -> Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(at) = cause {
            if let Some(refused) = at.downcast_ref::<Refused>() {
                return Error::NotAllowed {
                    host: refused.host.clone(),
                    why: refused.why,
                };
            }
            cause = at.source();
        }
        tracing::debug!(%error, "no answer from the ERP");
        let host = self.base.host_str().unwrap_or_default();
        if error.is_timeout() {
            Error::TimedOut {
                after: if error.is_connect() {
                    self.limits.connect
                } else {
                    self.limits.total
                },
            }
        } else if error.is_connect() {
            let port = self.base.port_or_known_default().unwrap_or_default();
            Error::Unreachable {
                what: format!("no connection to {host}, port {port}"),
            }
        } else {
            Error::Unreachable {
                what: format!("the answer of {host} broke off"),
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &reqwest::header::HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3). A date is measured
/// from the answer's own `Date`: the two clocks need not agree.
fn wait(retry_after: &str, date: &str) -> Option<Duration> {
    if let Ok(seconds) = retry_after.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(retry_after).ok()?;
    let now = DateTime::parse_from_rfc2822(date).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

/// The target of rel `next` in a `Link` header: `<https://…?page=2>; rel="next", <…>; rel="last"`.
fn next_of(links: &str) -> Option<String> {
    links.split('<').skip(1).find_map(|link| {
        let (target, about) = link.split_once('>')?;
        let about = about.to_ascii_lowercase().replace(['"', ' '], "");
        let is_next = about
            .split([';', ','])
            .any(|one| one.strip_prefix("rel=") == Some("next"));
        is_next.then(|| target.trim().to_owned())
    })
}

fn foreign(url: &Url) -> Error {
    Error::NotAllowed {
        host: url.host_str().unwrap_or("a link without a host").to_owned(),
        why: "a link of the answer leads away from the address that was entered",
    }
}

/// Whether the host is a name or address of the machine itself.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().map(plain).unwrap_or_default();
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A host in the form in which it is compared.
fn plain(host: &str) -> String {
    host.trim()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

#[derive(Debug, Default)]
struct Hosts(Vec<Listed>);

#[derive(Debug)]
enum Listed {
    Name(String),
    /// The first `bits` of the 128 are the network's; IPv4 counts as `::ffff:a.b.c.d`.
    Net {
        base: u128,
        bits: u32,
    },
}

impl Listed {
    fn parse(entry: &str) -> Result<Self, Error> {
        let bad = || {
            let what = format!(
                "{entry:?} is not a name (erp.internal), address (10.1.2.3) or network (10.0.0.0/8)"
            );
            Error::setting("erp_hosts", what)
        };
        let (host, prefix) = entry
            .split_once('/')
            .map_or((entry, None), |(host, bits)| (host, Some(bits)));
        let host = plain(host);
        let Ok(ip) = host.parse::<IpAddr>() else {
            let name = prefix.is_none()
                && !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
            return if name {
                Ok(Self::Name(host))
            } else {
                Err(bad())
            };
        };
        let own = if ip.is_ipv4() { 32 } else { 128 };
        let bits = prefix.map_or(Ok(own), str::parse).map_err(|_| bad())?;
        if bits > own {
            return Err(bad());
        }
        Ok(Self::Net {
            base: number(ip),
            bits: 128 - own + bits,
        })
    }
}

impl Hosts {
    fn lists(&self, host: &str, ip: Option<IpAddr>) -> bool {
        self.0.iter().any(|listed| match listed {
            Listed::Name(name) => name == host,
            Listed::Net { base, bits } => ip.is_some_and(|ip| {
                (number(true_address(ip)) ^ base)
                    .checked_shr(128 - bits)
                    .unwrap_or(0)
                    == 0
            }),
        })
    }

    fn judge(&self, host: &str, ip: IpAddr) -> Result<(), Refused> {
        let refused = |why| {
            Err(Refused {
                host: host.to_owned(),
                why,
            })
        };
        match reach(ip) {
            Reach::Public => Ok(()),
            Reach::Never(why) => refused(why),
            Reach::Private if self.lists(host, Some(ip)) => Ok(()),
            Reach::Private => refused(
                "it is on this machine or in a private network and not listed in OPTIMUS_ERP_HOSTS",
            ),
        }
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The IPv4 address that some IPv6 ones stand for (mapped, NAT64, 6to4, compatible).
fn true_address(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [_, b, c, _, _, _, g, h] = v6.segments();
    let v4 =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(g, h),
        [0x2002, ..] => v4(b, c),
        [0, 0, 0, 0, 0, 0, ..] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => {
            v4(g, h)
        }
        _ => ip,
    }
}

enum Reach {
    Public,
    Private,
    Never(&'static str),
}

fn reach(ip: IpAddr) -> Reach {
    const LINK_LOCAL: Reach = Reach::Never("link-local addresses are never open");
    const METADATA: Reach =
        Reach::Never("addresses where clouds hand out credentials are never open");
    const NO_HOST: Reach = Reach::Never("it is not the address of one host");
    match true_address(ip) {
        IpAddr::V4(v4) => match v4.octets() {
            [169, 254, ..] => LINK_LOCAL,
            // Alibaba, Oracle, Azure; the others use 169.254.169.254.
            [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => METADATA,
            [0 | 224..=255, ..] => NO_HOST,
            [127 | 10, ..]
            | [192, 168, ..]
            | [172, 16..=31, ..]
            | [100, 64..=127, ..]
            | [198, 18 | 19, ..]
            | [192, 0, 0, _] => Reach::Private,
            _ => Reach::Public,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0xfe80..=0xfeff, ..] => LINK_LOCAL,
            [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => METADATA,
            [0xff00..=0xffff, ..] | [0, 0, 0, 0, 0, 0, 0, 0] => NO_HOST,
            [0xfc00..=0xfdff, ..] | [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
            _ => Reach::Public,
        },
    }
}

/// Why a host was not connected to; travels through reqwest as a cause.
#[derive(Debug)]
struct Refused {
    host: String,
    why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused: {}", self.host, self.why)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::NotAllowed {
            host: refused.host,
            why: refused.why,
        }
    }
}

/// Resolves names, and keeps only the addresses that may be connected to. A
/// name that answers differently the next time (DNS rebinding) gains nothing.
struct Resolver(Arc<Hosts>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = Arc::clone(&self.0);
        Box::pin(async move {
            let host = plain(name.as_str());
            let mut refused = None;
            let mut open = Vec::new();
            for address in tokio::net::lookup_host((host.as_str(), 0)).await? {
                match hosts.judge(&host, address.ip()) {
                    Ok(()) => open.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(refused) if open.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(open.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(listed: &[&str], host: &str) -> bool {
        let guard = Guard::new(listed).expect("a list");
        guard
            .hosts
            .judge(host, host.parse().expect("an address"))
            .is_ok()
    }

    #[test]
    fn private_addresses_are_open_only_when_listed() {
        assert!(judged(&[], "93.184.215.14"));
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
        ] {
            assert!(!judged(&[], private), "{private}");
            assert!(judged(&[private], private), "{private}");
        }
        assert!(judged(&["10.0.0.0/8"], "10.200.0.1"));
        assert!(!judged(&["10.0.0.0/9"], "10.200.0.1"));
        assert!(judged(&["fd12::/16"], "fd12:3::9"));
    }

    #[test]
    fn a_private_address_in_ipv6_clothes_is_still_private() {
        for dressed in [
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:c0a8:0101::1",
            "::10.0.0.1",
        ] {
            assert!(!judged(&[], dressed), "{dressed}");
        }
        assert!(judged(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
    }

    #[test]
    fn link_local_and_metadata_are_never_open() {
        let all = ["0.0.0.0/0", "::/0"];
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "ff02::1",
        ] {
            assert!(!judged(&all, never), "{never}");
        }
        assert!(judged(&all, "127.0.0.1"));
    }

    #[test]
    fn an_address_is_checked_before_it_is_used() {
        let guard = Guard::new(["127.0.0.1", "erp.internal"]).expect("a list");
        let refused = |base: &str| guard.open("url", base).expect_err(base).to_string();
        assert!(guard.open("url", "http://127.0.0.1:8069").is_ok());
        assert!(guard.open("url", "http://erp.internal/odoo").is_ok());
        assert!(guard.open("url", "https://odoo.example").is_ok());
        assert!(refused("http://odoo.example").contains("https://"));
        // The decimal, octal and short spellings of 127.0.0.2.
        for loopback in [
            "https://2130706434",
            "https://0177.0.0.2",
            "https://127.2",
            "https://[::ffff:7f00:2]",
        ] {
            assert!(refused(loopback).contains("private network"), "{loopback}");
        }
        assert!(refused("https://169.254.169.254/latest").contains("link-local"));
        assert!(refused("file:///etc/passwd").contains("names no host"));
        assert!(refused("ftp://odoo.example").contains("https://"));
        assert!(refused("https://a:b@odoo.example").contains("password"));
        assert!(refused("https://odoo.example/?db=1").contains('?'));
    }

    #[test]
    fn a_list_with_an_unreadable_entry_is_refused() {
        for entry in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "erp.internal/8",
            "erp.internal:8069",
            "*",
        ] {
            assert!(Guard::new([entry]).is_err(), "{entry:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
        // Listed under another name, so that only the resolved address can refuse it.
        let guard = Guard::new(["10.0.0.1"]).expect("a list");
        let http = guard.open("url", "https://localhost:1/").expect("a client");
        let error = http
            .post("x", HeaderMap::new(), &())
            .await
            .expect_err("refused");
        assert!(matches!(error, Error::NotAllowed { .. }), "{error}");
        let guard = Guard::new(["localhost"]).expect("a list");
        let http = guard.open("url", "http://localhost:1/").expect("a client");
        let error = http
            .post("x", HeaderMap::new(), &())
            .await
            .expect_err("nobody listens");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }

    #[test]
    fn a_link_stays_with_its_service() {
        let guard = Guard::new(["127.0.0.1"]).expect("a list");
        let http = guard
            .open("url", "http://127.0.0.1:8080/odata/v2/sf")
            .expect("a client");
        let from = http.below("User?$top=1").expect("an address");
        let leads = |link: &str| http.link(link, &from).map(String::from);
        for (link, to) in [
            (
                "User?$skiptoken=10",
                "http://127.0.0.1:8080/odata/v2/sf/User?$skiptoken=10",
            ),
            ("/other?page=2", "http://127.0.0.1:8080/other?page=2"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            (
                "http://localhost:8080/odata/v2/sf/User?$skiptoken=10",
                "http://127.0.0.1:8080/odata/v2/sf/User?$skiptoken=10",
            ),
        ] {
            assert_eq!(leads(link).as_deref(), Ok(to));
        }
        for foreign in [
            "https://127.0.0.1:8080/odata/v2/sf/User",
            "http://127.0.0.1:8081/odata/v2/sf/User",
            "http://localhost:8080/elsewhere",
            "http://localhost:8080/odata/v2/sf/../../admin",
            "http://erp.example:8080/odata/v2/sf/User",
            "//erp.example/odata/v2/sf/User",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ] {
            let refused = leads(foreign);
            assert!(
                matches!(refused, Err(Error::NotAllowed { .. })),
                "{foreign}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_question_to_another_origin_is_not_sent() {
        let guard = Guard::new(["127.0.0.1"]).expect("a list");
        let http = guard.open("url", "http://127.0.0.1:1/").expect("a client");
        let away = Url::parse("http://127.0.0.1:2/").expect("an address");
        let sent = http.ask(Method::GET, away, HeaderMap::new(), None).await;
        assert!(matches!(sent, Err(Error::NotAllowed { .. })), "{sent:?}");
    }

    #[test]
    fn the_next_page_of_a_link_header_is_found() {
        let links = r#"<https://erp.example/p?page=1>; rel="first", <https://erp.example/p?page=3,4>; title="x"; rel=next"#;
        assert_eq!(
            next_of(links).as_deref(),
            Some("https://erp.example/p?page=3,4")
        );
        assert_eq!(next_of(r#"<https://erp.example/p>; rel="prev""#), None);
        assert_eq!(next_of(""), None);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        assert_eq!(wait("120", ""), Some(Duration::from_secs(120)));
        let (until, now) = (
            "Wed, 21 Oct 2026 07:28:30 GMT",
            "Wed, 21 Oct 2026 07:28:00 GMT",
        );
        assert_eq!(wait(until, now), Some(Duration::from_secs(30)));
        assert_eq!(wait(now, until), Some(Duration::ZERO));
        assert_eq!(wait("soon", now), None);
        assert_eq!(wait(until, ""), None);
    }
}
