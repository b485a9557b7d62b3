//! What a portal is told when it starts: `optimus.toml`, overruled by `OPTIMUS_*`.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use axum::http::Uri;
use chrono_tz::Tz;
use erp_adapters::Guard;
use figment::{
    Figment,
    providers::{Format as _, Toml},
    value::Value,
};

/// A setting's name in the file; in the environment it is in capitals after `OPTIMUS_`.
struct Setting {
    key: &'static str,
    /// Whether its value may hold a password and is never shown.
    secret: bool,
    /// What it takes.
    allowed: &'static str,
}

const SETTINGS: [Setting; 10] = [
    setting(
        "listen",
        "an address and port, such as 127.0.0.1:8080; port 0 is any free one",
    ),
    setting("data_dir", "a folder, which is made if it is not there"),
    Setting {
        secret: true,
        ..setting(
            "database_url",
            "sqlite://… or postgres://…; without it, a SQLite file in the data folder",
        )
    },
    Setting {
        secret: true,
        ..setting(
            "nats_url",
            "nats://… or tls://…, where several nodes on one PostgreSQL database wake each other; without it, one node serves everybody",
        )
    },
    setting(
        "public_url",
        "http:// or https:// and a host, without a path, such as https://portal.example",
    ),
    setting(
        "erp_hosts",
        "names (erp.internal), addresses (10.1.2.3) and networks (10.0.0.0/8) with commas between",
    ),
    setting("organization", "a name of 1 to 80 characters"),
    setting(
        "timezone",
        "a zone of the IANA database such as Europe/Oslo, whose midnight begins the organization’s days",
    ),
    setting(
        "trusted_proxies",
        "addresses and networks (10.0.0.0/8) with commas between",
    ),
    setting(
        "log",
        "a level (error, warn, info, debug, trace) or directives such as info,server=debug",
    ),
];

const fn setting(key: &'static str, allowed: &'static str) -> Setting {
    Setting {
        key,
        secret: false,
        allowed,
    }
}

/// Variables of the name that are no settings: where the file is, and what the checks use.
const NO_SETTINGS: [&str; 2] = ["OPTIMUS_CONFIG", "OPTIMUS_BIN"];

/// What a portal is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 is any free one.
    pub listen: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
    /// `sqlite://…` or `postgres://…`.
    pub database_url: String,
    /// Where other nodes are woken, `nats://…` or `tls://…`; without it, this is the only node.
    pub nats_url: Option<String>,
    /// Under which address people reach the portal; without it, the one it listens at.
    pub public_url: Option<String>,
    /// Which private hosts an ERP may be at.
    pub guard: Guard,
    /// The organization's name.
    pub organization: Option<String>,
    /// Where the organization's days begin: who starts or leaves does so at its midnight.
    pub timezone: Tz,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// What is logged, as `tracing_subscriber` filters it.
    pub log: String,
}

/// Everything that is wrong with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Wrong {}

/// A value as it was given, and where.
struct Given {
    text: String,
    place: String,
}

