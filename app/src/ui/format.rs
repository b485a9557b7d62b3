//! Dates, times and figures as a person reads them.
//!
//! Dates read `19 Nov 2026`, times `09:05`, today's times without a date; thousands are kept apart
//! by a thin no-break space. The instant shown and "now" are arguments, so a page formats all it
//! shows against one moment.

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, Timelike, Utc,
};

/// The languages whose dates are known. Others read as British English.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// `en-GB`
    #[default]
    En,
    /// `de`
    De,
    /// `nb`, also taken for `nn` and `no`
    Nb,
    /// `fr`
    Fr,
}

impl Locale {
    /// From a BCP 47 tag or a POSIX name: `de`, `de-AT`, `nb_NO`.
    pub fn from_tag(tag: &str) -> Self {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "de" => Self::De,
            "nb" | "nn" | "no" => Self::Nb,
            "fr" => Self::Fr,
            _ => Self::En,
        }
    }

    fn months(self) -> [&'static str; 12] {
        match self {
            Self::En => [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ],
            Self::De => [
                "Januar",
                "Februar",
                "März",
                "April",
                "Mai",
                "Juni",
                "Juli",
                "August",
                "September",
                "Oktober",
                "November",
                "Dezember",
            ],
            Self::Nb => [
                "januar",
                "februar",
                "mars",
                "april",
                "mai",
                "juni",
                "juli",
                "august",
                "september",
                "oktober",
                "november",
                "desember",
            ],
            Self::Fr => [
                "janvier",
                "février",
                "mars",
                "avril",
                "mai",
                "juin",
                "juillet",
                "août",
                "septembre",
                "octobre",
                "novembre",
                "décembre",
            ],
        }
    }

    /// Short names as CLDR abbreviates them in a date.
    fn short_months(self) -> [&'static str; 12] {
        match self {
            Self::En => [
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
            ],
            Self::De => [
                "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.",
                "Nov.", "Dez.",
            ],
            Self::Nb => [
                "jan.", "feb.", "mars", "apr.", "mai", "juni", "juli", "aug.", "sep.", "okt.",
                "nov.", "des.",
            ],
            Self::Fr => [
                "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.",
                "nov.", "déc.",
            ],
        }
    }

    /// From Monday.
    fn weekdays(self) -> [&'static str; 7] {
        match self {
            Self::En => [
                "Monday",
                "Tuesday",
                "Wednesday",
                "Thursday",
                "Friday",
                "Saturday",
                "Sunday",
            ],
            Self::De => [
                "Montag",
                "Dienstag",
                "Mittwoch",
                "Donnerstag",
                "Freitag",
                "Samstag",
                "Sonntag",
            ],
            Self::Nb => [
                "mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag",
            ],
            Self::Fr => [
                "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche",
            ],
        }
    }

    /// The day of the month as it stands before the month.
    fn day(self, day: u32) -> String {
        match self {
            Self::En => day.to_string(),
            Self::De | Self::Nb => format!("{day}."),
            Self::Fr if day == 1 => "1er".to_owned(),
            Self::Fr => day.to_string(),
        }
    }

    fn day_month(self, date: NaiveDate, names: [&'static str; 12]) -> String {
        format!("{} {}", self.day(date.day()), names[date.month0() as usize])
    }

    /// `19 Nov 2026`
    pub fn date(self, date: NaiveDate) -> String {
        format!(
            "{} {}",
            self.day_month(date, self.short_months()),
            date.year()
        )
    }

    /// `19 November 2026`
    pub fn long_date(self, date: NaiveDate) -> String {
        format!("{} {}", self.day_month(date, self.months()), date.year())
    }

    /// `November 2026`
    pub fn month(self, date: NaiveDate) -> String {
        format!("{} {}", self.months()[date.month0() as usize], date.year())
    }
}

