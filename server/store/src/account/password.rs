//! Hashing of passwords, and the waits after wrong ones.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Violation, password, text};
use moka::{ops::compute::Op, sync::Cache};
use tokio::sync::Semaphore;

use crate::{Env, Error, Result};

/// OWASP's least argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const LEAST: (u32, u32) = (19 * 1024, 2);
/// More memory than this at once would let sign-ins crowd out everything else.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 10;
/// What one hash should take where the machine is fast enough.
const AIM: Duration = Duration::from_millis(100);
/// How many may wait for a hash before the next is turned away.
const WAITING: usize = 64;

/// How much work a password's hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// OWASP's minimum: for tests.
    Least,
    /// About a tenth of a second on this machine, and never under the minimum.
    Calibrated,
}

/// Hashing of passwords: argon2id, calibrated once, a bounded number at a time.
pub struct Passwords {
    hasher: Arc<Argon2<'static>>,
    /// A hash of nothing that anybody knows, for logins that nobody has.
    nobody: Arc<str>,
    running: Semaphore,
    waiting: Semaphore,
    pub(super) throttle: Throttle,
}

impl Passwords {
    /// Measures the machine for [`Cost::Calibrated`], which takes some tenths of a second.
    ///
    /// # Errors
    /// [`Error::Internal`] if argon2 refuses its own minimum.
    pub async fn new(cost: Cost, env: &Env) -> Result<Self> {
        let (secret, salt) = (hex::encode(env.random::<32>()), env.random());
        let work = move || -> Result<_> {
            let mut hasher = hasher(LEAST)?;
            if cost == Cost::Calibrated {
                let start = Instant::now();
                hash(&hasher, &secret, salt)?;
                hasher = self::hasher(calibrate(start.elapsed()))?;
            }
            let nobody = hash(&hasher, &secret, salt)?;
            Ok((hasher, nobody))
        };
        let (hasher, nobody) = tokio::task::spawn_blocking(work).await.map_err(ended)??;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            hasher: Arc::new(hasher),
            nobody: nobody.into(),
            running: Semaphore::new(cores),
            waiting: Semaphore::new(cores + WAITING),
            throttle: Throttle::default(),
        })
    }

    /// Checks that a new password is long enough and not easily guessed by
    /// somebody who knows `words` about the person, and hashes it.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Busy`].
    pub(super) async fn set(
        &self,
        new: &str,
        words: Vec<String>,
        salt: [u8; 16],
    ) -> Result<String> {
        password::check(new)?;
        let (hasher, new) = (self.hasher.clone(), new.to_owned());
        self.work(move || {
            if is_easily_guessed(&new, words) {
                return Err(Violation::WeakPassword.into());
            }
            hash(&hasher, &new, salt)
        })
        .await?
    }

    /// Whether the password is the one of `hash`; as much work without a hash, which nothing matches.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) async fn verify(&self, given: &str, hash: Option<&str>) -> Result<bool> {
        let known = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| self.nobody.clone(), Into::into);
        let hasher = self.hasher.clone();
        // No password is longer: what is gets the same answer as a wrong one.
        let mut end = given.len().min(password::MAX + 1);
        while !given.is_char_boundary(end) {
            end -= 1;
        }
        let given = given[..end].to_owned();
        let right = self
            .work(move || hasher.verify_password(given.as_bytes(), &*hash).is_ok())
            .await?;
        Ok(right && known)
    }

    /// Runs on a thread for blocking work, as many at a time as there are cores.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let _turn = self.running.acquire().await.map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(ended)
    }
}

/// Whether somebody who knows `words` about the person would soon come upon the
/// password. What is judged is what is left of it without them: zxcvbn itself
/// takes three such words in a row for a good password.
fn is_easily_guessed(password: &str, mut words: Vec<String>) -> bool {
    words.iter_mut().for_each(|word| *word = text::fold(word));
    words.retain(|word| word.chars().count() > 2);
    // What holds another one goes first.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words
        .iter()
        .fold(text::fold(password), |rest, word| rest.replace(word, " "));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(&rest, &words).score() < zxcvbn::Score::Three
}