impl Config {
    /// Reads the file and the environment. `file` is the one that was asked for by name and has to be
    /// there; without it, `optimus.toml` of the current folder counts if there is one.
    ///
    /// # Errors
    /// [`Wrong`] names every setting that is not known or has a value that it does not take.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Wrong> {
        let mut wrong = Vec::new();
        let mut given = BTreeMap::new();
        match file {
            Some(path) if !path.is_file() => {
                return Err(Wrong(vec![format!(
                    "the configuration {} is not there",
                    path.display()
                )]));
            }
            Some(path) => read_file(path, &mut given, &mut wrong),
            None if Path::new("optimus.toml").is_file() => {
                read_file(Path::new("optimus.toml"), &mut given, &mut wrong);
            }
            None => {}
        }
        read_env(env, &mut given, &mut wrong);
        let config = Self::checked(&given, &mut wrong);
        if wrong.is_empty() {
            Ok(config)
        } else {
            Err(Wrong(wrong))
        }
    }

    fn checked(given: &BTreeMap<&'static str, Given>, wrong: &mut Vec<String>) -> Self {
        let mut read = Reader { given, wrong };
        let data_dir = read
            .get("data_dir", |text| {
                Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty())
            })
            .unwrap_or_else(|| "data".into());
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        let database_url = read
            .get("database_url", |text| {
                ["sqlite:", "postgres://", "postgresql://"]
                    .iter()
                    .any(|scheme| text.starts_with(scheme))
                    .then(|| text.to_owned())
            })
            .unwrap_or_else(|| format!("sqlite://{}", data_dir.join("optimus.sqlite").display()));
        let nats_url = read.get("nats_url", |text| {
            let known = ["nats://", "tls://"]
                .iter()
                .any(|scheme| text.starts_with(scheme));
            (known && text.parse::<async_nats::ServerAddr>().is_ok()).then(|| text.to_owned())
        });
        Self {
            listen: read
                .get("listen", |text| text.parse().ok())
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            database_url,
            nats_url,
            public_url: read.get("public_url", public_url),
            guard: read
                .get("erp_hosts", |text| Guard::new(list(text)).ok())
                .unwrap_or_default(),
            organization: read.get("organization", |text| {
                let text = domain::text::line("organization", text, 80).ok()?;
                Some(text).filter(|text| !text.is_empty())
            }),
            timezone: read
                .get("timezone", |text| text.parse().ok())
                .unwrap_or(Tz::UTC),
            trusted_proxies: read
                .get("trusted_proxies", |text| {
                    list(text).map(Network::parse).collect()
                })
                .unwrap_or_default(),
            log: read
                .get("log", |text| {
                    tracing_subscriber::EnvFilter::try_new(text)
                        .ok()
                        .map(|_| text.to_owned())
                })
                .unwrap_or_else(|| "info,sea_orm_migration=warn".into()),
            data_dir,
        }
    }
}

struct Reader<'a> {
    given: &'a BTreeMap<&'static str, Given>,
    wrong: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let given = self.given.get(key)?;
        let value = parse(given.text.trim());
        if value.is_none() {
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            let (secret, allowed) =
                setting.map_or((false, ""), |setting| (setting.secret, setting.allowed));
            let shown = if secret {
                "has a value that is not shown here".into()
            } else {
                format!("is {:?}", given.text)
            };
            self.wrong
                .push(format!("{} {shown}; allowed: {allowed}", given.place));
        }
        value
    }
}

fn read_file(path: &Path, given: &mut BTreeMap<&'static str, Given>, wrong: &mut Vec<String>) {
    let values: BTreeMap<String, Value> = match Figment::from(Toml::file_exact(path)).extract() {
        Ok(values) => values,
        // The parser's own text may quote a line with a password in it.
        Err(_) => {
            wrong.push(format!(
                "{} is not TOML of the form key = \"value\"",
                path.display()
            ));
            return;
        }
    };
    for (key, value) in values {
        let place = format!("{key} in {}", path.display());
        match (
            SETTINGS.iter().find(|setting| setting.key == key),
            text(&value),
        ) {
            (Some(setting), Some(text)) => {
                given.insert(setting.key, Given { text, place });
            }
            (Some(setting), None) => {
                wrong.push(format!("{place} is no text; allowed: {}", setting.allowed))
            }
            (None, _) => wrong.push(format!(
                "{place} is not a setting; allowed: {}",
                names(str::to_owned)
            )),
        }
    }
}

fn read_env(
    env: impl Iterator<Item = (String, String)>,
    given: &mut BTreeMap<&'static str, Given>,
    wrong: &mut Vec<String>,
) {
    for (name, text) in env {
        let Some(key) = name.strip_prefix("OPTIMUS_") else {
            continue;
        };
        if NO_SETTINGS.contains(&name.as_str()) || key.starts_with("TEST_") {
            continue;
        }
        match SETTINGS
            .iter()
            .find(|setting| setting.key.to_ascii_uppercase() == key)
        {
            // An empty variable is how many a shell takes one away.
            Some(_) if text.trim().is_empty() => {}
            Some(setting) => {
                given.insert(setting.key, Given { text, place: name });
            }
            None => {
                let names = names(|key| format!("OPTIMUS_{}", key.to_ascii_uppercase()));
                wrong.push(format!("{name} is not a setting; allowed: {names}"));
            }
        }
    }
}