/// A place's distance from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The same all year, as in an island, which was given the offset of its page.
    Fixed(FixedOffset),
    /// By the IANA database, with its changes over the year.
    #[cfg(feature = "ssr")]
    Named(chrono_tz::Tz),
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self::Fixed(match FixedOffset::east_opt(0) {
        Some(offset) => offset,
        None => panic!("zero is an offset"),
    });

    /// So many minutes east of UTC; UTC where that is a day or more.
    pub fn minutes_east(minutes: i32) -> Self {
        FixedOffset::east_opt(minutes.saturating_mul(60)).map_or(Self::UTC, Self::Fixed)
    }

    /// From a name of the IANA database, as in `Europe/London`; UTC where it is unknown.
    #[cfg(feature = "ssr")]
    pub fn named(name: &str) -> Self {
        name.parse().map_or(Self::UTC, Self::Named)
    }

    /// Its name in the IANA database; `UTC` for one that is known by its distance alone.
    #[cfg(feature = "ssr")]
    pub fn name(self) -> String {
        match self {
            Self::Fixed(_) => "UTC".to_owned(),
            Self::Named(zone) => zone.name().to_owned(),
        }
    }

    /// Its distance from UTC at `instant`, in minutes east.
    pub fn offset_minutes(self, instant: DateTime<Utc>) -> i32 {
        let minutes = (self.local(instant) - instant.naive_utc()).num_minutes();
        i32::try_from(minutes).unwrap_or_default()
    }

    /// What the clocks there show at `instant`.
    pub fn local(self, instant: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Fixed(offset) => instant.with_timezone(&offset).naive_local(),
            #[cfg(feature = "ssr")]
            Self::Named(zone) => instant.with_timezone(&zone).naive_local(),
        }
    }
}

/// For whom, where and when a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Whose months.
    pub locale: Locale,
    /// Whose clock.
    pub zone: Zone,
    /// The moment of the page.
    pub now: DateTime<Utc>,
}

impl Reader {
    /// Without a zone, as in an island or for a stranger: British English, UTC.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            locale: Locale::En,
            zone: Zone::UTC,
            now,
        }
    }

    fn local(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        self.zone.local(instant)
    }

    fn is_today(&self, date: NaiveDate) -> bool {
        date == self.local(self.now).date()
    }

    /// `09:05`
    pub fn time(&self, instant: DateTime<Utc>) -> String {
        let local = self.local(instant);
        format!("{:02}:{:02}", local.hour(), local.minute())
    }

    /// `09:05:41`, for the audit log.
    pub fn time_with_seconds(&self, instant: DateTime<Utc>) -> String {
        format!("{}:{:02}", self.time(instant), self.local(instant).second())
    }

    /// `19 Nov 2026`
    pub fn date(&self, instant: DateTime<Utc>) -> String {
        self.locale.date(self.local(instant).date())
    }

    /// `November 2026`
    pub fn month(&self, instant: DateTime<Utc>) -> String {
        self.locale.month(self.local(instant).date())
    }

    /// Date and time, as short as they stay clear: `09:05` today, `16 Nov, 09:05` this year, else
    /// `16 Nov 2025, 09:05`.
    pub fn moment(&self, instant: DateTime<Utc>) -> String {
        let date = self.local(instant).date();
        let time = self.time(instant);
        if self.is_today(date) {
            time
        } else if date.year() == self.local(self.now).year() {
            format!(
                "{}, {time}",
                self.locale.day_month(date, self.locale.short_months())
            )
        } else {
            format!("{}, {time}", self.locale.date(date))
        }
    }

    /// The same with the day named also today, for a sentence: `today 09:05`.
    pub fn moment_in_sentence(&self, instant: DateTime<Utc>) -> String {
        if self.is_today(self.local(instant).date()) {
            format!("today {}", self.time(instant))
        } else {
            self.moment(instant)
        }
    }

    /// A date or, today, a time: what a list of conversations shows.
    pub fn short(&self, instant: DateTime<Utc>) -> String {
        let date = self.local(instant).date();
        if self.is_today(date) {
            self.time(instant)
        } else if date.year() == self.local(self.now).year() {
            self.locale.day_month(date, self.locale.short_months())
        } else {
            self.locale.date(date)
        }
    }

    /// The heading over a day's messages: `Today`, `Thursday 12 November`, or with the year where it
    /// is another one.
    pub fn day_heading(&self, instant: DateTime<Utc>) -> String {
        let date = self.local(instant).date();
        if self.is_today(date) {
            return "Today".to_owned();
        }
        self.weekday_and_day(date)
    }

    /// Today as a heading says it: `Thursday 19 November`.
    pub fn today(&self) -> String {
        self.weekday_and_day(self.local(self.now).date())
    }

    fn weekday_and_day(&self, date: NaiveDate) -> String {
        let weekday = self.locale.weekdays()[date.weekday().num_days_from_monday() as usize];
        let day = if date.year() == self.local(self.now).year() {
            self.locale.day_month(date, self.locale.months())
        } else {
            self.locale.long_date(date)
        };
        match self.locale {
            Locale::De => format!("{weekday}, {day}"),
            _ => format!("{weekday} {day}"),
        }
    }
}

