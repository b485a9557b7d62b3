//! When a source is read by itself.
//!
//! A schedule is cron text in a time zone. Every node looks for what is due;
//! the one that moves `next_at` on is the one that starts the run, so several
//! nodes need no leader. A run that fails because the source cannot be reached
//! is tried again, later each time, until its ordinary time comes.

use std::str::FromStr as _;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use domain::{Action, SourceId, Viewer, Violation};
use sea_orm::ConnectionTrait as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Result, Store, db, source};

/// Most seconds of jitter: an hour.
pub const JITTER_MAX: u16 = 3_600;
/// Most days between two full reads.
pub const FULL_EVERY_MAX: u16 = 90;
/// Days between two full reads where no schedule says otherwise.
const FULL_EVERY: u16 = 7;
/// The first wait after a failure; each further one is twice as long.
const FIRST_RETRY: TimeDelta = TimeDelta::minutes(1);
/// After so many failures in a row only the ordinary times count.
const RETRIES: u32 = 6;

/// When a source is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Five fields: minute, hour, day of month, month, day of week (POSIX cron).
    pub cron: String,
    /// The zone of the IANA database in which they are meant, `Europe/Oslo`.
    pub zone: String,
    /// A run starts at random up to so many seconds late, 0 to 3600, so that
    /// not everything in a house begins on the hour.
    pub jitter_seconds: u16,
    /// After so many days a run reads everything again instead of what
    /// changed, 1 to 90: a source forgets to date some changes.
    pub full_every_days: u16,
}

/// A schedule in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// What was set.
    pub schedule: Schedule,
    /// When the next run starts.
    pub next_at: DateTime<Utc>,
    /// How many runs failed since the last one that did not.
    pub failures: u32,
}

impl Schedule {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// Every [`Violation`]: `cron`, `zone`, `jitter_seconds`, `full_every_days`.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let mut bad = Vec::new();
        let mut expect = |good: bool, field: &str, expected: String| {
            if !good {
                bad.push(Violation::BadFormat {
                    field: field.into(),
                    expected,
                });
            }
        };
        let never = "a time that comes: minute, hour, day of month, month, day of week, such as 0 6 * * 1-5";
        let comes = self.cron().is_some_and(|cron| {
            cron.find_next_occurrence(&DateTime::UNIX_EPOCH, false)
                .is_ok()
        });
        expect(comes, "cron", never.into());
        let zone = Tz::from_str(&self.zone).is_ok();
        expect(zone, "zone", "a time zone such as Europe/Oslo".into());
        let jitter = self.jitter_seconds <= JITTER_MAX;
        expect(jitter, "jitter_seconds", format!("0 to {JITTER_MAX}"));
        let full = (1..=FULL_EVERY_MAX).contains(&self.full_every_days);
        expect(full, "full_every_days", format!("1 to {FULL_EVERY_MAX}"));
        if bad.is_empty() { Ok(()) } else { Err(bad) }
    }

    /// The cron text in plain English words; empty for one that is none.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.cron().map(|cron| cron.describe()).unwrap_or_default()
    }

    /// The next `count` times after `after`, without jitter. A time that a
    /// change of clocks skips or repeats comes once.
    #[must_use]
    pub fn next_times(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let (Some(cron), Ok(zone)) = (self.cron(), Tz::from_str(&self.zone)) else {
            return Vec::new();
        };
        let times = cron.iter_after(after.with_timezone(&zone));
        times.take(count).map(|time| time.to_utc()).collect()
    }

    fn cron(&self) -> Option<Cron> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        parser.parse(self.cron.trim()).ok()
    }

    fn next(&self, after: DateTime<Utc>, random: [u8; 2]) -> Option<DateTime<Utc>> {
        let late = u16::from_be_bytes(random) % (self.jitter_seconds.min(JITTER_MAX) + 1);
        let next = self.next_times(after, 1).into_iter().next()?;
        Some(next + TimeDelta::seconds(late.into()))
    }
}

