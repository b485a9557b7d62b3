//! Delegation: who stands in for a superior who is away, and when.

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::{EmployeeId, Violation, org::OrgChart};

/// The longest time that somebody can be named for in the portal: days.
pub const MAX_DAYS: i64 = 366;

/// What is asked for: who stands in, from the first to the last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who stands in.
    pub delegate: EmployeeId,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub until: NaiveDate,
}

impl Request {
    /// Whether the delegate can stand in for `manager`, asked on the day `today`.
    ///
    /// # Errors
    /// [`Violation`]s of `delegate` (somebody who is not here, the manager, or a
    /// manager with nobody to oversee), `until` (before the first day or
    /// today, or more than a year after the first).
    pub fn check(
        &self,
        chart: &OrgChart,
        manager: EmployeeId,
        today: NaiveDate,
    ) -> Result<(), Violation> {
        if self.delegate == manager
            || !chart.contains(self.delegate)
            || chart.subtree(manager).is_empty()
        {
            return Err(Violation::Unknown {
                field: "delegate".into(),
                value: self.delegate.to_string(),
                allowed: "somebody else who works here, for a superior".into(),
            });
        }
        if self.until < self.from || self.until < today {
            return Err(Violation::EmptyRange {
                field: "until".into(),
            });
        }
        let last = self.from.checked_add_signed(TimeDelta::days(MAX_DAYS));
        if last.is_some_and(|last| last < self.until) {
            return Err(Violation::Unknown {
                field: "until".into(),
                value: self.until.to_string(),
                allowed: "a day within a year of the first".into(),
            });
        }
        Ok(())
    }
}

/// Whether who stands in for `manager` stands above `subject` by that: never
/// above themselves, the manager, or anyone above themselves. That the manager
/// is above the subject is the chart's, or its history's, to say.
#[must_use]
pub fn reaches(
    chart: &OrgChart,
    delegate: EmployeeId,
    manager: EmployeeId,
    subject: EmployeeId,
) -> bool {
    subject != delegate && subject != manager && !chart.oversees(subject, delegate)
}
