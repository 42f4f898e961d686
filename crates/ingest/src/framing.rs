//! How frames stand in a source, and whose they are: stated, or recognised with the reason.

use signal_event::Timestamp;

use crate::json::{Cursor, Fault, Shapes, Text, digits, object};
use crate::{Reject, RejectCode, Venue};

/// How frames stand in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Lines of `<receive time> <frame>`. The time counts s, ms, µs or ns since 1970, one of them in the whole source.
    Lines,
    /// A recording: lines of JSON, each an envelope `{"t": "recv", "ts": <seconds>, "data": "<frame>"}`; also `header`,
    /// `http` (an answer to a request), `connect` and `send`.
    Recording,
    /// No framing: whoever receives the frames gives them one by one, with their receive times.
    Bare,
}

impl Framing {
    /// Every framing.
    pub const ALL: [Framing; 3] = [Framing::Lines, Framing::Recording, Framing::Bare];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Framing::Lines => "lines",
            Framing::Recording => "recording",
            Framing::Bare => "bare",
        }
    }

    /// The framing with this name.
    pub fn of_name(name: &str) -> Option<Framing> {
        Framing::ALL
            .into_iter()
            .find(|framing| framing.name() == name)
    }
}

/// What a clock counts. A time between 2001 and 2286 has another number of digits in each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockUnit {
    /// 10 digits.
    Seconds,
    /// 13 digits.
    Milliseconds,
    /// 16 digits.
    Microseconds,
    /// 19 digits.
    Nanoseconds,
}

impl ClockUnit {
    /// Every unit.
    pub const ALL: [ClockUnit; 4] = [
        ClockUnit::Seconds,
        ClockUnit::Milliseconds,
        ClockUnit::Microseconds,
        ClockUnit::Nanoseconds,
    ];

    /// Digits of a time of our days.
    pub(crate) const fn digits(self) -> usize {
        match self {
            ClockUnit::Seconds => 10,
            ClockUnit::Milliseconds => 13,
            ClockUnit::Microseconds => 16,
            ClockUnit::Nanoseconds => 19,
        }
    }

    /// Nanoseconds in one.
    pub(crate) const fn ns(self) -> i64 {
        match self {
            ClockUnit::Seconds => 1_000_000_000,
            ClockUnit::Milliseconds => 1_000_000,
            ClockUnit::Microseconds => 1_000,
            ClockUnit::Nanoseconds => 1,
        }
    }

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            ClockUnit::Seconds => "s",
            ClockUnit::Milliseconds => "ms",
            ClockUnit::Microseconds => "us",
            ClockUnit::Nanoseconds => "ns",
        }
    }

    /// The unit with this name.
    pub fn of_name(name: &str) -> Option<ClockUnit> {
        ClockUnit::ALL.into_iter().find(|unit| unit.name() == name)
    }
}

impl std::fmt::Display for ClockUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What is stated of a source; what is `None` is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceSpec {
    /// How frames stand in it.
    pub framing: Option<Framing>,
    /// Whose they are.
    pub venue: Option<Venue>,
    /// What the receive times count, where frames stand in lines.
    pub unit: Option<ClockUnit>,
}

impl SourceSpec {
    /// Frames of a venue that are given one by one.
    pub fn bare(venue: Venue) -> SourceSpec {
        SourceSpec {
            framing: Some(Framing::Bare),
            venue: Some(venue),
            unit: None,
        }
    }
}

/// What a source is, and why we think so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// How frames stand in it.
    pub framing: Framing,
    /// Whose they are.
    pub venue: Venue,
    /// What tells, for people.
    pub reason: String,
}

/// Frames that must agree on a venue, unless a source has ended with fewer: one may be a stray.
const FRAMES_MIN: usize = 2;

/// Frames that are looked at.
const FRAMES_MAX: usize = 256;

/// Why it is not known what a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecognised {
    /// What was seen.
    pub found: String,
    /// Whether more of the source may tell.
    pub more_may_tell: bool,
}

/// What a source is, from its first bytes; `whole` says that there are no more.
pub fn recognise(
    stated: &SourceSpec,
    head: &[u8],
    whole: bool,
) -> Result<Recognised, Unrecognised> {
    let lines: Vec<&[u8]> = lines(head, whole).take(FRAMES_MAX).collect();
    if stated.venue.is_none()
        && stated.framing.unwrap_or(Framing::Recording) == Framing::Recording
        && let Some(name) = lines.iter().find_map(|line| header_name(line))
        && Venue::of_recording(&name).is_none()
    {
        let nearest = Venue::nearest(&name)
            .map_or_else(String::new, |venue| format!("; the nearest is \"{venue}\""));
        return Err(Unrecognised {
            found: format!("its header names the venue {name:?}, which is not known{nearest}"),
            more_may_tell: false,
        });
    }
    let more_may_tell = !whole && lines.len() < FRAMES_MAX;
    recognise_lines(stated, lines, whole).map_err(|found| Unrecognised {
        found,
        more_may_tell,
    })
}