fn ended(error: tokio::task::JoinError) -> Error {
    Error::Internal(format!("hashing: {error}"))
}

fn hasher((memory, passes): (u32, u32)) -> Result<Argon2<'static>> {
    let params = Params::new(memory, passes, 1, None)
        .map_err(|error| Error::Internal(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(hasher: &Argon2<'_>, password: &str, salt: [u8; 16]) -> Result<String> {
    hasher
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(format!("argon2: {error}")))
}

/// Memory in KiB and passes that should take [`AIM`] where [`LEAST`] took `least`:
/// memory first, because memory is what costs an attacker most.
fn calibrate(least: Duration) -> (u32, u32) {
    let (memory, passes) = LEAST;
    let times = (AIM.as_micros() / least.as_micros().max(1))
        .try_into()
        .unwrap_or(u32::MAX);
    let more = memory.saturating_mul(times).clamp(memory, MOST_MEMORY);
    let work = u64::from(memory) * u64::from(passes) * u64::from(times);
    let more_passes = (work / u64::from(more)).try_into().unwrap_or(MOST_PASSES);
    (more, more_passes.clamp(passes, MOST_PASSES))
}

/// Wrong passwords that one may have been mistyped before the first wait.
const FREE_PER_ACCOUNT: u32 = 5;
/// As many people may share an address.
const FREE_PER_ADDRESS: u32 = 30;
const LONGEST_WAIT: u64 = 15 * 60;
/// Attempts are forgotten after such a time without one.
const FORGET: TimeDelta = TimeDelta::hours(24);

/// Whose attempts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    /// IPv6 by its /64: who has one address of it has them all.
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    wrong: u32,
    last: DateTime<Utc>,
}

impl Attempts {
    fn wait(self, free: u32) -> u64 {
        let over = self.wrong.saturating_sub(free);
        if over == 0 {
            0
        } else {
            2u64.saturating_pow(over).min(LONGEST_WAIT)
        }
    }
}

/// Waits that double with every wrong password, for an account (known or not)
/// and for an address. In memory, bounded; nobody is locked out for longer
/// than the longest wait.
pub(super) struct Throttle(Cache<Key, Attempts>);

impl Default for Throttle {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(100_000)
                .time_to_idle(Duration::from_secs(24 * 3600))
                .build(),
        )
    }
}

impl Throttle {
    /// Counts an attempt as wrong before it is judged, so that many at once gain nothing.
    ///
    /// # Errors
    /// [`Error::Throttled`] while there is to wait; such an attempt is not counted.
    pub(super) fn attempt(
        &self,
        login: &str,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let address = address.map(network);
        if let Some(address) = address {
            self.count(Key::Address(address), FREE_PER_ADDRESS, now)?;
        }
        self.count(Key::Account(text::fold(login)), FREE_PER_ACCOUNT, now)
            .inspect_err(|_| {
                if let Some(address) = address {
                    self.forgive(Key::Address(address));
                }
            })
    }

    /// Forgets the account's wrong attempts, and one of the address's: signing
    /// in to an own account clears no other one's guesses.
    pub(super) fn right(&self, login: &str, address: Option<IpAddr>) {
        self.0.invalidate(&Key::Account(text::fold(login)));
        if let Some(address) = address {
            self.forgive(Key::Address(network(address)));
        }
    }

    /// Takes an attempt back that was never judged.
    pub(super) fn undo(&self, login: &str, address: Option<IpAddr>) {
        self.forgive(Key::Account(text::fold(login)));
        if let Some(address) = address {
            self.forgive(Key::Address(network(address)));
        }
    }

