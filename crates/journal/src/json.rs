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
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let from = out.len();
        let _ = write!(out, "{value}");
        if !out[from..].contains('.') {
            out.push_str(".0");
        }
    } else {
        out.push_str(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    }
}

/// Bytes as lower-case hex digits.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
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
    fn texts_are_escaped_as_python_escapes_them() {
        let mut out = String::new();
        push_texts(&mut out, &["a\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}é", "😀", ""]);
        assert_eq!(
            out,
            "[\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u007f\\u00e9\", \"\\ud83d\\ude00\", \"\"]"
        );
    }
}
