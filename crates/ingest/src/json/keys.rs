//! Objects whose keys are known.

use std::collections::BTreeSet;

use super::fault::{Fault, Text, fault};
use crate::RejectCode;

/// Other keys of an object that are compared one by one; more of them go into a set.
const FEW: usize = 24;

/// The keys that an object has shown: none may come again.
#[derive(Debug, Default)]
pub(crate) struct Keys<'a> {
    /// A bit for each key that the decoder names.
    seen: u64,
    others: Option<Box<Others<'a>>>,
}

#[derive(Debug, Default)]
struct Others<'a> {
    few: Vec<Text<'a>>,
    many: BTreeSet<Text<'a>>,
}

impl<'a> Keys<'a> {
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

    /// A key has come that the decoder does not name.
    pub(crate) fn unknown(&mut self, key: Text<'a>) -> Result<(), Fault> {
        let Others { few, many } = &mut **self.others.get_or_insert_default();
        if few.contains(&key) || many.contains(&key) {
            return Err(twice(&key));
        }
        if few.len() < FEW {
            few.push(key);
        } else {
            many.insert(key);
        }
        Ok(())
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
            let mut keys = $crate::json::Keys::default();
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
                    let key = $c.key()?;
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
                        keys.unknown(key)?;
                        $c.skip()?;
                    }
                    another = $c.more(b'}')?;
                }
            }
        }
    }};
}
pub(crate) use object;