    fn count(&self, key: Key, free: u32, now: DateTime<Utc>) -> Result<()> {
        let mut wait = 0;
        self.0.entry(key).and_compute_with(|entry| {
            let before = entry
                .map(moka::Entry::into_value)
                .filter(|attempts| now - attempts.last < FORGET)
                .unwrap_or(Attempts {
                    wrong: 0,
                    last: now,
                });
            let passed = u64::try_from((now - before.last).num_seconds()).unwrap_or(0);
            wait = before.wait(free).saturating_sub(passed);
            if wait > 0 {
                Op::Nop
            } else {
                Op::Put(Attempts {
                    wrong: before.wrong.saturating_add(1),
                    last: now,
                })
            }
        });
        if wait > 0 {
            Err(Error::Throttled(wait))
        } else {
            Ok(())
        }
    }

    fn forgive(&self, key: Key) {
        self.0
            .entry(key)
            .and_compute_with(|entry| match entry.map(moka::Entry::into_value) {
                Some(attempts) => Op::Put(Attempts {
                    wrong: attempts.wrong.saturating_sub(1),
                    ..attempts
                }),
                None => Op::Nop,
            });
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_work_is_never_undercut() {
        assert_eq!(calibrate(Duration::from_millis(400)), LEAST);
        assert_eq!(calibrate(Duration::from_millis(100)), LEAST);
        assert_eq!(calibrate(Duration::from_millis(50)), (38 * 1024, 2));
        assert_eq!(calibrate(Duration::from_millis(10)), (MOST_MEMORY, 5));
        assert_eq!(calibrate(Duration::ZERO), (MOST_MEMORY, MOST_PASSES));
    }

    #[test]
    fn the_words_of_the_person_count_for_nothing() {
        let guessed = |password| {
            is_easily_guessed(
                password,
                ["Mei Tanaka", "Mei", "Tanaka", "Northwind"]
                    .map(str::to_owned)
                    .into(),
            )
        };
        for password in [
            "Mei Tanaka Northwind",
            "northwind-tanaka-2024",
            "TánakaTanakaTanaka",
            "password1234",
        ] {
            assert!(guessed(password), "{password}");
        }
        assert!(!guessed("violet harbour nine tandem"));
        assert!(!guessed("violet harbour nine for Mei"));
    }

    #[test]
    fn waits_double_and_end() {
        let throttle = Throttle::default();
        let start = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let mut now = start;
        for _ in 0..=FREE_PER_ACCOUNT {
            throttle.attempt("Ada", None, now).expect("free");
        }
        for wait in [2, 4, 8] {
            match throttle.attempt("ADA", None, now) {
                Err(Error::Throttled(seconds)) => assert_eq!(seconds, wait),
                other => panic!("{other:?}"),
            }
            now += TimeDelta::seconds(wait.cast_signed());
            throttle.attempt("ada", None, now).expect("waited");
        }
        throttle.attempt("bob", None, now).expect("somebody else");
        for _ in 0..50 {
            now += TimeDelta::minutes(15);
            throttle
                .attempt("ada", None, now)
                .expect("never longer than a quarter of an hour");
        }
        throttle.right("ada", None);
        throttle.attempt("ada", None, now).expect("forgotten");
    }

    #[test]
    fn an_address_is_counted_over_all_accounts() {
        let throttle = Throttle::default();
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        for guess in 0..=FREE_PER_ADDRESS {
            let address = format!("2001:db8::{guess:x}").parse().expect("an address");
            throttle
                .attempt(&format!("login{guess}"), Some(address), now)
                .expect("free");
        }
        let same: IpAddr = "2001:db8::ffff:1".parse().expect("an address");
        assert!(matches!(
            throttle.attempt("other", Some(same), now),
            Err(Error::Throttled(2))
        ));
        let other: IpAddr = "2001:db8:1::1".parse().expect("an address");
        throttle
            .attempt("other", Some(other), now)
            .expect("another network");
    }
}
