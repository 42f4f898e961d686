//! Libraries that panic over damaged files: what they say becomes an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `read` gives, or what it said when it panicked. Whoever asks must not use again what it was reading.
pub(crate) fn contained<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|said| words(&*said))
}

fn words(said: &(dyn Any + Send)) -> String {
    let text = said.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| said.downcast_ref::<&str>().copied());
    text.unwrap_or("its reader gave up").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        assert_eq!(contained(|| 7), Ok(7));
        let found = contained(|| -> u8 { panic!("offset {} beyond", 9) });
        assert_eq!(found, Err("offset 9 beyond".to_string()));
    }
}