fn recognise_lines(
    stated: &SourceSpec,
    lines: Vec<&[u8]>,
    whole: bool,
) -> Result<Recognised, String> {
    let timed = |line: &&&[u8]| split_line(line).is_some_and(|(_, frame)| is_json(frame));
    let (timed, enveloped) = (
        lines.iter().filter(timed).count(),
        lines.iter().filter(|line| is_envelope(line)).count(),
    );
    let (framing, count) = match stated.framing {
        Some(framing) => (framing, 0),
        None if timed == 0 && enveloped == 0 => {
            return Err(
                "no line is a time and a JSON frame, and none is of a recording".to_string(),
            );
        }
        None if timed >= enveloped => (Framing::Lines, timed),
        None => (Framing::Recording, enveloped),
    };
    let shape = match (stated.framing, framing) {
        (Some(framing), _) => format!("{} as stated", framing.name()),
        (None, Framing::Recording) => format!("{count} of {} lines are envelopes", lines.len()),
        (None, _) => format!("{count} of {} lines are a time and a frame", lines.len()),
    };
    let recognised = |venue, reason: String| Recognised {
        framing,
        venue,
        reason: format!("{shape}; {reason}"),
    };
    if let Some(venue) = stated.venue {
        return Ok(recognised(venue, format!("{venue} as stated")));
    }
    if framing == Framing::Recording
        && let Some(name) = lines.iter().find_map(|line| header_name(line))
        && let Some(venue) = Venue::of_recording(&name)
    {
        return Ok(recognised(venue, format!("the header names {venue}")));
    }
    let frames: Vec<Text<'_>> = match framing {
        Framing::Lines => {
            let frames = lines.iter().filter_map(|line| Some(split_line(line)?.1));
            frames.map(Text::Borrowed).collect()
        }
        Framing::Recording => lines.iter().filter_map(|line| received(line)).collect(),
        Framing::Bare => lines.into_iter().map(Text::Borrowed).collect(),
    };
    vote(&frames, whole).map(|(venue, reason)| recognised(venue, reason))
}

/// The venue that most frames show, if no other comes near.
fn vote(frames: &[Text<'_>], whole: bool) -> Result<(Venue, String), String> {
    let votes = |venue: &Venue| frames.iter().filter(|frame| venue.claims(frame)).count();
    let mut ranking: Vec<(usize, Venue)> = Venue::ALL
        .iter()
        .map(|venue| (votes(venue), *venue))
        .collect();
    ranking.sort_by_key(|(votes, _)| std::cmp::Reverse(*votes));
    let count = frames.len();
    match ranking.as_slice() {
        [] | [(0, _), ..] => Err(format!(
            "{count} frames look like none of the venues' ({})",
            names()
        )),
        [(first, venue), (second, other), ..] if second * 10 > *first => Err(format!(
            "{first} of {count} frames look like {venue}'s, {second} like {other}'s"
        )),
        [(first, venue), ..] if *first < FRAMES_MIN && !whole => Err(format!(
            "only {first} of {count} frames looks like {venue}'s"
        )),
        [(first, venue), ..] => Ok((
            *venue,
            format!("{first} of {count} frames look like {venue}'s"),
        )),
    }
}

/// The names of all venues, for people.
fn names() -> String {
    let names: Vec<&str> = Venue::ALL.iter().map(|venue| venue.name()).collect();
    names.join(", ")
}

/// Lines with something in them; the last only if its end has come.
fn lines(head: &[u8], whole: bool) -> impl Iterator<Item = &[u8]> {
    let end = match memchr::memrchr(b'\n', head) {
        _ if whole => head.len(),
        Some(end) => end,
        None => 0,
    };
    head[..end]
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
}

/// Whether a line, of which the end may be missing, is framed: a time and what begins like JSON, or a recording's envelope.
pub fn is_frame(line: &[u8]) -> bool {
    split_line(line).is_some_and(|(_, frame)| is_json(frame)) || is_envelope(line)
}

fn is_json(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(b'{' | b'['))
}

/// Whether a line has a recording's envelope.
fn is_envelope(line: &[u8]) -> bool {
    let kinds = ["header", "http", "connect", "send", "recv"];
    kinds.iter().any(|kind| {
        let rest = line.strip_prefix(b"{\"t\":");
        let rest = rest.map(|rest| rest.strip_prefix(b" ").unwrap_or(rest));
        rest.and_then(|rest| rest.strip_prefix(b"\""))
            .and_then(|rest| rest.strip_prefix(kind.as_bytes()))
            .is_some_and(|rest| rest.starts_with(b"\""))
    })
}

/// The recorder's name of the venue, if the line is a recording's header.
fn header_name(line: &[u8]) -> Option<String> {
    let envelope = Envelope::parse(line).ok()?;
    let exchange = envelope.exchange.filter(|_| &*envelope.kind == b"header")?;
    Some(String::from_utf8_lossy(&exchange).into_owned())
}