impl Store {
    /// A source's schedule, if it has one. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn schedule(&self, viewer: &Viewer, id: SourceId) -> Result<Option<Scheduled>> {
        self.source(viewer, id).await?;
        let find = "SELECT body, next_at, failures FROM schedules WHERE source_id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [id.0.into()]))
            .await?;
        row.map(|row| {
            Ok(Scheduled {
                schedule: serde_json::from_str(&row.try_get_by_index::<String>(0)?)?,
                next_at: row.try_get_by_index(1)?,
                failures: row.try_get_by_index::<i32>(2)?.try_into().unwrap_or(0),
            })
        })
        .transpose()
    }

    /// Sets or, with `None`, ends a source's schedule. Needs `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] as [`Schedule::check`], [`crate::Error::NotFound`].
    pub async fn set_schedule(
        &self,
        viewer: &Viewer,
        id: SourceId,
        schedule: Option<Schedule>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        self.source(viewer, id).await?;
        if let Some(schedule) = &schedule {
            schedule.check().map_err(Error::Invalid)?;
        }
        let mut change = self.change().await?;
        match &schedule {
            None => {
                let delete = "DELETE FROM schedules WHERE source_id = $1";
                let delete = db::sql(&change.tx, delete, [id.0.into()]);
                change.tx.execute_raw(delete).await?;
            }
            Some(schedule) => {
                let next = schedule.next(change.at, self.random());
                let set = "INSERT INTO schedules (source_id, body, next_at, failures, set_by, set_at)
                    VALUES ($1, $2, $3, 0, $4, $5)
                    ON CONFLICT (source_id) DO UPDATE SET body = excluded.body, next_at = excluded.next_at,
                        failures = 0, set_by = excluded.set_by, set_at = excluded.set_at";
                let values = [
                    id.0.into(),
                    serde_json::to_string(schedule)?.into(),
                    next.unwrap_or(DateTime::<Utc>::MAX_UTC).into(),
                    viewer.id().map(|id| id.0).into(),
                    change.at.into(),
                ];
                change
                    .tx
                    .execute_raw(db::sql(&change.tx, set, values))
                    .await?;
            }
        }
        let detail = json!({ "schedule": schedule });
        change.record(viewer, "source.scheduled", source::subject(id), detail);
        change.commit().await
    }

    /// The sources whose time has come, each answered once however many nodes
    /// ask: their next times are moved on. One that is paused waits for its
    /// next time; whether one is being read, `begin_run` knows. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn due_sources(&self, viewer: &Viewer) -> Result<Vec<SourceId>> {
        self.allow(viewer, Action::ManageSources)?;
        let now = self.now();
        let find = "SELECT c.source_id, c.body, c.next_at, s.paused_since
            FROM schedules c JOIN sources s ON s.id = c.source_id
            WHERE c.next_at <= $1 ORDER BY c.next_at";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [now.into()]))
            .await?;
        let mut due = Vec::new();
        for row in rows {
            let id = SourceId(row.try_get_by_index(0)?);
            let schedule: Schedule = serde_json::from_str(&row.try_get_by_index::<String>(1)?)?;
            let was: DateTime<Utc> = row.try_get_by_index(2)?;
            let paused = row.try_get_by_index::<Option<DateTime<Utc>>>(3)?.is_some();
            let next = schedule.next(now, self.random());
            let take = "UPDATE schedules SET next_at = $3 WHERE source_id = $1 AND next_at = $2";
            let values = [
                id.0.into(),
                was.into(),
                next.unwrap_or(DateTime::<Utc>::MAX_UTC).into(),
            ];
            let taken = self
                .db()
                .execute_raw(db::sql(self.db(), take, values))
                .await?;
            if taken.rows_affected() > 0 && !paused {
                due.push(id);
            }
        }
        Ok(due)
    }

    /// Notes how a run of the source went. After a failure that may pass
    /// (`passing`, with the source's own wish when to be asked again) the next
    /// run comes sooner than scheduled: after 1, 2, 4, … minutes, six times at
    /// most. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn note_run(
        &self,
        viewer: &Viewer,
        id: SourceId,
        failed: bool,
        passing: Option<Option<TimeDelta>>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        if !failed {
            let well = "UPDATE schedules SET failures = 0 WHERE source_id = $1 AND failures > 0";
            let well = db::sql(self.db(), well, [id.0.into()]);
            self.db().execute_raw(well).await?;
            return Ok(());
        }
        let Some(scheduled) = self.schedule(viewer, id).await? else {
            return Ok(());
        };
        let failures = scheduled.failures + 1;
        let again = passing.filter(|_| failures <= RETRIES).map(|wish| {
            let wait = FIRST_RETRY * (1 << (failures - 1));
            self.now() + wait.max(wish.unwrap_or_default())
        });
        let next = again.map_or(scheduled.next_at, |again| again.min(scheduled.next_at));
        let note = "UPDATE schedules SET failures = $2, next_at = $3 WHERE source_id = $1";
        let values = [id.0.into(), i64::from(failures).into(), next.into()];
        self.db()
            .execute_raw(db::sql(self.db(), note, values))
            .await?;
        Ok(())
    }

    /// Whether the next run of a source reads everything: it never did, or too
    /// long ago, or somebody asked for it, or its mapping changed. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn reads_in_full(&self, viewer: &Viewer, id: SourceId) -> Result<bool> {
        let scheduled = self.schedule(viewer, id).await?;
        let days = scheduled.map_or(FULL_EVERY, |scheduled| scheduled.schedule.full_every_days);
        let find = "SELECT full_read_at, full_wanted FROM sources WHERE id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let last: Option<DateTime<Utc>> = row.try_get_by_index(0)?;
        let wanted: bool = row.try_get_by_index(1)?;
        let old = |last| self.now() - last >= TimeDelta::days(days.into());
        Ok(wanted || last.is_none_or(old))
    }

    /// Has the next run read everything. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn want_full_read(&self, viewer: &Viewer, id: SourceId) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let want = "UPDATE sources SET full_wanted = TRUE WHERE id = $1";
        let done = self
            .db()
            .execute_raw(db::sql(self.db(), want, [id.0.into()]))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        Ok(())
    }

    /// Notes that everything was read by a run that began at `began`. A wish
    /// that came since stays. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn note_full_read(
        &self,
        viewer: &Viewer,
        id: SourceId,
        began: DateTime<Utc>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let note = "UPDATE sources SET full_read_at = $2, full_wanted = FALSE WHERE id = $1";
        self.db()
            .execute_raw(db::sql(self.db(), note, [id.0.into(), began.into()]))
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            cron: cron.into(),
            zone: zone.into(),
            jitter_seconds: 0,
            full_every_days: 7,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_schedule_is_told_in_words_and_times() {
        let weekdays = schedule("0 6 * * 1-5", "Europe/Oslo");
        assert_eq!(weekdays.check(), Ok(()));
        insta::assert_snapshot!(weekdays.in_words(), @"At 06:00, on Monday, Tuesday, Wednesday, Thursday, and Friday.");
        // A Friday before the clocks go back, and the Monday after.
        let times = weekdays.next_times(at("2026-10-23T00:00:00Z"), 2);
        assert_eq!(
            times,
            [at("2026-10-23T04:00:00Z"), at("2026-10-26T05:00:00Z")]
        );
        let never = schedule("", "UTC").next_times(at("2026-10-23T00:00:00Z"), 2);
        assert!(never.is_empty());
    }

    #[test]
    fn what_can_never_come_is_refused() {
        for cron in [
            "",
            "* * *",
            "61 * * * *",
            "0 0 30 2 *",
            "* * * * * *",
            "every day",
        ] {
            assert!(schedule(cron, "UTC").check().is_err(), "{cron}");
        }
        assert!(schedule("0 6 * * *", "Mars/Olympus").check().is_err());
        let mut late = schedule("0 6 * * *", "UTC");
        (late.jitter_seconds, late.full_every_days) = (3_601, 0);
        assert_eq!(late.check().expect_err("refused").len(), 2);
    }

    #[test]
    fn jitter_makes_a_run_late_and_never_early() {
        let mut hourly = schedule("0 * * * *", "UTC");
        hourly.jitter_seconds = 600;
        let after = at("2026-10-23T00:30:00Z");
        let hour = at("2026-10-23T01:00:00Z");
        for random in [[0, 0], [2, 88], [255, 255]] {
            let next = hourly.next(after, random).expect("a time");
            assert!(
                next >= hour && next <= hour + TimeDelta::seconds(600),
                "{next}"
            );
        }
    }
}
