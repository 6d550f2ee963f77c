//! What users write, before it is kept or shown to others: within its length, and without what would change how
//! something else is shown.

use std::ops::RangeInclusive;

use crate::refusal::Refusal;

/// A line as it is kept: without space around it, of so many characters, none of them a control character.
///
/// # Errors
/// What is wrong with it, with `what` it is.
pub(crate) fn line(text: &str, chars: RangeInclusive<usize>, what: &str) -> Result<String, Refusal> {
    checked(text, chars, what, |c| c.is_control())
}

/// The same for a text of several lines.
///
/// # Errors
/// As [`line`].
pub(crate) fn lines(text: &str, chars: RangeInclusive<usize>, what: &str) -> Result<String, Refusal> {
    checked(text, chars, what, |c| c.is_control() && c != '\n')
}

fn checked(
    text: &str,
    chars: RangeInclusive<usize>,
    what: &str,
    is_refused: impl Fn(char) -> bool,
) -> Result<String, Refusal> {
    let text = text.trim();
    // Counted no further than needed, for it may be long.
    let count = text.chars().take(chars.end() + 1).count();
    if !chars.contains(&count) {
        return Err(Refusal::Invalid(match chars.start() {
            0 => format!("{what} has at most {} characters", chars.end()),
            start => format!("{what} has {start} to {} characters", chars.end()),
        }));
    }
    if text.chars().any(is_refused) {
        return Err(Refusal::Invalid(format!("{what} has no control characters")));
    }
    Ok(text.to_owned())
}