fn names(form: impl Fn(&str) -> String) -> String {
    SETTINGS
        .iter()
        .map(|setting| form(setting.key))
        .collect::<Vec<_>>()
        .join(", ")
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Num(_, number) => number.to_i128().map(|number| number.to_string()),
        Value::Array(_, items) => items
            .iter()
            .map(text)
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(",")),
        _ => None,
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn public_url(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let fit = matches!(uri.scheme_str(), Some("http" | "https"))
        && !authority.as_str().contains('@')
        && uri.path() == "/"
        && uri.query().is_none();
    fit.then(|| text.to_ascii_lowercase())
}

/// A network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    bits: u32,
}

impl Network {
    /// `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let own = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(own), |bits| {
            bits.parse().ok().filter(|bits| *bits <= own)
        })?;
        Some(Self {
            base: number(address),
            bits: 128 - own + bits,
        })
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        (number(address) ^ self.base)
            .checked_shr(128 - self.bits)
            .unwrap_or(0)
            == 0
    }
}

/// IPv4 counts as `::ffff:a.b.c.d`.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(env: &[(&str, &str)]) -> Result<Config, Wrong> {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        // A file that is empty, so that none of the current folder counts.
        Config::load(
            Some(Path::new("/dev/null")).filter(|path| path.is_file()),
            env.collect::<Vec<_>>().into_iter(),
        )
    }

    fn wrong(env: &[(&str, &str)]) -> String {
        load(env).expect_err("refused").to_string()
    }

    #[test]
    fn nothing_has_to_be_set() {
        let config = load(&[]).expect("a configuration");
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert!(
            config.database_url.starts_with("sqlite:///"),
            "{}",
            config.database_url
        );
        assert!(config.database_url.ends_with("/data/optimus.sqlite"));
        assert_eq!(config.public_url, None);
        assert_eq!(config.timezone, Tz::UTC);
    }

    #[test]
    fn a_wrong_value_names_key_value_and_what_is_allowed() {
        assert_eq!(
            wrong(&[("OPTIMUS_LISTEN", "8080")]),
            "OPTIMUS_LISTEN is \"8080\"; allowed: an address and port, such as 127.0.0.1:8080; port 0 is any free one"
        );
        assert!(
            wrong(&[("OPTIMUS_ERP_HOSTS", "10.0.0.0/99")])
                .starts_with("OPTIMUS_ERP_HOSTS is \"10.0.0.0/99\"")
        );
        for url in [
            "portal",
            "ftp://portal.example",
            "https://portal.example/app",
            "https://a:b@portal.example",
        ] {
            assert!(wrong(&[("OPTIMUS_PUBLIC_URL", url)]).contains(url), "{url}");
        }
        assert!(wrong(&[("OPTIMUS_LOG", "server=loud")]).contains("server=loud"));
        assert!(wrong(&[("OPTIMUS_TIMEZONE", "Mars/Olympus")]).contains("Europe/Oslo"));
        let both = wrong(&[("OPTIMUS_LISTEN", "x"), ("OPTIMUS_TRUSTED_PROXIES", "y")]);
        assert_eq!(both.lines().count(), 2, "{both}");
    }

    #[test]
    fn a_name_that_is_no_setting_is_refused() {
        let wrong = wrong(&[("OPTIMUS_LISTN", "127.0.0.1:1")]);
        assert!(
            wrong.starts_with("OPTIMUS_LISTN is not a setting; allowed: OPTIMUS_LISTEN, "),
            "{wrong}"
        );
        assert!(
            load(&[
                ("OPTIMUS_BIN", "x"),
                ("OPTIMUS_TEST_POSTGRES_URL", "x"),
                ("OPTIMUS_LISTEN", "")
            ])
            .is_ok()
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let wrong = wrong(&[
            ("OPTIMUS_DATABASE_URL", "mysql://u:s3cret@db"),
            ("OPTIMUS_NATS_URL", "http://u:s3cret@n"),
        ]);
        assert!(!wrong.contains("s3cret"), "{wrong}");
        assert!(
            wrong.contains("OPTIMUS_DATABASE_URL") && wrong.contains("allowed: nats://"),
            "{wrong}"
        );
    }

    #[test]
    fn networks_hold_addresses() {
        let holds = |network: &str, address: &str| {
            Network::parse(network)
                .expect("a network")
                .contains(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.200.1.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("proxy").is_none());
    }
}
