//! JSON as Python's `json.dumps` writes it with its defaults: what a signal's text has always been made of.
use std::fmt::Write;

/// A text in quotes, everything beyond ASCII escaped.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| push_char(out, c));
    }
    out.push('"');
}

fn push_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        ' '..='~' => out.push(c),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // writing to a String cannot fail
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

/// A list of texts.
pub(crate) fn push_texts<S: AsRef<str>>(out: &mut String, texts: &[S]) {
    out.push('[');
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        push_text(out, text.as_ref());
    }
    out.push(']');
}

/// A finite number as Python's `repr` writes it: the shortest digits that give the same bits, with an exponent below 1e-4
/// and from 1e16 on.
pub(crate) fn push_float(out: &mut String, value: f64) {
    let mut short = Short::default();
    // 25 bytes at most
    let _ = write!(short, "{:e}", value.abs());
    let (mantissa, exponent) = short.text().split_once('e').unwrap_or(("0", "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, rest) = (&mantissa[..1], mantissa.get(2..).unwrap_or(""));
    if value.is_sign_negative() {
        out.push('-');
    }
    let zeros = |out: &mut String, n: i32| (0..n).for_each(|_| out.push('0'));
    match exponent {
        -4..=-1 => {
            out.push_str("0.");
            zeros(out, -exponent - 1);
            out.push_str(first);
            out.push_str(rest);
        }
        0..=15 => {
            let whole = (exponent as usize).min(rest.len());
            out.push_str(first);
            out.push_str(&rest[..whole]);
            zeros(out, exponent - whole as i32);
            out.push('.');
            out.push_str(if whole < rest.len() {
                &rest[whole..]
            } else {
                "0"
            });
        }
        _ => {
            out.push_str(mantissa);
            out.push_str(if exponent < 0 { "e-" } else { "e+" });
            zeros(out, i32::from(exponent.abs() < 10));
            push_number(out, i64::from(exponent.abs()));
        }
    }
}

/// A whole number.
pub(crate) fn push_number(out: &mut String, number: i64) {
    let mut short = Short::default();
    let mut left = number.unsigned_abs();
    loop {
        short.push_front(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        short.push_front(b'-');
    }
    out.push_str(short.text());
}

/// Bytes as lower-case hex digits.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for some in bytes.chunks(ROOM / 2) {
        let mut short = Short::default();
        for byte in some.iter().rev() {
            short.push_front(DIGITS[usize::from(byte & 15)]);
            short.push_front(DIGITS[usize::from(byte >> 4)]);
        }
        out.push_str(short.text());
    }
}

const ROOM: usize = 64;

/// A short text without an allocation: written from the front by `write!`, or from its back by `push_front`.
struct Short {
    bytes: [u8; ROOM],
    from: usize,
    to: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self {
            bytes: [0; ROOM],
            from: ROOM,
            to: ROOM,
        }
    }
}

impl Short {
    fn push_front(&mut self, byte: u8) {
        self.from -= 1;
        self.bytes[self.from] = byte;
    }

    fn text(&self) -> &str {
        // ASCII alone is put in
        std::str::from_utf8(&self.bytes[self.from..self.to]).unwrap_or_default()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.from == ROOM {
            (self.from, self.to) = (0, 0);
        }
        let room = self.bytes.get_mut(self.to..self.to + text.len());
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.to += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = String::new();
        push_float(&mut out, value);
        out
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.618, "-0.618"),
            (1e15, "1000000000000000.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (123456.789, "123456.789"),
            (1234567.0, "1234567.0"),
            (12.5, "12.5"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (9.9e-5, "9.9e-05"),
            (5e-324, "5e-324"),
            (-2.5e-10, "-2.5e-10"),
            (f64::from(0.1f32), "0.10000000149011612"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn whole_numbers_are_written_in_full() {
        for number in [0, 7, -1, 1723161254000000123, i64::MAX, i64::MIN] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        let mut out = String::new();
        push_hex(&mut out, &[0x0f; 40]);
        assert_eq!(out, "0f".repeat(40));
    }

    #[test]
    fn texts_are_escaped_as_python_escapes_them() {
        let mut out = String::new();
        push_texts(&mut out, &["a\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}é", "😀", ""]);
        assert_eq!(
            out,
            "[\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u007f\\u00e9\", \"\\ud83d\\ude00\", \"\"]"
        );
    }
}
