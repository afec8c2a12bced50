//! The time of day, as certificates and invitations have it: whole seconds, UTC.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use time::OffsetDateTime;

/// A moment: seconds since 1970, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// What the clock of this machine says.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// So much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// As RFC 3339 has it, for programs.
    pub fn rfc3339(self) -> String {
        self.to_string().replacen(' ', "T", 1).replace(" UTC", "Z")
    }

    /// For rcgen. What lies outside the years that certificates can have is their end, the year 9999.
    pub(super) fn date(self) -> OffsetDateTime {
        const END: i64 = 253_402_300_799;
        OffsetDateTime::from_unix_timestamp(self.0.clamp(0, END)).expect("the years from 1970 to 9999 exist")
    }

    pub(super) fn unix(self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.0.try_into().unwrap_or(0)))
    }
}

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        Self(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let (year, month, day) = date.to_calendar_date();
        let (hour, minute, second) = date.to_hms();
        write!(f, "{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC", u8::from(month))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_people_write_it() {
        assert_eq!(Moment(1_795_387_517).to_string(), "2026-11-22 22:45:17 UTC");
        assert_eq!(Moment(i64::MAX).to_string(), "9999-12-31 23:59:59 UTC");
        assert_eq!(Moment(1_795_387_517).rfc3339(), "2026-11-22T22:45:17Z");
        assert_eq!(Moment(-1).to_string(), "1970-01-01 00:00:00 UTC");
    }
}