/// An instant for the `datetime` attribute: `2026-11-19T09:05:00Z`.
pub fn iso(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A figure with a thin no-break space (U+202F) between thousands.
pub fn number(figure: i64) -> String {
    let digits = figure.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    if figure < 0 {
        text.push('\u{2212}');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 person`, `41 people`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!(
        "{} {noun}",
        number(i64::try_from(count).unwrap_or(i64::MAX))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(year, month, day, hour, minute, 41)
            .unwrap()
    }

    fn reader(locale: Locale, zone: Zone) -> Reader {
        Reader {
            locale,
            zone,
            now: at(2026, 11, 19, 12, 0),
        }
    }

    #[test]
    fn today_needs_no_date_and_another_year_needs_one() {
        let reader = reader(Locale::En, Zone::UTC);
        assert_eq!(reader.moment(at(2026, 11, 19, 9, 5)), "09:05");
        assert_eq!(reader.moment(at(2026, 11, 16, 10, 22)), "16 Nov, 10:22");
        assert_eq!(
            reader.moment(at(2025, 11, 16, 10, 22)),
            "16 Nov 2025, 10:22"
        );
        assert_eq!(
            reader.moment_in_sentence(at(2026, 11, 19, 9, 5)),
            "today 09:05"
        );
        assert_eq!(reader.short(at(2026, 11, 16, 10, 22)), "16 Nov");
        assert_eq!(reader.time_with_seconds(at(2026, 11, 19, 9, 5)), "09:05:41");
    }

    #[test]
    fn each_language_has_its_months() {
        let date = NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        let written =
            [Locale::En, Locale::De, Locale::Nb, Locale::Fr].map(|locale| locale.date(date));
        assert_eq!(
            written,
            [
                "1 Dec 2026",
                "1. Dez. 2026",
                "1. des. 2026",
                "1er déc. 2026"
            ]
        );
        assert_eq!(Locale::Fr.month(date), "décembre 2026");
        assert_eq!(Locale::En.long_date(date), "1 December 2026");
    }

    #[test]
    fn a_day_is_the_readers_day() {
        let late = at(2026, 11, 18, 23, 30);
        assert_eq!(
            reader(Locale::En, Zone::UTC).day_heading(late),
            "Wednesday 18 November"
        );
        let bergen = reader(Locale::En, Zone::minutes_east(60));
        assert_eq!(bergen.day_heading(late), "Today");
        assert_eq!(bergen.time(late), "00:30");
        assert_eq!(
            reader(Locale::De, Zone::UTC).day_heading(at(2025, 11, 20, 8, 0)),
            "Donnerstag, 20. November 2025"
        );
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn a_named_zone_knows_summer() {
        let london = Zone::named("Europe/London");
        assert_eq!(london.offset_minutes(at(2026, 7, 1, 12, 0)), 60);
        assert_eq!(london.offset_minutes(at(2026, 12, 1, 12, 0)), 0);
        assert_eq!(Zone::named("Mars/Olympus"), Zone::UTC);
    }

    #[test]
    fn an_offset_out_of_range_is_utc() {
        assert_eq!(Zone::minutes_east(i32::MAX), Zone::UTC);
        assert_eq!(
            Zone::minutes_east(-330).offset_minutes(at(2026, 1, 1, 0, 0)),
            -330
        );
    }

    #[test]
    fn tags_of_every_kind_are_read() {
        assert_eq!(Locale::from_tag("de-AT"), Locale::De);
        assert_eq!(Locale::from_tag("nb_NO"), Locale::Nb);
        assert_eq!(Locale::from_tag("NN"), Locale::Nb);
        assert_eq!(Locale::from_tag(""), Locale::En);
        assert_eq!(Locale::from_tag("pt"), Locale::En);
    }

    #[test]
    fn thousands_are_kept_apart() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(48_213), "48\u{202f}213");
        assert_eq!(number(-1_234_567), "\u{2212}1\u{202f}234\u{202f}567");
        assert_eq!(
            number(i64::MIN)
                .chars()
                .filter(char::is_ascii_digit)
                .count(),
            19
        );
        assert_eq!(counted(1, "person", "people"), "1 person");
        assert_eq!(counted(41, "person", "people"), "41 people");
    }
}
