//! Objects whose keys are known.

use std::collections::BTreeSet;

use super::fault::{Fault, Text, fault};
use super::{Cursor, Shapes};
use crate::RejectCode;

/// Other keys of an object at most before all go into a set.
const FEW: u32 = 24;

/// The keys that an object has shown: none may come again.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    /// A bit for each key that the decoder names.
    seen: u64,
    /// The object behind its opening bracket.
    text: &'a [u8],
    /// A bit for each other key: one that has a bit of its own stands for the first time.
    bits: u128,
    count: u32,
    many: Option<BTreeSet<Text<'a>>>,
}

impl<'a> Keys<'a> {
    /// No key has come of the object whose opening bracket stands before this text.
    #[inline(always)]
    pub(crate) fn of(text: &'a [u8]) -> Keys<'a> {
        Keys {
            seen: 0,
            text,
            bits: 0,
            count: 0,
            many: None,
        }
    }

    /// The key that the decoder names as its `index`th has come, where none came before.
    #[inline(always)]
    pub(crate) fn first(&mut self, index: u32) {
        self.seen |= 1 << index;
    }

    /// The key that the decoder names as its `index`th has come.
    #[inline(always)]
    pub(crate) fn known(&mut self, index: u32, key: &str) -> Result<(), Fault> {
        if self.seen & (1 << index) != 0 {
            return Err(twice(key.as_bytes()));
        }
        self.seen |= 1 << index;
        Ok(())
    }

    /// A key has come that the decoder does not name; its value is what follows.
    #[inline]
    pub(crate) fn unknown(&mut self, key: Text<'a>, value: &'a [u8]) -> Result<(), Fault> {
        let (first, last) = (key.first().copied(), key.last().copied());
        let mixed = usize::from(first.unwrap_or(0)) + 29 * usize::from(last.unwrap_or(0));
        let bit = 1u128 << ((mixed + 7 * key.len()) % 128);
        if self.bits & bit == 0 && self.count < FEW && self.many.is_none() {
            self.bits |= bit;
            self.count += 1;
            return Ok(());
        }
        self.compare(key, value)
    }

    /// Compares a key with all that came before, which are read once more for that.
    #[inline(never)]
    fn compare(&mut self, key: Text<'a>, value: &'a [u8]) -> Result<(), Fault> {
        if self.many.is_none() {
            let mut many = BTreeSet::new();
            let mut c = Cursor::new(self.text, Shapes::default());
            loop {
                let before = c.key()?;
                if c.rest.len() <= value.len() {
                    break;
                }
                many.insert(before);
                c.pass()?;
                c.more(b'}')?;
            }
            self.many = Some(many);
        }
        match self.many.as_mut() {
            Some(many) if many.contains(&key) => Err(twice(&key)),
            Some(many) => {
                many.insert(key);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cold]
fn twice(key: &[u8]) -> Fault {
    let key = String::from_utf8_lossy(key);
    fault(
        RejectCode::DuplicateKey,
        format!("key stands twice: {key:?}"),
    )
}

/// Takes an object: `object!(cursor, { "key" => what takes its value, … })`. The keys in the order in which they are
/// mostly sent; each at most once; others are skipped. The whole is within a function that returns a [`Fault`].
macro_rules! object {
    ($c:ident, { $($key:literal => $take:expr,)* }) => {{
        if !$c.begins(b'{') {
            return Err($c.refuse($crate::RejectCode::BadValue, "no object").into());
        }
        $c.mark(b'{')?;
        if !$c.empty(b'}') {
            let mut keys = $crate::json::Keys::of($c.rest);
            let mut another = true;
            let mut index = 0u32;
            $(
                if another && $c.eat_key(concat!("\"", $key, "\":")) {
                    keys.first(index);
                    $take;
                    another = $c.eat(b",");
                }
                index += 1;
            )*
            let _ = index;
            if another || !$c.eat(b"}") {
                let mut another = another || $c.more(b'}')?;
                while another {
                    let key = $c.lend(|c| c.key())?;
                    let (mut index, mut known) = (0u32, false);
                    $(
                        if !known && &*key == $key.as_bytes() {
                            known = true;
                            keys.known(index, $key)?;
                            $take;
                        }
                        index += 1;
                    )*
                    let _ = index;
                    if !known {
                        keys.unknown(key, $c.rest)?;
                        $c.skip()?;
                    }
                    another = $c.more(b'}')?;
                }
            }
        }
    }};
}
pub(crate) use object;