/// The frame that a line of a recording holds.
fn received(line: &[u8]) -> Option<Text<'_>> {
    let envelope = Envelope::parse(line).ok()?;
    envelope.data.filter(|_| &*envelope.kind == b"recv")
}

/// A line of a recording.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'a> {
    /// What it is: `header`, `http`, `connect`, `send`, `recv`.
    pub kind: Text<'a>,
    /// When; `None` in a header.
    pub ts_recv: Option<Timestamp>,
    /// The frame, or the body of an answer.
    pub data: Option<Text<'a>>,
    /// What was asked.
    pub url: Option<Text<'a>>,
    /// The recorder's name of the venue.
    pub exchange: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Envelope<'a>, Fault> {
        let mut c = Cursor::new(line, Shapes::default());
        let mut envelope = Envelope::default();
        object!(c, {
            "t" => envelope.kind = c.text()?,
            "exchange" => envelope.exchange = Some(c.text()?),
            "conn" => c.skip()?,
            "ts" => envelope.ts_recv = Some(seconds(&mut c)?),
            "url" => envelope.url = Some(c.text()?),
            "addr" => c.skip()?,
            "data" => envelope.data = Some(c.text()?),
        });
        c.end()?;
        Ok(envelope)
    }
}

/// Takes a time in seconds. Recorders write a binary float, whose digits beyond the nanosecond mean nothing.
fn seconds(c: &mut Cursor<'_>) -> Result<Timestamp, Fault> {
    let here = *c;
    let refuse = || here.refuse(RejectCode::BadTimestamp, "no time in seconds");
    let text = c.value()?.number().ok_or_else(refuse)?;
    let kept = match text.iter().position(|&b| b == b'.') {
        Some(point) => &text[..text.len().min(point + 10)],
        None => text,
    };
    signal_event::decimal::parse_quantity(kept, 9).map_err(|_| refuse())
}

/// The number that a line begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub value: i64,
    pub digits: usize,
}

/// The clock's reading of the line with which `text` begins, and what follows it.
#[inline]
pub(crate) fn split_line(text: &[u8]) -> Option<(Reading, &[u8])> {
    let mut ts = 0u64;
    let mut rest = text;
    // A time of our days has 19 digits: twice eight, then three.
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>()
        && text.len() - rest.len() < 16
        && let (8, digits) = digits::leading(chunk)
    {
        ts = ts * 100_000_000 + digits;
        rest = behind;
    }
    while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
        ts = ts.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = behind;
    }
    let digits = text.len() - rest.len();
    let frame = rest.strip_prefix(b" ").filter(|_| digits > 0)?;
    let value = i64::try_from(ts).ok()?;
    Some((Reading { value, digits }, frame))
}

/// The refusal of a line that does not begin with a time.
#[cold]
pub(crate) fn no_time(line: &[u8]) -> Reject {
    let start = String::from_utf8_lossy(&line[..line.len().min(24)]).into_owned();
    let detail = format!(
        "the line begins {start:?}, not with the time since 1970 (in s, ms, us or ns) and a space"
    );
    Reject::new(RejectCode::BadTimestamp, detail)
}

/// How far a receive time that is no time of our days may lie from the venue's time: 20 years.
pub(crate) const AGE_NS: u64 = 20 * 365 * 86_400 * 1_000_000_000;

impl Reading {
    /// The unit in which this is read, which is one for the whole source, and whether that needs the venue's time to
    /// agree: what is no time of our days, as in examples written by hand, counts nanoseconds.
    pub(crate) fn unit(self, before: Option<ClockUnit>) -> Result<(ClockUnit, bool), Reject> {
        let Reading { value, digits } = self;
        let shown = ClockUnit::ALL
            .into_iter()
            .find(|unit| unit.digits() == digits);
        match (shown, before) {
            (Some(unit), None) => Ok((unit, false)),
            (Some(unit), Some(before)) if unit == before => Ok((unit, false)),
            (Some(unit), Some(before)) => Err(Reject::new(
                RejectCode::BadTimestamp,
                format!(
                    "the receive time {value} reads as {unit}, those before it are in {before}"
                ),
            )),
            (None, None | Some(ClockUnit::Nanoseconds)) => Ok((ClockUnit::Nanoseconds, true)),
            (None, Some(_)) => Err(self.no_time_of_our_days()),
        }
    }

    #[cold]
    pub(crate) fn no_time_of_our_days(self) -> Reject {
        let value = self.value;
        let detail = format!(
            "the receive time {value} is no time of our days in s, ms, us or ns, as the venue's time in the line is"
        );
        Reject::new(RejectCode::BadTimestamp, detail)
    }

    /// Nanoseconds.
    pub(crate) fn ns(self, unit: ClockUnit) -> Result<Timestamp, Reject> {
        self.value
            .checked_mul(unit.ns())
            .ok_or_else(|| self.no_time_of_our_days())
    }
}
